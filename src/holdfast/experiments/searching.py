"""Searches for runs as SQL: the clauses that `filters` reads, with every value a bound parameter."""

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    intersect,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from holdfast.canonical import encode
from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.errors import UsageError
from holdfast.experiments.documents import ROW
from holdfast.experiments.filters import RUNS, Clause, Sorting, parse_order
from holdfast.experiments.likeness import compared
from holdfast.experiments.moments import MS_MAX, MS_MIN, to_text
from holdfast.experiments.paging import Place
from holdfast.experiments.tables import datasets, experiments, run_datasets
from holdfast.experiments.view import View, shown
from holdfast.tracking.tables import run_metrics, run_params, run_tags, runs

__all__ = ["beginning", "has_key", "parse_orders", "statement"]

_TABLES = {"metric": run_metrics, "parameter": run_params, "tag": run_tags}

_ARTIFACTS = func.rtrim(experiments.c.place, "/") + "/" + runs.c.id + "/artifacts"

_TEXTS = {
    "run_id": runs.c.id,
    "run_name": runs.c.name,
    "user_id": runs.c.actor,
    "status": func.upper(runs.c.status),
    "artifact_uri": _ARTIFACTS,
}

_TIMES = {"start_time": runs.c.started_at, "end_time": runs.c.finished_at}

_NATURAL = (Sorting("attribute", "start_time", ascending=False),)
"""The order of runs when nobody asks for another: the newest first, and among equals by id."""

_ORDERS_MAX = 16
"""What one search sorts by: each metric, param or tag is one more table of the statement."""


def parse_orders(order_by: Sequence[str]) -> tuple[Sorting, ...]:
    """What the texts sort by, the first first.

    Raises:
        UsageError: one cannot be read, two are of one thing, or they are too many.
    """
    if len(order_by) > _ORDERS_MAX:
        raise UsageError(f"`order_by` has {len(order_by)} fields, and may have {_ORDERS_MAX}", hint="Sort by fewer.")
    found = tuple(parse_order(written, RUNS) for written in order_by)
    for sorting in found:
        if sorting.kind == "dataset":
            raise UsageError("Invalid identifier type 'dataset'", hint="Sort by something else.")
    if len({(sorting.kind, sorting.key) for sorting in found}) < len(found):
        raise UsageError(f"`order_by` contains duplicate fields: {list(order_by)}", hint="Sort by each once.")
    return found


def has_key(orders: tuple[Sorting, ...]) -> bool:
    """Whether a page can begin after the moment and the id of a run."""
    return orders in {(), _NATURAL}


def statement(
    numbers: Sequence[int], view: View, wanted: Sequence[Clause], orders: tuple[Sorting, ...], dialect: str
) -> Select[*tuple[Any, ...]]:
    """The statement that gives the rows of the runs, in order; `beginning` says from where on, and the caller how many.

    Args:
        numbers: of the experiments.
        view: whether deleted runs are meant.
        wanted: what has to hold.
        orders: what is sorted by.
        dialect: of the database.
    """
    found = ROW.where(runs.c.experiment.in_(numbers), shown(runs.c.deleted_ms, view))
    fitting = []
    for clause in wanted:
        if (ids := _fitting(clause, dialect)) is None:
            found = found.where(_condition(clause, dialect))
        else:
            fitting.append(ids)
    if len(fitting) > 1:
        # What is in all lists is mostly little: it leads to the rows, rather than every row to the lists.
        found = found.join(both := intersect(*fitting).subquery(), both.c.run == runs.c.id)
    elif fitting:
        found = found.where(runs.c.id.in_(fitting[0]))
    for sorting in orders:
        found = _sorted(found, sorting)
    if not any((sorting.kind, sorting.key) == ("attribute", "start_time") for sorting in orders):
        found = found.order_by(runs.c.started_at.desc())
    return found.order_by(runs.c.id)


def beginning(found: Select[*tuple[Any, ...]], place: Place) -> Select[*tuple[Any, ...]]:
    """The statement for the page that begins at a place."""
    if place.after is None:
        return found.offset(place.offset) if place.offset else found
    started_at, id_ = place.after
    before = runs.c.started_at < bindparam("after_start", started_at)
    beside = (runs.c.started_at == bindparam("after_start", started_at)) & (runs.c.id > id_)
    return found.where(or_(before, beside))


