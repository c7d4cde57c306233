"""Searches of registered models and versions, one statement each; what they find is loaded by `registered_rows`.

A tag is compared only where it is there, but for the one that tells prompts from models: every client asks for models
that are no prompts, and these have no such tag.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, DateTime, and_, cast, exists, extract, func, select

from holdfast.database.engine import Database
from holdfast.errors import UsageError
from holdfast.experiments.filters import REGISTERED_MODELS, VERSIONS, Clause, Grammar, parse_filter, parse_order
from holdfast.experiments.likeness import compared
from holdfast.experiments.naming import PROMPT
from holdfast.experiments.registered import RegisteredModel, RegisteredVersion
from holdfast.experiments.registered_rows import (
    MODEL_IS_THERE,
    MODEL_JOIN,
    VERSION_IS_THERE,
    VERSION_JOIN,
    load_models,
    load_versions,
)
from holdfast.experiments.tables import (
    registered_model_tags,
    registered_models,
    registered_version_tags,
    registered_versions,
)
from holdfast.names import StageName
from holdfast.registry.tables import models, versions

__all__ = ["NameSearch", "SqlNameSearch"]

_NAME = func.coalesce(registered_models.c.name, models.c.name)

_RUN = func.coalesce(registered_versions.c.run, versions.c.run_id)

_NUMBER_MAX = 2**53
"""Past every number of a version, and what every database holds."""


@dataclass(frozen=True, slots=True)
class NameSearch:
    """What is searched.

    Attributes:
        filter: as MLflow writes it; empty: everything.
        orders: what to sort by, as MLflow writes it; none: the usual order.
        limit: how many at most.
        offset: how many are passed over.
    """

    filter: str = ""
    orders: Sequence[str] = ()
    limit: int = 100
    offset: int = 0


class SqlNameSearch:
    """Finds models and versions in a database.

    Args:
        database: at the schema of this Holdfast.
        meant: aliases that the settings give a stage.
    """

    def __init__(self, database: Database, meant: Mapping[str, StageName] | None = None) -> None:
        self._database = database
        self._meant = meant or {}

    def models(self, wanted: NameSearch) -> tuple[RegisteredModel, ...]:
        """The models that fit; by name, unless the search says otherwise.

        Raises:
            UsageError: the search cannot be read.
        """
        clauses = parse_filter(wanted.filter, REGISTERED_MODELS)
        with self._database.view() as connection:
            dialect = connection.dialect.name
            columns: dict[str, Any] = {
                "name": _NAME,
                "creation_timestamp": _moment(registered_models.c.created_ms, models.c.created_at, dialect),
                "last_updated_timestamp": _moment(registered_models.c.updated_ms, models.c.created_at, dialect),
            }
            fits = _fitting(clauses, columns, _model_tag, dialect)
            sorted_by = _sorted(wanted.orders, REGISTERED_MODELS, columns, {"name": True})
            statement = select(models.c.name).select_from(MODEL_JOIN).where(MODEL_IS_THERE, *fits).order_by(*sorted_by)
            found = connection.execute(statement.limit(wanted.limit).offset(wanted.offset)).scalars().all()
            return load_models(connection, found, self._meant)

    def versions(self, wanted: NameSearch) -> tuple[RegisteredVersion, ...]:
        """The versions that fit; the last of which something was said first, unless the search says otherwise.

        Raises:
            UsageError: the search cannot be read.
        """
        clauses = tuple(_whole(one) for one in parse_filter(wanted.filter, VERSIONS))
        orders = wanted.orders or ("last_updated_timestamp DESC",)
        with self._database.view() as connection:
            return load_versions(connection, _found_versions(connection, wanted, clauses, orders), self._meant)


def _found_versions(
    connection: Connection, wanted: NameSearch, clauses: Sequence[Clause], orders: Sequence[str]
) -> list[tuple[str, int]]:
    dialect = connection.dialect.name
    columns: dict[str, Any] = {
        "name": _NAME,
        "version_number": versions.c.number,
        "run_id": _RUN,
        "source_path": func.coalesce(registered_versions.c.source, ""),
        "creation_timestamp": _moment(registered_versions.c.created_ms, versions.c.created_at, dialect),
        "last_updated_timestamp": _moment(registered_versions.c.updated_ms, versions.c.created_at, dialect),
    }
    fits = _fitting(clauses, columns, _version_tag, dialect)
    sorted_by = _sorted(orders, VERSIONS, columns, {"name": True, "version_number": False})
    statement = (
        select(versions.c.model, versions.c.number)
        .select_from(VERSION_JOIN)
        .where(VERSION_IS_THERE, *fits)
        .order_by(*sorted_by)
        .limit(wanted.limit)
        .offset(wanted.offset)
    )
    return [(row.model, row.number) for row in connection.execute(statement)]


def _whole(clause: Clause) -> Clause:
    """Refuse what is no number of a version."""
    if clause.key == "version_number" and clause.kind == "attribute":
        if not isinstance(clause.value, int):
            raise UsageError(
                f"Invalid value for numeric attribute 'version_number': {clause.value!r}", hint="Give a whole number."
            )
        bounded = max(-_NUMBER_MAX, min(clause.value, _NUMBER_MAX))
        return Clause(clause.kind, clause.key, clause.operator, bounded)
    return clause


def _fitting(
    clauses: Sequence[Clause],
    columns: Mapping[str, Any],
    tag: Callable[[str, ColumnElement[bool]], ColumnElement[bool]],
    dialect: str,
) -> list[ColumnElement[bool]]:
    """The conditions of a search.

    Args:
        clauses: as they were read.
        columns: what attributes are.
        tag: whether there is a tag with a key of which something is true.
        dialect: of the database.
    """
    value = registered_model_tags.c.value if tag is _model_tag else registered_version_tags.c.value
    prompts = [one for one in clauses if one.kind == "tag" and one.key == PROMPT]
    asks_for_prompts = any(
        (one.operator, str(one.value).lower()) in {("=", "true"), ("!=", "false")} for one in prompts
    )
    found = [] if asks_for_prompts else [~_model_tag(PROMPT, registered_model_tags.c.value == "true")]
    for one in clauses:
        if one.kind == "attribute":
            found.append(compared(columns[one.key], one.operator, one.value, dialect))
        elif asks_for_prompts or one.key != PROMPT:
            found.append(tag(one.key, compared(value, one.operator, one.value, dialect)))
    return found


def _model_tag(key: str, is_true: ColumnElement[bool]) -> ColumnElement[bool]:
    there = registered_model_tags.c
    return exists().where(there.model == models.c.name, there.key == key, is_true)


def _version_tag(key: str, is_true: ColumnElement[bool]) -> ColumnElement[bool]:
    there = registered_version_tags.c
    of_this = and_(there.model == versions.c.model, there.number == versions.c.number)
    return exists().where(of_this, there.key == key, is_true)


def _sorted(
    orders: Sequence[str], grammar: Grammar, columns: Mapping[str, Any], otherwise: Mapping[str, bool]
) -> list[Any]:
    """What to sort by, and behind it what makes the order one."""
    found: dict[str, bool] = {}
    for order in orders:
        sorting = parse_order(order, grammar)
        if sorting.key in found:
            raise UsageError(f"`order_by` contains duplicate fields: {list(orders)}", hint="Sort by each once.")
        found[sorting.key] = sorting.ascending
    behind = {key: ascending for key, ascending in otherwise.items() if key not in found}
    return [columns[key].asc() if up else columns[key].desc() for key, up in (found | behind).items()]


def _moment(known: Any, written: Any, dialect: str) -> ColumnElement[int]:
    """A moment in milliseconds: as it is known, or as the registry wrote it, `2026-03-01T09:00:00.000000Z`."""
    seconds: Any
    if dialect == "sqlite":
        seconds = cast(func.strftime("%s", func.substr(written, 1, 19)), BigInteger)
    else:
        seconds = cast(
            extract("epoch", cast(func.concat(func.substr(written, 1, 19), "Z"), DateTime(timezone=True))), BigInteger
        )
    milliseconds = cast(func.substr(written, 21, 3), BigInteger)
    return func.coalesce(known, seconds * 1000 + milliseconds)
