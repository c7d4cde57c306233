"""Where the tensors of a file of weights are, told from its beginning alone.

    tensors(head)       -> [Tensor("layer.0", "F32", (4, 4), begin=96, end=160), …], or None
    read_head(head)     -> the same with what stands before the first of them

Only the beginning of a blob is looked at, and nothing in it is believed: a header that does not add up is none.
docs/FORMAT.md, "Cutting", says which headers count.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["HEAD_BYTES", "SAFETENSORS", "Tensor", "TensorFile", "read_head", "tensors"]

HEAD_BYTES = 8 << 20
"""What has to be seen of a blob before it is known how to cut it: the header of a safetensors file with some ten
thousand tensors. A longer header is cut like any other bytes."""

SAFETENSORS = "safetensors"

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        name: what the file calls it.
        dtype: the type of its numbers as the file's format spells it, such as `BF16`; empty when that is no text.
        shape: its dimensions; None when the file does not say them in a way that makes sense.
        begin: offset of its first byte in the file.
        end: offset behind its last byte. The file may be shorter.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class TensorFile:
    """What the beginning of a file of weights says.

    Attributes:
        kind: its format, such as `SAFETENSORS`.
        begin: offset of the first byte behind the header.
        tensors: by their place in the file; they follow one another without a gap.
    """

    kind: str
    begin: int
    tensors: tuple[Tensor, ...]


def tensors(head: bytes) -> list[Tensor] | None:
    """The tensors of the file that begins with `head`, by their place in it; None when it is no such file.

    Args:
        head: its first `HEAD_BYTES`, or all of it when it is shorter.
    """
    found = read_head(head)
    return None if found is None else list(found.tensors)


def read_head(head: bytes) -> TensorFile | None:
    """What the file that begins with `head` says of itself; None when it is no file of tensors.

    Args:
        head: its first `HEAD_BYTES`, or all of it when it is shorter.
    """
    return _safetensors(head)


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
