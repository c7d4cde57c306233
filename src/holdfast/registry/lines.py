"""All rows of a registry's database as lines, and a database made of such lines, audited before it counts.

`holdfast.database.dump` has the lines; this adds what makes them a registry's: the head of the log in front, and the
audit behind.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import Connection

from holdfast.canonical import JsonObject, Reader
from holdfast.database.dump import dump, load
from holdfast.database.engine import Database
from holdfast.errors import IntegrityError
from holdfast.registry import audit, nodes
from holdfast.registry.events import Entry, append

__all__ = ["filled", "written"]


def written(database: Database, about: JsonObject) -> Iterator[bytes]:
    """Every row at one moment; the first line says `about` and the head of the log."""
    with database.view() as connection:
        head, _ = nodes.heads(connection, ())
        yield from dump(connection, {**about, "log": head.to_json()})


def filled(
    url: str,
    lines: Callable[[], AbstractContextManager[tuple[Reader, Iterator[bytes]]]],
    entry: Entry,
    now: datetime,
    actor: str,
) -> None:
    """Fill an empty database, in one transaction, and append the entry to its log.

    Args:
        url: of the database.
        lines: gives what the first line says, and the others.
        entry: what the log shall say of it.
        now: the moment, in UTC.
        actor: who asks.

    Raises:
        UsageError: the database is not empty.
        UnsupportedFormat: the lines are not of this kind.
        IntegrityError: rows are missing, or the log is not whole, or not the one that the first line states. The
            details are the audit's.
    """

    def fill(connection: Connection, name: str) -> None:
        with lines() as (head, rows):
            load(connection, head, rows, name)
            stated = head.mapping("log")
        found = audit.verify(connection)
        if not found.ok or {"size": found.size, "root": str(found.root)} != stated:
            raise IntegrityError(
                f"the log in this backup is not whole: {found.sentence}",
                hint="Put back another one, and keep this one for whoever looks into it.",
                **found.to_json(),
            )
        append(connection, entry, now, actor)

    Database.filled(url, fill).close()
