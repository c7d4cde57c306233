"""SQLite: one file on a local disk.

It runs with a write-ahead log, so that readers and the writer never wait for each other, and with full synchronisation,
so that what was committed survives a power cut. A file has one writer at a time, whatever it writes.
"""

import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
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

_CACHE_KIB = 8_000
"""Pages that a connection keeps: a search that answers a hundred runs reads three megabytes of them, and SQLite, which
keeps two where nobody says more, would read them from the file again each time."""

_RETRY_SECONDS = 0.02

_LOOK_SECONDS = 0.0005
"""Between two looks at a file that another process writes to: what a small write takes."""

_SOON_SECONDS = 0.1
"""What writes take that wait for each other. Whoever waits longer waits for something long, and looks less often."""

_AWAY_SECONDS = 0.002
"""Long enough for every other process to look once or more."""

_IN_A_ROW_MAX = 16
"""Writes of one process before it lets others in: few enough that nobody waits long, many enough that the change from
one process to another costs little beside them."""

_OTHERS_SECONDS = 1.0
"""For how long others are expected to come again: whoever is alone with a file never stays away from it."""


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
        pool_use_lifo=True,  # the one that was used last still holds the pages that it read
        connect_args={"timeout": patience_seconds, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    return accesses(engine, str(path), view="BEGIN", write=_Writing(patience_seconds).begin, change=None, at_hand=True)


class _Writing:
    """How one process takes its place among the processes that write to one file.

    SQLite itself asks for the file at growing distances, up to a tenth of a second, and whoever has just let go of it
    takes it again meanwhile: one process waits for a hundred writes of another. Here a process that waits asks often,
    and one that has written a few times in a row, and has met others lately, stays away for longer than that.

    Only one thread of a process is here at a time: the threads queue before.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._in_a_row = 0
        self._met_others = -_OTHERS_SECONDS

    def begin(self, connection: Connection) -> None:
        """Begin a transaction that writes, as soon as the file is free."""
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError(type(driver))
        begun = time.monotonic()
        if self._in_a_row >= _IN_A_ROW_MAX:
            self._in_a_row = 0
            if begun - self._met_others < _OTHERS_SECONDS:
                time.sleep(_AWAY_SECONDS)
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            while not _began(driver) and (waited := time.monotonic() - begun) < self._patience_seconds:
                self._in_a_row, self._met_others = 0, time.monotonic()
                time.sleep(_LOOK_SECONDS if waited < _SOON_SECONDS else _AWAY_SECONDS)
            if not driver.in_transaction:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # says what is wrong, as errors of a connection are said
            self._in_a_row += 1
        finally:
            driver.execute(f"PRAGMA busy_timeout = {int(self._patience_seconds * 1000)}")


def _began(driver: sqlite3.Connection) -> bool:
    """Whether there is nothing to wait for: the transaction has begun, or cannot begin at all."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        return not str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
    return True


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
    for setting in ("foreign_keys = ON", "synchronous = FULL", "temp_store = MEMORY", f"cache_size = -{_CACHE_KIB}"):
        driver.execute(f"PRAGMA {setting}")


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
