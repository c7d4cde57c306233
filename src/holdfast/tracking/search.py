"""Searches as SQL: the tree that `grammar` reads, with every value a bound parameter."""

from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, not_, or_, select, true
from sqlalchemy.sql.elements import KeyedColumnElement

from holdfast.database.comparing import compared
from holdfast.tracking.grammar import Compare, Either, Every, Field, Filter, Flag, Not, Order
from holdfast.tracking.tables import experiment_names, run_metrics, run_params, run_tags, runs

__all__ = ["statement"]

_TABLES = MappingProxyType({"metric": run_metrics, "param": run_params, "tag": run_tags})

_EXPERIMENT = Field("attribute", "experiment")


def statement(wanted: Filter, orders: tuple[Order, ...], limit: int) -> Select[Any]:
    """The statement that gives the ids of the runs, in order."""
    found = select(runs.c.id).where(runs.c.deleted_ms.is_(None), _condition(wanted))
    for order in orders:
        found = _sorted(found, order)
    return found.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)


def _condition(wanted: Filter) -> ColumnElement[bool]:
    match wanted:
        case Every(filters):
            return and_(true(), *(_condition(one) for one in filters))
        case Either(filters):
            return or_(false(), *(_condition(one) for one in filters))
        case Not(one):
            # What a run has no value for is neither so nor otherwise to a database, and is not so to a person.
            return not_(func.coalesce(_condition(one), false()))
        case Compare(field, sign, literal) if field == _EXPERIMENT:
            named = select(experiment_names.c.id).where(compared(experiment_names.c.name, sign, literal))
            return runs.c.experiment.in_(named)
        case Compare(field, sign, literal) if field.kind == "attribute":
            return compared(runs.c[field.key], sign, literal)
        case Compare(field, sign, literal):
            table = _TABLES[field.kind]
            first = literal[0] if isinstance(literal, tuple) else literal
            column = _searched(field, number=isinstance(first, float))
            # A list of ids rather than a look-up for each run: the index (key, value, run) answers it alone.
            found = select(table.c.run).where(table.c.key == field.key, compared(column, sign, literal))
            return runs.c.id.in_(found)
        case Flag():
            return false()  # the language of runs has none


def _searched(field: Field, *, number: bool) -> KeyedColumnElement[Any]:
    table = _TABLES[field.kind]
    if field.kind == "metric":
        return table.c["value"]
    return table.c["number" if field.kind == "param" and number else "text"]


def _sorted(found: Select[Any], order: Order) -> Select[Any]:
    keys: list[KeyedColumnElement[Any]] = []
    if order.field == _EXPERIMENT:
        found = found.outerjoin(experiment_names, experiment_names.c.id == runs.c.experiment)
        keys.append(experiment_names.c.name)
    elif order.field.kind == "attribute":
        keys.append(runs.c[order.field.key])
    else:
        table = _TABLES[order.field.kind].alias()
        found = found.outerjoin(table, (table.c.run == runs.c.id) & (table.c.key == order.field.key))
        columns = {"metric": ("value",), "param": ("number", "text"), "tag": ("text",)}[order.field.kind]
        keys.extend(table.c[name] for name in columns)
    for key in keys:
        found = found.order_by((key.desc() if order.descending else key.asc()).nulls_last())
    return found
