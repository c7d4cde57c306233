"""Searches of traces: what they ask, and the statement that answers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import JSON, ColumnElement, Select, and_, cast, func, or_, select

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.filters import Clause, Grammar, Sorting, parse_filter, parse_order
from holdfast.experiments.likeness import compared
from holdfast.experiments.tables import trace_tags, traces
from holdfast.experiments.trace_rows import Trace, traces_of

__all__ = ["FOUND_MAX", "TRACES", "TraceSearch", "search_traces"]

FOUND_MAX = 500
"""Traces of one answer, as MLflow has it."""

_ORDERS_MAX = 16
"""Each costs the database a look-up for each trace."""

_NUMBERS = frozenset({"timestamp_ms", "execution_time_ms", "end_time_ms"})

_TEXTS = frozenset({"request_id", "status", "name", "run_id", "client_request_id", "text"})

TRACES = Grammar(
    families=MappingProxyType(
        {
            "attribute": "attribute",
            "attributes": "attribute",
            "trace": "attribute",
            "tag": "tag",
            "tags": "tag",
            "metadata": "parameter",
            "request_metadata": "parameter",
        }
    ),
    families_said="Valid values are ['attribute', 'tag', 'request_metadata']",
    numbers=_NUMBERS,
    texts=_TEXTS,
    sortable=_NUMBERS | _TEXTS | {"experiment_id"},
    listed=None,
    nullable=frozenset({"tag", "parameter"}),
    aliases=MappingProxyType(
        {
            "timestamp": "timestamp_ms",
            "execution_time": "execution_time_ms",
            "end_time": "end_time_ms",
            "trace_id": "request_id",
            "state": "status",
        }
    ),
)
"""What is searched by; a trace's metadata stands where a run's params do."""

_NAME = "mlflow.traceName"

_SOURCE_RUN = "mlflow.sourceRun"


@dataclass(frozen=True, slots=True)
class TraceSearch:
    """What is asked for.

    Attributes:
        experiments: numbers of them.
        filter: in the language of `holdfast.experiments.filters`.
        orders: such as `timestamp_ms DESC`; behind them, the newest first.
        limit: how many at most.
        offset: how many of them to leave out.
    """

    experiments: Sequence[int]
    filter: str = ""
    orders: Sequence[str] = ()
    limit: int = 100
    offset: int = 0


def search_traces(database: Database, asked: TraceSearch) -> list[Trace]:
    """The traces that are found, in order, without their spans: three statements, however many there are.

    Raises:
        UsageError: the filter or an order cannot be read.
    """
    if len(asked.orders) > _ORDERS_MAX:
        raise UsageError(f"A search of traces has at most {_ORDERS_MAX} orders", hint="Sort by less.")
    dialect = database.engine.dialect.name
    found = select(traces.c.id).where(traces.c.experiment.in_(asked.experiments))
    for clause in parse_filter(asked.filter, TRACES):
        found = found.where(_condition(clause, dialect))
    for order in asked.orders:
        found = _sorted(found, parse_order(order, TRACES), dialect)
    found = found.order_by(traces.c.began_ms.desc(), traces.c.id.asc()).limit(asked.limit).offset(asked.offset)
    with database.view() as connection:
        return traces_of(connection, list(connection.scalars(found)))


def _condition(clause: Clause, dialect: str) -> ColumnElement[bool]:
    field = _field(clause.kind, clause.key, dialect)
    if clause.operator == "IS NULL":
        missing: ColumnElement[bool] = field.is_(None)
        return missing
    if clause.operator == "IS NOT NULL":
        there: ColumnElement[bool] = field.is_not(None)
        return there
    said = compared(field, clause.operator, clause.value, dialect)
    if clause.kind == "attribute" and clause.key == "run_id":
        # A trace belongs to the run that made it, and to the one that it was linked to.
        made_by = compared(_word(dialect, "trace_metadata", _SOURCE_RUN), clause.operator, clause.value, dialect)
        return and_(said, made_by) if clause.operator in {"!=", "NOT IN"} else or_(said, made_by)
    return said


def _field(kind: str, key: str, dialect: str) -> Any:
    if kind == "tag":
        return _tag(key)
    if kind == "parameter":
        return _word(dialect, "trace_metadata", key)
    plain = {
        "request_id": traces.c.id,
        "timestamp_ms": traces.c.began_ms,
        "execution_time_ms": traces.c.lasted_ms,
        "end_time_ms": traces.c.began_ms + traces.c.lasted_ms,
        "status": traces.c.state,
        "run_id": traces.c.run,
        "experiment_id": traces.c.experiment,
        "text": traces.c.spans,
    }
    if key in plain:
        return plain[key]
    return _tag(_NAME) if key == "name" else _word(dialect, key)


def _tag(key: str) -> Any:
    return (
        select(trace_tags.c.value).where(trace_tags.c.trace == traces.c.id, trace_tags.c.key == key).scalar_subquery()
    )


def _word(dialect: str, *path: str) -> Any:
    """What stands at a path of what is said of a trace."""
    if dialect == "postgresql":
        return func.json_extract_path_text(cast(traces.c.info, JSON), *path)
    if any('"' in name for name in path):
        raise UsageError("Invalid metadata key: it has a quotation mark", hint="Search by another one.")
    return func.json_extract(traces.c.info, "$" + "".join(f'."{name}"' for name in path))


def _sorted(found: Select[Any], order: Sorting, dialect: str) -> Select[Any]:
    field = _field(order.kind, order.key, dialect)
    return found.order_by((field.asc() if order.ascending else field.desc()).nulls_last())
