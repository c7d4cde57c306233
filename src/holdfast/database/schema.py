"""Which schema a file holds, and bringing it to the one this Holdfast knows.

The steps are Alembic scripts in `migrations/steps/`, forward only. All the steps a file needs run in one transaction
together with the record of them: after a crash the file is as it was. Ordinary opens pay one small statement, and never
load Alembic.
"""

import time
from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError

from holdfast.database.border import driver_code
from holdfast.errors import Unavailable, UnsupportedFormat

__all__ = ["HEAD", "KNOWN", "State", "state", "upgrade", "use_write_ahead_log"]

KNOWN = ("0001", "0002", "0003")
"""Every schema that this Holdfast can read, oldest first; a test holds it to the scripts."""

HEAD = KNOWN[-1]
"""The schema that this Holdfast writes."""

_MIGRATIONS = Path(__file__).parent / "migrations"

_HELD = text("SELECT version_num FROM alembic_version")

_RETRY_SECONDS = 0.02


class State(Enum):
    """What an opened file needs."""

    CURRENT = "current"
    OLDER = "older"
    NEW = "new"


def state(connection: Connection, name: str) -> State:
    """What the file needs, by one statement when it needs nothing.

    Raises:
        UnsupportedFormat: the schema is newer than this Holdfast, or the file belongs to something else.
    """
    try:
        held = connection.execute(_HELD).scalar_one_or_none()
    except OperationalError as error:
        if driver_code(error) != "SQLITE_ERROR":  # anything but "no such table" is the border's business
            raise
        held = None
    if held == HEAD:
        return State.CURRENT
    if held in KNOWN:
        return State.OLDER
    if held is not None:
        raise UnsupportedFormat(
            f"{name} holds schema {held}, which this Holdfast does not know; it knows up to {HEAD}",
            hint="A newer Holdfast wrote it: install that one here too.",
            found=held,
            known=list(KNOWN),
        )
    if set(inspect(connection).get_table_names()) - {"alembic_version"}:
        raise UnsupportedFormat(
            f"{name} is a database, and not one of Holdfast's",
            hint="Point HOLDFAST_DATABASE_URL at another file.",
        )
    return State.NEW


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


def upgrade(connection: Connection, name: str) -> None:
    """Runs the steps that the file lacks, inside the caller's transaction.

    Whoever comes second finds nothing left to do.
    """
    if state(connection, name) is State.CURRENT:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    for option, value in (
        ("script_location", str(_MIGRATIONS)),
        ("version_locations", str(_MIGRATIONS / "steps")),
        ("path_separator", "newline"),
    ):
        config.set_main_option(option, value.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
