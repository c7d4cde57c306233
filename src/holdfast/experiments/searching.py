"""Searches for runs as SQL: the clauses that `filters` reads, with every value a parameter.

The statements are texts, put together from pieces: to have each made of objects took as long as the database takes to
find a hundred runs. Searches of one shape are one text, which a database that has read it knows again.
"""

import math
from collections.abc import Sequence

from holdfast.canonical import encode
from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.errors import UsageError
from holdfast.experiments.documents import ROWS
from holdfast.experiments.filters import RUNS, Clause, Sorting, parse_order
from holdfast.experiments.likeness import Piece, related
from holdfast.experiments.limits import check_orders
from holdfast.experiments.moments import MS_MAX, MS_MIN, to_text
from holdfast.experiments.paging import Place
from holdfast.experiments.view import View

__all__ = ["has_key", "parse_orders", "statement"]

_TABLES = {"metric": "run_metrics", "parameter": "run_params", "tag": "run_tags"}

_TEXTS = {
    "run_id": "runs.id",
    "run_name": "runs.name",
    "user_id": "runs.actor",
    "status": "upper(runs.status)",
    "artifact_uri": "(rtrim(experiments.place, '/') || '/' || runs.id || '/artifacts')",
}

_TIMES = {"start_time": "runs.started_at", "end_time": "runs.finished_at"}

_SHOWN = {
    View.ACTIVE: (Piece("runs.deleted_ms IS NULL"),),
    View.DELETED: (Piece("runs.deleted_ms IS NOT NULL"),),
    View.ALL: (),
}

_PARAM = {"sqlite": "json_extract(value, '$')", "postgresql": "CAST(value AS jsonb) #>> '{}'::text[]"}
"""The text of a param, whose column `value` holds it as JSON."""

_NATURAL = (Sorting("attribute", "start_time", ascending=False),)
"""The order of runs when nobody asks for another: the newest first, and among equals by id."""


def parse_orders(order_by: Sequence[str]) -> tuple[Sorting, ...]:
    """What the texts sort by, the first first.

    Raises:
        UsageError: one cannot be read, two are of one thing, or they are too many.
    """
    check_orders(order_by)
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
    numbers: Sequence[int],
    view: View,
    wanted: Sequence[Clause],
    orders: tuple[Sorting, ...],
    dialect: str,
    *,
    place: Place,
    limit: int,
) -> Piece:
    """The statement that gives the rows of the runs, in order.

    Args:
        numbers: of the experiments, one at least.
        view: whether deleted runs are meant.
        wanted: what has to hold.
        orders: what is sorted by.
        dialect: of the database.
        place: where the page begins.
        limit: how many rows it has.
    """
    tables = [Piece(ROWS)]
    conditions = [related("runs.experiment", "IN", tuple(numbers), dialect), *_SHOWN[view], *_behind(place)]
    lists = []
    for clause in wanted:
        if (ids := _fitting(clause, dialect)) is None:
            conditions.append(_condition(clause, dialect))
        else:
            lists.append(ids)
    if len(lists) > 1:
        tables.append(_in_all(lists))
    elif lists:
        conditions.append(Piece(f"runs.id IN (SELECT {lists[0].text})", lists[0].values))
    keys: list[str] = []
    for number, sorting in enumerate(orders):
        joined, keys_of = _sorted(sorting, f"sorted{number}")
        tables += joined
        keys += keys_of
    if not any((sorting.kind, sorting.key) == ("attribute", "start_time") for sorting in orders):
        keys.append("runs.started_at DESC")
    pieces = (*tables, *conditions)
    text = (
        f"{' '.join(one.text for one in tables)} WHERE {' AND '.join(one.text for one in conditions)} "
        f"ORDER BY {', '.join([*keys, 'runs.id'])} LIMIT ? OFFSET ?"
    )
    return Piece(text, (*(value for one in pieces for value in one.values), limit, place.offset))


def _behind(place: Place) -> tuple[Piece, ...]:
    if place.after is None:
        return ()
    started_at, id_ = place.after
    return (Piece("(runs.started_at < ? OR (runs.started_at = ? AND runs.id > ?))", (started_at, started_at, id_)),)


def _in_all(lists: Sequence[Piece]) -> Piece:
    """The join with what is in all of these lists.

    That is mostly little: it leads to the rows, rather than every row to the lists.
    """
    first, *others = lists
    text = f"SELECT DISTINCT {first.text}" + "".join(f" AND run IN (SELECT {one.text})" for one in others)
    return Piece(f"JOIN ({text}) AS fitting ON fitting.run = runs.id", tuple(v for one in lists for v in one.values))


