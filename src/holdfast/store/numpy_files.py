"""Arrays as NumPy writes them: alone in a `.npy` file, or as the members of a `.npz` file, which is a ZIP archive.

What stands in a ZIP archive is listed at its end. Whoever reads it from the beginning finds a header before each member
instead, and goes from one to the next by the sizes that these give. An archive that was written to a pipe gives none
there, and one that is compressed has no arrays to be found: neither counts as a file of tensors.

Sources: "NEP 1: A Simple File Format for NumPy Arrays"; APPNOTE.TXT of PKWARE, sections 4.3.7 and 4.5.3.
"""

import math
import re
import struct
from dataclasses import dataclass

from holdfast.store.tensor_file import Tensor, TensorFile

__all__ = ["MEMBERS_MAX", "MEMBER_HEAD_BYTES", "NPY", "NPZ", "Member", "read_member", "read_npy"]

NPY = "npy"
NPZ = "npz"

MEMBER_HEAD_BYTES = 16 << 10
"""What is looked at of each member: the names and types of an array take a few hundred bytes."""

MEMBERS_MAX = 65_535
"""What an archive may list without extensions. Behind so many, members are not told apart any more."""

_NPY_MAGIC = b"\x93NUMPY"
_NPY_LENGTH_AT = 8
_NPY_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
"""Where the length of the header stands, and how it is written, by the major version of the file."""

_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[fiucb](\d{1,2}))', 'fortran_order': (?:True|False), 'shape': \(([\d, ]{0,1000})\),? ?\}\s*"
)
"""What NumPy writes for numbers, always in this order. Anything else (records, dates, text, objects) is no tensor."""

_ZIP_HEADER = struct.Struct("<4sHHHHHIIIHH")
_ZIP_MAGIC = b"PK\x03\x04"
_STORED = 0
_UNSIZED_OR_SECRET = 0x2049
"""Flags of a member whose sizes come behind it, or that is encrypted."""

_ZIP64 = 0x0001
_IN_ZIP64 = 0xFFFF_FFFF
"""A size that stands in the extension for large archives, and its number there."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive.

    Attributes:
        header_bytes: what stands before its contents; before its numbers, when it is an array.
        data_bytes: its contents, or its numbers.
        dtype: the type of the numbers, such as `<f4`; empty when it is none.
        is_array: whether it is an array, of numbers or of something else.
    """

    header_bytes: int
    data_bytes: int
    dtype: str
    is_array: bool


@dataclass(frozen=True, slots=True)
class _NpyHeader:
    """What an array says of itself: where its numbers begin, their type and size, and its shape.

    The type is empty when it does not consist of numbers.
    """

    begin: int
    dtype: str
    number_bytes: int
    shape: tuple[int, ...]


def read_npy(head: bytes) -> TensorFile | None:
    """The one tensor of a `.npy` file; None when `head` does not begin one, or not one of numbers."""
    found = _npy_header(head)
    if found is None or not found.dtype:
        return None
    end = found.begin + math.prod(found.shape) * found.number_bytes
    return TensorFile(NPY, found.begin, (Tensor("", found.dtype, found.shape, found.begin, end),))


def read_member(start: bytes) -> Member | None:
    """The member of an archive that begins with `start`: its first `MEMBER_HEAD_BYTES`, or all there is.

    None when no member begins there, or one of which it is not known where it ends.
    """
    if len(start) < _ZIP_HEADER.size or not start.startswith(_ZIP_MAGIC):
        return None
    _, _, flags, method, _, _, _, packed, size, name_bytes, extra_bytes = _ZIP_HEADER.unpack_from(start)
    name_end = _ZIP_HEADER.size + name_bytes
    begin = name_end + extra_bytes
    if flags & _UNSIZED_OR_SECRET or begin > len(start):
        return None
    if _IN_ZIP64 in {packed, size}:
        sizes = _zip64(start[name_end:begin])
        if sizes is None:
            return None
        size, packed = sizes
    if method == _STORED and packed == size and start[_ZIP_HEADER.size : name_end].endswith(b".npy"):
        found = _npy_header(start[begin:])
        if found is not None and found.begin <= size:
            return Member(begin + found.begin, size - found.begin, found.dtype, is_array=True)
    return Member(begin, packed, "", is_array=False)


def _zip64(extra: bytes) -> tuple[int, int] | None:
    """The size of a member and that of its packed bytes, from the extension for large archives."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64 and length >= 16 and at + 20 <= len(extra):  # noqa: PLR2004 - both sizes, and both there
            size, packed = struct.unpack_from("<QQ", extra, at + 4)
            return size, packed
        at += 4 + length
    return None


def _npy_header(start: bytes) -> _NpyHeader | None:
    if not start.startswith(_NPY_MAGIC) or len(start) < _NPY_LENGTH_AT + 4:
        return None
    length_format = _NPY_LENGTHS.get(start[len(_NPY_MAGIC)])
    if length_format is None:
        return None
    (length,) = struct.unpack_from(length_format, start, _NPY_LENGTH_AT)
    text = _NPY_LENGTH_AT + struct.calcsize(length_format)
    begin = text + length
    if begin > min(len(start), MEMBER_HEAD_BYTES):
        return None
    said = _NPY_HEADER.fullmatch(start[text:begin])
    if said is None:
        return _NpyHeader(begin, "", 0, ())
    shape = tuple(int(size) for size in said[3].replace(b" ", b"").split(b",") if size)
    return _NpyHeader(begin, said[1].decode(), int(said[2]), shape)
