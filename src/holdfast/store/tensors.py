"""Where the tensors of a file of weights are, told from its beginning alone.

    tensors(head)       -> [Tensor("layer.0", "F32", (4, 4), begin=96, end=160), …], or None
    read_head(head)     -> the same with the format, and what stands before the first of them

Only the beginning of a blob is looked at, and nothing in it is believed: a header that does not add up is none.
docs/FORMAT.md, "Cutting", says which headers count.

A `.npz` file does not say at its beginning what it holds: see `holdfast.store.numpy_files`.
"""

import json
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from typing import Any

from holdfast.store.gguf import GGUF, read_gguf
from holdfast.store.numpy_files import NPY, NPZ, read_npy
from holdfast.store.tensor_file import HEAD_BYTES, UNTIL_THE_END, Tensor, TensorFile

__all__ = [
    "GGUF",
    "HEAD_BYTES",
    "KINDS",
    "NPY",
    "NPZ",
    "SAFETENSORS",
    "UNTIL_THE_END",
    "Tensor",
    "TensorFile",
    "read_head",
    "tensors",
]

SAFETENSORS = "safetensors"

KINDS = (GGUF, NPY, NPZ, SAFETENSORS)
"""The formats whose tensors are found here, in the order of their names."""

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header."""


def tensors(head: bytes) -> list[Tensor] | None:
    """The tensors of the file that begins with `head`, by their place in it; None when it is no such file.

    Args:
        head: its first `HEAD_BYTES`, or all of it when it is shorter.
    """
    found = read_head(head)
    return None if found is None else list(found.tensors)


def read_head(head: bytes, kinds: Collection[str] = KINDS) -> TensorFile | None:
    """What the file that begins with `head` says of itself; None when it is no file of tensors.

    Args:
        head: its first `HEAD_BYTES`, or all of it when it is shorter.
        kinds: the formats that count.
    """
    for kind, read in _READERS.items():
        if kind in kinds and (found := read(head)) is not None:
            return found
    return None


def _safetensors(head: bytes) -> TensorFile | None:
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    begin = _LENGTH_BYTES + length
    if not (length > 0 and begin <= min(len(head), HEAD_BYTES) and head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{"):
        return None
    try:
        listed = json.loads(head[_LENGTH_BYTES:begin])
        found = [_tensor(name, value, begin) for name, value in listed.items() if name[:2] != "__"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    found.sort(key=lambda tensor: (tensor.begin, tensor.end))
    ends = [begin, *(tensor.end for tensor in found)]
    if any(tensor.begin != before for tensor, before in zip(found, ends, strict=False)):
        return None
    if any(after < before for before, after in pairwise(ends)):
        return None
    return TensorFile(SAFETENSORS, begin, tuple(found))


def _tensor(name: str, value: dict[str, Any], origin: int) -> Tensor:
    begin, end = value["data_offsets"]
    if not (type(begin) is type(end) is int):
        raise TypeError("an offset that is no integer")
    dtype, shape = value["dtype"], value.get("shape")
    if isinstance(dtype, list | dict):
        raise TypeError("a type that is no text")
    is_shape = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    return Tensor(
        name,
        dtype if isinstance(dtype, str) else "",
        tuple(shape) if isinstance(shape, list) and is_shape else None,
        origin + begin,
        origin + end,
    )


_READERS: Mapping[str, Callable[[bytes], TensorFile | None]] = {
    SAFETENSORS: _safetensors,
    GGUF: read_gguf,
    NPY: read_npy,
}
