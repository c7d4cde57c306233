"""Exact files of a local store, read whole: each is hashed against its name while it is read."""

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from holdfast.digest import READ_BYTES, Digest
from holdfast.store.disk import READ, refusing
from holdfast.store.faults import absent, damaged
from holdfast.store.layout import Layout

__all__ = ["ExactFiles"]


class ExactFiles:
    """The exact files of one store. It may be used by several threads."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def stands(self, digest: Digest) -> bool:
        """Whether the blob has one; nothing is read."""
        return self._layout.exact_size(digest) is not None

    def size(self, digest: Digest) -> int:
        """Its bytes.

        Raises:
            NotFound: the blob has none.
            IntegrityError: something that is not a file stands in its place.
        """
        path = self._layout.exact(digest)
        with refusing(self._layout.root):
            try:
                status = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                raise absent(digest) from None
        if not stat.S_ISREG(status.st_mode):
            raise damaged(digest, "something that is not a file stands in its place")
        return status.st_size

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Its bytes in order.

        Raises:
            NotFound: as `size`.
            IntegrityError: after the last piece, if not before: they are not what the digest names.
        """
        with self._opened(digest) as handle:
            yield from self._verified(handle, digest)

    def between(self, digest: Digest, begin: int, end: int) -> Iterator[bytes]:
        """Its bytes from `begin` on and before `end`, after all of them were hashed: nothing names a piece of a file.

        Raises:
            NotFound, IntegrityError: as `pieces`; or somebody writes to the file meanwhile.
        """
        with self._opened(digest) as handle:
            known = _known_by(handle)
            deque(self._verified(handle, digest), maxlen=0)
            self._layout.forget_damage(digest.hex)
            handle.seek(begin)
            left = end - begin
            while left > 0 and (piece := self._piece(handle, digest)):
                if _known_by(handle) != known:
                    raise damaged(digest, "somebody writes to its file")
                yield piece[:left]
                left -= len(piece)

    def handle(self, digest: Digest) -> BinaryIO:
        """The open file, after all of it was verified.

        Raises:
            NotFound, IntegrityError: as `pieces`.
        """
        with self._opened(digest) as handle:
            for _ in self._verified(handle, digest):
                pass
            handle.seek(0)
            return os.fdopen(os.dup(handle.fileno()), "rb")

    @contextmanager
    def _opened(self, digest: Digest) -> Iterator[BinaryIO]:
        self.size(digest)
        path = Path(self._layout.exact(digest))
        with refusing(path):
            try:
                descriptor = os.open(path, READ)
            except FileNotFoundError:
                raise absent(digest) from None
        # Unbuffered: reads are of READ_BYTES, and a buffer would only copy them once more.
        with os.fdopen(descriptor, "rb", buffering=0) as handle:
            yield handle

    def _verified(self, handle: BinaryIO, digest: Digest) -> Iterator[bytes]:
        """The bytes in pieces; after the last one it raises unless they were the ones that the digest names."""
        state = hashlib.sha256()
        while piece := self._piece(handle, digest):
            state.update(piece)
            yield piece
        found = Digest(state.hexdigest())
        if found != digest:
            self._layout.mark_damaged(digest.hex)
            raise damaged(digest, found)

    def _piece(self, handle: BinaryIO, digest: Digest) -> bytes:
        with refusing(Path(self._layout.exact(digest))):
            try:
                return handle.read(READ_BYTES)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                self._layout.mark_damaged(digest.hex)
                raise damaged(digest, f"the disk could not read it ({error.strerror})") from error


def _known_by(handle: BinaryIO) -> tuple[int, ...]:
    """What tells an open file from what it was before somebody wrote to it.

    Not its `ctime`: that goes on as well where a checkout links to the file, or lets it go again.
    """
    status = os.fstat(handle.fileno())
    return (status.st_size, status.st_mtime_ns)
