"""How the bytes of a record are stored: as they are, compressed, or split into planes and compressed.

    codec, stored = pack_bytes(data, hint)
    unpack_bytes(codec, stored, len(data)) == data

    codec, stored = pack_on_base(data, hint, id_, base)
    unpack_bytes(codec, stored, len(data), base) == data

docs/FORMAT.md, "Packs", gives each codec its number. Splitting puts the first bytes of all numbers together, then the
second ones, and so on: the exponents of neighbouring weights are alike, and compress once they stand side by side. What
rests on a base says only where it differs from another chunk: fine-tuned weights differ from their base in few bits.

Source of the exclusive or with a base: Wang et al., "ZipLLM: Efficient LLM Storage via Model-Aware Synergistic Data
Deduplication and Compression", arXiv:2505.06252, 2025.
"""

import threading

import zstandard

from holdfast.errors import HoldfastError, UnsupportedFormat

__all__ = [
    "BASE_ID_BYTES",
    "PLAIN",
    "PLANES",
    "ZSTD",
    "base_of",
    "needs_base",
    "pack_bytes",
    "pack_on_base",
    "unpack_bytes",
    "without_base",
]

PLAIN = 0
ZSTD = 1
PLANES = frozenset({2, 4, 8})
"""Codecs that split, each the width of the numbers in bytes."""

_ON_BASE = 16
"""Added to another codec: it stores what differs from a base."""

_BASED = frozenset(_ON_BASE + codec for codec in (ZSTD, *PLANES))

BASE_ID_BYTES = 32
"""In front of what differs: the id of the base."""

_LEVEL = 1
"""The fastest level: on the way into the store, what a higher one saves costs more time than it is worth."""

_KEEP_BELOW = 0.95
"""Compression that saves less than a twentieth is not worth undoing at every read."""

_SHORT = 64
"""A frame's own header eats what could be saved on fewer bytes."""

_UNSAID = -1
"""The length of a frame that does not say it."""


class _Tools(threading.local):
    """Compressors and a decompressor for each thread: none may be used by two at once."""

    def __init__(self) -> None:
        self._compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()

    def compress(self, data: bytes, level: int) -> bytes:
        if level not in self._compressors:
            self._compressors[level] = zstandard.ZstdCompressor(level=level)
        return self._compressors[level].compress(data)


_tools = _Tools()


def pack_bytes(data: bytes, hint: int = ZSTD, *, level: int = _LEVEL) -> tuple[int, bytes]:
    """The codec that pays, and the bytes as it stores them.

    Args:
        data: what to store.
        hint: the codec to try: `ZSTD`, or the width in bytes of the numbers that `data` consists of.
        level: of Zstandard; from 1, the fastest, to 19.
    """
    if len(data) >= _SHORT:
        stored = _tools.compress(_split(data, hint) if hint in PLANES else data, level)
        if len(stored) <= len(data) * _KEEP_BELOW:
            return hint, stored
    return PLAIN, data


def pack_on_base(data: bytes, hint: int, id_: bytes, base: bytes) -> tuple[int, bytes]:
    """The codec of what rests on a base, and the bytes as it stores them; they may be longer than `data`.

    Args:
        data: what to store.
        hint: as for `pack_bytes`.
        id_: the name of the base.
        base: its bytes, as many as `data` has.
    """
    differing = _differing(data, base)
    return _ON_BASE + hint, id_ + _tools.compress(_split(differing, hint) if hint in PLANES else differing, _LEVEL)


def needs_base(codec: int) -> bool:
    """Whether what is stored in this codec can only be read beside another chunk."""
    return codec in _BASED


def base_of(codec: int, stored: bytes) -> bytes | None:
    """The id of the chunk that the stored bytes rest on; None in a codec without base.

    Raises:
        ValueError: they are too short to say it.
    """
    if codec not in _BASED:
        return None
    if len(stored) < BASE_ID_BYTES:
        raise ValueError("it does not say its base")
    return stored[:BASE_ID_BYTES]


def without_base(codec: int) -> int:
    """The codec that stores the same kind of numbers by themselves."""
    return codec - _ON_BASE if codec in _BASED else codec


def unpack_bytes(codec: int, stored: bytes, length: int, base: bytes | None = None) -> bytes:
    """The bytes again, never more than `length`.

    Args:
        codec: how they are stored.
        stored: the stored bytes.
        length: how many come out.
        base: the bytes of the chunk that `base_of` names.

    Raises:
        UnsupportedFormat: a codec that is not known here, or one on a base where none is given.
        ValueError: the stored bytes are not what the codec writes.
    """
    if codec in _BASED:
        if base is None:
            raise _astray(codec)
        if len(base) != length:
            raise ValueError(f"its base has {len(base)} bytes where {length} were stated")
        return _differing(unpack_bytes(codec - _ON_BASE, stored[BASE_ID_BYTES:], length), base)
    if codec == PLAIN:
        return stored
    if codec != ZSTD and codec not in PLANES:
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


def _differing(data: bytes, base: bytes) -> bytes:
    """Exclusive or of two byte strings of one length: its own inverse."""
    return (int.from_bytes(data, "little") ^ int.from_bytes(base, "little")).to_bytes(len(data), "little")


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


def _astray(codec: int) -> HoldfastError:
    return UnsupportedFormat(
        f"a record is stored in codec {codec}, on a base, and only archives hold such records",
        hint="Read it from the archive: holdfast clone, or holdfast pull.",
        found=codec,
    )
