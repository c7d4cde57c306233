"""A database without its triggers, for as long as whoever owns it puts back what they let in before."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text

__all__ = ["unguarded"]


@contextmanager
def unguarded(connection: Connection, tables: Sequence[str]) -> Iterator[None]:
    """Inside, no trigger of ours runs; the transaction that this is in ends with all of them, or is taken back.

    On PostgreSQL only the owner of the tables may ask for it.
    """
    if connection.dialect.name == "postgresql":
        _switch(connection, tables, "DISABLE")
        yield
        _switch(connection, tables, "ENABLE")
        return
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")).all()
    for name, _ in found:
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    yield
    for _, statement in found:
        connection.exec_driver_sql(statement)


def _switch(connection: Connection, tables: Sequence[str], how: str) -> None:
    for table in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{table}" {how} TRIGGER USER')
