"""The bytes of an index file: where each record is, sorted by id, to be searched without being read.

    data = index_bytes(segments, rows)
    IndexFile(data).find(id)          -> the places of that id

docs/FORMAT.md, "Index", is the description for everybody who does not read Python. Nothing here touches a disk:
`IndexFile` searches whatever buffer it is given, a file mapped into memory as well as bytes.
"""

import mmap
from array import array
from collections.abc import Container, Iterable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from holdfast.errors import UnsupportedFormat
from holdfast.store.codec import PLAIN
from holdfast.store.pack import BLOB, CHUNK, ID_BYTES, RECIPE, RECIPE_BYTES_MAX, RECORD_BYTES_MAX, Record

__all__ = ["EXACT", "PACK", "ROW_BYTES", "IndexFile", "Place", "Segment", "index_bytes", "row_bytes", "rows_inside"]

PACK, EXACT = 1, 2

_START = b"HFINDX\x02\n"
_HEADER = Struct("<8sQQB15x")
_SEGMENT = Struct("<B7x32sQ")
_ROW = Struct("<32sQQQIBBH")
_PLACE = Struct("<QQQIBBH")
_NUMBER = Struct("<I")
_TWO_NUMBERS = Struct("<II")

ROW_BYTES = _ROW.size
_SEGMENT_AT = 56
"""Where a row holds the number of its segment."""

_KIND_AT = 60
"""Where a row holds the kind of its record."""

_FAN_BITS_MAX = 24
_ROWS_PER_SLOT = 8
"""So many rows are compared in one search of the machine's own; fewer would make the fan-out longer than what it
saves."""


class Segment(NamedTuple):
    """What records are read from.

    Attributes:
        kind: `PACK` or `EXACT`.
        name: the BLAKE3 of a pack, the SHA-256 of an exact file; in hexadecimal digits.
        size: bytes.
    """

    kind: int
    name: str
    size: int


class Place(NamedTuple):
    """Where the bytes of one id are.

    Attributes:
        segment: what to read.
        offset: where in it the stored bytes begin.
        length: bytes of the blob or chunk; of a recipe, of the blob that it puts together.
        stored: bytes as stored.
        kind: of the record; see `holdfast.store.pack`.
        codec: of the record; see `holdfast.store.codec`.
    """

    segment: Segment
    offset: int
    length: int
    stored: int
    kind: int
    codec: int


def row_bytes(record: Record, segment: int) -> bytes:
    """The row of a record, whose segment is given by its number."""
    return _ROW.pack(record.id, record.offset, record.length, record.stored, segment, record.kind, record.codec, 0)


def rows_inside(chunks: Iterable[tuple[bytes, int]], segment: int) -> Iterator[bytes]:
    """The rows of the chunks, each its id and its length, of which an exact file consists."""
    offset = 0
    for id_, length in chunks:
        yield row_bytes(Record(offset, CHUNK, PLAIN, length, length, id_), segment)
        offset += length