def _condition(clause: Clause, dialect: str) -> Piece:
    if clause.kind == "attribute":
        if clause.key in _TIMES:
            return _at(_TIMES[clause.key], clause)
        return related(_TEXTS[clause.key], clause.operator, clause.value, dialect)
    those = f"SELECT 1 FROM {_TABLES[clause.kind]} AS those WHERE those.run = runs.id AND those.key = ?"  # noqa: S608
    there = f"EXISTS ({those})"
    return Piece(there if clause.operator == "IS NOT NULL" else f"NOT {there}", (clause.key,))


def _fitting(clause: Clause, dialect: str) -> Piece | None:
    """The ids of all runs for which a clause holds, where it is about what they logged: one index answers it alone.

    The text is that of a query without its `SELECT`, to which further conditions may be added.
    """
    if clause.kind == "attribute" or clause.operator in {"IS NULL", "IS NOT NULL"}:
        return None
    if clause.kind == "dataset":
        column = "run_datasets.context" if clause.key == "context" else f"datasets.{clause.key}"
        text, values = related(column, clause.operator, clause.value, dialect)
        return Piece(f"run FROM run_datasets JOIN datasets ON datasets.id = run_datasets.dataset WHERE {text}", values)
    text, values = _measured(clause, dialect) if clause.kind == "metric" else _written(clause, dialect)
    return Piece(f"run FROM {_TABLES[clause.kind]} WHERE key = ? AND {text}", (clause.key, *values))


def _measured(clause: Clause, dialect: str) -> Piece:
    """Whether a metric is so; what is no number differs from every number, and is nothing else."""
    text, values = related("value", clause.operator, clause.value, dialect)
    return Piece(f"({text} OR value IS NULL)" if clause.operator == "!=" else text, values)


def _written(clause: Clause, dialect: str) -> Piece:
    """Whether a param or a tag is so. The column `text` has the beginning alone, and an index."""
    is_tag = clause.kind == "tag"
    value = str(clause.value)
    if clause.operator in {"=", "!="}:
        same = Piece("text = ?", (value[:SEARCHED_CHARACTERS_MAX],))
        if len(value) >= SEARCHED_CHARACTERS_MAX:
            same = Piece("text = ? AND value = ?", (*same.values, value if is_tag else encode(value).decode()))
        return same if clause.operator == "=" else Piece(f"NOT ({same.text})", same.values)
    if is_tag:
        return related("value", clause.operator, value, dialect)
    said = f"CASE WHEN length(text) < {SEARCHED_CHARACTERS_MAX} THEN text ELSE {_PARAM[dialect]} END"
    return related(said, clause.operator, value, dialect)


def _at(column: str, clause: Clause) -> Piece:
    """Whether a moment is so. Moments are whole milliseconds, and the number may be none, or one of no calendar."""
    value = clause.value
    if not isinstance(value, int | float):
        return Piece("1 = 0")  # the grammar gives nothing else
    is_whole = math.isfinite(value) and value == int(value) and MS_MIN <= value <= MS_MAX
    if clause.operator in {"=", "!="} and not is_whole:
        return Piece("1 = 0" if clause.operator == "=" else f"{column} IS NOT NULL")
    bounded = min(max(value, MS_MIN), MS_MAX)
    whole = math.floor(bounded) if clause.operator in {">", "<="} else math.ceil(bounded)
    return related(column, clause.operator, to_text(whole), "")


def _sorted(sorting: Sorting, name: str) -> tuple[list[Piece], list[str]]:
    """A table of this name that has to be joined, and what to sort by.

    What is there comes first, in both directions; a metric that is no number comes behind the numbers.
    """
    way = "ASC" if sorting.ascending else "DESC"
    if sorting.kind == "attribute":
        key = _TIMES[sorting.key] if sorting.key in _TIMES else _TEXTS[sorting.key]
        return [], [*([f"{key} IS NULL"] if sorting.key == "end_time" else []), f"{key} {way}"]
    table = _TABLES[sorting.kind]
    joined = Piece(f"LEFT JOIN {table} AS {name} ON {name}.run = runs.id AND {name}.key = ?", (sorting.key,))
    if sorting.kind == "metric":
        there = f"CASE WHEN {name}.run IS NULL THEN 2 WHEN {name}.value IS NULL THEN 1 ELSE 0 END"
        return [joined], [there, f"{name}.value {way}"]
    return [joined], [f"{name}.run IS NULL", f"{name}.text {way}"]
