"""Rows that another MLflow had: a run comes in with all that it logged, in one transaction, or not at all.

What is there already, under its own id, stays as it is: so an interrupted import goes on where it stopped.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from holdfast.canonical import encode
from holdfast.database.engine import Database
from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.database.times import to_text
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, UsageError
from holdfast.experiments.places import place_of_run
from holdfast.experiments.tables import (
    datasets,
    experiment_tags,
    experiments,
    logged_model_params,
    logged_model_points,
    logged_model_tags,
    logged_models,
    registered_models,
    registered_versions,
    run_datasets,
    run_models,
)
from holdfast.tracking.tables import run_metrics, run_params, run_points, run_tags, runs

__all__ = ["ImportedData", "ImportedExperiment", "ImportedModel", "ImportedPoint", "ImportedRun", "SqlImports"]

_ROWS = 5_000
"""Rows of one statement: a megabyte of points."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, the last that a text of a moment can say."""

_CONTEXT = "mlflow.data.context"

DEFAULT = "Default"
"""The experiment that every MLflow has, under the id 0."""


@dataclass(frozen=True, slots=True)
class ImportedExperiment:
    """An experiment as it was elsewhere; moments are milliseconds since 1970."""

    name: str
    created_ms: int
    updated_ms: int
    deleted: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportedPoint:
    """One value of one metric."""

    key: str
    step: int
    time_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class ImportedData:
    """Data that a run said it read."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """A run as it was elsewhere. `models` are (`input` or `output`, id of a logged model, step)."""

    id: str
    name: str
    status: str
    began_ms: int
    ended_ms: int | None
    deleted: bool
    user: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    data: Sequence[ImportedData]
    models: Sequence[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """A logged model as it was elsewhere. `points` are (run, point, name and digest of a dataset)."""

    id: str
    name: str
    type: str
    status: str
    run: str | None
    created_ms: int
    updated_ms: int
    deleted: bool
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Sequence[tuple[str, ImportedPoint, str, str]]


class SqlImports:
    """Where rows of another MLflow come in.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def experiment(self, given: ImportedExperiment, actor: str) -> int:
        """The id of the experiment of this name, which is made where it is not there."""
        with self._database.change() as connection:
            found = connection.execute(
                select(experiments.c.id).where(experiments.c.name == given.name)
            ).scalar_one_or_none()
            if found is not None:
                return int(found)
            row: dict[str, Any] = {
                "name": given.name,
                "place": "",
                "created_by": actor,
                "created_ms": given.created_ms,
                "updated_ms": given.updated_ms,
                "deleted_ms": self._now_ms() if given.deleted else None,
            }
            if given.name == DEFAULT:
                row["id"] = 0  # as everywhere
            # Its own id may be another's here, and a database that counts would not know of it.
            id_ = int(connection.execute(insert(experiments).returning(experiments.c.id), row).scalar_one())
            connection.execute(
                update(experiments).where(experiments.c.id == id_).values(place=f"mlflow-artifacts:/{id_}")
            )
            _words(connection, experiment_tags, {"experiment": id_}, given.tags)
            return id_

    def folder(self, experiment: int, run: str) -> str:
        """Where the files of a run are looked for here; where they are said to be elsewhere, below its own experiment.

        Args:
            experiment: that the run belongs to, or will.
            run: its id.
        """
        with self._database.read() as connection:
            place = connection.execute(select(experiments.c.place).where(experiments.c.id == experiment)).scalar_one()
        path = None
        with suppress(UsageError):
            path = place_of_run(place, run).path
        return f"{experiment}/{run}/artifacts" if path is None else path

    def has_run(self, run: str) -> bool:
        """Whether the run is here."""
        with self._database.read() as connection:
            return connection.execute(select(runs.c.id).where(runs.c.id == run)).first() is not None

    def has_model(self, model: str) -> bool:
        """Whether the logged model is here."""
        with self._database.read() as connection:
            return connection.execute(select(logged_models.c.id).where(logged_models.c.id == model)).first() is not None

    def run(self, experiment: int, given: ImportedRun, points: Iterable[ImportedPoint]) -> int:
        """Takes in a run that is not here, with all its points; how many those were.

        Raises:
            IntegrityError: a moment that no calendar has.
        """
        with self._database.change() as connection:
            connection.execute(insert(runs), self._row(experiment, given))
            if given.params:
                connection.execute(insert(run_params), [_param(given.id, *one) for one in given.params.items()])
            if given.tags:
                connection.execute(insert(run_tags), [_tag(given.id, *one) for one in given.tags.items()])
            count = _points(connection, given.id, points)
            for data in given.data:
                _data(connection, experiment, given.id, data)
            rows = [
                {"run": given.id, "direction": direction, "model": model, "step": step}
                for direction, model, step in dict.fromkeys(given.models)
            ]
            if rows:
                connection.execute(insert(run_models), rows)
            return count

    def model(self, experiment: int, given: ImportedModel) -> None:
        """Takes in a logged model that is not here; of its points those whose run is here."""
        with self._database.change() as connection:
            connection.execute(
                insert(logged_models),
                {
                    "id": given.id,
                    "experiment": experiment,
                    "name": given.name,
                    "place": f"mlflow-artifacts:/{experiment}/models/{given.id}/artifacts",
                    "type": given.type,
                    "status": given.status,
                    "status_message": None,
                    "run": given.run,
                    "created_by": "",
                    "created_ms": given.created_ms,
                    "updated_ms": given.updated_ms,
                    "deleted_ms": self._now_ms() if given.deleted else None,
                },
            )
            _words(connection, logged_model_params, {"model": given.id}, given.params)
            _words(connection, logged_model_tags, {"model": given.id}, given.tags)
            named = {run for run, *_ in given.points}
            there = set(connection.scalars(select(runs.c.id).where(runs.c.id.in_(named)))) if named else set()
            rows = [
                {
                    "model": given.id,
                    "run": run,
                    "key": point.key,
                    "step": point.step,
                    "time_ms": point.time_ms,
                    "value": None if math.isnan(point.value) else point.value,
                    "dataset_name": name,
                    "dataset_digest": digest,
                }
                for run, point, name, digest in given.points
                if run in there
            ]
            if rows:
                connection.execute(insert(logged_model_points), rows)

    def date_model(self, model: str, created_ms: int, updated_ms: int) -> None:
        """Gives a registered model the moments that it had elsewhere."""
        with self._database.change() as connection:
            this = update(registered_models).where(registered_models.c.model == model)
            connection.execute(this.values(created_ms=created_ms, updated_ms=updated_ms))

    def date_version(self, model: str, number: int, created_ms: int, updated_ms: int) -> None:
        """Gives what is said of a version the moments that it had elsewhere."""
        found = registered_versions.c
        with self._database.change() as connection:
            this = update(registered_versions).where((found.model == model) & (found.number == number))
            connection.execute(this.values(created_ms=created_ms, updated_ms=updated_ms))

    def _row(self, experiment: int, given: ImportedRun) -> dict[str, Any]:
        return {
            "id": given.id,
            "model": None,
            "name": given.name,
            "status": given.status.lower(),
            "started_at": to_text(_moment(given.began_ms)),
            "finished_at": None if given.ended_ms is None else to_text(_moment(given.ended_ms)),
            "actor": given.user or "unknown",
            "notes": "",
            "experiment": experiment,
            "deleted_ms": self._now_ms() if given.deleted else None,
        }

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)


