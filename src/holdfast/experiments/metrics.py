"""Histories of metrics, whole or sampled."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select

from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.documents import number
from holdfast.experiments.moments import to_ms
from holdfast.experiments.paging import Place, read_token, token
from holdfast.tracking.tables import run_points
from holdfast.tracking.tables import runs as all_runs

__all__ = ["BULK_POINTS_MAX", "RUNS_MAX", "SAMPLED_MAX", "SqlMetrics"]

RUNS_MAX = 100
"""Runs in one question, as many as one picture shows."""

SAMPLED_MAX = 2500
"""Points of one run in a sample: a picture is no wider."""

BULK_POINTS_MAX = 25_000
"""Points in one answer about several runs."""

_PAGE_POINTS_MAX = 1_000_000
"""Points of one page: a hundred megabytes of an answer, where MLflow's clients ask for 25,000."""

_POINT = run_points.c

# Of runs of experiments alone, which are no model's: what was measured for a model is told to whoever may see that.
_OF_KEY = (
    select(_POINT.run, _POINT.key, _POINT.value, _POINT.time, _POINT.step)
    .join(all_runs, all_runs.c.id == _POINT.run)
    .where(_POINT.run.in_(bindparam("runs", expanding=True)), _POINT.key == bindparam("key"))
    .where(all_runs.c.experiment.is_not(None))
)

# As MLflow tells a history. What is no number comes first among what has one moment and one step.
_IN_TIME = (_POINT.time, _POINT.step, _POINT.value.asc().nulls_first(), _POINT.id)

_IN_STEPS = (_POINT.step, _POINT.time, _POINT.value.asc().nulls_first(), _POINT.id)


class SqlMetrics:
    """Points of metrics in a database.

    Args:
        database: at the schema of this Holdfast.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def history(
        self, run: str, key: str, limit: int | None = None, page: str | None = None
    ) -> tuple[list[JsonObject], str | None]:
        """The points of a metric by time, as MLflow writes them, and the token of the next page.

        Args:
            run: its id; a run that is in no experiment has no points here.
            key: the metric's name.
            limit: points of a page, of which a million are the most; None: all of them are one.
            page: the token of the page.

        Raises:
            UsageError: the limit or the token cannot be.
        """
        if limit is not None and limit < 1:
            raise UsageError(
                f"Invalid value {json.dumps(limit)} for parameter 'max_results' supplied. "
                "It must be a positive integer.",
                hint="Ask for 1 or more.",
            )
        limit = None if limit is None else min(limit, _PAGE_POINTS_MAX)
        place = read_token(page)
        found = _OF_KEY.order_by(*_IN_TIME).offset(place.offset)
        with self._database.read() as connection:
            asked = {"runs": [run], "key": key}
            rows = connection.execute(found if limit is None else found.limit(limit + 1), asked).all()
        is_last = limit is None or len(rows) <= limit
        after = None if limit is None or is_last else token(Place(offset=place.offset + limit))
        return [_document(row) for row in (rows if limit is None else rows[:limit])], after

    def histories(self, runs: Sequence[str], key: str, limit: int = BULK_POINTS_MAX) -> list[JsonObject]:
        """The points of a metric in several runs, by run and time; each names its run.

        Raises:
            UsageError: too many runs are asked for at once, or none.
        """
        if not runs:
            raise UsageError("GetMetricHistoryBulk request must specify at least one run_id.", hint="Name one.")
        if len(runs) > RUNS_MAX:
            raise UsageError(
                f"GetMetricHistoryBulk request cannot specify more than {RUNS_MAX} run_ids. "
                f"Received {len(runs)} run_ids.",
                hint="Ask in parts.",
            )
        found = _OF_KEY.order_by(_POINT.run, *_IN_TIME).limit(max(0, min(limit, BULK_POINTS_MAX)))
        with self._database.read() as connection:
            return [_of_run(row) for row in connection.execute(found, {"runs": list(runs), "key": key})]

    def samples(
        self, runs: Sequence[str], key: str, limit: int = SAMPLED_MAX, steps: tuple[int, int] | None = None
    ) -> list[JsonObject]:
        """Points of a metric in several runs, by step: of each run at most `limit`, evenly chosen, the last among them.

        Args:
            runs: ids.
            key: the metric's name.
            limit: 1 to `SAMPLED_MAX`.
            steps: the first and the last that are meant; None: all.
        """
        with self._database.read() as connection:
            asked = {"runs": list(runs), "key": key}
            rows: dict[str, list[Row[*tuple[Any, ...]]]] = {run: [] for run in runs}
            for row in connection.execute(_sampled(limit, steps), asked):
                rows[row.run].append(row)
        return [_of_run(row) for run in runs for row in _at_most(limit, rows[run])]


def _sampled(limit: int, steps: tuple[int, int] | None) -> Select[*tuple[Any, ...]]:
    """The first row of each of `limit` equal parts of a history, and its last row."""
    points = _OF_KEY if steps is None else _OF_KEY.where(_POINT.step.between(*steps))
    part = func.ntile(limit).over(partition_by=_POINT.run, order_by=_IN_STEPS).label("part")
    place = func.row_number().over(partition_by=_POINT.run, order_by=_IN_STEPS).label("place")
    count = func.count().over(partition_by=_POINT.run).label("count")
    parted = points.add_columns(part, place, count).subquery()
    first = func.min(parted.c.place).over(partition_by=(parted.c.run, parted.c.part)).label("first")
    marked = select(parted, first).subquery()
    chosen = (marked.c.place == marked.c.first) | (marked.c.place == marked.c["count"])
    named = (marked.c.run, marked.c.key, marked.c.value, marked.c.time, marked.c.step)
    return select(*named).where(chosen).order_by(marked.c.run, marked.c.place)


def _at_most(limit: int, rows: list[Row[*tuple[Any, ...]]]) -> list[Row[*tuple[Any, ...]]]:
    return rows if len(rows) <= limit else [*rows[: limit - 1], rows[-1]]


def _document(row: Row[*tuple[Any, ...]]) -> JsonObject:
    _, key, value, time, step = row
    return {"key": key, "value": number(value), "timestamp": to_ms(time), "step": step}


def _of_run(row: Row[*tuple[Any, ...]]) -> JsonObject:
    return {**_document(row), "run_id": row.run}
