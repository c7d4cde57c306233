"""Writing down what is known of versions, once and for good; and which versions that was not done for."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal_column, select, tuple_

from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ByNumber, ModelName, Reference, VersionNumber
from holdfast.registry.answers import Indexed
from holdfast.registry.facts import Facts
from holdfast.registry.nearest import unknown_version
from holdfast.registry.tables import (
    version_entries,
    version_indexes,
    version_numbers,
    version_texts,
    versions,
)

__all__ = ["enter", "fill", "named_snapshots", "not_indexed", "open_counts"]

_ENTRY = select(version_entries.c.event, version_indexes.c.facts, version_indexes.c.left_out).outerjoin(
    version_indexes, version_indexes.c.event == version_entries.c.event
)

_NOT_INDEXED = (
    select(versions)
    .join(
        version_entries,
        (version_entries.c.model == versions.c.model) & (version_entries.c.number == versions.c.number),
    )
    .where(version_entries.c.event.not_in(select(version_indexes.c.event)))
    .order_by(versions.c.model, versions.c.number)
)


_SAME = version_entries.c.event == version_indexes.c.event

_ALL = select(func.count()).select_from(version_entries)

_INDEXED = select(func.count()).select_from(version_indexes)


def enter(connection: Connection, event: int, model: str, number: int, facts: Facts | None) -> None:
    """Gives a version that was just numbered its entry, and its facts where they are known."""
    connection.execute(insert(version_entries), {"event": event, "model": model, "number": number})
    if facts is not None:
        _write(connection, event, facts)


def fill(connection: Connection, model: ModelName, number: VersionNumber, facts: Facts) -> Indexed:
    """Writes down the facts of a version that has none; see `Questions.index`."""
    here = (version_entries.c.model == str(model), version_entries.c.number == number)
    row = connection.execute(_ENTRY.where(*here)).one_or_none()
    if row is None:
        raise unknown_version(connection, str(model), str(number))
    if row.facts is not None:
        return Indexed(row.facts, row.left_out)
    return _write(connection, row.event, facts)


def _write(connection: Connection, event: int, facts: Facts) -> Indexed:
    for table, pairs in ((version_numbers, facts.numbers), (version_texts, facts.texts)):
        rows = _rows(event, pairs)
        if rows:
            connection.execute(insert(table), rows)
    connection.execute(insert(version_indexes), {"event": event, "facts": len(facts), "left_out": facts.left_out})
    return Indexed(len(facts), facts.left_out)


def _rows(event: int, pairs: Iterable[tuple[str, float | str]]) -> list[dict[str, Any]]:
    # In the order of the table: neighbours are written to one page.
    return [{"field": field, "value": value, "event": event} for field, value in sorted(set(pairs))]


def not_indexed(connection: Connection, after: Reference | None, limit: int) -> list[Row[Any]]:
    """The rows of versions without facts; see `Questions.not_indexed`."""
    statement = _NOT_INDEXED.limit(limit)
    if after is not None:
        if not isinstance(after.choice, ByNumber):
            raise UsageError(f"{after} is no place in a list of versions", hint="Name a version by its number.")
        statement = statement.where(
            tuple_(versions.c.model, versions.c.number) > tuple_(str(after.model), after.choice.number)
        )
    return list(connection.execute(statement))


def open_counts(connection: Connection, model: ModelName | None) -> tuple[int, int]:
    """How many versions are not indexed, and how many in part."""
    entries, indexes = _ALL, _INDEXED
    if model is not None:
        mine = version_entries.c.model == str(model)
        entries, indexes = _ALL.where(mine), _INDEXED.join(version_entries, _SAME).where(mine)
    in_part = indexes.where(version_indexes.c.left_out > literal_column("0"))
    counted = [connection.execute(statement).scalar_one() for statement in (entries, indexes, in_part)]
    return counted[0] - counted[1], counted[2]


def named_snapshots(connection: Connection, after: Digest | None, limit: int | None) -> tuple[Digest, ...]:
    """Every snapshot that an indexed version names; see `Questions.named_snapshots`."""
    statement = (
        select(version_texts.c.value)
        .where(version_texts.c.field == "data", version_texts.c.value > ("" if after is None else str(after)))
        .distinct()
        .order_by(version_texts.c.value)
        .limit(limit)
    )
    return tuple(map(Digest.parse, connection.scalars(statement)))
