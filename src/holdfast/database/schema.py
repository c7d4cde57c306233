"""Which schema a database holds, and bringing it to the one this Holdfast knows.

The steps are Alembic scripts in `migrations/steps/`, forward only. All the steps a database needs run in one
transaction together with the record of them: after a crash it is as it was. Ordinary opens pay one small statement,
and never load Alembic.
"""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from holdfast.database.border import no_such_table
from holdfast.errors import UnsupportedFormat

__all__ = ["HEAD", "KNOWN", "State", "state", "upgrade"]

KNOWN = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011"),
    *("0012", "0013", "0014"),
)
"""Every schema that this Holdfast can read, oldest first; a test holds it to the scripts."""

HEAD = KNOWN[-1]
"""The schema that this Holdfast writes."""

_MIGRATIONS = Path(__file__).parent / "migrations"

_HELD = text("SELECT version_num FROM alembic_version")


class State(Enum):
    """What an opened database needs."""

    CURRENT = "current"
    OLDER = "older"
    NEW = "new"


def state(connection: Connection, name: str) -> State:
    """What the database needs, by one statement when it needs nothing.

    Raises:
        UnsupportedFormat: the schema is newer than this Holdfast, or the database belongs to something else.
    """
    try:
        held = connection.execute(_HELD).scalar_one_or_none()
    except DBAPIError as error:
        if not no_such_table(error):  # anything else is the border's business
            raise
        held = None
    tables: list[str] = []
    if held is None:
        tables = inspect(connection).get_table_names()
        if "alembic_version" in tables:
            return State.OLDER  # somebody began between the two looks: `upgrade` waits for them, and looks again
    return _judged(held, tables, name)


def _judged(held: str | None, tables: Iterable[str], name: str) -> State:
    """What a database needs that holds this schema, or none and these tables: of one look, for others are at work."""
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
    if set(tables) - {"alembic_version"}:
        raise UnsupportedFormat(
            f"{name} is a database, and not one of Holdfast's",
            hint="Point HOLDFAST_DATABASE_URL at another one.",
        )
    return State.NEW


def upgrade(connection: Connection, name: str, *, to: str = HEAD) -> None:
    """Runs the steps that the database lacks, inside the caller's transaction.

    Whoever comes second finds nothing left to do.

    Args:
        connection: in a transaction.
        name: of the database, for messages.
        to: one of `KNOWN`, behind what the database holds.
    """
    # Asked for first: on PostgreSQL a statement that fails would take the whole transaction with it.
    tables = inspect(connection).get_table_names()
    held = connection.execute(_HELD).scalar_one_or_none() if "alembic_version" in tables else None
    if _judged(held, tables, name) is State.CURRENT:
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
    command.upgrade(config, to)
