"""Rows of experiments on their way out, in the same shapes in which they come in."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Table, select

from holdfast.canonical import decode
from holdfast.database.engine import Database
from holdfast.database.times import from_text
from holdfast.experiments.importing import (
    ImportedData,
    ImportedExperiment,
    ImportedModel,
    ImportedPoint,
    ImportedRun,
)
from holdfast.experiments.logged_metrics import points_of
from holdfast.experiments.registered import RegisteredModel, RegisteredVersion
from holdfast.experiments.registered_rows import load_models, load_versions
from holdfast.experiments.tables import (
    datasets,
    experiment_tags,
    experiments,
    logged_model_params,
    logged_model_tags,
    logged_models,
    registered_models,
    registered_versions,
    run_datasets,
    run_models,
)
from holdfast.names import StageName
from holdfast.tracking.tables import run_params, run_points, run_tags, runs

__all__ = ["SqlExports"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_RUNS_AT_A_TIME = 200
"""Runs read at once, with all that they logged but their points: a few megabytes."""

_POINTS_AT_A_TIME = 5_000


class SqlExports:
    """What leaves. What was deleted stays; what a run logged is read as it stands when its turn comes.

    Args:
        database: at the schema of this Holdfast.
        meant: aliases that the settings give a stage.
    """

    def __init__(self, database: Database, meant: Mapping[str, StageName] | None = None) -> None:
        self._database = database
        self._meant = meant or {}

    def experiments(self) -> list[tuple[int, ImportedExperiment]]:
        """The experiments, by id."""
        with self._database.view() as connection:
            tags = _words(connection, experiment_tags, "experiment")
            wanted = select(experiments).where(experiments.c.deleted_ms.is_(None)).order_by(experiments.c.id)
            return [
                (
                    row.id,
                    ImportedExperiment(row.name, row.created_ms, row.updated_ms, deleted=False, tags=tags[row.id]),
                )
                for row in connection.execute(wanted)
            ]

    def runs(self, experiment: int) -> Iterator[ImportedRun]:
        """The runs of an experiment, oldest first."""
        with self._database.read() as connection:
            wanted = (
                select(runs.c.id)
                .where(runs.c.experiment == experiment, runs.c.deleted_ms.is_(None))
                .order_by(runs.c.started_at, runs.c.id)
            )
            ids = list(connection.scalars(wanted))
        for start in range(0, len(ids), _RUNS_AT_A_TIME):
            with self._database.view() as connection:
                yield from _runs(connection, ids[start : start + _RUNS_AT_A_TIME])

    def points(self, run: str) -> Iterator[ImportedPoint]:
        """Every point of every metric of a run, in the order in which they were logged."""
        after = -1
        while True:
            wanted = (
                select(run_points)
                .where(run_points.c.run == run, run_points.c.id > after)
                .order_by(run_points.c.id)
                .limit(_POINTS_AT_A_TIME)
            )
            with self._database.read() as connection:
                rows = connection.execute(wanted).all()
            for row in rows:
                value = math.nan if row.value is None else float(row.value)
                yield ImportedPoint(row.key, row.step, _ms(row.time), value)
            if len(rows) < _POINTS_AT_A_TIME:
                return
            after = rows[-1].id

    def logged_models(self, experiment: int) -> list[ImportedModel]:
        """The logged models of an experiment whose files are all there, oldest first."""
        with self._database.view() as connection:
            wanted = (
                select(logged_models)
                .where(logged_models.c.experiment == experiment, logged_models.c.deleted_ms.is_(None))
                .where(logged_models.c.status == "READY")
                .order_by(logged_models.c.created_ms, logged_models.c.id)
            )
            rows = connection.execute(wanted).all()
            ids = [row.id for row in rows]
            params = _words(connection, logged_model_params, "model", ids)
            tags = _words(connection, logged_model_tags, "model", ids)
            points = points_of(connection, ids)
        return [
            ImportedModel(
                id=row.id,
                name=row.name,
                type=row.type,
                status=row.status,
                run=row.run,
                created_ms=row.created_ms,
                updated_ms=row.updated_ms,
                deleted=False,
                params=params[row.id],
                tags=tags[row.id],
                points=[
                    (one.run, ImportedPoint(one.key, one.step, one.time_ms, one.value), "", "")
                    for one in points.get(row.id, ())
                ],
            )
            for row in rows
        ]

    def models(self) -> tuple[RegisteredModel, ...]:
        """The registered models that MLflow's clients know, by name."""
        with self._database.view() as connection:
            wanted = select(registered_models.c.model).where(registered_models.c.deleted_ms.is_(None))
            return load_models(
                connection, list(connection.scalars(wanted.order_by(registered_models.c.name))), self._meant
            )

    def versions(self, model: str) -> tuple[RegisteredVersion, ...]:
        """The versions of a model that MLflow's clients can read, by number."""
        found = registered_versions.c
        with self._database.view() as connection:
            wanted = select(found.number).where(found.model == model, found.deleted_ms.is_(None), found.path != "")
            numbers = connection.scalars(wanted.order_by(found.number))
            return load_versions(connection, [(model, number) for number in numbers], self._meant)


def _runs(connection: Connection, ids: list[str]) -> Iterator[ImportedRun]:
    found = {row.id: row for row in connection.execute(select(runs).where(runs.c.id.in_(ids)))}
    params, tags = _words(connection, run_params, "run", ids), _words(connection, run_tags, "run", ids)
    data: dict[str, list[ImportedData]] = defaultdict(list)
    seen = select(run_datasets, datasets).join(datasets, datasets.c.id == run_datasets.c.dataset)
    for one in connection.execute(seen.where(run_datasets.c.run.in_(ids)).order_by(datasets.c.name)):
        said = json.loads(one.tags)
        data[one.run].append(
            ImportedData(one.name, one.digest, one.source_type, one.source, one.schema, one.profile, said)
        )
    models: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for made in connection.execute(select(run_models).where(run_models.c.run.in_(ids)).order_by(run_models.c.model)):
        models[made.run].append((made.direction, made.model, made.step))
    for id_ in ids:
        if id_ not in found:
            continue
        row = found[id_]
        yield ImportedRun(
            id=id_,
            name=row.name,
            status=row.status.upper(),
            began_ms=_ms(row.started_at),
            ended_ms=None if row.finished_at is None else _ms(row.finished_at),
            deleted=False,
            user=tags[id_].get("mlflow.user", row.actor),
            params={key: _text(value) for key, value in params[id_].items()},
            tags=tags[id_],
            data=data[id_],
            models=models[id_],
        )


def _text(value: str) -> str:
    """A param as MLflow has it: a text. One that Holdfast's own interface logged may be any JSON."""
    said = decode(value, what="a param")
    return said if isinstance(said, str) else value


def _words(
    connection: Connection, table: Table, owner: str, ids: list[str] | None = None
) -> defaultdict[str | int, dict[str, str]]:
    found: defaultdict[str | int, dict[str, str]] = defaultdict(dict)
    wanted = select(table.c[owner], table.c.key, table.c.value).order_by(table.c.key)
    for owned_by, key, value in connection.execute(wanted if ids is None else wanted.where(table.c[owner].in_(ids))):
        found[owned_by][key] = value
    return found


def _ms(moment: str) -> int:
    return (from_text(moment) - _EPOCH) // _MILLISECOND
