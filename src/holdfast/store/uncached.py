"""Writing a large file without going through the page cache, where the system can do that.

What is written once and synced at once gains nothing from the cache, and the cache takes its pages from whatever was in
it: on a machine that first has to find the memory, filling it costs several times what the disk needs.
"""

import errno
import fcntl
import mmap
import os

__all__ = ["UncachedWriter"]

_BLOCK_BYTES = 4096
"""What addresses, offsets and lengths are multiples of: the largest logical block of disks in use."""

_DIRECT: int = getattr(os, "O_DIRECT", 0)


class UncachedWriter:
    """Writes to an open file from its position on; in the usual way as soon as the system refuses the other.

    Args:
        descriptor: a new, empty file.
        bytes_max: the most that is written at once.
    """

    def __init__(self, descriptor: int, bytes_max: int) -> None:
        self._descriptor = descriptor
        # Memory that was mapped begins at a page, as such writes demand.
        self._aligned = memoryview(mmap.mmap(-1, bytes_max))
        self._is_direct = bool(_DIRECT) and self._asked(direct=True)

    def write(self, data: bytes) -> None:
        """Write all of `data`; the operating system may take it in pieces.

        Raises:
            OSError: the operating system refused.
        """
        if len(data) % _BLOCK_BYTES:
            self._end()
        left = memoryview(data)
        if self._is_direct:
            self._aligned[: len(data)] = left
            left = self._aligned[: len(data)]
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._end()

    def _end(self) -> None:
        """Go on in the usual way: at the end of the file, after a write in pieces, or where this way is unknown."""
        if self._is_direct:
            self._asked(direct=False)
            self._is_direct = False

    def _asked(self, *, direct: bool) -> bool:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | _DIRECT if direct else flags & ~_DIRECT)
        except OSError:
            return False
        return True
