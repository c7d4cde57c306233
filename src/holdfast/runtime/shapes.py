"""The shapes in which callers send rows and take answers, and the one way in and out for all of them.

* `invocations`: MLflow's scoring protocol (`json_rows.py`); the answer is `predictions`.
* `predict`: plain rows in, predictions and scores out.
* `v2`: the Open Inference Protocol (`open_inference.py`).
* `table`: what a gate and `holdfast.load` send.

The rows of the first two come as JSON, JSON lines, CSV, Arrow or Parquet, and their answers go as JSON, CSV or Arrow.
Every answer says which version spoke; the stamp is added here, in the process that computed the answer, so that an
answer and its version can never come from two different bundles.
"""

import json

from holdfast.canonical import Json, JsonObject
from holdfast.errors import BundleFailed, InvalidInput, UnsupportedMedia
from holdfast.evidence import FeatureSchema
from holdfast.runtime.arrow_rows import arrow_answer, arrow_rows, parquet_rows
from holdfast.runtime.csv_rows import csv_answer, csv_rows
from holdfast.runtime.json_rows import decoded, invocations, lines, plain_rows
from holdfast.runtime.open_inference import answer_tensors, outputs, require_outputs, tensor_rows
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.sent import ARROW, CONTENT_TYPES, CSV, JSON, JSON_LINES, PARQUET, Sent

__all__ = ["INVOCATIONS", "PREDICT", "SHAPES", "TABLE", "V2", "answer_body", "outputs", "table_in"]

TABLE = "table"
INVOCATIONS = "invocations"
PREDICT = "predict"
V2 = "v2"
SHAPES = (TABLE, INVOCATIONS, PREDICT, V2)

_AS_JSON = Sent()
_NO_COLUMNS = FeatureSchema("rows", ())


def table_in(
    shape: str, body: bytes, sent: Sent = _AS_JSON, schema: FeatureSchema = _NO_COLUMNS
) -> tuple[Table, JsonObject]:
    """The rows of a request, and of the request what its answer needs.

    Args:
        shape: one of `SHAPES`.
        body: the bytes.
        sent: what they are.
        schema: of the version; says what the fields of a CSV mean.

    Raises:
        InvalidInput: they are not what they should be, or none of the shapes.
        UnsupportedMedia: this environment cannot read them.
        TooLarge: too many rows or cells.
    """
    if shape == V2:
        return _tensors(body, sent)
    if sent.kind != JSON:
        return _other(body, sent.kind, schema), {}
    request = decoded(body)
    if shape == INVOCATIONS:
        return invocations(request), {}
    if shape == PREDICT:
        return plain_rows(request), {}
    if not isinstance(request, dict):
        raise InvalidInput("the request is not a JSON object", hint="Send names and columns.")
    return Table.of_columns(request.get("names"), request.get("columns", [])), request


def _other(body: bytes, kind: str, schema: FeatureSchema) -> Table:
    match kind:
        case "csv":
            return csv_rows(body, schema)
        case "jsonl":
            return lines(body)
        case "arrow":
            return arrow_rows(body)
        case "parquet":
            return parquet_rows(body)
    takes = [CONTENT_TYPES[one] for one in (JSON, JSON_LINES, CSV, ARROW, PARQUET)]
    raise UnsupportedMedia(f"this version takes no {kind[:40]!r}", hint=f"Send one of {', '.join(takes)}.", takes=takes)


def _tensors(body: bytes, sent: Sent) -> tuple[Table, JsonObject]:
    if sent.head is None:
        request, tail = decoded(body), None
    elif sent.head > len(body):
        raise InvalidInput(
            f"{sent.head} bytes of JSON were announced, {len(body)} were sent",
            hint="Inference-Header-Content-Length is the length of the JSON before the tensors.",
        )
    else:
        request, tail = decoded(body[: sent.head]), body[sent.head :]
    table = tensor_rows(request, tail)
    request = {key: request[key] for key in ("id", "outputs") if key in request}
    require_outputs(request)
    return table, request


def answer_body(shape: str, answer: Answer, request: JsonObject, stamp: JsonObject, wanted: str = JSON) -> bytes:
    """The bytes of an answer, with the stamp that says which version spoke.

    Args:
        shape: as the request's.
        answer: what the version says.
        request: what `table_in` gave beside the table.
        stamp: model, version and digest.
        wanted: what kind of bytes, where the shape has several. CSV has no place for the stamp: there it stands in the
            headers alone.

    Raises:
        BundleFailed: NaN or infinity, where the answer is JSON.
        UnsupportedMedia: this environment cannot write that kind.
    """
    if shape in {INVOCATIONS, PREDICT} and wanted == CSV:
        return csv_answer(answer, scores=shape == PREDICT)
    if shape in {INVOCATIONS, PREDICT} and wanted == ARROW:
        return arrow_answer(answer, stamp, scores=shape == PREDICT)
    body = _json(shape, answer, request, stamp)
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise BundleFailed(
            "the model answered NaN or infinity, which JSON cannot carry",
            hint="Look at the rows of this request: the model has no finite score for them.",
        ) from error


def _json(shape: str, answer: Answer, request: JsonObject, stamp: JsonObject) -> JsonObject:
    match shape:
        case "invocations":
            return {"predictions": answer.predictions, **stamp}
        case "predict":
            classes: dict[str, Json] = {} if answer.classes is None else {"classes": answer.classes}
            return {"predictions": answer.predictions, "scores": answer.scores, **classes, **stamp}
        case "v2":
            return answer_tensors(answer, request, stamp)
    return answer.to_json()
