"""An index finds what a look at every row finds, and believes nothing that does not fit it."""

import random
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UnsupportedFormat
from holdfast.store.catalog import _merged
from holdfast.store.index import (
    EXACT,
    PACK,
    ROW_BYTES,
    IndexFile,
    Place,
    Segment,
    index_bytes,
    row_bytes,
    rows_inside,
)
from holdfast.store.pack import BLOB, CHUNK, RECIPE, RECORD_BYTES_MAX, Record

HEADER = struct.Struct("<8sQQB15x")
SEGMENTS = [Segment(PACK, "a" * 64, 1 << 40), Segment(EXACT, "b" * 64, 1 << 40), Segment(PACK, "c" * 64, 1 << 30)]

# Few different bytes, so that ids share prefixes, come twice, and turn up inside rows where none begins.
ids = st.lists(st.sampled_from([0, 1, 255]), min_size=32, max_size=32).map(bytes) | st.builds(
    lambda front, back: (front + bytes(32))[:31] + bytes([back]), st.binary(max_size=6), st.integers(0, 3)
)
records = st.builds(
    Record,
    offset=st.integers(0, 1 << 20),
    kind=st.sampled_from([BLOB, CHUNK, RECIPE]),
    codec=st.sampled_from([0, 1, 2, 4, 8]),
    length=st.integers(0, RECORD_BYTES_MAX),
    stored=st.integers(0, RECORD_BYTES_MAX),
    id=ids,
)
rows = st.lists(st.tuples(records, st.integers(0, len(SEGMENTS) - 1)), max_size=60)


def place(record: Record, segment: int) -> Place:
    return Place(SEGMENTS[segment], record.offset, record.length, record.stored, record.kind, record.codec)


def index(listed: list[tuple[Record, int]]) -> IndexFile:
    return IndexFile(index_bytes(SEGMENTS, [row_bytes(record, segment) for record, segment in listed]))


@given(rows, ids)
def test_finding_is_looking_at_every_row(listed: list[tuple[Record, int]], other: bytes) -> None:
    file = index(listed)
    assert len(file) == len(set(listed))
    for id_ in {record.id for record, _ in listed} | {other}:
        expected = {place(record, segment) for record, segment in listed if record.id == id_}
        found = list(file.find(id_))
        assert len(found) == len(expected)
        assert set(found) == expected
        assert file.holds(id_) is bool(expected)


@given(rows)
def test_all_rows_are_listed_in_ascending_order(listed: list[tuple[Record, int]]) -> None:
    found = list(index(listed).all())
    assert [id_ for id_, _ in found] == sorted(id_ for id_, _ in found)
    assert sorted(found) == sorted({(record.id, place(record, segment)) for record, segment in listed})


@given(rows)
def test_the_rows_of_each_segment_are_found_in_the_order_of_their_offsets(listed: list[tuple[Record, int]]) -> None:
    file = index(listed)
    found = {segment: [file.row_at(at) for at in places] for segment, places in file.by_segment().items()}
    assert sorted(row for rows_ in found.values() for row in rows_) == sorted(file.all())
    for segment, inside in found.items():
        assert {one.segment for _, one in inside} == {segment}
        assert [one.offset for _, one in inside] == sorted(one.offset for _, one in inside)


@given(rows)
def test_the_order_of_adding_makes_no_difference(listed: list[tuple[Record, int]]) -> None:
    plain = [row_bytes(record, segment) for record, segment in listed]
    shuffled = random.Random(1).sample(plain, len(plain))
    assert index_bytes(SEGMENTS, plain) == index_bytes(SEGMENTS, [*shuffled, *plain])


def test_an_index_of_nothing_holds_nothing() -> None:
    file = IndexFile(index_bytes([], []))
    assert len(file) == 0
    assert list(file.all()) == []
    assert not file.holds(bytes(32))
    assert file.by_segment() == {}


def test_an_id_that_stands_in_a_row_where_none_begins_is_not_found() -> None:
    """What a row says after its id can be the very bytes of another id."""
    inside = Record(0, BLOB, 0, 0, 0, b"\0" * 32)
    file = index([(inside._replace(id=bytes([0]) * 31 + bytes([1])), 0)])
    assert not file.holds(bytes(32))
    numbers = Record(0x0101010101010101, CHUNK, 1, 0x0101010101010101, 0x0101010101010101, b"\1" * 31 + b"\0")
    huge = [Segment(PACK, "a" * 64, (1 << 64) - 1)]
    file = IndexFile(index_bytes(huge, [row_bytes(numbers, 0)]))
    assert not file.holds(b"\1" * 32)
    assert not file.holds(b"\1" * 24 + bytes(4) + b"\2\1\0\0")


def test_a_large_index_is_searched_through_its_fan_out() -> None:
    chance = random.Random(1)
    listed = [(Record(number, BLOB, 0, 1, 1, chance.randbytes(32)), 0) for number in range(5000)]
    file = index(listed)
    assert HEADER.unpack_from(index_bytes(SEGMENTS, []))[3] == 0
    for record, segment in listed[::50]:
        assert list(file.find(record.id)) == [place(record, segment)]
        assert not file.holds(record.id[:31] + bytes([record.id[31] ^ 1]))


