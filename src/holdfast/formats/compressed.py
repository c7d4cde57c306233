"""Bytes out of compression, as many as one file may have: the streams that joblib writes, and their kin."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from holdfast.formats.limits import Budget, Refused

__all__ = ["compression_of", "expand"]


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_ZLIB_CHECK = 31
"""The first two bytes of a zlib stream are a multiple of this (RFC 1950, section 2.2)."""

_MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_WAYS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zlib": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ),
    "lzma": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE),
}

_STREAMS_MAX = 1_000
"""One behind the other; those who compress in parallel make one for each megabyte or so."""


def compression_of(data: bytes) -> str | None:
    """How these bytes are compressed, by their beginning; None when they are not."""
    for magic, name in _MAGICS:
        if data.startswith(magic):
            return name
    if data[:1] == b"\x78" and len(data) > 1 and int.from_bytes(data[:2], "big") % _ZLIB_CHECK == 0:
        return "zlib"
    return None


def expand(data: bytes, name: str, budget: Budget) -> bytes:
    """What was compressed.

    Raises:
        Refused: it is damaged, too much, not to be read here, or followed by something else.
    """
    make = _WAYS.get(name)
    if make is None:
        raise Refused(f"it is compressed with {name}, which is not read here")
    pieces, rest = [], data
    for _ in range(_STREAMS_MAX):
        stream = make()
        try:
            piece = stream.decompress(rest, budget.expanded_bytes + 1)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise Refused("its compression is damaged, or something else comes behind it") from error
        budget.expand(len(piece))
        if not stream.eof:
            raise Refused("its compression is cut off")
        pieces.append(piece)
        rest = stream.unused_data
        if not rest:
            return b"".join(pieces)
    raise Refused("it is compressed in more pieces than anybody writes")
