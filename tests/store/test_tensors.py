"""What the beginning of a file of weights says of its tensors, in each format, and that no header makes it fail."""

import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.store.gguf import read_gguf
from holdfast.store.numpy_files import MEMBER_HEAD_BYTES, read_member, read_npy
from holdfast.store.tensors import (
    GGUF,
    NPY,
    SAFETENSORS,
    UNTIL_THE_END,
    Tensor,
    TensorFile,
    read_head,
    tensors,
)
from tests.store.weight_files import BF16, F16, F32, Q8_0, gguf, gguf_head, gguf_text, member, npy, npz


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


HEADER = {
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "F32", "shape": [2], "data_offsets": [6, 14]},
    "a": {"dtype": "BF16", "shape": [3, 1], "data_offsets": [0, 6]},
    "none": {"dtype": "I8", "shape": [0], "data_offsets": [14, 14]},
}


def test_each_tensor_of_safetensors_is_told_where_it_stands_in_the_file() -> None:
    data = safetensors(HEADER, b"abcdefABCDEFGH")
    start = len(data) - 14
    found = [
        Tensor("a", "BF16", (3, 1), start, start + 6),
        Tensor("b", "F32", (2,), start + 6, start + 14),
        Tensor("none", "I8", (0,), start + 14, start + 14),
    ]
    assert tensors(data) == found
    assert read_head(data) == TensorFile(SAFETENSORS, start, tuple(found))
    assert data[found[1].begin : found[1].end] == b"ABCDEFGH"


def test_the_header_alone_is_enough() -> None:
    whole = safetensors(HEADER, b"x" * 14)
    assert tensors(whole[:-14]) == tensors(whole)
    assert tensors(whole[:-15]) is None


def test_a_file_without_tensors_has_none_and_a_file_of_another_kind_is_none() -> None:
    assert tensors(safetensors({})) == []
    assert tensors(gguf_head([])) == []
    assert tensors(b"a,b\n1,2\n") is None
    assert tensors(b"") is None


def test_what_a_header_says_of_no_use_is_left_out() -> None:
    (found,) = tensors(safetensors({"a": {"dtype": 7, "shape": [-1], "data_offsets": [0, 4]}})) or []
    assert (found.dtype, found.shape) == ("", None)


def test_only_the_formats_that_are_asked_for_count() -> None:
    files = {SAFETENSORS: safetensors(HEADER), GGUF: gguf({"a": b"x" * 64}), NPY: npy(b"x" * 8)}
    for kind, data in files.items():
        assert read_head(data, [kind]) == read_head(data)
        assert read_head(data, [other for other in files if other != kind]) is None


# GGUF


@pytest.mark.parametrize("alignment", [None, 1, 64, 4096])
def test_each_tensor_of_gguf_ends_where_the_next_one_begins(alignment: int | None) -> None:
    data = gguf({"a": b"A" * 100, "b": b"B" * 10, "c": b"C" * 70}, alignment=alignment)
    a, b, c = tensors(data) or []
    assert [one.name for one in (a, b, c)] == ["a", "b", "c"]
    assert {one.dtype for one in (a, b, c)} == {"F16"}
    assert (a.end, b.end, c.end) == (b.begin, c.begin, UNTIL_THE_END)
    assert a.begin % (alignment or 32) == 0
    assert data[a.begin : a.end].rstrip(b"\0") == b"A" * 100
    assert data[b.begin : b.end].rstrip(b"\0") == b"B" * 10
    assert data[c.begin : c.end].rstrip(b"\0") == b"C" * 70


def test_gguf_lists_its_tensors_in_any_order_and_of_any_type() -> None:
    listed = [("z", F32, 64), ("y", Q8_0, 0), ("x", BF16, 96), ("empty", F16, 64)]
    found = tensors(gguf_head(listed)) or []
    assert [(one.name, one.dtype) for one in found] == [
        ("y", "ggml-8"), ("z", "F32"), ("empty", "F16"), ("x", "BF16"),
    ]  # fmt: skip
    assert found[1].begin == found[1].end == found[2].begin
    assert found[0].shape == (7,)


def value(kind: int, rest: bytes = b"") -> bytes:
    return gguf_text("key") + struct.pack("<I", kind) + rest


NOT_GGUF = {
    "version-1": gguf_head([], version=1),
    "version-4": gguf_head([], version=4),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(8),
    "tensors-past-the-end": b"GGUF" + struct.pack("<IQQ", 3, 1 << 63, 0) + bytes(100),
    "values-past-the-end": b"GGUF" + struct.pack("<IQQ", 3, 0, (1 << 64) - 1) + bytes(100),
    "gap-in-front": gguf_head([("a", F32, 32)]),
    "not-aligned": gguf_head([("a", F32, 0), ("b", F32, 33)]),
    "past-every-file": gguf_head([("a", F32, 0), ("b", F32, 1 << 63)]),
    "long-name": gguf_head([], [struct.pack("<Q", 1 << 62)]),
    "unknown-value": gguf_head([], [value(13)]),
    "array-of-arrays": gguf_head([], [value(9, struct.pack("<IQ", 9, 1))]),
    "array-of-unknown": gguf_head([], [value(9, struct.pack("<IQ", 77, 0))]),
    "endless-array": gguf_head([], [value(9, struct.pack("<IQ", 12, 1 << 60))]),
    "endless-texts": gguf_head([], [value(9, struct.pack("<IQ", 8, 1 << 60) + bytes(10_000))]),
    "long-text-in-array": gguf_head([], [value(9, struct.pack("<IQQ", 8, 2, (1 << 64) - 1))]),
    "alignment-0": gguf_head([], [gguf_text("general.alignment") + struct.pack("<II", 4, 0)]),
    "alignment-24": gguf_head([], [gguf_text("general.alignment") + struct.pack("<II", 4, 24)]),
    "alignment-2^31": gguf_head([], [gguf_text("general.alignment") + struct.pack("<II", 4, 1 << 31)]),
    "alignment-of-text": gguf_head([], [gguf_text("general.alignment") + struct.pack("<IQ", 8, 0)]),
    "nine-dimensions": b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + gguf_text("a") + struct.pack("<I", 9) + bytes(200),
}


