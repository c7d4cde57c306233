"""What the beginning of a file of weights says of its tensors."""

import json

from holdfast.store.tensors import SAFETENSORS, Tensor, TensorFile, read_head, tensors


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
    assert tensors(b"a,b\n1,2\n") is None
    assert tensors(b"") is None


def test_what_a_header_says_of_no_use_is_left_out() -> None:
    (found,) = tensors(safetensors({"a": {"dtype": 7, "shape": [-1], "data_offsets": [0, 4]}})) or []
    assert (found.dtype, found.shape) == ("", None)
