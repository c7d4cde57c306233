"""Searches of logged models: what they ask, and the statement that answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, or_, select
from sqlalchemy.sql.elements import KeyedColumnElement

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.filters import LOGGED_MODELS, Clause, parse_filter
from holdfast.experiments.likeness import compared
from holdfast.experiments.logged import LoggedModel, models_of
from holdfast.experiments.tables import (
    logged_model_params,
    logged_model_points,
    logged_model_tags,
    logged_models,
)

__all__ = ["FOUND_MAX", "LoggedModelSearch", "ModelOrder", "search_models"]

FOUND_MAX = 1000
"""Models of one answer: each is told with all its params, tags and points."""

_ORDERS_MAX = 16
"""Each costs the database a join."""

_DATASETS_MAX = 64
"""Each is one more comparison for every point."""

_COLUMNS: Mapping[str, KeyedColumnElement[Any]] = MappingProxyType(
    {
        "name": logged_models.c.name,
        "model_id": logged_models.c.id,
        "model_type": logged_models.c.type,
        "status": logged_models.c.status,
        "source_run_id": logged_models.c.run,
        "creation_timestamp": logged_models.c.created_ms,
        "last_updated_timestamp": logged_models.c.updated_ms,
    }
)

_SORTED = MappingProxyType(
    {
        **_COLUMNS,
        "creation_time": logged_models.c.created_ms,
        "creation_timestamp_ms": logged_models.c.created_ms,
        "last_updated_timestamp_ms": logged_models.c.updated_ms,
        "experiment_id": logged_models.c.experiment,
        "artifact_location": logged_models.c.place,
        "status_message": logged_models.c.status_message,
    }
)

_POINTS = logged_model_points.c


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """One thing to sort by: an attribute, or `metrics.auc`, perhaps as it was measured on one dataset."""

    field: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True, slots=True)
class LoggedModelSearch:
    """What is asked for.

    Attributes:
        experiments: numbers of them.
        filter: in the language of `holdfast.experiments.filters`.
        datasets: names, each with a digest or an empty text: metrics of the filter count where they were measured on
            one of these; without such metrics, models that were measured on one of them at all.
        orders: the first one first; behind them, the newest model first.
        limit: how many at most.
        offset: how many of them to leave out.
    """

    experiments: Sequence[int]
    filter: str = ""
    datasets: Sequence[tuple[str, str]] = ()
    orders: Sequence[ModelOrder] = ()
    limit: int = 50
    offset: int = 0


def search_models(database: Database, asked: LoggedModelSearch) -> list[LoggedModel]:
    """The models that are found and not deleted, in order: five statements, however many there are.

    Raises:
        UsageError: the filter or an order cannot be read.
    """
    if len(asked.orders) > _ORDERS_MAX or len(asked.datasets) > _DATASETS_MAX:
        raise UsageError(
            f"A search of logged models has at most {_ORDERS_MAX} orders and {_DATASETS_MAX} datasets", hint="Ask less."
        )
    statement = _statement(asked, parse_filter(asked.filter, LOGGED_MODELS), database.engine.dialect.name)
    with database.view() as connection:
        return models_of(connection, list(connection.scalars(statement)))


def _statement(asked: LoggedModelSearch, clauses: Sequence[Clause], dialect: str) -> Select[Any]:
    found = select(logged_models.c.id).where(
        logged_models.c.deleted_ms.is_(None), logged_models.c.experiment.in_(asked.experiments)
    )
    measured = or_(*(_on(name, digest) for name, digest in asked.datasets)) if asked.datasets else None
    for clause in clauses:
        found = found.where(_condition(clause, measured, dialect))
    if measured is not None and not any(clause.kind == "metric" for clause in clauses):
        found = found.where(logged_models.c.id.in_(select(_POINTS.model).where(measured)))
    for order in asked.orders:
        found = _sorted(found, order)
    newest_first = (logged_models.c.created_ms.desc(), logged_models.c.id.asc())
    return found.order_by(*newest_first).limit(asked.limit).offset(asked.offset)


def _on(name: str, digest: str) -> ColumnElement[bool]:
    of_name = _POINTS.dataset_name == name
    return and_(of_name, _POINTS.dataset_digest == digest) if digest else of_name


def _condition(clause: Clause, measured: ColumnElement[bool] | None, dialect: str) -> ColumnElement[bool]:
    if clause.kind == "attribute":
        return compared(_COLUMNS[clause.key], clause.operator, clause.value, dialect)
    if clause.kind == "metric":
        points = select(_POINTS.model).where(
            _POINTS.key == clause.key, compared(_POINTS.value, clause.operator, clause.value, dialect)
        )
        return logged_models.c.id.in_(points if measured is None else points.where(measured))
    table = logged_model_params if clause.kind == "parameter" else logged_model_tags
    words = select(table.c.model).where(
        table.c.key == clause.key, compared(table.c.value, clause.operator, clause.value, dialect)
    )
    return logged_models.c.id.in_(words)


def _sorted(found: Select[Any], order: ModelOrder) -> Select[Any]:
    family, dot, name = order.field.partition(".")
    if not dot:
        if order.field not in _SORTED:
            raise UsageError(f"Invalid order by field name: {order.field[:80]}", hint=f"Take one of {[*_COLUMNS]}.")
        return found.order_by(_directed(_SORTED[order.field], order))
    if family != "metrics":
        raise UsageError(
            f"Invalid order by field name: {order.field[:80]}. Only metrics are supported.", hint="Write metrics.NAME."
        )
    return found.order_by(_directed(_last(name, order), order))


def _last(name: str, order: ModelOrder) -> ScalarSelect[Any]:
    """What a model's last point of a metric says: that of the last moment, and in that of the last step.

    Asked of each model by itself: joined with what all of them say, SQLite reads that once for every model.
    """
    points = select(_POINTS.value).where(_POINTS.model == logged_models.c.id, _POINTS.key == name)
    if order.dataset_name:
        points = points.where(_POINTS.dataset_name == order.dataset_name)
    if order.dataset_digest:
        points = points.where(_POINTS.dataset_digest == order.dataset_digest)
    last_first = (_POINTS.time_ms.desc(), _POINTS.step.desc(), _POINTS.run.asc())
    return points.order_by(*last_first).limit(1).correlate(logged_models).scalar_subquery()


def _directed(column: Any, order: ModelOrder) -> Any:
    return (column.asc() if order.ascending else column.desc()).nulls_last()