@pytest.mark.parametrize("head", NOT_GGUF.values(), ids=NOT_GGUF)
def test_a_gguf_header_that_does_not_add_up_is_none(head: bytes) -> None:
    assert tensors(head) is None


@pytest.mark.thorough
def test_a_gguf_header_that_is_cut_off_is_none() -> None:
    data = gguf({"a": b"x" * 64})
    begin = (tensors(data) or [])[0].begin
    assert tensors(data[:begin]) is not None
    assert [end for end in range(begin) if tensors(data[:end]) is not None] == []


# NumPy


def test_an_array_is_told_with_its_shape() -> None:
    data = npy(b"x" * 40, "<f8")
    assert tensors(data) == [Tensor("", "<f8", (5,), len(data) - 40, len(data))]


@pytest.mark.parametrize("version", [2, 3])
def test_an_array_with_a_long_header_is_told_too(version: int) -> None:
    text = b"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }" + b" " * 700 + b"\n"
    head = b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<I", len(text)) + text
    assert tensors(head) == [Tensor("", "|u1", (2, 3), len(head), len(head) + 6)]


@pytest.mark.parametrize(
    "head",
    [
        npy(b"", "|O8"),
        npy(b"", "<U4"),
        npy(b"", "<M8"),
        npy(b"").replace(b"'shape'", b"'scope'"),
        npy(b"").replace(b"(0,)", b"(-1)"),
        npy(b"")[:-1],
        b"\x93NUMPY\x01\x00\xff",
        b"\x93NUMPY\x04\x00" + npy(b"")[8:],
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31),
        b"\x93NUMPY\x01\x00" + struct.pack("<H", MEMBER_HEAD_BYTES) + b" " * MEMBER_HEAD_BYTES,
    ],
    ids=["objects", "text", "dates", "no-shape", "negative", "short", "shorter", "version-4", "endless", "too-long"],
)
def test_an_array_of_anything_but_numbers_is_none(head: bytes) -> None:
    assert tensors(head) is None


def test_an_archive_is_not_told_by_its_head() -> None:
    assert tensors(npz({"a": b"x" * 40})) is None


@pytest.mark.parametrize("zip64", [True, False])
def test_a_member_says_where_its_numbers_begin_and_end(zip64: bool) -> None:
    data = member("a.npy", npy(b"x" * 40), zip64=zip64)
    found = read_member(data + b"more")
    assert found is not None
    assert (found.header_bytes + found.data_bytes, found.data_bytes) == (len(data), 40)
    assert (found.dtype, found.is_array) == ("<f4", True)


def test_a_member_of_another_kind_is_told_whole() -> None:
    for data in (member("a.txt", b"x" * 40), member("a.npy", b"x" * 40), member("a.npy", npy(b"")[:70])):
        found = read_member(data)
        assert found is not None
        assert (found.header_bytes + found.data_bytes, found.dtype, found.is_array) == (len(data), "", False)
    packed = read_member(member("a.npy", npy(b"x" * 40), method=8, packed=17))
    assert packed is not None
    assert (packed.data_bytes, packed.is_array) == (17, False)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"PK\x03\x04",
        member("a.npy", npy(b""), flags=1),
        member("a.npy", npy(b""), flags=8),
        member("a.npy", npy(b"")).replace(b"\x01\x00\x10\x00", b"\x02\x00\x10\x00"),
        member("a.npy", npy(b""))[:40],
        member("a" * 20_000, b"")[:MEMBER_HEAD_BYTES],
        b"PK\x01\x02" + bytes(100),
    ],
    ids=["empty", "short", "secret", "unsized", "no-zip64", "cut-off", "long-name", "list"],
)
def test_what_begins_no_member_that_ends_is_none(start: bytes) -> None:
    assert read_member(start) is None


# All of them


def spoilt(make: Callable[[], bytes]) -> st.SearchStrategy[bytes]:
    """The file with some of its bytes changed, and perhaps cut off."""
    whole = make()
    changes = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=8)), max_size=4)

    def change(pairs: list[tuple[int, bytes]], end: int) -> bytes:
        data = bytearray(whole)
        for at, new in pairs:
            data[at : at + len(new)] = new
        return bytes(data[:end])

    return st.builds(change, changes, st.integers(0, len(whole)))


@given(
    spoilt(lambda: gguf_head([("a", F32, 0), ("b", Q8_0, 64)], [value(9, struct.pack("<IQ", 6, 3) + bytes(12))]))
    | spoilt(lambda: npy(b"x" * 12))
    | spoilt(lambda: member("a.npy", npy(b"x" * 12)))
    | st.binary(max_size=60).map(lambda rest: b"GGUF\x03\0\0\0" + rest)
    | st.binary(max_size=60).map(lambda rest: b"\x93NUMPY\x01\0" + rest)
    | st.binary(max_size=60).map(lambda rest: b"PK\x03\x04" + rest)
)
def test_no_header_makes_reading_it_fail(head: bytes) -> None:
    for found in (read_gguf(head), read_npy(head)):
        if found is not None:
            assert 0 < found.begin <= len(head)
            ends = [found.begin, *(one.end for one in found.tensors)]
            assert [one.begin for one in found.tensors] == ends[:-1]
            assert sorted(ends) == ends
    told = read_member(head)
    assert told is None or told.header_bytes > 0
