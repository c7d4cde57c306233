"""Traces as clients before MLflow 3.2 tell of them: when they begin, and again when they end.

Their spans come as a file, `traces.json`, and are read as one.
"""

from collections.abc import Iterable

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.experiments.trace_rows import Trace
from holdfast.experiments.traces import IN_PROGRESS, NewTrace
from holdfast.web.mlflow.asking import Asked, missing
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.logged_models import pairs
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said
from holdfast.web.mlflow.traces import found_traces, state_of
from holdfast.wire.project import new_id

__all__ = ["ENDPOINTS"]

_ROOT = f"{V2}/traces"
_ONE = f"{_ROOT}/{{trace_id}}"

_UNSPECIFIED = "TRACE_STATUS_UNSPECIFIED"
"""What these clients call a state that nobody said."""


def start(asked: Asked, here: Here) -> JsonObject:
    """A trace that begins."""
    words: JsonObject = {"trace_metadata": dict(pairs(asked, "request_metadata"))}
    new = NewTrace(
        id=new_id(),
        experiment=asked.maybe_text("experiment_id") or "0",
        began_ms=asked.integer("timestamp_ms"),
        lasted_ms=None,
        state=IN_PROGRESS,
        words=words,
        tags=dict(pairs(asked, "tags")),
    )
    return {"trace_info": _told(here.shelf.traces.start(new))}


def end(asked: Asked, here: Here) -> JsonObject:
    """A trace that has ended."""
    there = here.shelf.traces.get(asked.text("trace_id"))
    status = asked.fields.get("status")
    ended = NewTrace(
        id=there.id,
        experiment=str(there.experiment),
        began_ms=there.began_ms,
        lasted_ms=asked.integer("timestamp_ms") - there.began_ms,
        state=state_of(None if status == _UNSPECIFIED else status),
        words={"trace_metadata": dict(pairs(asked, "request_metadata"))},
        tags=dict(pairs(asked, "tags")),
    )
    return {"trace_info": _told(here.shelf.traces.start(ended))}


def get_info(asked: Asked, here: Here) -> JsonObject:
    """A trace without its spans."""
    return {"trace_info": _told(here.shelf.traces.get(asked.text("trace_id")))}


def search(asked: Asked, here: Here) -> JsonObject:
    """The traces of some experiments, without their spans."""
    ids = asked.texts("experiment_ids")
    if not ids:
        raise missing("experiment_ids")
    experiments = [Asked({"experiment_ids": one}).integer("experiment_ids") for one in ids]
    found, more = found_traces(asked, here, experiments)
    traces: Json = [_told(one) for one in found]
    return said(traces=traces or None, next_page_token=more)


def _told(trace: Trace) -> JsonObject:
    return said(
        request_id=trace.id,
        experiment_id=str(trace.experiment),
        timestamp_ms=trace.began_ms,
        execution_time_ms=trace.lasted_ms,
        status=_UNSPECIFIED if trace.state == "STATE_UNSPECIFIED" else trace.state,
        request_metadata=_words(trace.words.get("trace_metadata", {}).items()),
        tags=_words(trace.tags.items()),
    )


def _words(words: Iterable[tuple[str, str]]) -> Json:
    return [{"key": key, "value": value} for key, value in words] or None


ENDPOINTS = (
    Endpoint("POST", _ROOT, Role.CONTRIBUTOR, answers=start),
    Endpoint("GET", _ROOT, Role.VIEWER, answers=search),
    Endpoint("PATCH", _ONE, Role.CONTRIBUTOR, answers=end),
    Endpoint("GET", f"{_ONE}/info", Role.VIEWER, answers=get_info),
)
