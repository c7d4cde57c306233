"""Searches as SQL: the tree that `grammar` reads, with every value a bound parameter."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.sql.elements import KeyedColumnElement

from holdfast.tracking.grammar import Compare, Either, Every, Field, Filter, Order
from holdfast.tracking.tables import run_metrics, run_params, run_tags, runs

__all__ = ["statement"]

_TABLES = MappingProxyType({"metric": run_metrics, "param": run_params, "tag": run_tags})

_COMPARE: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    # The escape is named, and escaped: PostgreSQL would take a backslash for one unasked, and SQLite would not.
    "like": lambda column, pattern: column.ilike(pattern.replace("\\", "\\\\"), escape="\\"),
}


def statement(wanted: Filter, orders: tuple[Order, ...], limit: int) -> Select[Any]:
    """The statement that gives the ids of the runs, in order."""
    found = select(runs.c.id).where(_condition(wanted))
    for order in orders:
        found = _sorted(found, order)
    return found.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)


def _condition(wanted: Filter) -> ColumnElement[bool]:
    match wanted:
        case Every(filters):
            return and_(true(), *(_condition(one) for one in filters))
        case Either(filters):
            return or_(false(), *(_condition(one) for one in filters))
        case Compare(field, sign, literal):
            compare = _COMPARE[sign]
            if field.kind == "attribute":
                return compare(runs.c[field.key], literal)
            table = _TABLES[field.kind]
            column = _searched(field, number=isinstance(literal, float))
            # A list of ids rather than a look-up for each run: the index (key, value, run) answers it alone.
            return runs.c.id.in_(select(table.c.run).where(table.c.key == field.key, compare(column, literal)))


def _searched(field: Field, *, number: bool) -> KeyedColumnElement[Any]:
    table = _TABLES[field.kind]
    if field.kind == "metric":
        return table.c["value"]
    return table.c["number" if field.kind == "param" and number else "text"]


def _sorted(found: Select[Any], order: Order) -> Select[Any]:
    keys: list[KeyedColumnElement[Any]] = []
    if order.field.kind == "attribute":
        keys.append(runs.c[order.field.key])
    else:
        table = _TABLES[order.field.kind].alias()
        found = found.outerjoin(table, (table.c.run == runs.c.id) & (table.c.key == order.field.key))
        columns = {"metric": ("value",), "param": ("number", "text"), "tag": ("text",)}[order.field.kind]
        keys.extend(table.c[name] for name in columns)
    for key in keys:
        found = found.order_by((key.desc() if order.descending else key.asc()).nulls_last())
    return found
