"""Tracking in an SQL database."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, bindparam, insert, select, text, update

from holdfast.canonical import Json, encode, plain
from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.database.times import to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.tracking import limits, reading
from holdfast.tracking.grammar import parse_filter, parse_order
from holdfast.tracking.interface import POINTS_MAX, RUNS_MAX
from holdfast.tracking.points import NewPoint
from holdfast.tracking.points import add as add_points
from holdfast.tracking.search import statement as searching
from holdfast.tracking.tables import run_inputs, run_params, run_tags, runs
from holdfast.tracking.values import NewRun, Point, Run, RunInput, RunStatus

__all__ = ["SqlTracking"]

_T = TypeVar("_T")

_ID_CHARACTERS = 32
"""As long as other ids of runs: 128 bits, which nobody meets by chance."""

_STATUS = select(runs.c.status).where(runs.c.id == bindparam("run"))

# The row of the run is locked first by whoever changes the run, so that whoever logs to it, or ends it, takes turns:
# what is read behind the lock is as the one before left it. SQLite has one writer anyway, and no such words.
_STATUS_LOCKED = _STATUS.with_for_update(key_share=True)
_HELD_LOCKED = _STATUS.add_columns(runs.c.experiment).with_for_update(key_share=True)

# Whoever begins a run on a server is alone with its id: the same request may be under way elsewhere.
_ALONE = text("SELECT pg_advisory_xact_lock(:lock)")

_LOCK_CHARACTERS = 15
"""Of an id, as many as fit into the 64 bits of a lock with its sign."""

_SET_TAG = text(
    "INSERT INTO run_tags (run, key, value, text) VALUES (:run, :key, :value, :text) "
    "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, text = excluded.text"
)


_INPUT_DIGESTS = select(run_inputs.c.run, run_inputs.c.digest).where(run_inputs.c.digest.is_not(None))

_TAG_DIGESTS = select(run_tags.c.run, run_tags.c.value).where(
    run_tags.c.key.like("holdfast.%"), run_tags.c.value.like("sha256:" + 64 * "_")
)


class SqlTracking:
    """A `Tracking` in a database; it keeps no state of its own, so that any number may share one file.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        new_id: gives an id that no run has had.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    def start_run(self, new: NewRun, actor: str, *, key: str | None = None) -> Run:
        """See `Tracking.start_run`."""
        if not actor:
            raise UsageError("nobody was named as the actor", hint="Say who runs it: every run carries a name.")
        limits.check_size("the name of who starts a run", len(actor), limits.NAME_CHARACTERS_MAX)
        limits.check_size("the name of a run", len(new.name), limits.NAME_CHARACTERS_MAX)
        limits.check_size("the notes of a run", len(new.notes), limits.NOTES_CHARACTERS_MAX)
        limits.check_size("the idempotency key", len(key or ""), limits.KEY_CHARACTERS_MAX)
        row = {
            "id": self._new_id() if key is None else _id_of(key),
            "model": None if new.model is None else str(new.model),
            "name": new.name,
            "status": str(RunStatus.RUNNING),
            "started_at": to_text(self._clock()),
            "actor": actor,
            "notes": new.notes,
        }
        return self._changed(lambda connection: _start(connection, row, new))

    def log_params(self, run: str, params: Mapping[str, Json]) -> None:
        """See `Tracking.log_params`."""

        def work(connection: Connection) -> None:
            _require_open(connection, run)
            _add_params(connection, run, params)

        self._changed(work)

    def log_metrics(
        self, run: str, values: Mapping[str, float], *, step: int = 0, time: datetime | None = None
    ) -> None:
        """See `Tracking.log_metrics`."""
        self.log_points(run, (Point(name, value, step, time) for name, value in values.items()))

    def log_points(self, run: str, points: Iterable[Point]) -> None:
        """See `Tracking.log_points`."""
        given = list(islice(points, POINTS_MAX + 1))
        limits.check_count("points", len(given), POINTS_MAX)
        now = to_text(self._clock())
        fresh = [_point(point, now) for point in given]

        def work(connection: Connection) -> None:
            _require_open(connection, run)
            add_points(connection, run, fresh)

        self._changed(work)

    def history(self, run: str, metric: str) -> tuple[Point, ...]:
        """See `Tracking.history`."""
        with self._database.view() as connection:
            found = reading.history(connection, run, metric)
            if not found:
                _require(connection, run)
            return found

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """See `Tracking.set_tags`."""

        def work(connection: Connection) -> None:
            _require_open(connection, run)
            _set_tags(connection, run, tags)

        self._changed(work)

    def log_inputs(self, run: str, inputs: Iterable[RunInput]) -> None:
        """See `Tracking.log_inputs`."""
        given = list(islice(inputs, limits.KEYS_MAX + 1))
        limits.check_count("inputs", len(given), limits.KEYS_MAX)
        for one in given:
            limits.check_input(one)

        def work(connection: Connection) -> None:
            _require_open(connection, run)
            _add_inputs(connection, run, given)

        self._changed(work)

    def finish_run(self, run: str, status: RunStatus, *, notes: str | None = None) -> Run:
        """See `Tracking.finish_run`."""
        if status in {RunStatus.RUNNING, RunStatus.SCHEDULED}:
            raise UsageError(f"a run cannot end as {status}", hint="Say finished, failed or killed.")
        limits.check_size("the notes of a run", len(notes or ""), limits.NOTES_CHARACTERS_MAX)
        change: dict[str, str] = {"status": str(status), "finished_at": to_text(self._clock())}
        if notes is not None:
            change["notes"] = notes
        return self._changed(lambda connection: _finish(connection, run, change))

    def _changed(self, work: Callable[[Connection], _T]) -> _T:
        """What the work gives, which is done again when the answer to its commit was lost: twice is as good as once."""

        def once() -> _T:
            with self._database.change() as connection:
                return work(connection)

        return insisted(once)

    def run(self, run: str) -> Run:
        """See `Tracking.run`."""
        with self._database.view() as connection:
            _require(connection, run)
            return reading.one(connection, run)

    def search(self, filter: str = "", *, order_by: str = "", limit: int = 100) -> tuple[Run, ...]:  # noqa: A002
        """See `Tracking.search`."""
        if not 1 <= limit <= RUNS_MAX:
            raise UsageError(f"{limit} runs cannot be asked for at once", hint=f"Ask for 1 to {RUNS_MAX}.", place=0)
        wanted, orders = parse_filter(filter), parse_order(order_by)
        with self._database.view() as connection:
            return reading.many(connection, list(connection.scalars(searching(wanted, orders, limit))))

    def digests(self) -> tuple[tuple[str, Digest], ...]:
        """See `Tracking.digests`."""
        with self._database.view() as connection:
            rows = [*connection.execute(_INPUT_DIGESTS), *connection.execute(_TAG_DIGESTS)]
        return tuple(sorted((run, Digest.parse(digest)) for run, digest in {tuple(row) for row in rows}))


