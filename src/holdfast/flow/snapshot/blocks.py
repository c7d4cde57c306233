"""Files as a scan found them, a few thousand at a time, in columns that are compared and written down as a whole.

    blocks = Blocks(handle)
    blocks.append(block)
    list(blocks) == [block]

A snapshot of a million files must not hold a million of anything, so what was found waits in a temporary file.
"""

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from holdfast.errors import IntegrityError
from holdfast.store.steady import Identity

__all__ = ["BLOCK_FILES", "UNKNOWN", "Block", "Blocks"]

BLOCK_FILES = 4096
"""Enough that the cost of a block does not show beside its files; 2 MB of memory."""

UNKNOWN = b""
"""In the place of a digest: the file has not been read yet."""

_DEVICE, _INODE, _SIZE, _MODIFIED, _CHANGED = range(5)
_WIDTH = 5
"""Of the numbers of one file, in the order of `Identity`."""

_DIGEST_BYTES = 32
_NO_DIGEST = bytes(_DIGEST_BYTES)
"""How `UNKNOWN` is written: nobody will ever find bytes that hash to it."""

_CHECK_BYTES = 16
_HEAD = struct.Struct(f"<II{_CHECK_BYTES}s")
"""Files in the block, bytes of its body, and the BLAKE2b of both."""

_BODY_BYTES_MAX = BLOCK_FILES * (1 + 5 * 8 + _DIGEST_BYTES + 1025)


@dataclass(slots=True)
class Block:
    """Neighbouring files of one scan, in the order of their paths.

    Attributes:
        paths: where they stand below the source.
        modes: 0o755 when their owner may execute them, else 0o644.
        stats: five numbers for each: device, inode, size, modification and change time. They stand in one list, for a
            tuple for each of a million files keeps the garbage collector busier than the scan.
        digests: 32 bytes for each, or `UNKNOWN`; an empty list as long as nobody has asked.
    """

    paths: list[str] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    stats: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    def same_files(self, other: "Block") -> bool:
        """Whether both hold the same files, as far as a scan can see."""
        return self.paths == other.paths and self.modes == other.modes and self.stats == other.stats

    def part(self, start: int, end: int) -> "Block":
        """The files from `start` to before `end`."""
        files = slice(start, end)
        stats = self.stats[_WIDTH * start : _WIDTH * end]
        return Block(self.paths[files], self.modes[files], stats, self.digests[files])

    def identity(self, place: int) -> Identity:
        """What shows whether the file at `place` is the same one, unchanged."""
        device, inode, size, modified, changed = self.stats[_WIDTH * place : _WIDTH * place + _WIDTH]
        return device, inode, size, modified, changed

    @property
    def sizes(self) -> list[int]:
        """The bytes of each file."""
        return self.stats[_SIZE::_WIDTH]

    @property
    def touched_ns(self) -> list[int]:
        """When bytes, name or mode of each file last changed; nanoseconds since 1970."""
        return list(map(max, self.stats[_MODIFIED::_WIDTH], self.stats[_CHANGED::_WIDTH]))


class Blocks:
    """Blocks in a file: appended at its end, read from the place where the first one begins.

    Args:
        handle: an open binary file that can be read, written and sought.
        start: where the first block begins.
    """

    def __init__(self, handle: IO[bytes], start: int = 0) -> None:
        self._handle = handle
        self._start = start
        self.files = 0
        self.bytes = 0

    def append(self, block: Block) -> None:
        """Write `block` behind the others.

        Raises:
            OSError: the operating system refused.
        """
        body = _packed(block)
        self._handle.seek(0, os.SEEK_END)
        self._handle.write(_HEAD.pack(len(block), len(body), _check(len(block), body)) + body)
        self.files += len(block)
        self.bytes += sum(block.sizes)

    def __iter__(self) -> Iterator[Block]:
        """All blocks again.

        Raises:
            IntegrityError: something is damaged or cut off; what came until then is sound.
            OSError: the operating system refused.
        """
        place = self._start
        while True:
            self._handle.seek(place)
            head = self._handle.read(_HEAD.size)
            if not head:
                return
            if len(head) < _HEAD.size:
                raise _broken()
            count, length, check = _HEAD.unpack(head)
            if length > _BODY_BYTES_MAX:
                raise _broken()
            body = self._handle.read(length)
            if len(body) < length or _check(count, body) != check:
                raise _broken()
            place += _HEAD.size + length
            yield _unpacked(body, count)


def _broken() -> IntegrityError:
    return IntegrityError(
        "a list of files that was written down does not read as it was written",
        hint=f"Look at the system's log for a failing disk under {tempfile.gettempdir()}.",
    )


def _check(count: int, body: bytes) -> bytes:
    state = hashlib.blake2b(body, digest_size=_CHECK_BYTES)
    state.update(count.to_bytes(4, "little"))
    return state.digest()


def _packed(block: Block) -> bytes:
    count, stats = len(block), block.stats
    unsigned = [*stats[_DEVICE::_WIDTH], *stats[_INODE::_WIDTH], *stats[_SIZE::_WIDTH]]
    times = [*stats[_MODIFIED::_WIDTH], *stats[_CHANGED::_WIDTH]]  # before 1970 they are negative
    return b"".join(
        (
            bytes([mode == 0o755 for mode in block.modes]),  # noqa: PLR2004 - the mode of what may be executed
            struct.pack(f"<{3 * count}Q", *unsigned),
            struct.pack(f"<{2 * count}q", *times),
            *([digest or _NO_DIGEST for digest in block.digests] or [_NO_DIGEST] * count),
            "\n".join(block.paths).encode(),  # no path of a tree has a line feed
        )
    )


def _unpacked(body: bytes, count: int) -> Block:
    unsigned = struct.unpack_from(f"<{3 * count}Q", body, count)
    times = struct.unpack_from(f"<{2 * count}q", body, count + 3 * 8 * count)
    digests = count + _WIDTH * 8 * count
    paths = digests + _DIGEST_BYTES * count
    stats = [0] * (_WIDTH * count)
    for number in (_DEVICE, _INODE, _SIZE):
        stats[number::_WIDTH] = unsigned[number * count : (number + 1) * count]
    stats[_MODIFIED::_WIDTH] = times[:count]
    stats[_CHANGED::_WIDTH] = times[count:]
    known = [body[place : place + _DIGEST_BYTES] for place in range(digests, paths, _DIGEST_BYTES)]
    return Block(
        body[paths:].decode().split("\n"),
        [0o755 if executable else 0o644 for executable in body[:count]],
        stats,
        [UNKNOWN if digest == _NO_DIGEST else digest for digest in known],
    )
