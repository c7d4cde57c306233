"""Points on their way into the database: the history, and beside it the last point of each metric."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

__all__ = ["NewPoint", "add"]

# The last point is that of the highest step; within a step, of the highest time; within a time, the one that was logged
# last. The same on SQLite and PostgreSQL, once there are rows.
_KEEP = (
    "ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, time = excluded.time, value = excluded.value "
    "WHERE (excluded.step, excluded.time) >= (run_metrics.step, run_metrics.time)"
)

# A file is given its rows as its driver takes them: the way through a mapping for each row costs as much as the rows.
_ADD_POINTS = "INSERT INTO run_points (run, key, step, time, value) VALUES (?, ?, ?, ?, ?)"

_KEEP_LAST = f"INSERT INTO run_metrics (run, key, step, time, value) VALUES (?, ?, ?, ?, ?) {_KEEP}"  # noqa: S608

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
        connection.exec_driver_sql(_ADD_POINTS, _rows(run, points))
        connection.exec_driver_sql(_KEEP_LAST, _rows(run, last.values()))


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