def _id_of(key: str) -> str:
    """The id of the run that a key begins: the run itself is what tells that it has begun."""
    return hash_bytes(f"holdfast run\n{key}".encode()).hex[:_ID_CHARACTERS]


def _start(connection: Connection, row: Mapping[str, str | None], new: NewRun) -> Run:
    """Begins the run of this row, or finds it begun by the same request, as far as nothing can have changed it since.

    Raises:
        UsageError: it was begun by another request.
    """
    id_ = str(row["id"])
    if connection.dialect.name == "postgresql":
        lock = int(hash_bytes(id_.encode()).hex[:_LOCK_CHARACTERS], 16)
        connection.execute(_ALONE, {"lock": lock})
    if connection.execute(_STATUS, {"run": id_}).one_or_none() is not None:
        there = reading.one(connection, id_)
        before = (None if there.model is None else str(there.model), there.name, there.actor)
        params = {key: plain(value) for key, value in new.params.items()}
        if before != (row["model"], row["name"], row["actor"]) or not params.items() <= there.params.items():
            raise UsageError(
                f"the idempotency key belongs to another request, the run {id_}",
                hint="Take a new key for a new request.",
                run=id_,
            )
        return there
    connection.execute(insert(runs), row)
    _add_params(connection, id_, new.params)
    _set_tags(connection, id_, new.tags)
    return reading.one(connection, id_)


