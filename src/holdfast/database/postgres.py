"""PostgreSQL: one database of a server, through psycopg.

Every connection is in the driver's autocommit mode, and transactions are begun by statements of ours: so a read is one
round trip, and the beginning of a write takes its place in the queue of writers in the same round trip.

The single writer is whoever holds one advisory lock of the database. The statements behind the lock run in READ
COMMITTED, where each sees what was committed before it began: all that earlier writers did. Views are REPEATABLE READ,
one moment for all their statements.
"""

import select
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from holdfast.database.backend import Backend, accesses
from holdfast.errors import MissingExtra, UsageError

__all__ = ["SCHEMES", "WRITER_LOCK", "connected"]

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
"""How such a URL may begin."""

WRITER_LOCK = 0x686F6C64
"""The advisory lock of the single writer: `hold` in ASCII. Advisory locks belong to one database, so that two
registries on one server do not meet; the triggers name it too."""

_CONNECTIONS_KEPT = 8
_CONNECTIONS_EXTRA = 12
"""20 connections at once: a server that was never tuned has 100, of which 3 are its own, so that four processes fit.
Each call holds one for a few milliseconds, and further threads wait for one as long as they would for the writer."""

_CONNECT_SECONDS_MAX = 10
"""A server that is there answers in a fraction of a second; behind a lost address nobody ever answers."""

_STATEMENT_MILLISECONDS_MAX = 120_000
"""Searches and pages of the log take milliseconds; what takes minutes has lost its reader, and blocks cleaning up."""

_IDLE_MILLISECONDS_MAX = 60_000
"""Between two statements of a transaction there are only computations of ours. A process that was stopped there holds
the single writer's place: after a minute the server gives it to the next, and the transaction is undone."""

_UNACKNOWLEDGED_MILLISECONDS_MAX = 30_000
"""How long bytes that were sent may stay unacknowledged before the machine at the other end is taken for dead; the
system itself would wait a quarter of an hour."""

_QUIET_SECONDS, _PROBE_SECONDS, _PROBES = 30, 10, 3
"""The same for a connection that only waits: asked after 30 seconds of silence, given up a minute after that began."""


_PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "application_name": "holdfast",  # how an administrator finds our connections in pg_stat_activity
        "client_encoding": "utf8",
        "connect_timeout": _CONNECT_SECONDS_MAX,
        "keepalives": 1,
        "keepalives_idle": _QUIET_SECONDS,
        "keepalives_interval": _PROBE_SECONDS,
        "keepalives_count": _PROBES,
        "tcp_user_timeout": _UNACKNOWLEDGED_MILLISECONDS_MAX,
        # Of several hosts the one that can write; a standby that answers alone is refused at once, and not at a write.
        "target_session_attrs": "read-write",
    }
)
"""Of libpq, for every connection."""


def connected(url: URL, patience_seconds: float) -> Backend:
    """The database of a server that the URL names; nothing is asked of it yet.

    Parameters of libpq may stand in the URL's query, and win over ours.

    Raises:
        UsageError: the URL names no database, or cannot be what was meant.
        MissingExtra: psycopg is not installed.
    """
    name = _name(url)
    given = {key: value if isinstance(value, str) else " ".join(value) for key, value in url.query.items()}
    connect_args = {key: value for key, value in _PARAMETERS.items() if key not in given}
    # The server reads settings from left to right, so that those of the URL come last.
    connect_args["options"] = " ".join(filter(None, (_settings(patience_seconds), given.get("options", ""))))
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
            isolation_level="AUTOCOMMIT",
            use_native_hstore=False,
            pool_size=_CONNECTIONS_KEPT,
            max_overflow=_CONNECTIONS_EXTRA,
            pool_timeout=patience_seconds,
            pool_use_lifo=True,
            connect_args=connect_args,
            hide_parameters=True,
        )
    except ImportError as error:
        raise MissingExtra(
            "a registry in PostgreSQL needs psycopg",
            hint="Install it with: pip install 'holdfast[server]'",
            extra="server",
        ) from error
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "checkout", _refuse_closed)
    return accesses(
        engine,
        name,
        view="BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        write=f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({WRITER_LOCK})",
        change="BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    )


def _name(url: URL) -> str:
    """What errors call the database: its server and its name, and nothing of who asks or how."""
    if "@" in (url.host or ""):
        # The password reached beyond its first @: the rest of it must not be told as the name of a host.
        raise UsageError(
            "the database's URL holds more than one @",
            hint="Write an @ inside the user or the password as %40, and a / or : in them as %2F or %3A.",
        )
    if not url.database:
        raise UsageError(
            "the database's URL names no database",
            hint="Write it as postgresql://user:password@host/name",
        )
    host, port = url.host or url.query.get("host", "local socket"), url.port or url.query.get("port", "")
    return f"PostgreSQL database {url.database} on {_one(host)}" + (f":{_one(port)}" if port else "")


def _one(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _settings(patience_seconds: float) -> str:
    settings = {
        # Advisory locks count as locks: this is how long a writer waits for the others.
        "lock_timeout": max(1, int(patience_seconds * 1000)),
        "statement_timeout": _STATEMENT_MILLISECONDS_MAX,
        "idle_in_transaction_session_timeout": _IDLE_MILLISECONDS_MAX,
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _prepare(driver: Any, _: ConnectionPoolEntry) -> None:
    encoding = driver.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        driver.close()
        raise UsageError(
            f"the database keeps texts as {encoding}, and names and reasons may need any character",
            hint="Make another one: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
        )
    # Where a server, a database or a role was set to answer before a commit is durable. Stricter settings stay.
    driver.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )


def _refuse_closed(driver: Any, _record: ConnectionPoolEntry, _proxy: object) -> None:
    """Has the pool replace a connection that the server has closed, without asking the server.

    Nothing is owed on an idle connection, so that bytes to read on it are the server's farewell, or the end.
    """
    if not driver.closed:
        waiting = select.poll()
        waiting.register(driver.fileno(), select.POLLIN)
        if not waiting.poll(0):
            return
    raise DisconnectionError
