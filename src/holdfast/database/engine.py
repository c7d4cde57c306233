"""One open database: its connections, its single writer, its three kinds of access.

SQLite runs with a write-ahead log, so that readers and the writer never wait for each other, and with full
synchronisation, so that what was committed survives a power cut. Statements are written for PostgreSQL too.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from holdfast.database import schema
from holdfast.database.border import translated
from holdfast.errors import NotFound, Unavailable, UsageError

__all__ = ["Database"]

BUSY_TIMEOUT_SECONDS = 20.0
"""How long a writer waits for the others: hundreds of commits, and still less than a person's patience."""

_CONNECTIONS_KEPT = 8
_CONNECTIONS_EXTRA = 56
"""64 connections at once serve the threads of one server process; each costs three file handles."""

_BEGIN = "holdfast_begin"


class Database:
    """A database at the schema that this Holdfast knows. Safe to share between threads, and across a fork."""

    def __init__(self, engine: Engine, name: str, busy_timeout_seconds: float) -> None:
        self.engine = engine
        self.name = name
        self._patience = busy_timeout_seconds
        self._writer = threading.Lock()
        self._reads = engine.execution_options(**{_BEGIN: None})
        self._views = engine.execution_options(**{_BEGIN: "BEGIN"})
        self._writes = engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        _after_fork(self)

    @classmethod
    def open(cls, url: str, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> "Database":
        """The database at `url` (`sqlite:////absolute/path.db`), made when it is not there, upgraded when it is older.

        Any number of processes may open one new file at the same moment.

        Raises:
            UsageError: not the URL of an SQLite file.
            NotFound: the folder that should hold the file is not there.
            UnsupportedFormat: written by a newer Holdfast, or not by Holdfast.
            IntegrityError, NoSpace, PermissionRefused, Unavailable: as the border says.
        """
        path = _path(url)
        engine = create_engine(
            f"sqlite:///{path}",
            pool_size=_CONNECTIONS_KEPT,
            max_overflow=_CONNECTIONS_EXTRA,
            pool_timeout=busy_timeout_seconds,
            connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        database = cls(engine, str(path), busy_timeout_seconds)
        try:
            with database.read() as connection:
                state = schema.state(connection, database.name)
            if state is not schema.State.CURRENT:
                with translated(database.name):
                    schema.use_write_ahead_log(engine, busy_timeout_seconds)
                with database.write() as connection:
                    schema.upgrade(connection, database.name)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """For one statement: it takes no lock, opens no transaction, and sees the newest committed state."""
        with translated(self.name), self._reads.connect() as connection:
            yield connection

    @contextmanager
    def view(self) -> Iterator[Connection]:
        """For several statements that must see one moment; takes no write lock."""
        with translated(self.name), self._views.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The single writer: everything inside is committed durably at the end, or, on any exception, not at all.

        Threads of this process queue here, where waiting is cheap and in order; other processes wait at the file.
        """
        if not self._writer.acquire(timeout=self._patience):
            raise Unavailable(
                f"{self.name} stayed busy past {self._patience:g} seconds",
                hint="Run it again; if this lasts, look for a thread that has stopped in the middle of a write.",
                database=self.name,
            )
        try:
            with translated(self.name), self._writes.begin() as connection:
                yield connection
        finally:
            self._writer.release()

    def close(self) -> None:
        """Closes the idle connections; the last one out folds the write-ahead log into the file."""
        self.engine.dispose()

    def _forget_parent(self) -> None:
        # A connection that two processes share corrupts the file: the child leaves its parent's alone.
        self.engine.dispose(close=False)
        self._writer = threading.Lock()


def _after_fork(database: Database) -> None:
    found = weakref.ref(database)

    def in_child() -> None:
        alive = found()
        if alive is not None:
            alive._forget_parent()  # noqa: SLF001 - this function is the other half of the class

    os.register_at_fork(after_in_child=in_child)


def _path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageError(
            "the database's URL cannot be read", hint="Write it as sqlite:////absolute/path/registry.db"
        ) from error
    if parsed.get_backend_name() != "sqlite" or parsed.query or (parsed.database or ":memory:") == ":memory:":
        raise UsageError(
            f"a registry cannot live in {parsed.render_as_string(hide_password=True)!r}",
            hint="Use an SQLite file on a local disk: sqlite:////absolute/path/registry.db",
        )
    path = Path(str(parsed.database)).absolute()
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


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN)
    if statement is not None:
        connection.exec_driver_sql(statement)
