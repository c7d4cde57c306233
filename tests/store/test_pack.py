"""Packs: what the end lists is what stands there, and nothing that a pack says of itself is believed unseen."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UnsupportedFormat
from holdfast.store.pack import (
    BLOB,
    CHUNK,
    HEADER_BYTES,
    PACK_START,
    RECIPE,
    RECORD_BYTES_MAX,
    TRAILER_BYTES,
    Record,
    directory,
    header,
    read_directory,
    recipe_bytes,
    recipe_chunks,
    scan_records,
)

ENTRY_BYTES = 60

ids = st.binary(min_size=32, max_size=32)
contents = st.lists(
    st.tuples(st.sampled_from([BLOB, CHUNK, RECIPE]), st.integers(0, 255), ids, st.binary(max_size=50)), max_size=6
)


def packed(records: list[tuple[int, int, bytes, bytes]]) -> tuple[bytes, list[Record]]:
    """A pack of records, each its kind, codec, id and stored bytes."""
    body, listed = PACK_START, []
    for kind, codec, id_, stored in records:
        record = Record(len(body) + HEADER_BYTES, kind, codec, len(stored), len(stored), id_)
        body += header(record) + stored
        listed.append(record)
    return body + directory(listed, len(body)), listed


@dataclass
class Reading:
    """Reads a pack as a store does, and remembers how much was ever asked for at once."""

    data: bytes
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        assert offset >= 0
        assert length >= 0
        assert offset + length <= len(self.data), "more was asked for than there is"
        return self.data[offset : offset + length]


def listed_by(data: bytes) -> list[Record]:
    return read_directory(Reading(data), len(data))


def scanned(data: bytes) -> list[Record]:
    return list(scan_records(Reading(data), len(data)))


@given(contents)
def test_what_the_end_lists_is_what_stands_there(records: list[tuple[int, int, bytes, bytes]]) -> None:
    data, expected = packed(records)
    assert listed_by(data) == expected
    assert scanned(data) == expected
    for record, (kind, codec, id_, stored) in zip(expected, records, strict=True):
        assert (record.kind, record.codec, record.id) == (kind, codec, id_)
        assert data[record.offset : record.offset + record.stored] == stored


SMALL = [(BLOB, 0, b"a" * 32, b"hello"), (CHUNK, 0, b"b" * 32, b""), (RECIPE, 0, b"c" * 32, recipe_bytes([]))]


def test_a_pack_that_ends_anywhere_gives_the_records_before_that() -> None:
    data, records = packed(SMALL)
    for end in range(len(data)):
        cut = data[:end]
        with pytest.raises(UnsupportedFormat):
            listed_by(cut)
        if end < len(PACK_START):
            with pytest.raises(UnsupportedFormat):
                scanned(cut)
        else:
            assert scanned(cut) == [record for record in records if record.offset + record.stored <= end]


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_byte_that_is_changed_leads_to_nothing_that_is_not_there(at: int, value: int) -> None:
    data, _ = packed(SMALL)
    spoilt = bytearray(data)
    spoilt[at % len(data)] = value
    for read in (listed_by, scanned):
        try:
            found = read(bytes(spoilt))
        except UnsupportedFormat:
            continue
        for record in found:
            assert record.offset + record.stored <= len(data)
            assert record.length <= RECORD_BYTES_MAX or record.kind == RECIPE


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (listed_by, scanned):
        try:
            read(PACK_START + data)
            read(data)
        except UnsupportedFormat:
            continue


def trailer(offset: int, count: int) -> bytes:
    return struct.pack("<QQ8s", offset, count, b"HFPEND\x02\n")


@pytest.mark.parametrize(
    ("offset", "count"),
    [
        (0, 0),
        (1 << 63, 1),
        ((1 << 64) - 1, (1 << 64) - 1),
        (8, (1 << 64) - 1),
        (8, 1 << 60),
        ((1 << 64) - ENTRY_BYTES + 8, 1),
        (9, 0),
    ],
)
def test_a_trailer_that_does_not_fit_is_refused_before_anything_is_read(offset: int, count: int) -> None:
    reading = Reading(PACK_START + trailer(offset, count))
    with pytest.raises(UnsupportedFormat):
        read_directory(reading, len(reading.data))
    assert reading.asked == [(len(PACK_START), TRAILER_BYTES)]


@pytest.mark.parametrize(
    "changed",
    [
        lambda record: record._replace(offset=0),
        lambda record: record._replace(offset=1 << 63),
        lambda record: record._replace(offset=record.offset + 1),
        lambda record: record._replace(stored=6),
        lambda record: record._replace(stored=(1 << 64) - 1),
        lambda record: record._replace(length=RECORD_BYTES_MAX + 1),
        lambda record: record._replace(kind=RECIPE, length=(1 << 30) + 1),
        lambda record: record._replace(kind=0),
        lambda record: record._replace(kind=4),
    ],
    ids=["start", "far", "next", "longer", "longest", "large", "large-recipe", "kind-0", "kind-4"],
)
def test_an_entry_that_does_not_fit_is_refused(changed: Callable[[Record], Record]) -> None:
    record = Record(len(PACK_START) + HEADER_BYTES, BLOB, 0, 5, 5, b"a" * 32)
    body = PACK_START + header(record) + b"hello"
    assert listed_by(body + directory([record], len(body))) == [record]
    with pytest.raises(UnsupportedFormat):
        listed_by(body + directory([changed(record)], len(body)))


@pytest.mark.parametrize("length", [RECORD_BYTES_MAX + 1, (1 << 64) - 1])
def test_a_header_that_states_too_much_is_refused(length: int) -> None:
    record = Record(len(PACK_START) + HEADER_BYTES, BLOB, 0, length, 5, b"a" * 32)
    with pytest.raises(UnsupportedFormat):
        scanned(PACK_START + header(record) + b"hello")


def test_a_scan_reads_headers_and_not_what_stands_between_them() -> None:
    data, _ = packed([(BLOB, 0, b"a" * 32, bytes(10_000))])
    reading = Reading(data)
    assert len(list(scan_records(reading, len(data)))) == 1
    assert max(length for _, length in reading.asked) <= HEADER_BYTES


# Recipes

ingredients = st.lists(st.tuples(ids, st.integers(0, (1 << 32) - 1)), max_size=10)


@given(ingredients)
def test_a_recipe_says_what_was_written(chunks: list[tuple[bytes, int]]) -> None:
    assert list(recipe_chunks(recipe_bytes(chunks))) == chunks


@given(ingredients, st.integers(0, 10_000), st.integers(1, 255))
def test_a_spoilt_recipe_is_refused(chunks: list[tuple[bytes, int]], at: int, difference: int) -> None:
    data = bytearray(recipe_bytes(chunks))
    data[at % len(data)] ^= difference
    with pytest.raises(ValueError, match="recipe"):
        recipe_chunks(bytes(data))


@given(ingredients.filter(bool), st.integers(1, 10_000))
def test_a_recipe_that_was_cut_off_is_refused(chunks: list[tuple[bytes, int]], missing: int) -> None:
    data = recipe_bytes(chunks)
    with pytest.raises(ValueError, match="recipe"):
        recipe_chunks(data[: -(missing % len(data) or 1)])


def test_a_recipe_of_half_a_chunk_is_refused_though_its_hash_is_right() -> None:
    listed = b"x" * 35
    with pytest.raises(ValueError, match="recipe"):
        recipe_chunks(blake3(listed).digest() + listed)
