"""What another MLflow gives, as the rows that come in here."""

from collections.abc import Iterable

from holdfast.bridges.from_mlflow.records import LoggedModelRecord, PointRecord, RunRecord
from holdfast.experiments.importing import ImportedData, ImportedModel, ImportedPoint, ImportedRun

__all__ = ["imported_model", "imported_point", "imported_run", "last_values"]


def imported_run(run: RunRecord) -> ImportedRun:
    """A run without its metrics."""
    return ImportedRun(
        id=run.id,
        name=run.name,
        status=run.status,
        began_ms=run.began_ms or 0,
        ended_ms=run.ended_ms,
        deleted=run.deleted,
        user=run.user,
        params=run.params,
        tags=run.tags,
        data=[
            ImportedData(one.name, one.digest, one.source_type, one.source, one.schema, one.profile, one.tags)
            for one in run.datasets
        ],
        models=run.models,
    )


def imported_point(point: PointRecord) -> ImportedPoint:
    """One value of one metric."""
    return ImportedPoint(point.key, point.step, point.time_ms, point.value)


def imported_model(model: LoggedModelRecord) -> ImportedModel:
    """A logged model with its metrics."""
    return ImportedModel(
        id=model.id,
        name=model.name,
        type=model.type,
        status=model.status,
        run=model.run,
        created_ms=model.created_ms,
        updated_ms=model.updated_ms,
        deleted=model.deleted,
        params=model.params,
        tags=model.tags,
        points=[(one.run, imported_point(one.point), one.dataset_name, one.dataset_digest) for one in model.points],
    )


def last_values(points: Iterable[PointRecord]) -> dict[str, float]:
    """The last value of each metric, by step, time and value."""
    last: dict[str, PointRecord] = {}
    for point in points:
        there = last.get(point.key)
        if there is None or (point.step, point.time_ms, point.value) >= (there.step, there.time_ms, there.value):
            last[point.key] = point
    return {key: point.value for key, point in last.items()}
