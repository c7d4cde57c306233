"""Traces: what happened inside of one call of an application, as a tree of spans.

Two tell of a trace, in any order: the client, once the call is over, in words; and its spans, as they end. What the
client says itself holds over what its spans let one guess.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, select, update

from holdfast.canonical import Json, JsonObject
from holdfast.database.engine import Database
from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.experiments.free_names import take_turns, why_frozen
from holdfast.experiments.logged import FILES
from holdfast.experiments.moments import check_moment
from holdfast.experiments.paths import bounds
from holdfast.experiments.places import once_served
from holdfast.experiments.standing import active_experiment, active_run
from holdfast.experiments.tables import experiments, frozen_files, run_files, trace_tags, traces
from holdfast.experiments.trace_rows import Trace, locked, made, no_trace, set_tags, some, traces_of, written

__all__ = [
    "HERE",
    "IN_PROGRESS",
    "LINKED_MAX",
    "PLACE",
    "SPANS_PLACE",
    "NewTrace",
    "Span",
    "SqlTraces",
]

IN_PROGRESS = "IN_PROGRESS"
"""The state of a trace whose outermost span has not ended."""

PLACE = "mlflow.artifactLocation"
"""The tag that says where files of a trace are."""

SPANS_PLACE = "mlflow.trace.spansLocation"
"""The tag that says where its spans are: clients that do not find it upload them as a file."""

HERE = "TRACKING_STORE"
"""The value of that tag once spans are in the database."""

LINKED_MAX = 100
"""Traces of one request that links them to a run."""

_SPANS_MAX = 10_000
"""Of one trace: they are one value, and are told whole."""

_SPANS_CHARACTERS_MAX = 64 << 20
"""Of all spans of one trace together: twice what one request brings."""

_TRACES_MAX = 1_000
"""Of one request with spans: twice what clients send at once. Each takes a few statements; a file has one writer."""

_SOURCE_RUN = "mlflow.sourceRun"


_REMOVE_FILES = delete(run_files).where(
    run_files.c.path > bindparam("low"),
    run_files.c.path < bindparam("high"),
    ~exists().where(frozen_files.c.path > bindparam("low"), frozen_files.c.path < bindparam("high")),
)


@dataclass(frozen=True, slots=True)
class NewTrace:
    """What a client says of a trace that is over.

    Attributes:
        id: that the client gave it.
        experiment: id of the experiment that it belongs to.
        began_ms: when it began.
        lasted_ms: how long it took; None where nobody knows.
        state: `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
        words: `client_request_id`, `request_preview`, `response_preview`, `trace_metadata`, `assessments`, where given.
        tags: of any kind.
    """

    id: str
    experiment: str
    began_ms: int
    lasted_ms: int | None
    state: str
    words: JsonObject
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a trace.

    Attributes:
        trace: id of the trace.
        id: within the trace.
        parent: id of the span that it is a step of; None for the outermost.
        began_ns: nanoseconds since 1970.
        ended_ns: as `began_ns`; None while it goes on.
        failed: whether it ended with an error.
        written: the span whole, as OTLP writes it in JSON.
        words: what the outermost span lets one guess of the trace, as `NewTrace.words`.
        tags: that the outermost span gives the trace.
    """

    trace: str
    id: str
    parent: str | None
    began_ns: int
    ended_ns: int | None
    failed: bool
    written: JsonObject
    words: JsonObject = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class SqlTraces:
    """The traces of a database.

    Args:
        database: at the schema of this Holdfast.
        require_default: makes the experiment that is always there.
    """

    def __init__(self, database: Database, require_default: Callable[[], None]) -> None:
        self._database = database
        self._require_default = require_default

    def start(self, new: NewTrace) -> Trace:
        """A trace in its client's words, over what its spans said; the same again changes nothing.

        Raises:
            NotFound: there is no such experiment.
            UsageError: the experiment is deleted, or the words cannot be kept; or no calendar has when it began or
                ended, and then nobody could be told of it.
        """
        for moment in (new.began_ms, new.began_ms + (new.lasted_ms or 0)):
            check_moment(moment)
        self._require_default()
        with self._database.change() as connection:
            experiment, place = active_experiment(connection, new.experiment)
            row = made(connection, new.id, experiment, new.began_ms, new.state)
            before = json.loads(row.info)
            words = {**before, **new.words, "final": True}
            words["trace_metadata"] = {**before.get("trace_metadata", {}), **_said(new.words, "trace_metadata")}
            words["assessments"] = _merged(before.get("assessments", []), new.words.get("assessments"))
            run = words["trace_metadata"].get(_SOURCE_RUN) if row.run is None else row.run
            change = {
                "experiment": experiment,
                "run": run if isinstance(run, str) else None,
                "began_ms": new.began_ms,
                "lasted_ms": new.lasted_ms,
                "state": new.state,
                "info": written(words),
            }
            connection.execute(update(traces).where(traces.c.id == new.id).values(change))
            set_tags(connection, new.id, {**new.tags, PLACE: _place_of(place, new.id)})
            return traces_of(connection, [new.id])[0]

    def add_spans(self, experiment: str, spans: Sequence[Span]) -> None:
        """Adds spans to their traces, over those of the same ids; a trace that nobody told of begins with them.

        Raises:
            NotFound: there is no such experiment.
            UsageError: it is deleted.
            TooLarge: a trace would have more spans than it may, or longer ones; or the traces are too many.
        """
        grouped: dict[str, list[Span]] = {}
        for span in spans:
            grouped.setdefault(span.trace, []).append(span)
        if len(grouped) > _TRACES_MAX:
            raise TooLarge(
                f"A request can have spans of at most {_TRACES_MAX} traces, and these are of {len(grouped)}",
                hint="Send them in parts.",
                limit=_TRACES_MAX,
            )
        self._require_default()
        with self._database.change() as connection:
            number, place = active_experiment(connection, experiment)
            for trace in sorted(grouped):
                _add_spans(connection, trace, grouped[trace], number, place)

    def many(self, ids: Sequence[str], *, spans: bool, experiments: Sequence[int] | None = None) -> list[Trace]:
        """These traces in this order, but for those that are not there, or in other experiments."""
        with self._database.view() as connection:
            found = traces_of(connection, list(dict.fromkeys(ids)), spans=spans)
        return found if experiments is None else [one for one in found if one.experiment in set(experiments)]

    def get(self, trace: str, *, spans: bool = False) -> Trace:
        """One trace.

        Raises:
            NotFound: nobody sent it.
        """
        found = self.many([trace], spans=spans)
        if not found:
            raise no_trace(trace)
        return found[0]

    def set_tag(self, trace: str, key: str, value: str) -> None:
        """Sets a tag.

        Raises:
            NotFound: nobody sent the trace.
            UsageError: its name is too long.
        """
        with self._database.change() as connection:
            locked(connection, trace)
            set_tags(connection, trace, {key: value})

    def delete_tag(self, trace: str, key: str) -> None:
        """Takes a tag away.

        Raises:
            NotFound: nobody sent the trace, or it has no such tag.
        """
        with self._database.change() as connection:
            locked(connection, trace)
            gone = delete(trace_tags).where(trace_tags.c.trace == trace, trace_tags.c.key == key)
            if connection.execute(gone).rowcount == 0:
                raise NotFound(f"No trace tag with key '{key}' for trace with ID '{trace}'", hint="Look at its tags.")

    def link(self, run: str, ids: Sequence[str]) -> None:
        """Says that these traces belong to a run; of those that are not there nothing is said.

        Raises:
            NotFound: there is no such run.
            UsageError: there are too many at once, or the run is deleted.
        """
        if len(ids) > LINKED_MAX:
            raise UsageError(
                f"Cannot link more than {LINKED_MAX} traces to a run in a single request. Provided {len(ids)} traces.",
                hint="Link them in parts.",
            )
        with self._database.change() as connection:
            active_run(connection, run)
            connection.execute(update(traces).where(traces.c.id.in_(ids)).values(run=run))

    def delete(self, experiment: int, ids: Sequence[str], before_ms: int | None, limit: int | None) -> int:
        """Deletes traces of an experiment for good: what people said to an application may have to be forgotten.

        Args:
            experiment: number of it.
            ids: these alone; all, where it is empty.
            before_ms: that began then or before.
            limit: the oldest ones, as many as this.

        Returns:
            How many there were.
        """
        chosen = select(traces.c.id).where(traces.c.experiment == experiment)
        if before_ms is not None:
            chosen = chosen.where(traces.c.began_ms <= before_ms)
        if ids:
            chosen = chosen.where(traces.c.id.in_(ids))
        chosen = chosen.order_by(traces.c.began_ms, traces.c.id).limit(limit)
        with self._database.change() as connection:
            found = list(connection.scalars(chosen))
            for part in some(found):
                connection.execute(delete(trace_tags).where(trace_tags.c.trace.in_(part)))
                connection.execute(delete(traces).where(traces.c.id.in_(part)))
            _forget_files(connection, experiment, found)
        return len(found)

    def change_words(self, trace: str, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
        """The words of a trace, as `change` gives them.

        Raises:
            NotFound: nobody sent the trace.
            UsageError: the words cannot be kept.
        """
        with self._database.change() as connection:
            words = change(json.loads(locked(connection, trace).info))
            connection.execute(update(traces).where(traces.c.id == trace).values(info=written(words)))
        return words


def _add_spans(connection: Connection, trace: str, spans: Sequence[Span], experiment: int, place: str) -> None:
    began_ms = min(span.began_ns for span in spans) // 1_000_000
    row = made(connection, trace, experiment, began_ms, IN_PROGRESS)
    words = json.loads(row.info)
    there = {one["span_id"]: one for one in json.loads(row.spans or "[]")}
    there |= {str(span.written["span_id"]): span.written for span in spans}
    if len(there) > _SPANS_MAX:
        raise TooLarge(
            f"The trace {trace} has more than {_SPANS_MAX} spans", hint="Trace smaller pieces.", limit=_SPANS_MAX
        )
    root = next((span for span in spans if span.parent is None), None)
    tags = {} if root is None else dict(root.tags)
    change: dict[str, Any] = {"spans": written(sorted(there.values(), key=_in_order), _SPANS_CHARACTERS_MAX)}
    if not words.get("final"):
        change |= _guessed(row, spans, root)
    if root is not None:
        words = {**root.words, **words}
    connection.execute(update(traces).where(traces.c.id == trace).values(info=written(words), **change))
    set_tags(connection, trace, {**tags, PLACE: _place_of(place, trace), SPANS_PLACE: HERE})


def _forget_files(connection: Connection, experiment: int, ids: Sequence[str]) -> None:
    """Takes away the names of files with the spans of these traces; their bytes go when space is freed.

    What a version was made of stays, wherever its client said that it is.
    """
    place = connection.execute(select(experiments.c.place).where(experiments.c.id == experiment)).scalar_one_or_none()
    if not ids or place is None or not place.startswith(FILES):
        return
    take_turns(connection, "")
    for id_ in ids:
        folder = once_served(_place_of(place, id_))
        if folder and why_frozen(connection, folder) is None:
            low, high = bounds(folder)
            connection.execute(_REMOVE_FILES, {"low": low, "high": high})


def _guessed(row: Row[Any], spans: Sequence[Span], root: Span | None) -> dict[str, Any]:
    """When a trace began, how long it took and how it ended, as far as its spans tell."""
    began_ms = min(row.began_ms, *(span.began_ns // 1_000_000 for span in spans))
    ends = [span.ended_ns // 1_000_000 for span in spans if span.ended_ns is not None]
    if row.lasted_ms is not None:
        ends.append(row.began_ms + row.lasted_ms)
    guessed: dict[str, Any] = {"began_ms": began_ms, "lasted_ms": max(ends) - began_ms if ends else None}
    if root is not None and row.state == IN_PROGRESS:
        guessed["state"] = "ERROR" if root.failed else "OK"
    return guessed


def _in_order(span: JsonObject) -> tuple[bool, int]:
    """The outermost span first, then as they began."""
    began = span.get("start_time_unix_nano")
    return bool(span.get("parent_span_id")), int(str(began or 0))


def _merged(before: Sequence[JsonObject], given: Json) -> list[Json]:
    """The assessments, with those that are given over those of the same ids."""
    found = given if isinstance(given, list) else []
    ids = {one.get("assessment_id") for one in found if isinstance(one, dict)}
    return [*(one for one in before if one.get("assessment_id") not in ids), *found]


def _said(words: JsonObject, name: str) -> JsonObject:
    found = words.get(name)
    return found if isinstance(found, dict) else {}


def _place_of(place: str, trace: str) -> str:
    return f"{place.rstrip('/')}/traces/{trace}/artifacts"
