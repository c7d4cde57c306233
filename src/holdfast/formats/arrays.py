"""Arrays as NumPy writes them: where their numbers end, or where a pickle begins that stands in their place.

Source: "NEP 1: A Simple File Format for NumPy Arrays".
"""

import ast
import re
import struct
from math import prod

from holdfast.formats.limits import Refused

__all__ = ["NPY_MAGIC", "read_npy"]

NPY_MAGIC = b"\x93NUMPY"
_LENGTH_AT = 8
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_HEADER_BYTES_MAX = 1 << 20
"""A record type with ten thousand fields; a text that Python's grammar is asked about should not be longer."""

_TYPE = re.compile(r"[<>|=]?([?biufcmMSUVOa])(\d{0,10})(?:\[[^\]]{1,10}\])?\Z")
_SIZES = {"S": 1, "a": 1, "V": 1, "U": 4}
_RECORD_DEPTH_MAX = 8


def read_npy(data: bytes) -> int | None:
    """Where the pickle begins that an array of references is; None when the array is numbers, and ends with the file.

    Raises:
        Refused: no array, or one that is shorter or longer than it says.
    """
    form = _LENGTHS.get(data[len(NPY_MAGIC)] if len(data) > len(NPY_MAGIC) else 0)
    if form is None or len(data) < _LENGTH_AT + 4:
        raise Refused("it is an array whose header is damaged")
    length = int(struct.unpack_from(form, data, _LENGTH_AT)[0])
    text = _LENGTH_AT + struct.calcsize(form)
    begin = text + length
    if length > _HEADER_BYTES_MAX or begin > len(data):
        raise Refused("it is an array whose header is damaged")
    try:
        header = ast.literal_eval(data[text:begin].decode("utf-8").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Refused("it is an array whose header is damaged") from error
    if type(header) is not dict or header.keys() != {"descr", "fortran_order", "shape"}:
        raise Refused("it is an array whose header is damaged")
    shape = header["shape"]
    if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape):
        raise Refused("it is an array whose header is damaged")
    item_bytes, references = _item(header["descr"], 0)
    if references:
        return begin
    if begin + prod(shape) * item_bytes != len(data):
        raise Refused("it is an array that is longer or shorter than it says")
    return None


def _item(description: object, depth: int) -> tuple[int, bool]:
    """The bytes of one value, and whether it is or holds a reference."""
    if type(description) is str:
        match = _TYPE.match(description)
        if match is None:
            raise Refused("it is an array of a type that is not known")
        kind = match[1]
        if kind == "O":
            return 8, True
        return (int(match[2]) if match[2] else 1) * _SIZES.get(kind, 1), False
    if type(description) is tuple and len(description) == 2:  # noqa: PLR2004 - a type and its shape
        size, references = _item(description[0], depth + 1)
        return size * _count(description[1]), references
    if type(description) is not list or depth > _RECORD_DEPTH_MAX:
        raise Refused("it is an array of a type that is not known")
    total, any_reference = 0, False
    for entry in description:
        if type(entry) is not tuple or not 2 <= len(entry) <= 3:  # noqa: PLR2004 - name, type and perhaps a shape
            raise Refused("it is an array of a type that is not known")
        size, references = _item(entry[1], depth + 1)
        total += size * (_count(entry[2]) if len(entry) == 3 else 1)  # noqa: PLR2004 - as above
        any_reference = any_reference or references
    return total, any_reference


def _count(shape: object) -> int:
    sizes = shape if type(shape) is tuple else (shape,)
    found = 1
    for size in sizes:
        if type(size) is not int or size < 0:
            raise Refused("it is an array of a type that is not known")
        found *= size
    return found