def _words(connection: Connection, table: Table, owner: Mapping[str, object], words: Mapping[str, str]) -> None:
    rows = [{**owner, "key": key, "value": value} for key, value in words.items()]
    if rows:
        connection.execute(insert(table), rows)


def _param(run: str, key: str, value: str) -> dict[str, Any]:
    return {
        "run": run,
        "key": key,
        "value": encode(value).decode(),
        "number": _number(value),
        "text": value[:SEARCHED_CHARACTERS_MAX],
    }


def _number(value: str) -> float | None:
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _tag(run: str, key: str, value: str) -> dict[str, Any]:
    return {"run": run, "key": key, "value": value, "text": value[:SEARCHED_CHARACTERS_MAX]}


def _points(connection: Connection, run: str, points: Iterable[ImportedPoint]) -> int:
    """All points, each once, and beside them the last of each metric: by step, time and value, as MLflow has it."""
    given, count = iter(points), 0
    last: dict[str, ImportedPoint] = {}
    seen: set[tuple[object, ...]] = set()
    key = None
    while page := list(islice(given, _ROWS)):
        rows = []
        for point in page:
            if point.key != key:  # a source gives the points of one metric together
                key, seen = point.key, set()
            row = _point(run, point)
            same = (point.step, point.time_ms, row["value"])  # in a row NaN is equal to NaN
            if same in seen:
                continue
            seen.add(same)
            rows.append(row)
            if point.key not in last or _rank(point) >= _rank(last[point.key]):
                last[point.key] = point
        connection.execute(insert(run_points), rows)
        count += len(rows)
    if last:
        connection.execute(insert(run_metrics), [_point(run, point) for point in last.values()])
    return count


def _rank(point: ImportedPoint) -> tuple[int, int, float]:
    return point.step, point.time_ms, -math.inf if math.isnan(point.value) else point.value


def _point(run: str, point: ImportedPoint) -> dict[str, Any]:
    return {
        "run": run,
        "key": point.key,
        "step": point.step,
        "time": to_text(_moment(point.time_ms)),
        "value": None if math.isnan(point.value) else point.value,
    }


def _data(connection: Connection, experiment: int, run: str, data: ImportedData) -> None:
    same = select(datasets.c.id).where(
        datasets.c.experiment == experiment, datasets.c.name == data.name, datasets.c.digest == data.digest
    )
    id_ = connection.execute(same).scalar_one_or_none()
    if id_ is None:
        id_ = hash_bytes(encode([experiment, data.name, data.digest])).hex[:32]
        row = {
            "id": id_,
            "experiment": experiment,
            "name": data.name,
            "digest": data.digest,
            "source_type": data.source_type,
            "source": data.source,
            "schema": data.schema,
            "profile": data.profile,
        }
        connection.execute(insert(datasets), row)
    there = select(run_datasets.c.run).where(run_datasets.c.run == run, run_datasets.c.dataset == id_)
    if connection.execute(there).first() is None:
        tags = {"run": run, "dataset": id_, "context": data.tags.get(_CONTEXT, "")}
        connection.execute(insert(run_datasets), {**tags, "tags": encode(dict(data.tags)).decode()})


def _moment(milliseconds: int) -> datetime:
    if not 0 <= milliseconds <= _MS_MAX:
        raise IntegrityError(
            f"{milliseconds} milliseconds since 1970 is no moment", hint="Mend it there, or leave that run out."
        )
    return _EPOCH + timedelta(milliseconds=milliseconds)
