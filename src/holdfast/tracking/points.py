"""Points on their way into the database: the history, and beside it the last point of each metric."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, text

from holdfast.tracking.tables import run_points

__all__ = ["NewPoint", "add"]

# The last point is that of the highest step; within a step, of the highest time; within a time, the one that was logged
# last. The same on SQLite and PostgreSQL, once there are rows.
_KEEP = (
    "ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, time = excluded.time, value = excluded.value "
    "WHERE (excluded.step, excluded.time) >= (run_metrics.step, run_metrics.time)"
)

_ADD_POINTS = insert(run_points)

_KEEP_LAST = text(
    f"INSERT INTO run_metrics (run, key, step, time, value) VALUES (:run, :key, :step, :time, :value) {_KEEP}"  # noqa: S608
)

# A server is asked once for all rows, in columns: row by row, its triggers and the way there cost twenty times as much.
_COLUMNS = (
    "SELECT :run, key, step, time, value FROM unnest(CAST(:keys AS text[]), CAST(:steps AS bigint[]), "
    "CAST(:times AS text[]), CAST(:values AS double precision[])) "
    "WITH ORDINALITY AS given (key, step, time, value, place) ORDER BY place"
)

_ADD_COLUMNS = text(f"INSERT INTO run_points (run, key, step, time, value) {_COLUMNS}")

_KEEP_LAST_COLUMNS = text(f"INSERT INTO run_metrics (run, key, step, time, value) {_COLUMNS} {_KEEP}")


@dataclass(frozen=True, slots=True)
class NewPoint:
    """One point as its columns hold it; a value that is not a number is None."""

    key: str
    step: int
    time: str
    value: float | None


def add(connection: Connection, run: str, points: Sequence[NewPoint]) -> None:
    """Adds the points in this order, to a run that lives and whose row is locked."""
    if not points:
        return
    last: dict[str, NewPoint] = {}
    for point in points:
        there = last.get(point.key)
        if there is None or (point.step, point.time) >= (there.step, there.time):
            last[point.key] = point
    if connection.dialect.name == "postgresql":
        connection.execute(_ADD_COLUMNS, _columns(run, points))
        connection.execute(_KEEP_LAST_COLUMNS, _columns(run, list(last.values())))
    else:
        connection.execute(_ADD_POINTS, _rows(run, points))
        connection.execute(_KEEP_LAST, _rows(run, list(last.values())))


def _rows(run: str, points: Sequence[NewPoint]) -> list[dict[str, object]]:
    return [
        {"run": run, "key": point.key, "step": point.step, "time": point.time, "value": point.value} for point in points
    ]


def _columns(run: str, points: Sequence[NewPoint]) -> dict[str, object]:
    return {
        "run": run,
        "keys": [point.key for point in points],
        "steps": [point.step for point in points],
        "times": [point.time for point in points],
        "values": [point.value for point in points],
    }
