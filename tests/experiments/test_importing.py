"""Runs of another MLflow come in whole, once, and are found like all others."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.errors import IntegrityError
from holdfast.experiments.importing import (
    ImportedData,
    ImportedExperiment,
    ImportedModel,
    ImportedPoint,
    ImportedRun,
    SqlImports,
)
from holdfast.tracking.sql import SqlTracking
from tests.blank import blank_registry

EXPERIMENT = ImportedExperiment("first", 1_000, 2_000, deleted=False, tags={"team": "a"})
RUN = ImportedRun(
    id="a" * 32,
    name="parent",
    status="FINISHED",
    began_ms=1_767_225_600_123,
    ended_ms=1_767_225_601_456,
    deleted=False,
    user="ana",
    params={"lr": "0.1", "name": "x y", "mode": "nan"},
    tags={"mlflow.user": "ana"},
    data=[ImportedData("rows", "3686d106", "code", "{}", None, None, {"mlflow.data.context": "training"})],
    models=[("output", "m-1", 0)],
)
POINTS = [
    ImportedPoint("loss", 0, 1_000, 1.0),
    ImportedPoint("loss", 1, 1_001, 0.5),
    ImportedPoint("loss", 1, 1_001, 0.5),
    ImportedPoint("loss", 1, 1_001, 0.7),
    ImportedPoint("odd", 0, 1_000, math.nan),
    ImportedPoint("odd", 0, 1_000, float("nan")),
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(blank_registry(tmp_path / "registry.db"))
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: datetime.fromisoformat("2026-03-01T09:00:00+00:00")


@pytest.fixture
def imports(database: Database, clock: Callable[[], datetime]) -> SqlImports:
    return SqlImports(database, clock)


def test_a_run_comes_in_with_all_that_it_logged(
    database: Database, imports: SqlImports, clock: Callable[[], datetime]
) -> None:
    experiment = imports.experiment(EXPERIMENT, "ana")
    assert imports.run(experiment, RUN, POINTS) == 4
    tracking = SqlTracking(database, clock, lambda: "unused")
    (found,) = tracking.search("metrics.loss > 0.6 and params.lr = 0.1 and status = finished")
    assert (found.id, found.actor, found.metrics["loss"]) == (RUN.id, "ana", 0.7)
    assert math.isnan(found.metrics["odd"])
    assert found.params == {"lr": "0.1", "name": "x y", "mode": "nan"}
    assert found.started_at.isoformat() == "2026-01-01T00:00:00.123000+00:00"
    assert [(point.step, point.value) for point in tracking.history(RUN.id, "loss")] == [(0, 1.0), (1, 0.5), (1, 0.7)]


def test_what_cannot_come_in_whole_does_not_come_in(imports: SqlImports) -> None:
    experiment = imports.experiment(EXPERIMENT, "ana")
    with pytest.raises(IntegrityError, match="no moment"):
        imports.run(experiment, RUN, [*POINTS, ImportedPoint("late", 0, -1, 0.0)])
    assert not imports.has_run(RUN.id)
    imports.run(experiment, RUN, POINTS)
    assert imports.has_run(RUN.id)


def test_an_experiment_is_known_by_its_name(imports: SqlImports) -> None:
    first = imports.experiment(EXPERIMENT, "ana")
    assert imports.experiment(replace(EXPERIMENT, created_ms=9), "ben") == first
    assert imports.experiment(replace(EXPERIMENT, name="second"), "ana") != first
    assert imports.experiment(replace(EXPERIMENT, name="Default"), "ana") == 0


def test_a_deleted_run_is_here_and_is_not_found(
    database: Database, imports: SqlImports, clock: Callable[[], datetime]
) -> None:
    imports.run(imports.experiment(EXPERIMENT, "ana"), replace(RUN, deleted=True), POINTS)
    assert imports.has_run(RUN.id)
    assert SqlTracking(database, clock, lambda: "unused").search() == ()


def test_one_dataset_of_two_runs_is_one(imports: SqlImports) -> None:
    experiment = imports.experiment(EXPERIMENT, "ana")
    imports.run(experiment, replace(RUN, data=[*RUN.data, *RUN.data]), ())
    imports.run(experiment, replace(RUN, id="b" * 32), ())
    assert imports.has_run("b" * 32)


def test_a_logged_model_keeps_the_points_of_runs_that_are_here(imports: SqlImports) -> None:
    experiment = imports.experiment(EXPERIMENT, "ana")
    imports.run(experiment, RUN, ())
    points = [(RUN.id, POINTS[0], "rows", "3686d106"), ("c" * 32, POINTS[1], "", "")]
    model = ImportedModel("m-1", "model", "", "READY", RUN.id, 1, 2, deleted=False, params={}, tags={}, points=points)
    imports.model(experiment, model)
    assert imports.has_model("m-1")
