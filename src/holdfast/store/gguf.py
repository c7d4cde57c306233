"""The header of a GGUF file, versions 2 and 3: key-values, then where each tensor begins, then the tensors, aligned.

Source of the layout: "GGUF", docs/gguf.md of https://github.com/ggml-org/ggml. Only little-endian files are read, as
nearly all are. The types of ggml come and go, so a tensor's size is never worked out from its type: it ends where the
next one begins, and the last one with the file.
"""

import struct
from itertools import pairwise

from holdfast.store.tensor_file import UNTIL_THE_END, Tensor, TensorFile

__all__ = ["GGUF", "read_gguf"]

GGUF = "gguf"

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)

_ALIGNMENT_KEY = b"general.alignment"
_ALIGNMENT = 32
"""What holds where the file does not say it."""

_ALIGNMENT_MAX = 1 << 20
"""Files are aligned to a page at most; past this, padding would be a way to make a small file look large."""

_DIMENSIONS_MAX = 8
"""ggml has four."""

_KEY_VALUE_BYTES_MIN = 13
_TENSOR_BYTES_MIN = 24
"""The least that a key-value and a tensor take in the header: no count can promise more than there are bytes for."""

_UINT32, _STRING, _ARRAY = 4, 8, 9
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""The types of values that have one size, by their numbers."""

_FLOATS = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
"""The types of tensors whose numbers stand one beside the other; all others are blocks, or integers."""

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


def read_gguf(head: bytes) -> TensorFile | None:
    """What a GGUF file says of its tensors; None when `head` does not begin one, or does not hold its whole header."""
    if head[:4] != _MAGIC:
        return None
    try:
        return _read(head)
    except (ValueError, OverflowError, struct.error):
        return None


def _read(head: bytes) -> TensorFile:
    (version,) = _U32.unpack_from(head, 4)
    count, pairs = struct.unpack_from("<QQ", head, 8)
    if version not in _VERSIONS or count * _TENSOR_BYTES_MIN + pairs * _KEY_VALUE_BYTES_MIN > len(head):
        raise ValueError("a version or a count that cannot be")
    alignment, at = _ALIGNMENT, 24
    for _ in range(pairs):
        key, at = _string(head, at)
        (kind,) = _U32.unpack_from(head, at)
        at += 4
        if key == _ALIGNMENT_KEY:
            alignment = _alignment(head, at, kind)
        at = _array_end(head, at) if kind == _ARRAY else _values_end(head, at, kind, 1)
    found = []
    for _ in range(count):
        one, at = _tensor(head, at, alignment)
        found.append(one)
    begin = at + -at % alignment
    if begin > len(head):
        raise ValueError("the header does not end here")
    return TensorFile(GGUF, begin, _placed(found, begin))


def _placed(found: list[Tensor], origin: int) -> tuple[Tensor, ...]:
    """The tensors in the order of the file, which may be another than that of the header."""
    found.sort(key=lambda tensor: tensor.begin)
    if found and found[0].begin:
        raise ValueError("a gap before the first tensor")
    begins = [*(tensor.begin + origin for tensor in found), UNTIL_THE_END]
    if begins[-1] < begins[-2 if found else -1]:
        raise ValueError("a tensor past the end of every file")
    return tuple(
        Tensor(one.name, one.dtype, one.shape, begin, end)
        for one, (begin, end) in zip(found, pairwise(begins), strict=True)
    )


def _tensor(head: bytes, at: int, alignment: int) -> tuple[Tensor, int]:
    """A tensor, its `begin` counted from the end of the header, and where what is said of it ends."""
    name, at = _string(head, at)
    (dimensions,) = _U32.unpack_from(head, at)
    if dimensions > _DIMENSIONS_MAX:
        raise ValueError("more dimensions than there can be")
    *shape, kind, begin = struct.unpack_from(f"<{dimensions}QIQ", head, at + 4)
    if begin % alignment:
        raise ValueError("a tensor that is not aligned")
    dtype = _FLOATS.get(kind, f"ggml-{kind}")
    found = Tensor(name.decode(errors="backslashreplace"), dtype, tuple(shape), begin, begin)
    return found, at + 16 + 8 * dimensions


def _alignment(head: bytes, at: int, kind: int) -> int:
    (alignment,) = _U32.unpack_from(head, at)
    if kind != _UINT32 or not 0 < alignment <= _ALIGNMENT_MAX or alignment & (alignment - 1):
        raise ValueError("an alignment that cannot be")
    return int(alignment)


def _array_end(head: bytes, at: int) -> int:
    (kind,) = _U32.unpack_from(head, at)
    (count,) = _U64.unpack_from(head, at + 4)
    return _values_end(head, at + 12, kind, count)


def _values_end(head: bytes, at: int, kind: int, count: int) -> int:
    """Where `count` values of one kind end. Arrays of arrays are written by nobody, and refused."""
    if kind == _STRING:
        # A vocabulary has a hundred thousand: this loop is as short as it can be, and ends where the header does.
        unpack = _U64.unpack_from
        for _ in range(count):
            at += 8 + unpack(head, at)[0]
    elif kind in _VALUE_BYTES:
        at += count * _VALUE_BYTES[kind]
    else:
        raise ValueError("a type of value that is not known")
    if at > len(head):
        raise ValueError("a value that does not end here")
    return at


def _string(head: bytes, at: int) -> tuple[bytes, int]:
    (length,) = _U64.unpack_from(head, at)
    end = at + 8 + length
    if end > len(head):
        raise ValueError("a string that does not end here")
    return head[at + 8 : end], end
