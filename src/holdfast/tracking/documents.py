"""Runs as JSON documents, as they travel between a server and those who ask it.

What a value says of itself is its own `to_json`; here is the way back:

    run(Reader(found.to_json(), "run")) == found
"""

from holdfast.canonical import Json, JsonObject, Reader, plain
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.errors import UnsupportedFormat
from holdfast.names import ModelName
from holdfast.tracking.values import NewRun, Point, Run, RunInput, RunStatus

__all__ = ["asked_run", "point", "run", "run_input", "value"]

_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def run(found: Reader) -> Run:
    """A run as it stood."""
    model, finished_at = found.maybe_text("model"), found.maybe_text("finished_at")
    return Run(
        id=found.text("id"),
        model=None if model is None else ModelName(model),
        name=found.text("name"),
        status=RunStatus(found.text("status")),
        started_at=from_text(found.text("started_at")),
        finished_at=None if finished_at is None else from_text(finished_at),
        actor=found.text("actor"),
        params=found.mapping("params"),
        metrics={name: value(said) for name, said in found.mapping("metrics").items()},
        tags=found.words("tags"),
        inputs=tuple(run_input(Reader(one, "input")) for one in found.items("inputs")),
        notes=found.text("notes"),
        experiment=found.maybe_text("experiment"),
    )


def run_input(found: Reader) -> RunInput:
    """Data that a run read."""
    digest = found.maybe_text("digest")
    return RunInput(
        role=found.text("role"),
        name=found.text("name"),
        digest=None if digest is None else Digest.parse(digest),
        source=found.text("source"),
        files=found.maybe_integer("files"),
        bytes=found.maybe_integer("bytes"),
    )


def point(found: Reader) -> Point:
    """One value of one metric."""
    time = found.maybe_text("time")
    return Point(
        name=found.text("name"),
        value=value(found.any("value")),
        step=found.integer("step"),
        time=None if time is None else from_text(time),
    )


def asked_run(new: NewRun) -> JsonObject:
    """What asks for a run to begin."""
    return {
        "name": new.name,
        "model": None if new.model is None else str(new.model),
        "params": plain(new.params),
        "tags": dict(new.tags),
        "notes": new.notes,
    }


def value(said: Json) -> float:
    """The value of a metric, which is a number, or the name of one that JSON lacks.

    Raises:
        UnsupportedFormat: it is neither.
    """
    if isinstance(said, str) and said in _NOT_FINITE:
        return _NOT_FINITE[said]
    if isinstance(said, int | float) and not isinstance(said, bool):
        return float(said)
    raise UnsupportedFormat(f"{said!r} is no value of a metric", hint="The document was not written by Holdfast.")
