"""Assessments of traces: what people, programs and other models thought of an answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.errors import NotFound, UsageError
from holdfast.web.mlflow.asking import Asked, missing
from holdfast.web.mlflow.endpoint import V3, Endpoint
from holdfast.web.mlflow.room import Here
from holdfast.wire.project import new_id

__all__ = ["ENDPOINTS"]

_ALL = f"{V3}/traces/{{trace_id}}/assessments"
_ONE = f"{_ALL}/{{assessment_id}}"

_OF_TRACE_MAX = 1000
"""They are told with every trace."""

_CHANGED = frozenset({"assessment_name", "expectation", "feedback", "rationale", "metadata", "valid"})
"""What of an assessment may change."""

_CAPITAL = re.compile(r"([A-Z])")


def create(asked: Asked, here: Here) -> JsonObject:
    """Adds an assessment to a trace."""
    given = asked.part("assessment")
    if given is None:
        raise missing("assessment")
    given.text("assessment_name")
    trace, now = asked.text("trace_id"), _now()
    made: JsonObject = {"create_time": now, "last_update_time": now, "valid": True, **given.fields}
    made |= {"assessment_id": given.maybe_text("assessment_id") or f"a-{new_id()}", "trace_id": trace}

    def change(there: list[JsonObject]) -> list[JsonObject]:
        if len(there) >= _OF_TRACE_MAX:
            raise UsageError(f"A trace has at most {_OF_TRACE_MAX} assessments", hint="Delete some.")
        over = given.maybe_text("overrides")
        if over:
            _found(there, trace, over)["valid"] = False
        return [*(one for one in there if one.get("assessment_id") != made["assessment_id"]), made]

    _change(here, trace, change)
    return {"assessment": made}


def get(asked: Asked, here: Here) -> JsonObject:
    """One assessment."""
    trace, id_ = asked.text("trace_id"), asked.text("assessment_id")
    return {"assessment": _found(_of(here.shelf.traces.get(trace).words), trace, id_)}


def update(asked: Asked, here: Here) -> JsonObject:
    """Changes what the mask names of an assessment."""
    given, trace, id_ = asked.part("assessment"), asked.text("trace_id"), asked.text("assessment_id")
    if given is None:
        raise missing("assessment")
    names = {_CAPITAL.sub(r"_\1", name).lower() for name in asked.text("update_mask").split(",")} & _CHANGED
    changed: JsonObject = {}

    def change(there: list[JsonObject]) -> list[JsonObject]:
        one = _found(there, trace, id_)
        for name in sorted(names):
            one[name] = _over(one.get(name), given.fields.get(name), adds=name == "metadata")
        one["last_update_time"] = _now()
        changed.update({name: value for name, value in one.items() if value is not None})
        return there

    _change(here, trace, change)
    return {"assessment": changed}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Takes an assessment away; the one that it was put over holds again."""
    trace, id_ = asked.text("trace_id"), asked.text("assessment_id")

    def change(there: list[JsonObject]) -> list[JsonObject]:
        gone = _found(there, trace, id_)
        for one in there:
            if one.get("assessment_id") == gone.get("overrides"):
                one["valid"] = True
        return [one for one in there if one is not gone]

    _change(here, trace, change)
    return {}


def _change(here: Here, trace: str, change: Callable[[list[JsonObject]], list[JsonObject]]) -> None:
    def words(before: JsonObject) -> JsonObject:
        found: Json = list(change(_of(before)))
        return {**before, "assessments": found}

    here.shelf.traces.change_words(trace, words)


def _of(words: JsonObject) -> list[JsonObject]:
    found = words.get("assessments")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _found(there: list[JsonObject], trace: str, id_: str) -> JsonObject:
    for one in there:
        if one.get("assessment_id") == id_:
            return one
    raise NotFound(
        f"Assessment with ID '{id_[:80]}' not found for trace '{trace}'", hint="Look at the assessments of the trace."
    )


def _over(before: Json, value: Json, *, adds: bool) -> Json:
    """The new value of a field; words of metadata come to those that are there."""
    return {**before, **value} if adds and isinstance(before, dict) and isinstance(value, dict) else value


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


ENDPOINTS = (
    Endpoint("POST", _ALL, Role.CONTRIBUTOR, answers=create),
    Endpoint("GET", _ONE, Role.VIEWER, answers=get),
    Endpoint("PATCH", _ONE, Role.CONTRIBUTOR, answers=update),
    Endpoint("DELETE", _ONE, Role.CONTRIBUTOR, answers=delete),
)
