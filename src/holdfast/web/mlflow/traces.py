"""Traces: what happened inside of one call of an application, and what was said of it afterwards."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.paging import Place, read_token, token
from holdfast.experiments.trace_rows import Trace
from holdfast.experiments.trace_search import FOUND_MAX, TraceSearch, search_traces
from holdfast.experiments.traces import SPANS_PLACE, NewTrace
from holdfast.web.mlflow.asking import Asked, invalid, missing
from holdfast.web.mlflow.endpoint import V2, V3, Endpoint
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.spans import take_spans
from holdfast.web.mlflow.telling import said

__all__ = ["ENDPOINTS", "found_traces", "state_of", "told"]

_ROOT = f"{V3}/traces"
_ONE = f"{_ROOT}/{{trace_id}}"

_FOUND = 100
"""Traces of one answer where the client does not say how many."""

_ASKED_MAX = 1000
"""Traces that are asked for by their ids, and experiments that are searched."""

_DELETED_MAX = 10_000
"""Traces that one request deletes by their ids: each is a parameter of a statement, and PostgreSQL takes 65,535."""

_ID = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,50}")
"""An id of a trace; it is a part of a path too, and so is none that leads elsewhere."""

_DURATION = re.compile(r"(\d{1,12})(\.\d{1,9})?s")

_STATES = ("STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS")
"""By the numbers of MLflow's protocol."""

_WORDS = ("client_request_id", "request_preview", "response_preview")

_SIZE = "mlflow.trace.sizeStats"
"""Says in JSON how many spans a client has sent, or is about to."""

_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Until the spans of a trace are there whose client has said already that it is over: both are on their way at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start(asked: Asked, here: Here) -> JsonObject:
    """A trace in its client's words, once it is over."""
    trace = asked.part("trace")
    info = None if trace is None else trace.part("trace_info")
    if info is None:
        raise missing("trace")
    place = info.part("trace_location")
    experiment = None if place is None else place.part("mlflow_experiment")
    if experiment is None:
        raise missing("trace_location.mlflow_experiment")
    id_ = info.text("trace_id")
    if _ID.fullmatch(id_) is None:
        raise invalid("trace_id", id_, "An id has up to 50 letters, digits, and any of _.-")
    words: JsonObject = {name: info.maybe_text(name) for name in _WORDS if info.maybe_text(name) is not None}
    words["trace_metadata"] = _texts(info, "trace_metadata")
    words["assessments"] = [{**one.fields, "trace_id": id_} for one in info.items("assessments")]
    new = NewTrace(
        id=id_,
        experiment=experiment.text("experiment_id"),
        began_ms=_moment(info.text("request_time")),
        lasted_ms=_duration(info.maybe_text("execution_duration")),
        state=state_of(info.fields.get("state")),
        words=words,
        tags=_texts(info, "tags"),
    )
    return {"trace": {"trace_info": told(here.shelf.traces.start(new))}}


def get_info(asked: Asked, here: Here) -> JsonObject:
    """A trace without its spans."""
    return {"trace": {"trace_info": told(here.shelf.traces.get(asked.text("trace_id")))}}


def get(asked: Asked, here: Here) -> JsonObject:
    """A trace with its spans, as soon as they are all there."""
    id_, partial = asked.text("trace_id"), asked.flag("allow_partial")
    for pause in (*_PAUSES_SECONDS, None):
        trace = here.shelf.traces.get(id_, spans=True)
        if partial or _is_whole(trace):
            return {"trace": _whole(trace)}
        if pause is not None:
            time.sleep(pause)
    raise NotFound(f"Trace with ID {id_} is not fully exported yet, please try again later.", hint="Ask again.")


def get_many(asked: Asked, here: Here) -> JsonObject:
    """Traces with their spans; of those that are not whole yet nothing is told."""
    found = here.shelf.traces.many(_ids(asked), spans=True, experiments=_within(asked))
    traces: Json = [_whole(one) for one in found if _is_whole(one)]
    return said(traces=traces or None)


