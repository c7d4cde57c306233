"""Points of logged models: metrics that a run measured of one model, perhaps on one dataset.

The history alone is kept: a model has few points, and whoever asks for the model is told all of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from holdfast.errors import NotFound
from holdfast.experiments.tables import logged_model_points, logged_models

__all__ = ["ModelPoint", "add_points", "no_model", "points_of"]

_MODELS_AT_A_TIME = 500
"""Names in one statement: below every database's limit of parameters."""

_POINTS = logged_model_points.c

_KNOWN = select(logged_models.c.id).where(logged_models.c.id.in_(bindparam("models", expanding=True)))

_THERE = select(logged_model_points).where(
    _POINTS.model.in_(bindparam("models", expanding=True)),
    _POINTS.run == bindparam("run"),
    _POINTS.step.between(bindparam("first"), bindparam("last")),
)

_ALL = (
    select(logged_model_points)
    .where(_POINTS.model.in_(bindparam("models", expanding=True)))
    .order_by(_POINTS.model, _POINTS.key, _POINTS.step, _POINTS.id)
)


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """One value of one metric of one logged model.

    Attributes:
        model: its id, such as `m-0123...`.
        key: the metric's name.
        value: NaN where it is no number.
        time_ms: when it was measured.
        step: of the training.
        run: that measured it.
        dataset_name: on which data; empty where nobody said.
        dataset_digest: as the client computed it.
    """

    model: str
    key: str
    value: float
    time_ms: int
    step: int
    run: str
    dataset_name: str = ""
    dataset_digest: str = ""

    def row(self) -> dict[str, Any]:
        """The point as the table holds it: a value that is no number is null."""
        return {
            "model": self.model,
            "run": self.run,
            "key": self.key,
            "step": self.step,
            "time_ms": self.time_ms,
            "value": None if math.isnan(self.value) else self.value,
            "dataset_name": self.dataset_name,
            "dataset_digest": self.dataset_digest,
        }


def no_model(model: str) -> NotFound:
    """The refusal for a model that nobody has logged."""
    return NotFound(
        f"Logged model with ID '{model[:80]}' not found.", hint="Search the logged models of its experiment."
    )


def add_points(connection: Connection, run: str, points: Sequence[ModelPoint]) -> None:
    """Adds the points of a run in this order, but for those that are there: the same request again changes nothing.

    Args:
        connection: inside a change in which the row of the run is locked.
        run: that measured all of them.
        points: of any models.

    Raises:
        NotFound: nobody has logged one of the models.
    """
    fresh = {tuple(row.values()): row for row in (point.row() for point in points)}
    if not fresh:
        return
    models = sorted({point.model for point in points})
    steps = {"first": min(point.step for point in points), "last": max(point.step for point in points)}
    for some in _some(models):
        known = set(connection.scalars(_KNOWN, {"models": some}))
        for model in some:
            if model not in known:
                raise no_model(model)
        for row in connection.execute(_THERE, {"models": some, "run": run, **steps}):
            fresh.pop(tuple(row)[1:], None)
    if fresh:
        connection.execute(insert(logged_model_points), list(fresh.values()))


def points_of(connection: Connection, models: Iterable[str]) -> Mapping[str, Sequence[ModelPoint]]:
    """All points of these models, by the model; within one, by name and step, and as they came."""
    found: dict[str, list[ModelPoint]] = {}
    for some in _some(sorted(set(models))):
        for row in connection.execute(_ALL, {"models": some}):
            value = math.nan if row.value is None else row.value
            point = ModelPoint(
                row.model, row.key, value, row.time_ms, row.step, row.run, row.dataset_name, row.dataset_digest
            )
            found.setdefault(row.model, []).append(point)
    return found


def _some(models: list[str]) -> Iterable[list[str]]:
    return (models[begin : begin + _MODELS_AT_A_TIME] for begin in range(0, len(models), _MODELS_AT_A_TIME))
