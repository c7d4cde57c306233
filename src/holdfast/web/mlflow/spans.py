"""Spans as the OpenTelemetry protocol brings them: `POST /v1/traces`, in protobuf or in JSON.

Source: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP". A span is kept as protobuf's JSON writes it, under the names of
the protocol's fields, for so MLflow's clients are told of it again.
"""

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from holdfast.canonical import JsonObject
from holdfast.errors import MissingExtra, TooLarge, UsageError
from holdfast.experiments.traces import Span
from holdfast.web.mlflow.asking import missing
from holdfast.web.mlflow.room import Here

__all__ = ["BODY_BYTES_MAX", "read_spans", "take_spans"]

BODY_BYTES_MAX = 32 << 20
"""As it comes and when it is unpacked: clients send some hundred spans at once, of some kilobytes each."""

_SPANS_MAX = 20_000
"""Of one request: bare ones of thirty bytes would be a million, and each takes fifty times as much when it is read."""

_PREVIEW_CHARACTERS = 1000
"""Of what went into a trace and came out of it, as many are told in lists, as MLflow tells them."""

_EXPERIMENT = "x-mlflow-experiment-id"
_RUN = "x-mlflow-run-id"

_IDS = ("traceId", "spanId", "parentSpanId")
"""Written in hexadecimal digits by OTLP's JSON, unlike all other bytes."""

_NANOSECONDS = ("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano")
"""64-bit integers, which protobuf's JSON writes as texts and MLflow as numbers."""

_TAG = "mlflow.traceTag."
_SESSION = ("session.id", "gen_ai.conversation.id")

_TRACE_BYTES = 16
_SPAN_BYTES = 8


async def take_spans(request: Request, here: Here) -> Response:
    """Takes spans that have ended."""
    experiment = request.headers.get(_EXPERIMENT)
    if not experiment:
        raise missing(_EXPERIMENT)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in {"application/x-protobuf", "application/json"}:
        raise UsageError(
            f"Invalid Content-Type: {kind[:100]}. Expected: application/x-protobuf or application/json",
            hint="Send one of them.",
            mlflow="BAD_REQUEST",
        )
    body = _unpacked(await _body(request), request.headers.get("content-encoding", "").lower())
    run = request.headers.get(_RUN)
    await run_in_threadpool(_keep, here, experiment, run, body, kind == "application/json")
    # What is answered is a message without a field, in the words that were asked in.
    return Response(b"{}" if kind == "application/json" else b"", media_type=kind)


def _keep(here: Here, experiment: str, run: str | None, body: bytes, is_json: bool) -> None:
    spans = read_spans(body, is_json=is_json)
    here.shelf.traces.add_spans(experiment, spans)
    if run:
        roots = list(dict.fromkeys(span.trace for span in spans if span.parent is None))
        here.shelf.traces.link(run, roots)


def read_spans(body: bytes, *, is_json: bool) -> list[Span]:
    """The spans of an `ExportTraceServiceRequest`.

    Raises:
        UsageError: it is none, or has no spans, or one without an id.
        TooLarge: it has too many.
        MissingExtra: what reads them is not installed.
    """
    try:
        from google.protobuf.json_format import MessageToDict, Parse, ParseError
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        # In MLflow's words: by them its clients know that they have to upload their spans as files.
        raise MissingExtra(
            "REST OTLP span logging is not supported by this server: opentelemetry-proto is not installed",
            hint="Install it there: pip install 'holdfast[tracing]'",
            mlflow="NOT_IMPLEMENTED",
        ) from error
    message = ExportTraceServiceRequest()
    try:
        if is_json:
            Parse(_with_bytes(body), message, ignore_unknown_fields=True)
        else:
            message.ParseFromString(body)
        count = sum(len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans)
        if count > _SPANS_MAX:
            raise TooLarge(
                f"A request can have at most {_SPANS_MAX} spans, and this has {count}",
                hint="Send them in parts.",
                limit=_SPANS_MAX,
            )
        found = [
            _span(span, MessageToDict(span, preserving_proto_field_name=True))
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    except (DecodeError, ParseError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise _invalid("Invalid OpenTelemetry format") from error
    if not found:
        raise _invalid("Invalid OpenTelemetry format - no spans found")
    return found


def _with_bytes(body: bytes) -> str:
    """OTLP's JSON as protobuf's: ids in base64."""
    said = json.loads(body)
    for resource in said.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for name in _IDS:
                    if span.get(name):
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json.dumps(said)


def _span(span: Any, written: JsonObject) -> Span:
    if len(span.trace_id) != _TRACE_BYTES or len(span.span_id) != _SPAN_BYTES:
        raise _invalid("Cannot convert OpenTelemetry span to MLflow span: its ids are not 16 and 8 bytes long")
    for one in (written, *written.get("events", [])):
        for name in _NANOSECONDS:
            if name in one:
                one[name] = int(one[name])
    root = not span.parent_span_id
    attributes = _named(written.get("attributes", [])) if root else {}
    return Span(
        trace=f"tr-{span.trace_id.hex()}",
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex() or None,
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano or None,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        written=written,
        words=_words(attributes),
        tags={key.removeprefix(_TAG): str(value) for key, value in attributes.items() if key.startswith(_TAG)},
    )


def _words(attributes: JsonObject) -> JsonObject:
    """What the attributes of the outermost span say of the whole trace."""
    previews = {"request_preview": "mlflow.spanInputs", "response_preview": "mlflow.spanOutputs"}
    words: JsonObject = {name: _preview(attributes[key]) for name, key in previews.items() if key in attributes}
    metadata = {
        "mlflow.trace.session": _first(attributes, _SESSION),
        "mlflow.trace.user": _first(attributes, ("user.id",)),
    }
    said = {key: str(value) for key, value in metadata.items() if value is not None}
    return words | ({"trace_metadata": said} if said else {})


def _first(attributes: JsonObject, names: Iterable[str]) -> Any:
    return next((attributes[name] for name in names if name in attributes), None)


def _preview(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _PREVIEW_CHARACTERS else f"{shown[: _PREVIEW_CHARACTERS - 3]}..."


def _plain(value: JsonObject) -> Any:
    """An attribute's value without the name of its kind."""
    if "array_value" in value:
        return [_plain(one) for one in value["array_value"].get("values", [])]
    if "kvlist_value" in value:
        return _named(value["kvlist_value"].get("values", []))
    if "int_value" in value:
        return int(value["int_value"])
    return next(iter(value.values()), None)


def _named(attributes: Iterable[JsonObject]) -> JsonObject:
    """Attributes by their keys; an empty key is not written at all."""
    return {one.get("key", ""): _plain(one.get("value", {})) for one in attributes}


async def _body(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        pieces.append(piece)
    return b"".join(pieces)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression, and never more of it than may be."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate"}:
        raise _invalid(f"Unsupported Content-Encoding: {encoding[:40]}")
    unpacking = zlib.decompressobj(wbits=47)
    try:
        found = unpacking.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise _invalid(f"The body is not packed as {encoding} says") from error
    if len(found) > BODY_BYTES_MAX:
        raise _too_large()
    return found


def _invalid(message: str) -> UsageError:
    return UsageError(message, hint="Send an ExportTraceServiceRequest of OTLP.", mlflow="BAD_REQUEST")


def _too_large() -> TooLarge:
    return TooLarge(
        f"Spans of one request may have {BODY_BYTES_MAX} bytes", hint="Send them in parts.", limit=BODY_BYTES_MAX
    )
