"""The tensors of the Open Inference Protocol (V2), in and out, as REST writes them.

A tensor's data are JSON, flat or nested, or follow the JSON of the request in binary, as the protocol's extension for
binary tensors says. A binary tensor is little-endian and row-major; text is a length of four bytes and UTF-8.
Specification: https://github.com/kserve/open-inference-protocol.
"""

import math
import struct
from typing import Any

from holdfast.canonical import Json, JsonObject
from holdfast.errors import InvalidInput
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table, too_many_rows
from holdfast.runtime.schema import limits, shown

__all__ = ["BYTES", "TENSORS", "answer_tensors", "outputs", "packed", "require_outputs", "tensor_rows"]

_SIZES_MAX = 8
"""Dimensions of one tensor: rows and values; images and texts have four, and what has more is no table."""

_LENGTH = struct.Struct("<I")
"""Before each text of a binary tensor."""

BYTES = "BYTES"
TENSORS: dict[str, tuple[str, str]] = {
    "BOOL": ("bool", "?"),
    **{
        f"{sign}INT{bits}": (f"{sign.lower()}int{bits}", code.upper() if sign else code)
        for sign in ("", "U")
        for bits, code in ((8, "b"), (16, "h"), (32, "i"), (64, "q"))
    },
    "FP16": ("float16", "e"),
    "FP32": ("float32", "f"),
    "FP64": ("float64", "d"),
    BYTES: ("string", ""),
}
"""Each datatype of the protocol: the dtype of a feature schema, and the letter of its binary form in `struct`."""

_ALLOWED: dict[str, tuple[type, ...]] = {"bool": (bool, int), "string": (str,)}
"""What the data of a datatype are in JSON; numbers are both, since some write 41 for 41.0 and some the other way."""

_NAMES = ("predictions", "scores")


def tensor_rows(request: Json, tail: bytes | None) -> Table:
    """The rows of a request.

    Several tensors are columns, one value a row. One tensor of two dimensions is rows without names.

    Args:
        request: the JSON of the request.
        tail: what follows it in binary; None where nothing may.

    Raises:
        InvalidInput: not the protocol's form, data that do not fill their shape or are not of their datatype.
        TooLarge: too many rows.
    """
    tensors = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(tensors, list) or not tensors:
        raise InvalidInput(
            "the request has no inputs of the Open Inference Protocol",
            hint='Send {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [41]}]}.',
        )
    names, columns, left = [], [], memoryview(tail or b"")
    for tensor in tensors:
        name, shape, datatype = _head(tensor)
        values, left = _data(tensor, name, shape, datatype, left)
        width = math.prod(shape[1:])
        if width != 1:
            if len(tensors) > 1 or len(shape) != 2:  # noqa: PLR2004 - rows and columns
                raise _refused(name, f"one value a row was expected, the shape {shape} was sent")
            return _matrix(name, values, shape)
        names.append(name)
        columns.append(values)
    if left:
        raise InvalidInput(f"{len(left)} bytes follow the last tensor", hint="State binary_data_size of each tensor.")
    return Table.of_columns(names, columns)


def _head(tensor: Json) -> tuple[str, list[int], str]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise InvalidInput("an input has no name", hint="Give each tensor name, shape, datatype and data.")
    name, shape, datatype = tensor["name"], tensor.get("shape"), tensor.get("datatype")
    if (
        not isinstance(shape, list)
        or len(shape) > _SIZES_MAX
        or any(type(size) is not int or not 0 <= size < 1 << 63 for size in shape)
    ):
        raise _refused(name, f"a shape of at most {_SIZES_MAX} sizes was expected, {shown(shape)} was sent")
    if not isinstance(datatype, str) or datatype not in TENSORS:
        raise _refused(name, f"a datatype of {', '.join(TENSORS)} was expected, {shown(datatype)} was sent")
    return name, shape, datatype


def _data(
    tensor: JsonObject, name: str, shape: list[int], datatype: str, left: memoryview
) -> tuple[list[Json], memoryview]:
    """The values of a tensor, and what is left of the binary ones."""
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if isinstance(parameters, dict) and "shared_memory_region" in parameters:
        raise _refused(name, "data were expected, a region of shared memory was sent")
    if size is None:
        data = tensor.get("data")
        if not isinstance(data, list):
            raise _refused(name, f"a list of data was expected, {shown(data)} was sent")
        values = _flat(name, data)
        _require_kind(name, datatype, values)
    else:
        if type(size) is not int or not 0 <= size <= len(left):
            raise _refused(name, f"{shown(size)} bytes were announced, {len(left)} were sent")
        values, left = _unpacked(name, datatype, left[:size]), left[size:]
    if len(values) != math.prod(shape):
        raise _refused(name, f"{math.prod(shape)} values were expected for the shape {shape}, {len(values)} were sent")
    return values, left


def _flat(name: str, values: list[Any], depth: int = 1) -> list[Json]:
    if not any(type(value) is list for value in values):
        return values
    if depth >= _SIZES_MAX:
        raise _refused(name, f"at most {_SIZES_MAX} dimensions were expected, deeper nested data were sent")
    return [
        item for value in values for item in (_flat(name, value, depth + 1) if isinstance(value, list) else [value])
    ]


