"""One open database: its connections, its single writer, its four kinds of access.

What is the same for every kind of database stands here; `sqlite.py` and `postgres.py` hold what is not.
"""

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from holdfast.database import postgres, schema, sqlite
from holdfast.database.backend import Backend
from holdfast.database.border import outcome_unknown, translated
from holdfast.database.texts import refuse_unstorable
from holdfast.database.turns import Turns
from holdfast.errors import Unavailable, UsageError

__all__ = ["Database"]

BUSY_TIMEOUT_SECONDS = 20.0
"""How long a writer waits for the others: hundreds of commits, and still less than a person's patience."""


class Database:
    """A database at the schema that this Holdfast knows. Safe to share between threads, and across a fork.

    Attributes:
        engine: the pool of its connections.
        name: what errors call it; it holds no password.
        at_hand: a read of a row waits for nobody, neither for a writer nor for another machine.
    """

    def __init__(self, backend: Backend, busy_timeout_seconds: float) -> None:
        self.engine = backend.engine
        self.name = backend.name
        self.at_hand = backend.at_hand
        self._backend = backend
        self._patience = busy_timeout_seconds
        self._writer = Turns()
        event.listen(self.engine, "before_cursor_execute", refuse_unstorable)
        _after_fork(self)

    @classmethod
    def open(cls, url: str, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> "Database":
        """The database at `url`, given its tables when it is empty, upgraded when it is older.

        Any number of processes may open one new database at the same moment.

        Args:
            url: `sqlite:////absolute/path.db`, or `postgresql://user:password@host/name`.
            busy_timeout_seconds: how long to wait for other writers, and for a free connection.

        Raises:
            UsageError: not such a URL.
            NotFound: the folder that should hold the file is not there, or the server has no such database.
            MissingExtra: a server's database, and its driver is not installed.
            UnsupportedFormat: written by a newer Holdfast, or not by Holdfast.
            IntegrityError, NoSpace, PermissionRefused, Unavailable: as the border says.
        """
        database = cls._connected(url, busy_timeout_seconds)
        try:
            with database.read() as connection:
                state = schema.state(connection, database.name)
            if state is not schema.State.CURRENT:
                database._make_durable()  # noqa: SLF001 - its own class
                with database.write() as connection:
                    schema.upgrade(connection, database.name)
        except BaseException:
            database.close()
            raise
        return database

    @property
    def may_lose_answers(self) -> bool:
        """Whether a commit may be made and its answer lost, as on the way from a server."""
        return self._backend.changes is not None

    @classmethod
    def filled(cls, url: str, fill: Callable[[Connection, str], None]) -> "Database":
        """A database that `fill` gives its tables and all that is in them, in one transaction.

        Args:
            url: as for `open`.
            fill: called with the connection, and with what errors call the database.

        Raises:
            As `open`, and whatever `fill` raises; the database is then as it was.
        """
        database = cls._connected(url, BUSY_TIMEOUT_SECONDS)
        try:
            database._make_durable()  # noqa: SLF001 - its own class
            with database.write() as connection:
                fill(connection, database.name)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _connected(cls, url: str, busy_timeout_seconds: float) -> "Database":
        parsed = _parsed(url)
        connected = sqlite.connected if parsed.get_backend_name() == "sqlite" else postgres.connected
        return cls(connected(parsed, busy_timeout_seconds), busy_timeout_seconds)

    def _make_durable(self) -> None:
        """What a file has to be told once, before it is first written to."""
        if self.engine.dialect.name == "sqlite":
            with translated(self.name):
                sqlite.use_write_ahead_log(self.engine, self._patience)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """For one statement: it takes no lock, opens no transaction, and sees the newest committed state."""
        with translated(self.name), self._backend.reads.connect() as connection:
            yield connection

    @contextmanager
    def view(self) -> Iterator[Connection]:
        """For several statements that must see one moment; takes no write lock."""
        with translated(self.name), self._backend.views.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The single writer: everything inside is committed durably at the end, or, on any exception, not at all.

        Threads of this process queue here, where waiting is cheap and in order; other processes wait at the database.

        Raises:
            Unavailable: the others took too long. Or the answer to the commit was lost, and with it whether it was
                committed: `outcome` in the details is `unknown` then.
        """
        if not self._writer.take(self._patience):
            raise Unavailable(
                f"{self.name} stayed busy past {self._patience:g} seconds",
                hint="Run it again; if this lasts, look for a thread that has stopped in the middle of a write.",
                database=self.name,
            )
        try:
            with self._committed(self._backend.writes) as connection:
                yield connection
        finally:
            self._writer.leave()

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """For what is no part of the log: committed as `write` does it, and, on a server, beside the single writer.

        Others may commit between two statements of it. Whoever decides by what it read locks the row it read
        (`with_for_update`), or writes in one statement.
        """
        if self._backend.changes is None:
            with self.write() as connection:
                yield connection
        else:
            with self._committed(self._backend.changes) as connection:
                yield connection

    @contextmanager
    def _committed(self, engine: Engine) -> Iterator[Connection]:
        asked = False
        with translated(self.name):
            try:
                with engine.begin() as connection:
                    yield connection
                    asked = True
            except DBAPIError as error:
                # What fails after the body is the commit. A connection that is lost then takes the answer with it.
                if asked and error.connection_invalidated:
                    raise outcome_unknown(self.name) from error
                raise

    def close(self) -> None:
        """Closes the idle connections; the last one out of a file folds its write-ahead log into it."""
        self.engine.dispose()

    def _forget_parent(self) -> None:
        # A connection that two processes share is corrupted by both: the child leaves its parent's alone.
        self.engine.dispose(close=False)
        self._writer = Turns()


def _after_fork(database: Database) -> None:
    found = weakref.ref(database)

    def in_child() -> None:
        alive = found()
        if alive is not None:
            alive._forget_parent()  # noqa: SLF001 - this function is the other half of the class

    os.register_at_fork(after_in_child=in_child)


def _parsed(url: str) -> URL:
    hint = "Write it as sqlite:////absolute/path/registry.db, or as postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the URL nor the library's own sentence is told: a password may stand in both.
        raise UsageError("the database's URL cannot be read", hint=hint) from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", *postgres.SCHEMES}:
        raise UsageError(f"a registry cannot live in a database of the kind {parsed.drivername!r}", hint=hint)
    return parsed
