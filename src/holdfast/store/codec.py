"""How the bytes of a record are stored: as they are, compressed, or split into planes and compressed.

    codec, stored = pack_bytes(data, hint)
    unpack_bytes(codec, stored, len(data)) == data

docs/FORMAT.md, "Packs", gives each codec its number. Splitting puts the first bytes of all numbers together, then the
second ones, and so on: the exponents of neighbouring weights are alike, and compress once they stand side by side.
"""

import threading

import zstandard

from holdfast.errors import HoldfastError, UnsupportedFormat

__all__ = ["PLAIN", "ZSTD", "pack_bytes", "unpack_bytes"]

PLAIN = 0
ZSTD = 1
_PLANES = frozenset({2, 4, 8})

_LEVEL = 1
"""The fastest level: on the way into the store, what a higher one saves costs more time than it is worth."""

_KEEP_BELOW = 0.95
"""Compression that saves less than a twentieth is not worth undoing at every read."""

_SHORT = 64
"""A frame's own header eats what could be saved on fewer bytes."""

_UNSAID = -1
"""The length of a frame that does not say it."""


class _Tools(threading.local):
    """One compressor and one decompressor for each thread: neither may be used by two at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_tools = _Tools()


def pack_bytes(data: bytes, hint: int = ZSTD) -> tuple[int, bytes]:
    """The codec that pays, and the bytes as it stores them.

    Args:
        data: what to store.
        hint: the codec to try: `ZSTD`, or the width in bytes of the numbers that `data` consists of.
    """
    if len(data) >= _SHORT:
        stored = _tools.compressor.compress(_split(data, hint) if hint in _PLANES else data)
        if len(stored) <= len(data) * _KEEP_BELOW:
            return hint, stored
    return PLAIN, data


def unpack_bytes(codec: int, stored: bytes, length: int) -> bytes:
    """The bytes again, never more than `length`.

    Raises:
        UnsupportedFormat: a codec that is not known here.
        ValueError: the stored bytes are not what the codec writes.
    """
    if codec == PLAIN:
        return stored
    if codec != ZSTD and codec not in _PLANES:
        raise _unknown(codec)
    try:
        # The decompressor sets aside what a frame says of itself, whatever limit it is given.
        if zstandard.frame_content_size(stored) not in {length, _UNSAID}:
            raise ValueError("the frame is of another length")
        data = _tools.decompressor.decompress(stored, max_output_size=length)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    if len(data) != length:
        raise ValueError(f"{len(data)} bytes came out where {length} were stated")
    return data if codec == ZSTD else _join(data, codec)


def _split(data: bytes, width: int) -> bytes:
    whole = len(data) // width * width
    return b"".join([*(data[plane:whole:width] for plane in range(width)), data[whole:]])


def _join(data: bytes, width: int) -> bytes:
    count = len(data) // width
    whole = count * width
    numbers = bytearray(data)
    for plane in range(width):
        numbers[plane:whole:width] = data[plane * count : (plane + 1) * count]
    return bytes(numbers)


def _unknown(codec: int) -> HoldfastError:
    return UnsupportedFormat(
        f"a record is stored in codec {codec}, which this Holdfast does not know",
        hint="Use the Holdfast that wrote it, or a newer one.",
        found=codec,
    )