def _require_kind(name: str, datatype: str, values: list[Json]) -> None:
    """Go on only where the values are what the datatype says; a missing one is null, which JSON has."""
    dtype, _ = TENSORS[datatype]
    allowed: set[type] = {type(None), *_ALLOWED.get(dtype, (int, float))}
    kinds = {type(value) for value in values}
    if not kinds <= allowed:
        row = next(row for row, value in enumerate(values) if type(value) not in allowed)
        raise _refused(name, f"{datatype} was expected, {shown(values[row])} was sent", row=row)
    if "int" in dtype:
        low, high = limits(dtype)
        for row, value in enumerate(values):
            if value is not None and not low <= value <= high:
                raise _refused(name, f"{datatype} was expected, {shown(value)} was sent", row=row)


def _unpacked(name: str, datatype: str, data: memoryview) -> list[Json]:
    _, code = TENSORS[datatype]
    if datatype != BYTES:
        size = struct.calcsize(f"<{code}")
        if len(data) % size:
            raise _refused(name, f"values of {size} bytes were expected, {len(data)} bytes were sent")
        return list(struct.unpack(f"<{len(data) // size}{code}", data))
    values: list[Json] = []
    at = 0
    while at < len(data):
        if len(data) - at < _LENGTH.size:
            raise _refused(name, "a length of four bytes was expected before each text", row=len(values))
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > len(data) - at:
            raise _refused(name, f"{length} bytes of text were announced, fewer were sent", row=len(values))
        try:
            values.append(str(data[at : at + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise _refused(name, "UTF-8 was expected, other bytes were sent", row=len(values)) from error
        at += length
    return values


def packed(datatype: str, values: list[Any]) -> bytes:
    """The values of a tensor in binary; texts as their bytes."""
    if datatype == BYTES:
        return b"".join(_LENGTH.pack(len(value)) + value for value in values)
    return struct.pack(f"<{len(values)}{TENSORS[datatype][1]}", *values)


def _matrix(name: str, values: list[Json], shape: list[int]) -> Table:
    rows, width = shape
    if width == 0:
        raise _refused(name, f"values were expected, the shape {shape} was sent")
    if rows > len(values):
        raise too_many_rows(rows)
    return Table.of_columns(None, [values[place::width] for place in range(width)], count=rows)


def _refused(name: str, what: str, row: int | None = None) -> InvalidInput:
    """The same form as an error of the schema: which column, which row, what was expected and what was sent."""
    where = f"column {name!r:.200}" if row is None else f"column {name!r:.200}, row {row}"
    details = {"column": name} if row is None else {"column": name, "row": row}
    return InvalidInput(f"{where}: {what}", hint="GET /v2/models/NAME says which tensors the model takes.", **details)


def require_outputs(request: JsonObject) -> None:
    """Go on only where the request asks for outputs that there are; before any row is scored.

    Raises:
        InvalidInput: an output that no version gives, or one that is to be given otherwise than as it is.
    """
    asked = request.get("outputs")
    if asked is None:
        return
    if not isinstance(asked, list) or any(not isinstance(one, dict) or one.get("name") not in _NAMES for one in asked):
        raise InvalidInput(
            f"the outputs are {' and '.join(_NAMES)}; the request asks for others",
            hint='Leave outputs out, or ask so: [{"name": "predictions"}].',
        )
    for one in asked:
        parameters = one.get("parameters")
        for refused in ("classification", "shared_memory_region"):
            if isinstance(parameters, dict) and parameters.get(refused):
                raise InvalidInput(f"no output is given as {refused}", hint="Leave the parameter out.")


def answer_tensors(answer: Answer, request: JsonObject, stamp: JsonObject) -> JsonObject:
    """The body of an answer: the tensors that were asked for, or all that there are."""
    body: JsonObject = {
        "model_name": stamp["model"],
        "model_version": str(stamp["version"]),
        "parameters": {"digest": stamp["digest"]},
        "outputs": outputs(answer),
    }
    asked = [one["name"] for one in request.get("outputs") or ()]
    if asked:
        every = {tensor["name"]: tensor for tensor in outputs(answer, scores=True)}
        body["outputs"] = [every[name] for name in dict.fromkeys(asked) if name in every]
    said = request.get("id")
    # What UTF-8 cannot carry, a caller can only have sent as an escape; it gets its answer without it.
    if isinstance(said, str) and not any("\ud800" <= letter <= "\udfff" for letter in said):
        body["id"] = said
    return body


def outputs(answer: Answer, *, scores: bool = False) -> list[JsonObject]:
    """The tensors of an answer: `predictions`, and `scores` where they differ.

    Args:
        answer: what the version says.
        scores: whether they are told even where they are the same.
    """
    count = len(answer.predictions)
    tensors: list[JsonObject] = [
        {
            "name": "predictions",
            "shape": [count],
            "datatype": _datatype(answer.predictions),
            "data": answer.predictions,
        }
    ]
    if answer.scores and (scores or answer.scores != answer.predictions):
        width = [len(answer.scores[0])] if isinstance(answer.scores[0], list) else []
        flat = [number for row in answer.scores for number in (row if isinstance(row, list) else [row])]
        tensors.append({"name": "scores", "shape": [count, *width], "datatype": "FP64", "data": flat})
    return tensors


def _datatype(values: list[Json]) -> str:
    kinds = {type(value) for value in values}
    if kinds <= {bool}:
        return "BOOL"
    if kinds <= {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else BYTES