def _finish(connection: Connection, run: str, change: Mapping[str, str]) -> Run:
    """Ends a run, or finds it ended so."""
    if _require(connection, run, _STATUS_LOCKED) == change["status"]:
        there = reading.one(connection, run)
        if there.notes == change.get("notes", there.notes):
            return there
    _require_open(connection, run)
    connection.execute(update(runs).where(runs.c.id == run).values(change))
    return reading.one(connection, run)


def _require(connection: Connection, run: str, statement: Select[*tuple[Any, ...]] = _STATUS) -> str:
    status = connection.execute(statement, {"run": run}).scalar_one_or_none()
    if status is None:
        raise _unknown(run)
    return str(status)


def _unknown(run: str) -> NotFound:
    return NotFound(f"there is no run {run[:80]}", hint="Find it with: holdfast search --runs", run=run)


def _require_open(connection: Connection, run: str) -> None:
    """A run of ours is closed by its end; MLflow's clients, whose runs are in experiments, change them after it too."""
    found = connection.execute(_HELD_LOCKED, {"run": run}).one_or_none()
    if found is None:
        raise _unknown(run)
    status, experiment = found
    if status != RunStatus.RUNNING and experiment is None:
        raise UsageError(
            f"the run {run} has ended as {status}, and is never changed again",
            hint="Start another run.",
            run=run,
            status=status,
        )


def _add_params(connection: Connection, run: str, params: Mapping[str, Json]) -> None:
    limits.check_count("params", len(params), limits.KEYS_MAX)
    rows = {key: _param(run, key, value) for key, value in params.items()}
    there: dict[str, str] = {}
    if rows:
        found = connection.execute(select(run_params.c.key, run_params.c.value).where(run_params.c.run == run))
        there = {row.key: row.value for row in found}
    for key in rows.keys() & there.keys():
        if rows[key]["value"] != there[key]:
            raise AlreadyExists(
                f"the param {key} of run {run} is {there[key][:80]}, and {rows[key]['value'][:80]} was given",
                hint="A param has one value in a run; log what changes as a metric.",
                run=run,
                key=key,
                there=there[key],
                given=rows[key]["value"],
            )
    fresh = [row for key, row in rows.items() if key not in there]
    if fresh:
        connection.execute(insert(run_params), fresh)


def _param(run: str, key: str, value: Json) -> dict[str, Any]:
    limits.check_key("param", key)
    said = plain(value)
    written = encode(said)
    limits.check_size(f"the param {key}", len(written), limits.PARAM_BYTES_MAX)
    number = float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None
    shown = said if isinstance(said, str) else written.decode()
    return {
        "run": run,
        "key": key,
        "value": written.decode(),
        "number": number,
        "text": shown[: limits.SEARCHED_CHARACTERS_MAX],
    }


def _set_tags(connection: Connection, run: str, tags: Mapping[str, str]) -> None:
    limits.check_count("tags", len(tags), limits.KEYS_MAX)
    rows = []
    for key, value in tags.items():
        limits.check_key("tag", key)
        shown = str(value)
        limits.check_size(f"the tag {key}", len(shown), limits.TAG_CHARACTERS_MAX)
        rows.append({"run": run, "key": key, "value": shown, "text": shown[: limits.SEARCHED_CHARACTERS_MAX]})
    if rows:
        connection.execute(_SET_TAG, rows)


def _point(point: Point, now: str) -> NewPoint:
    value = limits.check_point(point)
    time = now if point.time is None else to_text(point.time)
    return NewPoint(point.name, point.step, time, None if math.isnan(value) else value)


def _add_inputs(connection: Connection, run: str, inputs: Iterable[RunInput]) -> None:
    there = {(found.role, found.name): found for found in reading.inputs(connection, run)}
    fresh: dict[tuple[str, str], RunInput] = {}
    for one in inputs:
        key = (one.role, one.name)
        known = there.get(key) or fresh.get(key)
        if known is None:
            fresh[key] = one
        elif known != one:
            raise AlreadyExists(
                f"the run {run} has read other data as {one.role} {one.name}",
                hint="Give the second one another name.",
                run=run,
                role=one.role,
                name=one.name,
            )
    if fresh:
        rows = [
            {
                "run": run,
                "role": one.role,
                "name": one.name,
                "digest": None if one.digest is None else str(one.digest),
                "source": one.source,
                "files": one.files,
                "bytes": one.bytes,
            }
            for one in fresh.values()
        ]
        connection.execute(insert(run_inputs), rows)
