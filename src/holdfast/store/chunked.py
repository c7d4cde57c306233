"""A blob that consists of chunks, as a file that can be read and sought."""

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

__all__ = ["ChunkedFile", "within"]

_BUFFER_BYTES = 1 << 20
"""Read ahead, so that a reader of small pieces does not ask for the same chunk again and again."""


def within(chunks: Iterable[tuple[bytes, int]], begin: int, end: int) -> tuple[list[tuple[bytes, int]], int]:
    """The chunks, of a sequence, that have a byte from `begin` on and before `end`; and where the first one begins."""
    found: list[tuple[bytes, int]] = []
    at = start = 0
    for id_, length in chunks:
        if at >= end:
            break
        if at + length > begin:
            start = start if found else at
            found.append((id_, length))
        at += length
    return found, start


class ChunkedFile(io.RawIOBase):
    """Reads of a sequence of chunks; each is fetched, and verified by whoever fetches it, when it is needed.

    The last one is kept: who reads all there is asks for it a few kilobytes at a time.

    Args:
        chunks: id and length of each.
        fetch: gives the bytes of one.
    """

    def __init__(self, chunks: Sequence[tuple[bytes, int]], fetch: Callable[[bytes, int], bytes]) -> None:
        self._chunks = chunks
        self._fetch = fetch
        self._starts = [0, *accumulate(length for _, length in chunks)]
        self._at = 0
        self._read: tuple[int, bytes] = (-1, b"")

    @classmethod
    def buffered(cls, chunks: Sequence[tuple[bytes, int]], fetch: Callable[[bytes, int], bytes]) -> io.BufferedReader:
        """The same behind a buffer, with all that a binary file can do."""
        return io.BufferedReader(cls(chunks, fetch), _BUFFER_BYTES)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """See `io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # what callers give
        """Fill `buffer` as far as one chunk reaches; how many bytes that were."""
        if self._at >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        if self._read[0] != number:
            self._read = (number, self._fetch(*self._chunks[number]))
        data = self._read[1]
        begin = self._at - self._starts[number]
        count = min(len(buffer), len(data) - begin)
        buffer[:count] = data[begin : begin + count]
        self._at += count
        return count