def get_infos(asked: Asked, here: Here) -> JsonObject:
    """Traces without their spans."""
    found = here.shelf.traces.many(_ids(asked), spans=False, experiments=_within(asked))
    infos: Json = [told(one) for one in found]
    return said(trace_infos=infos or None)


def search(asked: Asked, here: Here) -> JsonObject:
    """The traces of some experiments, without their spans."""
    places = [one.part("mlflow_experiment") for one in asked.items("locations")]
    if not places:
        raise missing("locations")
    found, more = found_traces(asked, here, [one.integer("experiment_id") for one in places if one is not None])
    traces: Json = [told(one) for one in found]
    return said(traces=traces or None, next_page_token=more)


def found_traces(asked: Asked, here: Here, experiments: Sequence[int]) -> tuple[list[Trace], str | None]:
    """One page of what a search finds, and the token of the next one.

    Raises:
        UsageError: the search cannot be read.
    """
    limit = asked.integer("max_results", _FOUND)
    if limit < 1:
        raise invalid("max_results", limit, f"It must be a positive integer, but got {limit}")
    if limit > FOUND_MAX:
        raise invalid("max_results", limit, f"It must be at most {FOUND_MAX}, but got value {limit}")
    if len(experiments) > _ASKED_MAX:
        raise invalid("experiment_ids", len(experiments), f"At most {_ASKED_MAX} can be searched at once")
    offset = read_token(asked.maybe_text("page_token")).offset
    wanted = TraceSearch(
        experiments=experiments,
        filter=asked.maybe_text("filter") or "",
        orders=asked.texts("order_by"),
        limit=limit + 1,
        offset=offset,
    )
    found = search_traces(here.shelf.database, wanted)
    more = token(Place(offset=offset + limit)) if len(found) > limit else None
    return found[:limit], more


def delete(asked: Asked, here: Here) -> JsonObject:
    """Deletes traces for good."""
    experiment, ids = asked.integer("experiment_id"), asked.texts("request_ids")
    before, limit = asked.maybe_integer("max_timestamp_millis"), asked.maybe_integer("max_traces")
    if not ids and before is None:
        message = "Either `max_timestamp_millis` or `trace_ids` must be specified."
        raise UsageError(message, hint="Say which.")
    if ids and (before is not None or limit is not None):
        message = "`max_timestamp_millis` and `max_traces` cannot be specified along with `trace_ids`."
        raise UsageError(message, hint="Say the one or the other.")
    if len(ids) > _DELETED_MAX:
        raise UsageError(
            f"At most {_DELETED_MAX} traces can be deleted at once, and {len(ids)} are named.", hint="Ask in parts."
        )
    if limit is not None and limit < 1:
        raise UsageError(f"`max_traces` must be a positive integer, received {limit}.", hint="Say how many.")
    return {"traces_deleted": here.shelf.traces.delete(experiment, ids, before, limit)}


def set_tag(asked: Asked, here: Here) -> JsonObject:
    """Sets a tag."""
    here.shelf.traces.set_tag(asked.text("trace_id"), _tag(asked), asked.maybe_text("value") or "")
    return {}


def delete_tag(asked: Asked, here: Here) -> JsonObject:
    """Takes a tag away."""
    here.shelf.traces.delete_tag(asked.text("trace_id"), _tag(asked))
    return {}


def link(asked: Asked, here: Here) -> JsonObject:
    """Says that traces belong to a run."""
    ids = asked.texts("trace_ids")
    if not ids:
        raise missing("trace_ids")
    here.shelf.traces.link(asked.text("run_id"), ids)
    return {}


def link_prompts(asked: Asked, here: Here) -> JsonObject:
    """Says which prompts a trace used."""
    prompts = [{"name": one.text("name"), "version": one.text("version")} for one in asked.items("prompt_versions")]
    here.shelf.traces.set_tag(asked.text("trace_id"), "mlflow.linkedPrompts", json.dumps(prompts))
    return {}


