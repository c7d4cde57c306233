"""SQLite: one file on a local disk.

It runs with a write-ahead log, so that readers and the writer never wait for each other, and with full synchronisation,
so that what was committed survives a power cut. A file has one writer at a time, whatever it writes.
"""

import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from holdfast.database.backend import Backend, accesses
from holdfast.database.border import driver_code
from holdfast.errors import NotFound, Unavailable, UsageError

__all__ = ["connected", "use_write_ahead_log"]

_CONNECTIONS_KEPT = 8
_CONNECTIONS_EXTRA = 56
"""64 connections at once serve the threads of one server process; each costs three file handles."""

_RETRY_SECONDS = 0.02


def connected(url: URL, patience_seconds: float) -> Backend:
    """The file that the URL names; it is made when somebody first asks it something.

    Raises:
        UsageError: not the URL of a file.
        NotFound: the folder that should hold the file is not there.
    """
    path = _path(url)
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=_CONNECTIONS_KEPT,
        max_overflow=_CONNECTIONS_EXTRA,
        pool_timeout=patience_seconds,
        connect_args={"timeout": patience_seconds, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    return accesses(engine, str(path), view="BEGIN", write="BEGIN IMMEDIATE", change=None)


def _path(url: URL) -> Path:
    if url.query or (url.database or ":memory:") == ":memory:":
        raise UsageError(
            f"a registry cannot live in {url.render_as_string(hide_password=True)!r}",
            hint="Use an SQLite file on a local disk: sqlite:////absolute/path/registry.db",
        )
    path = Path(str(url.database)).absolute()
    if not path.parent.is_dir():
        raise NotFound(
            f"there is no folder {path.parent} to hold the database",
            hint="Make it, or run: holdfast init",
            path=str(path.parent),
        )
    return path


def _prepare(driver: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(type(driver))
    # Python's driver would begin transactions on its own, too late for a read that a write depends on.
    driver.isolation_level = None
    for statement in ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL", "PRAGMA temp_store = MEMORY"):
        driver.execute(statement)


def use_write_ahead_log(engine: Engine, patience_seconds: float) -> None:
    """Turns the write-ahead log on, for good: the file remembers it.

    SQLite does not queue for this one change, so that two processes on one new file must take turns here.

    Raises:
        Unavailable: the file cannot have one; network drives cannot.
    """
    give_up = time.monotonic() + patience_seconds
    while True:
        try:
            with engine.connect() as connection:
                mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar_one()
        except OperationalError as error:
            if not driver_code(error).startswith("SQLITE_BUSY"):
                raise
            mode = "busy"
        if mode == "wal":
            return
        if time.monotonic() > give_up:
            raise Unavailable(
                f"the database cannot use a write-ahead log: its journal is {mode!r}",
                hint="Keep the registry's file on a local disk, and see that no other program holds it open.",
            )
        time.sleep(_RETRY_SECONDS)