@given(st.lists(rows, max_size=4))
def test_merging_keeps_everything_and_adds_nothing(several: list[list[tuple[Record, int]]]) -> None:
    files = [
        IndexFile(
            index_bytes(turned := SEGMENTS[at % 3 :] + SEGMENTS[: at % 3], [
                row_bytes(record, turned.index(SEGMENTS[segment])) for record, segment in listed
            ])
        )
        for at, listed in enumerate(several)
    ]  # fmt: skip
    merged = IndexFile(_merged(files))
    assert set(merged.all()) == {row for file in files for row in file.all()}
    assert len(merged) == len(set(merged.all()))
    assert set(merged.segments) == {segment for file in files for segment in file.segments}


def test_the_chunks_of_an_exact_file_follow_each_other() -> None:
    chunks = [(b"a" * 32, 10), (b"b" * 32, 0), (b"c" * 32, 5)]
    file = IndexFile(index_bytes(SEGMENTS, rows_inside(chunks, 1)))
    assert [(id_, one.offset, one.length, one.stored, one.segment) for id_, one in file.all()] == [
        (b"a" * 32, 0, 10, 10, SEGMENTS[1]),
        (b"b" * 32, 10, 0, 0, SEGMENTS[1]),
        (b"c" * 32, 10, 5, 5, SEGMENTS[1]),
    ]


# What does not fit

SMALL = [(Record(8 * number, BLOB, 0, 4, 4, bytes([number]) * 32), number % 3) for number in range(20)]


def read_all(data: bytes) -> None:
    file = IndexFile(data)
    for id_ in [id_ for id_, _ in file.all()]:
        list(file.find(id_))
    for record, _ in SMALL:
        list(file.find(record.id))
    file.by_segment()
    list(file.rows(range(len(file.segments))))


def test_an_index_that_ends_anywhere_else_is_refused() -> None:
    data = index_bytes(SEGMENTS, [row_bytes(record, segment) for record, segment in SMALL])
    for end in range(len(data)):
        with pytest.raises(UnsupportedFormat):
            IndexFile(data[:end])
    with pytest.raises(UnsupportedFormat):
        IndexFile(data + b"\0")


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_byte_that_is_changed_is_read_or_refused(at: int, value: int) -> None:
    data = bytearray(index_bytes(SEGMENTS, [row_bytes(record, segment) for record, segment in SMALL]))
    data[at % len(data)] = value
    with suppress(UnsupportedFormat):
        read_all(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(UnsupportedFormat):
        read_all(data)
    with suppress(UnsupportedFormat):
        read_all(b"HFINDX\x02\n" + data)


@pytest.mark.parametrize(
    ("count", "segments", "bits"),
    [
        ((1 << 64) - 1, 0, 0),
        (1 << 58, 0, 0),
        (0, (1 << 64) - 1, 0),
        (0, 1 << 40, 0),
        (0, 0, 255),
        (0, 0, 25),
        (0, 0, 24),
        (1, 0, 0),
    ],
)
def test_a_header_that_does_not_fit_is_refused_before_anything_is_set_aside(
    count: int, segments: int, bits: int
) -> None:
    data = HEADER.pack(b"HFINDX\x02\n", count, segments, bits) + bytes(8)
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedFormat):
            IndexFile(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("spoilt", "segment"),
    [
        (lambda record: record, 3),
        (lambda record: record, (1 << 32) - 1),
        (lambda record: record._replace(offset=(1 << 40) - 3), 0),
        (lambda record: record._replace(offset=(1 << 64) - 1), 0),
        (lambda record: record._replace(stored=RECORD_BYTES_MAX + 1), 0),
        (lambda record: record._replace(stored=(1 << 64) - 1), 0),
        (lambda record: record._replace(length=RECORD_BYTES_MAX + 1), 0),
        (lambda record: record._replace(length=(1 << 64) - 1, kind=CHUNK), 0),
        (lambda record: record._replace(stored=(1 << 30) + 1, kind=RECIPE), 0),
    ],
    ids=["segment", "far-segment", "end", "far", "stored", "most", "length", "longest", "recipe"],
)
def test_a_row_that_leads_astray_is_refused(spoilt: Callable[[Record], Record], segment: int) -> None:
    record = Record(100, BLOB, 0, 4, 4, b"a" * 32)
    assert index([(record, 0)]).holds(record.id)
    file = IndexFile(index_bytes(SEGMENTS, [row_bytes(spoilt(record), segment)]))
    with pytest.raises(UnsupportedFormat):
        list(file.find(record.id))
    with pytest.raises(UnsupportedFormat):
        list(file.all())


def test_the_recipe_of_a_long_blob_is_a_row_like_any_other() -> None:
    record = Record(100, RECIPE, 0, 1 << 40, 1 << 20, b"a" * 32)
    assert next(index([(record, 0)]).find(record.id)).length == 1 << 40


def test_a_row_takes_64_bytes() -> None:
    data = index_bytes(SEGMENTS, [row_bytes(record, segment) for record, segment in SMALL])
    assert ROW_BYTES == 64
    assert len(data) == 40 + 3 * 48 + (2 ** HEADER.unpack_from(data)[3] + 1) * 4 + 20 * 64