def told(trace: Trace) -> JsonObject:
    """A trace as MLflow's protocol tells it, without its spans."""
    words = trace.words
    return said(
        trace_id=trace.id,
        client_request_id=words.get("client_request_id"),
        trace_location={
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": str(trace.experiment)},
        },
        request_preview=words.get("request_preview"),
        response_preview=words.get("response_preview"),
        request_time=_written(trace.began_ms),
        execution_duration=None if trace.lasted_ms is None else f"{trace.lasted_ms / 1000:.3f}s",
        state=trace.state,
        trace_metadata=words.get("trace_metadata") or None,
        tags=dict(trace.tags) or None,
        assessments=words.get("assessments") or None,
    )


def _whole(trace: Trace) -> JsonObject:
    spans: Json = list(trace.spans)
    return said(trace_info=told(trace), spans=spans or None)


def _is_whole(trace: Trace) -> bool:
    try:
        stats = json.loads(trace.words.get("trace_metadata", {}).get(_SIZE, "{}"))
        wanted = int(stats.get("num_spans", 1))
    except (ValueError, TypeError, AttributeError, OverflowError):
        wanted = 1
    return SPANS_PLACE in trace.tags and len(trace.spans) >= max(wanted, 1)


def _ids(asked: Asked) -> Sequence[str]:
    ids = asked.texts("trace_ids")
    if not ids:
        raise missing("trace_ids")
    if len(ids) > _ASKED_MAX:
        raise invalid("trace_ids", len(ids), f"At most {_ASKED_MAX} can be asked for at once")
    return ids


def _within(asked: Asked) -> list[int] | None:
    if "experiment_ids" not in asked.fields:
        return None
    return [Asked({"experiment_ids": one}).integer("experiment_ids") for one in asked.texts("experiment_ids")]


def _tag(asked: Asked) -> str:
    key = asked.text("key")
    if key == SPANS_PLACE:
        raise UsageError(f"Tag '{key}' is immutable and cannot be set on a trace.", hint="Take another name.")
    return key


def _texts(asked: Asked, name: str) -> Mapping[str, str]:
    found = asked.fields.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise invalid(name, found)
    return found


def state_of(value: Json) -> str:
    """The state that a client names, or its number.

    Raises:
        UsageError: there is no such state.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_STATES):
        return _STATES[value]
    if value is None or value in _STATES:
        return str(value or _STATES[0])
    raise invalid("state", value)


def _moment(written: str) -> int:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise invalid("request_time", written, "It is no moment") from error
    if moment.tzinfo is None:
        raise invalid("request_time", written, "It has no time zone")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _written(moment_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=moment_ms)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _duration(written: str | None) -> int | None:
    if not written:
        return None
    found = _DURATION.fullmatch(written)
    if found is None:
        raise invalid("execution_duration", written, "It is no duration")
    return int(found[1]) * 1000 + round(float(found[2] or 0) * 1000)


ENDPOINTS = (
    Endpoint("POST", _ROOT, Role.CONTRIBUTOR, answers=start),
    Endpoint("GET", f"{_ROOT}/get", Role.VIEWER, answers=get),
    Endpoint("GET", f"{_ROOT}/batchGet", Role.VIEWER, answers=get_many),
    Endpoint("POST", f"{_ROOT}/batchGetInfos", Role.VIEWER, answers=get_infos),
    Endpoint("POST", f"{_ROOT}/search", Role.VIEWER, answers=search),
    Endpoint("GET", _ONE, Role.VIEWER, answers=get_info),
    *(
        endpoint
        for root in (_ROOT, f"{V2}/traces")
        for endpoint in (
            Endpoint("POST", f"{root}/delete-traces", Role.CONTRIBUTOR, answers=delete),
            Endpoint("PATCH", f"{root}/{{trace_id}}/tags", Role.CONTRIBUTOR, answers=set_tag),
            Endpoint("DELETE", f"{root}/{{trace_id}}/tags", Role.CONTRIBUTOR, answers=delete_tag),
        )
    ),
    Endpoint("POST", f"{V2}/traces/link-to-run", Role.CONTRIBUTOR, answers=link),
    Endpoint("POST", f"{V2}/traces/link-prompts", Role.CONTRIBUTOR, answers=link_prompts),
    Endpoint("POST", "/v1/traces", Role.CONTRIBUTOR, streams=take_spans),
)
