"""Why a search found nothing: fields that it asks for, and that no version has."""

from collections.abc import Iterator
from difflib import get_close_matches

from sqlalchemy import Connection, Table, func, select, union

from holdfast.database.filters import Compare, Either, Every, Filter, Flag, Not
from holdfast.registry.answers import Unknown
from holdfast.registry.facts import plain_name
from holdfast.registry.tables import version_numbers, version_texts

__all__ = ["unknown_fields"]

_NAMED = frozenset({"metrics", "params", "tags", "packages"})
"""The families whose names people make up."""

_FIELDS_MAX = 2_000
"""Names of a family that are looked through for a near one: each is one look into an index."""


def unknown_fields(connection: Connection, wanted: Filter) -> tuple[Unknown, ...]:
    """The fields in the filter that no indexed version has, with those that are written alike."""
    found = []
    for family, field in dict.fromkeys(_fields(wanted)):
        tables = (version_numbers, version_texts)
        there = union(
            *(select(table.c.field).where(table.c.field == field).limit(1).subquery().select() for table in tables)
        )
        if connection.execute(there).first() is None:
            known = sorted({name for table in tables for name in _known(connection, table, family)})
            found.append(Unknown(field, tuple(get_close_matches(field, known, n=3, cutoff=0.7))))
    return tuple(found)


def _fields(wanted: Filter) -> Iterator[tuple[str, str]]:
    match wanted:
        case Every(some) | Either(some):
            for one in some:
                yield from _fields(one)
        case Not(one):
            yield from _fields(one)
        case Compare(field, _, _) if field.kind in _NAMED:
            key = plain_name(field.key) if field.kind == "packages" else field.key
            yield field.kind, f"{field.kind}.{key}"
        case Compare() | Flag():
            return


def _known(connection: Connection, table: Table, family: str) -> list[str]:
    """The fields of a family: from each to the next one is one look, however many versions have it."""
    # The sign behind the dot is the slash.
    next_field = func.min(table.c.field)
    step = select(next_field.label("field")).where(table.c.field > f"{family}.", table.c.field < f"{family}/")
    fields = step.cte("fields", recursive=True)
    further = select(next_field).where(table.c.field > fields.c.field, table.c.field < f"{family}/")
    fields = fields.union_all(select(further.scalar_subquery()).where(fields.c.field.is_not(None)))
    statement = select(fields.c.field).where(fields.c.field.is_not(None)).limit(_FIELDS_MAX)
    return list(connection.scalars(statement))
