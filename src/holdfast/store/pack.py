"""The bytes of a pack: records back to back, a directory of them, a trailer.

docs/FORMAT.md, "Packs", is the description for everybody who does not read Python. Nothing here touches a disk.
"""

from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from blake3 import blake3

from holdfast.errors import UnsupportedFormat

__all__ = [
    "BLOB",
    "CHUNK",
    "HEADER_BYTES",
    "ID_BYTES",
    "PACK_START",
    "RECIPE",
    "RECIPE_BYTES_MAX",
    "RECORD_BYTES_MAX",
    "TRAILER_BYTES",
    "Record",
    "directory",
    "header",
    "read_directory",
    "recipe_bytes",
    "recipe_chunks",
    "scan_records",
]

BLOB, CHUNK, RECIPE = 1, 2, 3
_KINDS = frozenset({BLOB, CHUNK, RECIPE})

ID_BYTES = 32
RECORD_BYTES_MAX = 4 << 20
"""The longest blob kept whole, and the longest chunk: what is set aside to unpack one."""

RECIPE_BYTES_MAX = 1 << 30
"""A recipe is read whole; this one puts together about two terabytes."""

PACK_START = b"HFPACK\x02\n"
_PACK_END = b"HFPEND\x02\n"
_RECORD_START = b"HFR\x02"

_HEADER = Struct("<4sBBHQQ32s")
_ENTRY = Struct("<QBBHQQ32s")
_TRAILER = Struct("<QQ8s")
_INGREDIENT = Struct("<32sI")

HEADER_BYTES = _HEADER.size
TRAILER_BYTES = _TRAILER.size


class Record(NamedTuple):
    """One record of a pack.

    Attributes:
        offset: where its stored bytes begin in the pack.
        kind: `BLOB`, `CHUNK` or `RECIPE`.
        codec: how they are stored; see `holdfast.store.codec`.
        length: how many bytes come out.
        stored: how many are stored.
        id: the SHA-256 of a blob, the BLAKE3 of a chunk, for a recipe the SHA-256 of what it puts together.
    """

    offset: int
    kind: int
    codec: int
    length: int
    stored: int
    id: bytes


def header(record: Record) -> bytes:
    """The 56 bytes in front of a record's stored bytes."""
    return _HEADER.pack(_RECORD_START, record.kind, record.codec, 0, record.length, record.stored, record.id)


def directory(records: Sequence[Record], offset: int) -> bytes:
    """The end of a pack whose records end at `offset`."""
    entries = [_ENTRY.pack(r.offset, r.kind, r.codec, 0, r.length, r.stored, r.id) for r in records]
    return b"".join([*entries, _TRAILER.pack(offset, len(records), _PACK_END)])


def read_directory(read: Callable[[int, int], bytes], size: int) -> list[Record]:
    """The records that the end of a pack lists.

    Args:
        read: gives the bytes at an offset, of a length.
        size: the length of the pack.

    Raises:
        UnsupportedFormat: it has no directory, or one that does not fit it.
    """
    if size < len(PACK_START) + TRAILER_BYTES:
        raise _malformed("it is too short")
    offset, count, end = _TRAILER.unpack(read(size - TRAILER_BYTES, TRAILER_BYTES))
    length = size - TRAILER_BYTES - offset
    if end != _PACK_END or offset < len(PACK_START) or length != count * _ENTRY.size:
        raise _malformed("it has no directory at its end")
    records = []
    for at, kind, codec, _, raw, stored, id_ in _ENTRY.iter_unpack(read(offset, length)):
        records.append(_checked(Record(at, kind, codec, raw, stored, id_), offset))
    return records


def scan_records(read: Callable[[int, int], bytes], size: int) -> Iterator[Record]:
    """The records of a pack whose end is lost, from its start; it stops where no further record begins.

    Raises:
        UnsupportedFormat: it does not begin as a pack does.
    """
    if size < len(PACK_START) or read(0, len(PACK_START)) != PACK_START:
        raise _malformed("it does not begin as a pack")
    at = len(PACK_START)
    while at + HEADER_BYTES <= size:
        start, kind, codec, _, raw, stored, id_ = _HEADER.unpack(read(at, HEADER_BYTES))
        at += HEADER_BYTES
        if start != _RECORD_START or at + stored > size:
            return
        yield _checked(Record(at, kind, codec, raw, stored, id_), size)
        at += stored


def recipe_bytes(chunks: Sequence[tuple[bytes, int]]) -> bytes:
    """A recipe of these chunks, each its id and its length."""
    listed = b"".join(_INGREDIENT.pack(id_, length) for id_, length in chunks)
    return blake3(listed).digest() + listed


def recipe_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The chunks of a recipe: id and length of each.

    Raises:
        ValueError: the bytes are damaged, or no recipe.
    """
    listed = memoryview(data)[ID_BYTES:]
    if len(data) < ID_BYTES or len(listed) % _INGREDIENT.size or blake3(listed).digest() != data[:ID_BYTES]:
        raise ValueError("the recipe is damaged")
    return _INGREDIENT.iter_unpack(listed)


def _checked(record: Record, size: int) -> Record:
    limit = RECIPE_BYTES_MAX if record.kind == RECIPE else RECORD_BYTES_MAX
    if record.kind not in _KINDS:
        raise _malformed(f"it has a record of kind {record.kind}")
    if record.offset < HEADER_BYTES or record.offset + record.stored > size or record.length > limit:
        raise _malformed("a record does not fit into it")
    return record


def _malformed(reason: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"not a pack of this format: {reason}",
        hint="Run: holdfast check. Use the Holdfast that wrote the store, or a newer one.",
    )
