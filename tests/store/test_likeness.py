"""Chunks of two files stand alike when they are the same part of the same tensor."""

import json

from holdfast.store.codec import ZSTD
from holdfast.store.likeness import Spot, standings


def head(*tensors: tuple[str, str, list[int], int]) -> bytes:
    """The beginning of a safetensors file with tensors of these names, types, shapes and lengths."""
    header, begin = {}, 0
    for name, dtype, shape, length in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + length]}
        begin += length
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def test_a_chunk_stands_at_its_offset_in_its_tensor() -> None:
    start = head(("a", "BF16", [2, 50], 200), ("b", "F32", [25], 100))
    chunks = [(b"h", len(start)), (b"1", 150), (b"2", 50), (b"3", 100)]
    assert standings(chunks, start) == [
        (b"1", Spot("a", "BF16", (2, 50), 0, 150), 2),
        (b"2", Spot("a", "BF16", (2, 50), 150, 50), 2),
        (b"3", Spot("b", "F32", (25,), 0, 100), 4),
    ]


def test_where_a_tensor_is_in_the_file_makes_no_difference() -> None:
    one, other = head(("a", "F64", [8], 64)), head(("first", "U8", [7], 7), ("a", "F64", [8], 64))
    [alone] = standings([(b"h", len(one)), (b"1", 64)], one)
    behind = standings([(b"h", len(other)), (b"0", 7), (b"2", 64)], other)[1]
    assert alone.spot == behind.spot
    assert alone.hint == behind.hint == 8


def test_chunks_that_lie_in_no_tensor_or_in_two_stand_nowhere() -> None:
    start = head(("a", "U8", [100], 100), ("b", "U8", [100], 100))
    assert standings([(b"h", len(start) + 10), (b"1", 100), (b"2", 90), (b"3", 50)], start) == [
        (b"2", Spot("b", "U8", (100,), 10, 90), ZSTD)
    ]
    assert standings([(b"1", 1000)], b"no tensors" * 100) == []


def test_the_width_is_what_length_and_shape_say() -> None:
    for shape, length, hint in (
        ([10], 20, 2), ([10], 10, ZSTD), ([10], 30, ZSTD), ([3], 10, ZSTD), ([0], 10, ZSTD), ([], 8, 8)
    ):  # fmt: skip
        start = head(("a", "any", shape, length))
        [found] = standings([(b"h", len(start)), (b"1", length)], start)
        assert found.hint == hint


def test_a_shape_of_huge_sides_costs_nothing() -> None:
    start = head(("a", "U8", [10**4000] * 500, 10))
    [found] = standings([(b"h", len(start)), (b"1", 10)], start)
    assert found.hint == ZSTD
