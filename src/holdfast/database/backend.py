"""What one kind of database does in its own way; `sqlite.py` and `postgres.py` do it, `engine.py` uses it."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event

from holdfast.database.driver import driver_of

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
        at_hand: a read of a row waits for nobody: it is a look into a file of this machine.
    """

    engine: Engine
    name: str
    reads: Engine
    views: Engine
    writes: Engine
    changes: Engine | None
    at_hand: bool


def accesses(
    engine: Engine,
    name: str,
    *,
    view: str,
    write: str | Callable[[Connection], None],
    change: str | None,
    at_hand: bool = False,
) -> Backend:
    """The backend whose transactions begin with these statements, each sent in one round trip, or by this call."""
    event.listen(engine, "begin", _begin)
    return Backend(
        engine=engine,
        name=name,
        reads=engine.execution_options(**{_BEGIN: None}),
        views=engine.execution_options(**{_BEGIN: view}),
        writes=engine.execution_options(**{_BEGIN: write}),
        changes=None if change is None else engine.execution_options(**{_BEGIN: change}),
        at_hand=at_hand,
    )


def _begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN)
    if callable(begin):
        begin(connection)
    elif begin is not None:
        with driver_of(connection) as driver:
            driver.execute(begin)