def _condition(clause: Clause, dialect: str) -> ColumnElement[bool]:
    if clause.kind == "attribute":
        if clause.key in _TIMES:
            return _at(_TIMES[clause.key], clause)
        return compared(_TEXTS[clause.key], clause.operator, clause.value, dialect)
    table = _TABLES[clause.kind]
    there = exists().where(table.c.run == runs.c.id, table.c.key == clause.key)
    return there if clause.operator == "IS NOT NULL" else ~there


def _fitting(clause: Clause, dialect: str) -> Select[*tuple[Any, ...]] | None:
    """The ids of all runs for which a clause holds, where it is about what they logged: one index answers it alone."""
    if clause.kind == "attribute" or clause.operator in {"IS NULL", "IS NOT NULL"}:
        return None
    if clause.kind == "dataset":
        column = run_datasets.c.context if clause.key == "context" else datasets.c[clause.key]
        found = select(run_datasets.c.run).join(datasets, datasets.c.id == run_datasets.c.dataset)
        return found.where(compared(column, clause.operator, clause.value, dialect))
    table = _TABLES[clause.kind]
    holds = _measured(clause, dialect) if clause.kind == "metric" else _written(clause, dialect)
    return select(table.c.run).where(table.c.key == clause.key, holds)


def _measured(clause: Clause, dialect: str) -> ColumnElement[bool]:
    """Whether a metric is so; what is no number differs from every number, and is nothing else."""
    column = run_metrics.c.value
    found = compared(column, clause.operator, clause.value, dialect)
    return or_(found, column.is_(None)) if clause.operator == "!=" else found


def _written(clause: Clause, dialect: str) -> ColumnElement[bool]:
    """Whether a param or a tag is so. The column `text` has the beginning alone, and an index."""
    is_tag = clause.kind == "tag"
    table = run_tags if is_tag else run_params
    value = str(clause.value)
    if clause.operator in {"=", "!="}:
        same = table.c.text == value[:SEARCHED_CHARACTERS_MAX]
        if len(value) >= SEARCHED_CHARACTERS_MAX:
            same = and_(same, table.c.value == (value if is_tag else encode(value).decode()))
        return same if clause.operator == "=" else not_(same)
    if is_tag:
        return compared(table.c.value, clause.operator, value, dialect)
    whole = (
        func.json_extract(table.c.value, "$")
        if dialect == "sqlite"
        else cast(table.c.value, JSONB).op("#>>")(literal_column("'{}'::text[]"))
    )
    said = case((func.length(table.c.text) < SEARCHED_CHARACTERS_MAX, table.c.text), else_=whole)
    return compared(said, clause.operator, value, dialect)


def _at(column: ColumnElement[Any], clause: Clause) -> ColumnElement[bool]:
    """Whether a moment is so. Moments are whole milliseconds, and the number may be none, or one of no calendar."""
    value = clause.value
    if not isinstance(value, int | float):
        return false()  # the grammar gives nothing else
    is_whole = math.isfinite(value) and value == int(value) and MS_MIN <= value <= MS_MAX
    if clause.operator in {"=", "!="} and not is_whole:
        return false() if clause.operator == "=" else column.is_not(None)
    bounded = min(max(value, MS_MIN), MS_MAX)
    whole = math.floor(bounded) if clause.operator in {">", "<="} else math.ceil(bounded)
    return compared(column, clause.operator, to_text(whole), "")


def _sorted(found: Select[*tuple[Any, ...]], sorting: Sorting) -> Select[*tuple[Any, ...]]:
    """By what is there first, in both directions; a metric that is no number comes behind the numbers."""
    if sorting.kind == "attribute":
        key: ColumnElement[Any] = _TIMES[sorting.key] if sorting.key in _TIMES else _TEXTS[sorting.key]
        if sorting.key == "end_time":
            found = found.order_by(key.is_(None))
    else:
        table = _TABLES[sorting.kind].alias()
        found = found.outerjoin(table, (table.c.run == runs.c.id) & (table.c.key == sorting.key))
        key = table.c.value if sorting.kind == "metric" else table.c.text
        if sorting.kind == "metric":
            found = found.order_by(case((table.c.run.is_(None), 2), (key.is_(None), 1), else_=0))
        else:
            found = found.order_by(table.c.run.is_(None))
    return found.order_by(key.asc() if sorting.ascending else key.desc())
