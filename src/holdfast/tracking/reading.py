"""Reading runs whole: their rows, and what they logged; a few statements, however many runs are read."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, Table, bindparam, select

from holdfast.canonical import Json, decode
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.names import ModelName
from holdfast.tracking.tables import experiment_names, run_inputs, run_metrics, run_params, run_points, run_tags, runs
from holdfast.tracking.values import Point, Run, RunInput, RunStatus

__all__ = ["history", "inputs", "many", "one"]

_RUNS_AT_A_TIME = 500
"""Ids in one statement: below every database's limit of parameters."""

_IDS: BindParameter[str] = bindparam("ids", expanding=True)


def _logged(table: Table) -> Select[*tuple[Any, ...]]:
    return (
        select(table.c.run, table.c.key, table.c.value).where(table.c.run.in_(_IDS)).order_by(table.c.run, table.c.key)
    )


_RUNS = (
    select(runs, experiment_names.c.name.label("experiment_name"))
    .outerjoin(experiment_names, experiment_names.c.id == runs.c.experiment)
    .where(runs.c.id.in_(_IDS))
)

_PARAMS = _logged(run_params)

_METRICS = _logged(run_metrics)

_TAGS = _logged(run_tags)

_INPUTS = select(run_inputs).where(run_inputs.c.run.in_(_IDS)).order_by(run_inputs.c.role, run_inputs.c.name)

_HISTORY = (
    select(run_points)
    .where(run_points.c.run == bindparam("run"), run_points.c.key == bindparam("key"))
    .order_by(run_points.c.step, run_points.c.id)
)


def one(connection: Connection, run: str) -> Run:
    """The run with this id, which must be there."""
    return many(connection, [run])[0]


def many(connection: Connection, ids: Sequence[str]) -> tuple[Run, ...]:
    """The runs with these ids, which must be there, in this order."""
    return tuple(
        run
        for start in range(0, len(ids), _RUNS_AT_A_TIME)
        for run in _some(connection, ids[start : start + _RUNS_AT_A_TIME])
    )


def _some(connection: Connection, ids: Sequence[str]) -> Iterator[Run]:
    rows = {row.id: row for row in connection.execute(_RUNS, {"ids": ids})}
    params = _params(connection, ids)
    metrics = _by_run([tuple(row) for row in connection.execute(_METRICS, {"ids": ids}).all()])
    tags = _by_run([tuple(row) for row in connection.execute(_TAGS, {"ids": ids}).all()])
    read: dict[str, list[RunInput]] = defaultdict(list)
    for found in connection.execute(_INPUTS, {"ids": ids}):
        read[found.run].append(_input(found))
    for id_ in ids:
        row = rows[id_]
        yield Run(
            id=row.id,
            model=None if row.model is None else ModelName(row.model),
            name=row.name,
            status=RunStatus(row.status),
            started_at=from_text(row.started_at),
            finished_at=None if row.finished_at is None else from_text(row.finished_at),
            actor=row.actor,
            params=params[id_],
            metrics={key: _value(value) for key, value in metrics[id_].items()},
            tags=tags[id_],
            inputs=tuple(read[id_]),
            notes=row.notes,
            experiment=row.experiment_name,
        )


def _by_run(rows: Sequence[tuple[str, str, Json]]) -> dict[str, dict[str, Json]]:
    found: dict[str, dict[str, Json]] = defaultdict(dict)
    for run, key, value in rows:
        found[run][key] = value
    return found


def _params(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Json]]:
    rows = connection.execute(_PARAMS, {"ids": ids}).all()
    # One document for all of them: reading it is several times quicker than reading each value on its own.
    values = decode(f"[{','.join(row[2] for row in rows)}]", what="the params of runs")
    return _by_run([(row[0], row[1], value) for row, value in zip(rows, values, strict=True)])


def _value(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


def _input(row: Row[Any]) -> RunInput:
    return RunInput(
        role=row.role,
        name=row.name,
        digest=None if row.digest is None else Digest.parse(row.digest),
        source=row.source,
        files=row.files,
        bytes=row.bytes,
    )


def inputs(connection: Connection, run: str) -> tuple[RunInput, ...]:
    """The inputs of a run, by role and name."""
    return tuple(_input(row) for row in connection.execute(_INPUTS, {"ids": [run]}))


def history(connection: Connection, run: str, metric: str) -> tuple[Point, ...]:
    """Every point of a metric, by step, and within a step as they were logged."""
    return tuple(
        Point(row.key, _value(row.value), row.step, from_text(row.time))
        for row in connection.execute(_HISTORY, {"run": run, "key": metric})
    )