def index_bytes(segments: Sequence[Segment], rows: Iterable[bytes]) -> bytes:
    """An index file of these rows, in whatever order they come; a row that comes twice is written once."""
    ordered = sorted(set(rows))
    bits = min(_FAN_BITS_MAX, max(0, (len(ordered) // _ROWS_PER_SLOT).bit_length()))
    head = _HEADER.pack(_START, len(ordered), len(segments), bits)
    listed = [_SEGMENT.pack(one.kind, bytes.fromhex(one.name), one.size) for one in segments]
    return b"".join([head, *listed, _fan_out(ordered, bits), *ordered])


def _fan_out(rows: Sequence[bytes], bits: int) -> bytes:
    counts = [0] * ((1 << bits) + 1)
    shift = 32 - bits
    for row in rows:
        counts[(int.from_bytes(row[:4], "big") >> shift) + 1] += 1
    total = 0
    for slot, count in enumerate(counts):
        total += count
        counts[slot] = total
    return Struct(f"<{len(counts)}I").pack(*counts)


class IndexFile:
    """One index file that can be searched.

    Attributes:
        data: its bytes.
        segments: what its rows refer to.

    Raises:
        UnsupportedFormat: not an index file, or one whose parts do not fit its length.
    """

    def __init__(self, data: bytes | mmap.mmap) -> None:
        if len(data) < _HEADER.size:
            raise _malformed("it is too short")
        start, rows, segments, bits = _HEADER.unpack_from(data)
        if start != _START:
            raise _malformed("it does not begin as an index")
        self._fan = _HEADER.size + segments * _SEGMENT.size
        if bits > _FAN_BITS_MAX:
            raise _malformed("its fan-out is too large")
        self._rows = self._fan + ((1 << bits) + 1) * _NUMBER.size
        if self._rows + rows * ROW_BYTES != len(data):
            raise _malformed("its length is not what its header says")
        self.data = data
        self._count: int = rows
        self._shift = 32 - bits
        listed = (_SEGMENT.unpack_from(data, _HEADER.size + at * _SEGMENT.size) for at in range(segments))
        self.segments = tuple(Segment(kind, name.hex(), size) for kind, name, size in listed)

    def __len__(self) -> int:
        """How many rows it has."""
        return self._count

    def find(self, id_: bytes) -> Iterator[Place]:
        """The places of `id_`.

        Raises:
            UnsupportedFormat: a row that refers to nothing.
        """
        for number in self.numbers(id_):
            yield self.place_of(number)

    def numbers(self, id_: bytes) -> Iterator[int]:
        """Which rows are of `id_`, counted from 0."""
        fan = self._fan + (int.from_bytes(id_[:4], "big") >> self._shift) * _NUMBER.size
        low, high = _TWO_NUMBERS.unpack_from(self.data, fan)
        end = self._rows + high * ROW_BYTES
        at = self.data.find(id_, self._rows + low * ROW_BYTES, end)
        while at >= 0:
            number, inside = divmod(at - self._rows, ROW_BYTES)
            if not inside:
                yield number
            at = self.data.find(id_, at + 1, end)

    def place_of(self, number: int) -> Place:
        """The place that the row says; rows are counted from 0."""
        return self._place(self._rows + number * ROW_BYTES + ID_BYTES)

    def holds(self, id_: bytes) -> bool:
        """Whether there is a row of `id_`."""
        return next(self.find(id_), None) is not None

    def holds_whole(self, id_: bytes) -> bool:
        """Whether there is a row of `id_` as a blob kept whole. Asked for each file of a large folder."""
        data, rows = self.data, self._rows
        low, high = _TWO_NUMBERS.unpack_from(data, self._fan + (int.from_bytes(id_[:4], "big") >> self._shift) * 4)
        end = rows + high * ROW_BYTES
        at = data.find(id_, rows + low * ROW_BYTES, end)
        while at >= 0:
            if (at - rows) % ROW_BYTES == 0 and data[at + _KIND_AT] == BLOB:
                return True
            at = data.find(id_, at + 1, end)
        return False

    def all(self) -> Iterator[tuple[bytes, Place]]:
        """Every row in ascending order."""
        for at in range(self._rows, self._rows + self._count * ROW_BYTES, ROW_BYTES):
            yield self.data[at : at + ID_BYTES], self._place(at + ID_BYTES)

    def by_segment(self) -> dict[Segment, "array[int]"]:
        """Where in the file the rows of each segment are, for `row_at`, in the order of their offsets."""
        found: dict[int, list[tuple[int, int]]] = {}
        for at in range(self._rows, self._rows + self._count * ROW_BYTES, ROW_BYTES):
            offset, _, _, number, *_ = _PLACE.unpack_from(self.data, at + ID_BYTES)
            found.setdefault(number, []).append((offset, at))
        if max(found, default=-1) >= len(self.segments):
            raise _malformed("a row refers to no segment")
        return {self.segments[number]: array("Q", (at for _, at in sorted(rows))) for number, rows in found.items()}

    def row_at(self, at: int) -> tuple[bytes, Place]:
        """The row at a place that `by_segment` named."""
        return self.data[at : at + ID_BYTES], self._place(at + ID_BYTES)

    def rows(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """Every row with the number of its segment exchanged for the one that stands at its place in `numbers`."""
        told = [_NUMBER.pack(number) for number in numbers]
        for at in range(self._rows, self._rows + self._count * ROW_BYTES, ROW_BYTES):
            row = self.data[at : at + ROW_BYTES]
            (segment,) = _NUMBER.unpack_from(row, _SEGMENT_AT)
            if segment >= len(told):
                raise _malformed("a row refers to no segment")
            yield row[:_SEGMENT_AT] + told[segment] + row[_SEGMENT_AT + _NUMBER.size :]

    def without(self, segments: Container[Segment], recipes: Container[bytes] = ()) -> bytes | None:
        """An index file that says the same, but for these segments and recipes; None when nothing is left to say."""
        kept: dict[int, int] = {}
        rows = []
        for at in range(self._rows, self._rows + self._count * ROW_BYTES, ROW_BYTES):
            row = self.data[at : at + ROW_BYTES]
            (old,) = _NUMBER.unpack_from(row, _SEGMENT_AT)
            if old >= len(self.segments):
                raise _malformed("a row refers to no segment")
            if self.segments[old] not in segments and not (row[_KIND_AT] == RECIPE and row[:ID_BYTES] in recipes):
                new = kept.setdefault(old, len(kept))
                rows.append(row[:_SEGMENT_AT] + _NUMBER.pack(new) + row[_SEGMENT_AT + _NUMBER.size :])
        return index_bytes([self.segments[old] for old in kept], rows) if rows else None

    def _place(self, at: int) -> Place:
        offset, length, stored, number, kind, codec, _ = _PLACE.unpack_from(self.data, at)
        if number >= len(self.segments):
            raise _malformed("a row refers to no segment")
        segment = self.segments[number]
        if offset + stored > segment.size:
            raise _malformed("a row refers past the end of its segment")
        if stored > RECIPE_BYTES_MAX or (kind != RECIPE and max(stored, length) > RECORD_BYTES_MAX):
            raise _malformed("a row states a length that no record has")
        return Place(segment, offset, length, stored, kind, codec)


def _malformed(reason: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"not an index of this format: {reason}",
        hint="Remove the file: the index is rebuilt from the packs by holdfast check --repair.",
    )
