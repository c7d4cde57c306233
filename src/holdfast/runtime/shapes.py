"""The shapes in which HTTP callers send rows and take answers.

* MLflow's scoring protocol: `dataframe_records`, `dataframe_split`, `inputs`, `instances`; answer `predictions`.
* The Open Inference Protocol (V2): `inputs` of `{name, shape, datatype, data}`; answer `outputs`.

Both answers say which version spoke; the stamp is added here, in the process that computed the answer, so that an
answer and its version can never come from two different bundles.
"""

import json
from typing import Any

from holdfast.canonical import Json, JsonObject
from holdfast.errors import BundleFailed, InvalidInput
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table

__all__ = ["INVOCATIONS", "SHAPES", "TABLE", "V2", "answer_body", "outputs", "table_in"]

TABLE = "table"
INVOCATIONS = "invocations"
V2 = "v2"
SHAPES = (TABLE, INVOCATIONS, V2)

_KEYS = ("dataframe_records", "dataframe_split", "inputs", "instances")


def table_in(shape: str, body: bytes) -> tuple[Table, JsonObject]:
    """The rows of a request, and the request itself.

    Raises:
        InvalidInput: not JSON, or none of the shapes.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the request is not JSON: {error}", hint="Send UTF-8 JSON.") from error
    if not isinstance(request, dict):
        raise InvalidInput("the request is not a JSON object", hint=f"Send one of {', '.join(_KEYS)}.")
    if shape == TABLE:
        return Table.of_columns(request.get("names"), request.get("columns", [])), request
    if shape == V2:
        return _v2(request), request
    return _invocations(request), request


def _invocations(request: JsonObject) -> Table:
    given = [key for key in _KEYS if key in request]
    if len(given) != 1:
        raise InvalidInput(
            f"the request has {len(given) or 'none'} of {', '.join(_KEYS)}; exactly one is needed",
            hint='For instance {"dataframe_records": [{"age": 41, "plan": "basic"}]}.',
        )
    value = request[given[0]]
    if given[0] == "dataframe_split":
        return _split(value)
    if given[0] == "dataframe_records" or (isinstance(value, list) and value and isinstance(value[0], dict)):
        if not isinstance(value, list):
            raise InvalidInput(f"{given[0]} is not a list of rows", hint="Send a list of JSON objects.")
        return Table.of_records(value)
    if isinstance(value, dict):
        columns = [column if isinstance(column, list) else [column] for column in value.values()]
        return Table.of_columns(list(value), columns)
    if not isinstance(value, list):
        raise InvalidInput(f"{given[0]} is neither rows nor columns", hint="Send a list of rows.")
    return Table.of_arrays(value)


def _split(value: Json) -> Table:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise InvalidInput("dataframe_split has no data", hint='Send {"columns": […], "data": [[…], …]}.')
    names, rows = value.get("columns"), value["data"]
    if names is None:
        return Table.of_arrays(rows)
    if not isinstance(names, list) or any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        raise InvalidInput("the rows of dataframe_split do not match its columns", hint="Give one value a column.")
    return Table.of_columns([str(name) for name in names], [[row[i] for row in rows] for i in range(len(names))])


def _v2(request: JsonObject) -> Table:
    tensors = request.get("inputs")
    if not isinstance(tensors, list) or not tensors or any(not _is_tensor(tensor) for tensor in tensors):
        raise InvalidInput(
            "the request has no inputs of the Open Inference Protocol",
            hint='Send {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [41]}]}.',
        )
    if len(tensors) == 1 and len(tensors[0]["shape"]) == 2 and tensors[0]["shape"][1] != 1:  # noqa: PLR2004 - a matrix
        return Table.of_arrays(_matrix(tensors[0]))
    return Table.of_columns([str(tensor["name"]) for tensor in tensors], [_flat(t["data"]) for t in tensors])


def _is_tensor(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("data"), list)
        and isinstance(value.get("shape"), list)
        and all(type(size) is int and size >= 0 for size in value["shape"])
    )


def _matrix(tensor: JsonObject) -> list[list[Json]]:
    rows, width = tensor["shape"]
    flat = _flat(tensor["data"])
    if width == 0 or len(flat) != rows * width:
        raise InvalidInput(
            f"{len(flat)} values do not fill the shape {tensor['shape']}", hint="Send rows times columns values."
        )
    return [flat[row * width : (row + 1) * width] for row in range(rows)]


def _flat(values: list[Any]) -> list[Json]:
    return [item for value in values for item in (_flat(value) if isinstance(value, list) else [value])]


def answer_body(shape: str, answer: Answer, request: JsonObject, stamp: JsonObject) -> bytes:
    """The bytes of an answer, with the stamp that says which version spoke."""
    if shape == TABLE:
        body: JsonObject = answer.to_json()
    elif shape == INVOCATIONS:
        body = {"predictions": answer.predictions, **stamp}
    else:
        body = {
            "model_name": stamp["model"],
            "model_version": str(stamp["version"]),
            "parameters": {"digest": stamp["digest"]},
            "outputs": outputs(answer),
        }
        if isinstance(request.get("id"), str):
            body["id"] = request["id"]
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise BundleFailed(
            "the model answered NaN or infinity, which JSON cannot carry",
            hint="Look at the rows of this request: the model has no finite score for them.",
        ) from error


def outputs(answer: Answer) -> list[JsonObject]:
    """The tensors of an answer in the Open Inference Protocol: `predictions`, and `scores` where they differ."""
    count = len(answer.predictions)
    tensors = [
        {
            "name": "predictions",
            "shape": [count],
            "datatype": _datatype(answer.predictions),
            "data": answer.predictions,
        }
    ]
    if answer.scores and answer.scores != answer.predictions:
        width = [len(answer.scores[0])] if isinstance(answer.scores[0], list) else []
        tensors.append({"name": "scores", "shape": [count, *width], "datatype": "FP64", "data": _flat(answer.scores)})
    return tensors


def _datatype(values: list[Json]) -> str:
    kinds = {type(value) for value in values}
    if kinds <= {bool}:
        return "BOOL"
    if kinds <= {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else "BYTES"
