"""What one kind of database does in its own way; `sqlite.py` and `postgres.py` do it, `engine.py` uses it."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event

__all__ = ["Backend", "accesses"]

_BEGIN = "holdfast_begin"


@dataclass(frozen=True, slots=True)
class Backend:
    """One opened database, with an engine for each kind of access; the four share one pool of connections.

    Attributes:
        engine: the pool itself.
        name: what errors call the database; it holds no password.
        reads: one statement at a time, without a transaction.
        views: transactions that see one moment and change nothing.
        writes: transactions of the single writer.
        changes: transactions beside the single writer; None where every transaction that writes is the single writer.
    """

    engine: Engine
    name: str
    reads: Engine
    views: Engine
    writes: Engine
    changes: Engine | None


def accesses(engine: Engine, name: str, *, view: str, write: str, change: str | None) -> Backend:
    """The backend whose transactions begin with these statements, each sent in one round trip."""
    event.listen(engine, "begin", _begin)
    return Backend(
        engine=engine,
        name=name,
        reads=engine.execution_options(**{_BEGIN: None}),
        views=engine.execution_options(**{_BEGIN: view}),
        writes=engine.execution_options(**{_BEGIN: write}),
        changes=None if change is None else engine.execution_options(**{_BEGIN: change}),
    )


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN)
    if statement is not None:
        connection.exec_driver_sql(statement)
