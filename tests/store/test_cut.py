"""Blobs are cut by what their bytes are, alike however they arrive."""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.canonical import Reader
from holdfast.errors import MissingExtra, UnsupportedFormat
from holdfast.store import cut
from holdfast.store.codec import ZSTD
from holdfast.store.cut import CUTTING, HEAD_BYTES, Chunk, Cutting, Sizes, cutter_for, plan_for
from holdfast.store.tensors import GGUF, KINDS, SAFETENSORS
from tests.store.fine import FINE
from tests.store.weight_files import BF16, F16, F32, Q8_0, gguf, gguf_head, member, npy, npz


def chunks(data: bytes, borders: list[int] | None = None, cutting: Cutting = FINE) -> list[Chunk]:
    """The chunks of `data` when it arrives in pieces that end at `borders`."""
    ends = [0, *sorted(borders or []), len(data)]
    cutter = cutter_for(data[:HEAD_BYTES], cutting)
    pieces = (data[start:end] for start, end in pairwise(ends) if start < end)
    found = [chunk for piece in pieces for chunk in cutter.feed(piece)]
    return [*found, *cutter.finish()]


def is_tensors(head: bytes) -> bool:
    return plan_for(head, CUTTING) is not None


def lengths(found: list[Chunk]) -> list[int]:
    return [len(chunk.data) for chunk in found]


def tensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def weights(*sizes: int, dtype: str = "F32") -> bytes:
    """A safetensors file of tensors of these sizes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for number, size in enumerate(sizes):
        header[f"layer.{number}"] = {"dtype": dtype, "shape": [size], "data_offsets": [at, at + size]}
        at += size
    return tensors(header, random.Random(1).randbytes(at))


def some_bytes() -> Iterator[tuple[str, bytes]]:
    chance = random.Random(7)
    yield "empty", b""
    yield "short", b"x"
    yield "chance", chance.randbytes(20_000)
    yield "zeros", bytes(20_000)
    yield "text", b"".join(b"%d,%d\n" % (number, chance.randrange(1000)) for number in range(2000))
    yield "parquet", b"PAR1" + chance.randbytes(10_000)
    yield "tensors", weights(3000, 0, 512, 513, 1024, 1)
    arrays = {"a": chance.randbytes(3000), "b": b"", "c": chance.randbytes(512), "d": chance.randbytes(16)}
    yield "gguf", gguf(arrays)
    yield "npy", npy(chance.randbytes(3000))
    yield "npz", npz(arrays)
    yield "npz-of-few-bytes", npz({str(number): b"" for number in range(100)})
    yield "npz-that-grows-long-names", npz({"a": b"x" * 4000}) + member("b" * 20_000, b"x" * 1000)


@pytest.mark.parametrize(
    ("name", "data"), list(some_bytes()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_chunks_joined_are_the_bytes(name: str, data: bytes) -> None:
    found = chunks(data)
    assert b"".join(chunk.data for chunk in found) == data
    assert all(lengths(found))


@given(
    st.sampled_from([data for _, data in some_bytes()]) | st.binary(max_size=5000),
    st.lists(st.integers(0, 20_000), max_size=20),
)
@example(bytes(range(256)) * 40, list(range(0, 3000, 10)))
def test_where_the_pieces_begin_and_end_makes_no_difference(data: bytes, borders: list[int]) -> None:
    found = chunks(data, [min(border, len(data)) for border in borders])
    assert found == chunks(data)
    assert b"".join(chunk.data for chunk in found) == data


def test_chunks_keep_to_their_sizes() -> None:
    data = random.Random(3).randbytes(200_000)
    *most, last = lengths(chunks(data))
    assert min(most) >= FINE.plain.minimum
    assert max(most) <= FINE.plain.maximum
    assert last <= FINE.plain.maximum
    assert FINE.plain.average / 2 < sum(most) / len(most) < FINE.plain.average * 2


def test_what_is_put_in_front_moves_few_cuts() -> None:
    data = random.Random(3).randbytes(100_000)
    before = {chunk.data for chunk in chunks(data)}
    after = [chunk.data for chunk in chunks(b"a line in front" + data)]
    assert sum(chunk not in before for chunk in after) < len(after) / 20


# Which kind


@pytest.mark.parametrize(
    ("head", "is_text"),
    [
        (b"", True),
        (b"a,b\n1,2\n", True),
        ("é \U0001f600".encode(), True),
        ("é".encode()[:1], False),
        (b"a\0b", False),
        (b"\xff\xfe", False),
        (b"PAR1\0\xff", True),
        (b"ARROW1\0\0\xff", True),
        (b"PAR2\0", False),
        (b"x" * 4095 + "é".encode(), True),
        (b"x" * 4094 + "é".encode() + b"\0", True),
        (b"x" * 4093 + "\U0001f600".encode(), True),
        (b"x" * 4094 + "\U0001f600".encode(), True),
        (b"x" * 4095 + "\U0001f600".encode(), True),
        (b"x" * 4092 + "\U0001f600".encode() + b"\xff", True),
        (b"x" * 4095 + b"\xff", False),
        (b"x" * 4094 + b"\xc3\xff", False),
        (b"x" * 4000 + b"\xff" + b"x" * 200, False),
        ("x" + "é" * 3000, True),
    ],
)
def test_what_is_text(head: bytes | str, is_text: bool) -> None:
    assert cut._is_text(head if isinstance(head, bytes) else head.encode()) is is_text


@pytest.mark.thorough
@given(st.text(min_size=2000), st.integers(0, 3))
def test_text_stays_text_wherever_the_sample_ends(text: str, shift: int) -> None:
    data = b"x" * shift + (text.replace("\0", "") or "é").encode() * 5
    assert cut._is_text(data)


# Tensors


def test_tensors_are_cut_at_the_header_each_tensor_and_the_stride() -> None:
    data = weights(700, 0, 512, 1030)
    found = chunks(data)
    header = len(data) - 700 - 512 - 1030
    assert lengths(found) == [*([512] if header > 512 else []), header % 512, 512, 188, 512, 512, 512, 6]


def test_the_header_of_tensors_is_one_chunk_where_it_can_be() -> None:
    data = weights(10_000_000, 5_000_000)
    header = len(data) - 15_000_000
    stride = CUTTING.tensor_stride
    assert lengths(chunks(data, cutting=CUTTING)) == [
        header, stride, stride, 10_000_000 - 2 * stride, stride, 5_000_000 - stride,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "codec"), [("F16", 2), ("BF16", 2), ("F32", 4), ("F64", 8), ("I64", ZSTD), ("F8_E4M3", ZSTD)]
)
def test_numbers_of_each_width_are_split_by_it(dtype: str, codec: int) -> None:
    header, *rest = chunks(weights(600, dtype=dtype))
    assert header.hint == ZSTD
    assert {chunk.hint for chunk in rest} == {codec}


def test_what_stands_behind_the_last_tensor_is_cut_by_strides() -> None:
    data = weights(100) + b"x" * 1300
    assert lengths(chunks(data))[-4:] == [100, 512, 512, 276]
    assert chunks(data)[-1].hint == ZSTD


def test_tensors_that_are_cut_short_are_cut_all_the_same() -> None:
    data = weights(2000)
    for end in range(len(data)):
        assert b"".join(chunk.data for chunk in chunks(data[:end])) == data[:end]


def one(*offsets: object, dtype: object = "F32", name: str = "a") -> dict[str, object]:
    return {name: {"dtype": dtype, "shape": [], "data_offsets": list(offsets)}}


NOT_TENSORS = {
    "overlap": {**one(0, 10), **one(5, 20, name="b")},
    "gap": {**one(0, 10), **one(11, 20, name="b")},
    "late": one(1, 10),
    "negative": one(-10, 0),
    "backwards": one(0, -10),
    "backwards-later": {**one(0, 10), **one(10, 5, name="b")},
    "floats": one(0.0, 10.0),
    "truth": one(False, True),
    "texts": one("0", "10"),
    "one-offset": one(0),
    "three-offsets": one(0, 1, 2),
    "no-offsets": {"a": {"dtype": "F32"}},
    "no-type": {"a": {"data_offsets": [0, 10]}},
    "strange-type": one(0, 10, dtype=["F32"]),
    "a-list": {"a": [0, 10]},
    "nothing": {"a": None},
    "not-json": b"{not json",
    "half": b'{"a": {"dtype"',
    "not-utf-8": b'{"\xff": 1}',
    "nan": b'{"a": {"dtype": "F32", "data_offsets": [NaN, Infinity]}}',
    "deep": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "many-digits": b'{"a": {"dtype": "F32", "data_offsets": [0, ' + b"9" * 10_000 + b"]}}",
    "hidden-by-the-same-key": b'{"a": {"dtype": "F32", "data_offsets": [0, 8]}, '
    b'"a": {"dtype": "F32", "data_offsets": [8, 16]}}',
    "array": b"[]",
    "empty": b"",
    "blank": b" {}",
}


@pytest.mark.parametrize("header", NOT_TENSORS.values(), ids=NOT_TENSORS)
def test_a_header_that_does_not_add_up_is_cut_like_anything_else(header: object) -> None:
    data = tensors(header, random.Random(5).randbytes(3000))
    assert not is_tensors(data)
    assert lengths(chunks(data)) == lengths([*(native := cut._ContentCutter(FINE.plain)).feed(data), *native.finish()])


@pytest.mark.parametrize("length", [0, 1, 100, 1 << 23, (1 << 23) - 8 + 1, 1 << 40, (1 << 64) - 1])
def test_a_header_that_is_too_long_or_too_short_is_cut_like_anything_else(length: int) -> None:
    assert not is_tensors(length.to_bytes(8, "little") + b"{}")


def test_a_huge_tensor_is_one_that_never_ends() -> None:
    data = tensors(one(0, 10**30), b"x" * 2000)
    assert is_tensors(data)
    assert b"".join(chunk.data for chunk in chunks(data)) == data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
almost = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "I8"]) | json_values,
        "data_offsets": st.lists(st.integers(-2, 3000), min_size=2, max_size=2) | json_values,
    },
)
headers = st.dictionaries(st.sampled_from(["a", "b", "__metadata__", "_"]), almost | json_values, max_size=4)


@given(headers.map(lambda header: json.dumps(header).encode()) | st.binary(max_size=100), st.binary(max_size=3000))
def test_no_header_makes_cutting_fail(header: bytes, rest: bytes) -> None:
    data = tensors(header, rest)
    assert b"".join(chunk.data for chunk in chunks(data)) == data


# Tensors of other formats


def test_gguf_is_cut_where_each_tensor_begins_and_its_header_by_content() -> None:
    data = gguf({"a": b"A" * 700, "b": b"", "c": b"C" * 512, "d": b"D" * 1030})
    found = chunks(data)
    begin = len(data) - 704 - 512 - 1056
    by_content = lengths([*(native := cut._ContentCutter(FINE.plain)).feed(data[:begin]), *native.finish()])
    header = [min(512, length - at) for length in by_content for at in range(0, length, 512)]
    assert lengths(found) == [*header, 512, 192, 512, 512, 512, 32]
    assert len(header) > 3
    assert [chunk.hint for chunk in found] == [ZSTD] * len(header) + [2] * 6


def test_another_name_in_a_gguf_header_changes_only_what_is_near_it() -> None:
    before = chunks(gguf({"a": b"A" * 700, "b": b"B" * 700}, name="base"))
    after = chunks(gguf({"a": b"A" * 700, "b": b"B" * 700}, name="base, tuned by ana"))
    assert len({chunk.data for chunk in after} - {chunk.data for chunk in before}) <= 3


@pytest.mark.parametrize(("kind", "codec"), [(F16, 2), (BF16, 2), (F32, 4), (Q8_0, ZSTD)])
def test_only_tensors_of_gguf_that_are_no_blocks_are_split(kind: int, codec: int) -> None:
    assert chunks(gguf({"a": b"x" * 600}, kind=kind))[-1].hint == codec


@pytest.mark.parametrize(
    ("dtype", "codec"),
    [("<f4", 4), (">f8", 8), ("<f2", 2), ("<i8", 8), ("<u2", 2), ("<c8", 4), ("<c16", 8), ("|u1", ZSTD), ("|b1", ZSTD)],
)
def test_an_array_is_cut_behind_its_header_and_split_by_the_width_of_its_numbers(dtype: str, codec: int) -> None:
    header, *rest = chunks(npy(b"x" * 1200, dtype, count=1200 // int(dtype[2:])))
    assert (len(header.data) % 64, header.hint) == (0, ZSTD)
    assert [(len(chunk.data), chunk.hint) for chunk in rest] == [(512, codec), (512, codec), (176, codec)]


def test_what_stands_behind_an_array_is_cut_by_strides() -> None:
    assert lengths(chunks(npy(b"x" * 100) + b"y" * 600))[1:] == [100, 512, 88]


def test_an_archive_is_cut_before_and_behind_the_numbers_of_each_member() -> None:
    arrays = {"a": b"A" * 700, "b": b"", "c": b"C" * 512}
    data = npz(arrays)
    heads = [len(member(f"{name}.npy", npy(body))) - len(body) for name, body in arrays.items()]
    assert [(len(chunk.data), chunk.hint) for chunk in chunks(data)] == [
        (heads[0], ZSTD), (512, 4), (188, 4), (heads[1], ZSTD), (heads[2], ZSTD), (512, 4), (64, ZSTD),
    ]  # fmt: skip


def test_an_archive_goes_on_behind_a_member_that_is_no_array() -> None:
    data = member("a.npy", npy(b"A" * 600)) + member("notes.txt", b"text" * 10) + member("b.npy", npy(b"B" * 600))
    assert [len(chunk.data) for chunk in chunks(data) if set(chunk.data) <= {*b"AB"}] == [512, 88, 512, 88]


@pytest.mark.parametrize(
    "data",
    [
        member("a.npy", npy(b"x" * 3000), flags=8),
        member("a.npy", npy(b"x" * 3000), method=8),
        member("a.txt", b"x" * 3000),
        npy(b"x" * 3000, "|O8"),
        gguf_head([("a", F32, 32)]) + b"x" * 3000,
    ],
    ids=["npz-to-a-pipe", "compressed", "zip", "objects", "gguf-with-a-gap"],
)
def test_what_is_no_file_of_tensors_after_all_is_cut_by_content(data: bytes) -> None:
    assert not is_tensors(data)
    sizes = FINE.text if cut._is_text(data) else FINE.plain
    assert lengths(chunks(data)) == lengths([*(native := cut._ContentCutter(sizes)).feed(data), *native.finish()])


def test_so_many_members_are_not_told_apart_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "MEMBERS_MAX", 3)
    found = chunks(npz(dict.fromkeys("abcdefgh", b"x" * 100)))
    assert [length for length in lengths(found) if length == 100] == [100] * 3
    assert max(lengths(found)) == 512


def test_a_store_made_before_goes_on_cutting_as_it_did() -> None:
    before = replace(FINE, tensors=(SAFETENSORS,))
    for data in (gguf({"a": b"x" * 3000}), npy(b"x" * 3000), npz({"a": b"x" * 3000})):
        plain = [*(native := cut._ContentCutter(FINE.plain)).feed(data), *native.finish()]
        assert chunks(data, cutting=before) == plain != chunks(data)
    assert chunks(weights(700, 300), cutting=before) == chunks(weights(700, 300))


# What NumPy writes


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_saves_is_cut_at_its_numbers(order: Literal["C", "F"]) -> None:
    arrays: dict[str, Any] = {
        "weights": np.asarray(np.arange(600, dtype="f4").reshape(20, 30), order=order),
        "scale": np.float64(0.5),
        "steps": np.arange(90),
    }
    alone = BytesIO()
    np.save(alone, arrays["weights"])
    assert lengths(chunks(alone.getvalue()))[-5:] == [512, 512, 512, 512, 352]
    together = BytesIO()
    np.savez(together, **arrays)
    found = chunks(together.getvalue())
    assert b"".join(chunk.data for chunk in found) == together.getvalue()
    numbers = [chunk for chunk in found if chunk.hint != ZSTD]
    written = [array.tobytes(order="A") for array in arrays.values()]
    assert b"".join(chunk.data for chunk in numbers) == b"".join(written)
    assert [chunk.hint for chunk in numbers] == [4] * 5 + [8] + [8] * 2


def test_what_numpy_compresses_is_cut_by_content() -> None:
    packed = BytesIO()
    np.savez_compressed(packed, a=np.arange(1000))
    assert not is_tensors(packed.getvalue())


# How a store says how it cuts


@pytest.mark.parametrize("kinds", [KINDS, (SAFETENSORS,), (), (GGUF, SAFETENSORS)])
def test_how_a_store_cuts_survives_its_config(kinds: tuple[str, ...]) -> None:
    cutting = replace(FINE, tensors=kinds)
    assert Cutting.from_json(Reader(cutting.to_json(), "cutting")) == cutting


def test_a_config_that_names_no_formats_is_one_of_safetensors_alone() -> None:
    first = replace(FINE, tensors=(SAFETENSORS,)).to_json()
    assert first.keys() == {"large_bytes_min", "plain", "tensor_stride", "text"}
    assert "tensor_stride" not in FINE.to_json()  # whoever knows only that field refuses to write


@pytest.mark.parametrize(
    "spoilt",
    [
        {"tensors": None},
        {"tensors": None, "tensor_stride": 0},
        {"tensors": None, "tensor_stride": 1 << 40},
        {"tensors": {"kinds": ["gguf"]}},
        {"tensors": {"kinds": ["gguf"], "stride": 0}},
        {"tensors": {"kinds": ["gguf"], "stride": -1}},
        {"tensors": {"kinds": ["gguf"], "stride": 1 << 40}},
        {"tensors": {"kinds": ["gguf", "of tomorrow"], "stride": 512}},
        {"large_bytes_min": 0},
        {"large_bytes_min": 1 << 40},
        {"plain": {"minimum": 0, "average": 256, "maximum": 1024}},
        {"plain": {"minimum": 512, "average": 256, "maximum": 1024}},
        {"text": {"minimum": 64, "average": 2048, "maximum": 1024}},
        {"text": {"minimum": 64, "average": 256, "maximum": 1 << 40}},
        {"text": {"minimum": 64, "average": 256}},
        {"plain": None},
    ],
    ids=str,
)
def test_a_way_of_cutting_that_cannot_be_is_refused(spoilt: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFormat):
        Cutting.from_json(Reader({**FINE.to_json(), **spoilt}, "cutting"))


def test_without_the_native_code_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class FastCDC:
        """As slow as it can be written."""

    FastCDC.__module__ = "pyfastcdc.py.fastcdc"
    monkeypatch.setattr("pyfastcdc.FastCDC", FastCDC)
    with pytest.raises(MissingExtra, match="pyfastcdc is not installed"):
        cutter_for(b"text", CUTTING)
    assert is_tensors(weights(10))
    cutter_for(weights(10), CUTTING)


def test_without_any_chunker_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyfastcdc", None)
    with pytest.raises(MissingExtra, match="pyfastcdc is not installed"):
        cutter_for(b"text", CUTTING)


def test_sizes_are_what_they_were() -> None:
    assert (
        Cutting(
            large_bytes_min=1 << 20,
            plain=Sizes(16 << 10, 64 << 10, 256 << 10),
            text=Sizes(2 << 10, 8 << 10, 32 << 10),
            tensor_stride=4 << 20,
        )
        == CUTTING
    )
