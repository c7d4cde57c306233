"""Points on their way into the database: the history, and beside it the last point of each metric."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, bindparam, select, text

from holdfast.tracking.tables import run_metrics, run_points

__all__ = ["NewPoint", "Ties", "add"]


class Ties(Enum):
    """Which of two points of one step and one time is the last; MLflow's runs have its rule, all others ours."""

    LOGGED_LAST = "the one that was logged last"
    LARGEST = "the one with the larger value"


# The last point is that of the highest step; within a step, of the highest time; within a time, as `Ties` says. It is
# the same on SQLite and PostgreSQL, once there are rows.
_REPLACED = (
    "ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, time = excluded.time, value = excluded.value WHERE "
)

# What is no number counts as 0, as it does in MLflow's tables.
_LATER = {
    Ties.LOGGED_LAST: "(excluded.step, excluded.time) >= (run_metrics.step, run_metrics.time)",
    Ties.LARGEST: "(excluded.step, excluded.time, COALESCE(excluded.value, 0.0)) > "
    "(run_metrics.step, run_metrics.time, COALESCE(run_metrics.value, 0.0))",
}

# A file is given its rows as its driver takes them: the way through a mapping for each row costs as much as the rows.
_ADD_POINTS = "INSERT INTO run_points (run, key, step, time, value) VALUES (?, ?, ?, ?, ?)"

_KEEP_LAST = {
    ties: f"INSERT INTO run_metrics (run, key, step, time, value) VALUES (?, ?, ?, ?, ?) {_REPLACED}{later}"  # noqa: S608
    for ties, later in _LATER.items()
}

# A server is asked once for all rows, in columns: row by row, its triggers and the way there cost twenty times as much.
_COLUMNS = (
    "SELECT :run, key, step, time, value FROM unnest(CAST(:keys AS text[]), CAST(:steps AS bigint[]), "
    "CAST(:times AS text[]), CAST(:values AS double precision[])) "
    "WITH ORDINALITY AS given (key, step, time, value, place) ORDER BY place"
)

_ADD_COLUMNS = text(f"INSERT INTO run_points (run, key, step, time, value) {_COLUMNS}")

_KEEP_LAST_COLUMNS = {
    ties: text(f"INSERT INTO run_metrics (run, key, step, time, value) {_COLUMNS} {_REPLACED}{later}")
    for ties, later in _LATER.items()
}


_KEYS_AT_A_TIME = 500
"""Names in one statement: below every database's limit of parameters."""

_BEFORE_ALL = (-(2**63), "")
"""Where a metric stands that has no point: before every step."""

_LAST = select(run_metrics.c.key, run_metrics.c.step, run_metrics.c.time).where(
    run_metrics.c.run == bindparam("run"), run_metrics.c.key.in_(bindparam("keys", expanding=True))
)

_BETWEEN = select(run_points.c.key, run_points.c.step, run_points.c.time, run_points.c.value).where(
    run_points.c.run == bindparam("run"),
    run_points.c.key.in_(bindparam("keys", expanding=True)),
    run_points.c.step.between(bindparam("first"), bindparam("last")),
)


@dataclass(frozen=True, slots=True)
class NewPoint:
    """One point as its columns hold it; a value that is not a number is None."""

    key: str
    step: int
    time: str
    value: float | None


def add(connection: Connection, run: str, given: Sequence[NewPoint], ties: Ties = Ties.LOGGED_LAST) -> None:
    """Adds the points in this order, but for those that are there, to a run that lives and whose row is locked."""
    points = _fresh(connection, run, list(dict.fromkeys(given)))
    if not points:
        return
    last: dict[str, NewPoint] = {}
    for point in points:
        there = last.get(point.key)
        if there is None or _is_later(point, there, ties):
            last[point.key] = point
    if connection.dialect.name == "postgresql":
        connection.execute(_ADD_COLUMNS, _columns(run, points))
        connection.execute(_KEEP_LAST_COLUMNS[ties], _columns(run, list(last.values())))
    else:
        connection.exec_driver_sql(_ADD_POINTS, _rows(run, points))
        connection.exec_driver_sql(_KEEP_LAST[ties], _rows(run, last.values()))


def _is_later(point: NewPoint, than: NewPoint, ties: Ties) -> bool:
    before, now = (than.step, than.time), (point.step, point.time)
    if now != before or ties is Ties.LOGGED_LAST:
        return now >= before
    return (point.value or 0.0) > (than.value or 0.0)


def _fresh(connection: Connection, run: str, points: list[NewPoint]) -> list[NewPoint]:
    """The points that are not there yet. What lies behind the last point of its metric cannot be: most need no look."""
    last: dict[str, tuple[int, str]] = {}
    for keys in _some({point.key for point in points}):
        last |= {row.key: (row.step, row.time) for row in connection.execute(_LAST, {"run": run, "keys": keys})}
    suspects = [point for point in points if (point.step, point.time) <= last.get(point.key, _BEFORE_ALL)]
    if not suspects:
        return points
    steps = {"first": min(point.step for point in suspects), "last": max(point.step for point in suspects)}
    there: set[NewPoint] = set()
    for keys in _some({point.key for point in suspects}):
        found = connection.execute(_BETWEEN, {"run": run, "keys": keys, **steps})
        there.update(NewPoint(row.key, row.step, row.time, row.value) for row in found)
    return [point for point in points if point not in there]


def _some(keys: set[str]) -> Iterator[list[str]]:
    ordered = sorted(keys)
    for begin in range(0, len(ordered), _KEYS_AT_A_TIME):
        yield ordered[begin : begin + _KEYS_AT_A_TIME]


def _rows(run: str, points: Iterable[NewPoint]) -> list[tuple[object, ...]]:
    return [(run, point.key, point.step, point.time, point.value) for point in points]


def _columns(run: str, points: Sequence[NewPoint]) -> dict[str, object]:
    return {
        "run": run,
        "keys": [point.key for point in points],
        "steps": [point.step for point in points],
        "times": [point.time for point in points],
        "values": [point.value for point in points],
    }
