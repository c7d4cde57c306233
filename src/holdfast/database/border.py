"""The border: the driver's errors come in, Holdfast's go out.

SQLite names its errors precisely (`SQLITE_FULL`, `SQLITE_BUSY_SNAPSHOT`), and PostgreSQL gives each a SQLSTATE of five
characters (`53100`), as the appendix "PostgreSQL Error Codes" of its manual lists them; the first matching prefix below
decides. What matches none is a mistake in a statement of ours, and is let through as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    NoSpace,
    NotFound,
    PermissionRefused,
    TooLarge,
    Unavailable,
    UsageError,
)

__all__ = ["driver_code", "no_such_table", "outcome_unknown", "translated"]


def _no_space(name: str, _: str) -> HoldfastError:
    return NoSpace(
        f"the disk that holds {name} is full",
        hint="Free some space and run the command again; nothing was recorded.",
        database=name,
    )


def _busy(name: str, _: str) -> HoldfastError:
    return Unavailable(
        f"{name} stayed locked by another process past the time-out",
        hint="Run it again; if this lasts, look for a process that has stopped in the middle of a write.",
        database=name,
    )


def _damaged(name: str, said: str) -> HoldfastError:
    return IntegrityError(
        f"{name} is damaged: {said}",
        hint="Restore it from a backup; then run: holdfast audit verify",
        database=name,
    )


def _refused(name: str, said: str) -> HoldfastError:
    return PermissionRefused(
        f"the operating system refuses to let {name} be opened or written: {said}",
        hint="Check the owner and the permissions of the file and of its folder.",
        database=name,
    )


def _guarded(name: str, said: str) -> HoldfastError:
    return IntegrityError(
        f"{name} refused a change: {said}",
        hint="Nothing was recorded; if you did not edit the database by hand, please report it.",
        database=name,
    )


def _disk(name: str, said: str) -> HoldfastError:
    return Unavailable(
        f"the disk that holds {name} does not answer: {said}",
        hint="Look at the disk and the system's log; nothing was recorded.",
        database=name,
    )


def _account(name: str, said: str) -> HoldfastError:
    return PermissionRefused(
        f"{name} refuses this user: {said}",
        hint="Check the user and the password in the URL, and what the role was granted.",
        database=name,
    )


def _nowhere(name: str, said: str) -> HoldfastError:
    return NotFound(
        f"there is no {name}: {said}",
        hint="Make it on the server, in the encoding UTF8; its tables are made by whoever opens it first.",
        database=name,
    )


def _down(name: str, said: str) -> HoldfastError:
    return Unavailable(
        f"{name} does not answer: {said}",
        hint="Nothing was recorded. Run it again when the server is up and can be reached.",
        database=name,
    )


def _full_house(name: str, said: str) -> HoldfastError:
    return Unavailable(
        f"{name} has no room for another connection or query: {said}",
        hint="Run it again; if this lasts, raise max_connections on the server or run fewer processes.",
        database=name,
    )


def _slow(name: str, said: str) -> HoldfastError:
    return Unavailable(
        f"{name} ended a query: {said}",
        hint="Nothing was recorded. Run it again; if this lasts, ask for less at once or look at the server's load.",
        database=name,
    )


def _crossed(name: str, said: str) -> HoldfastError:
    return Unavailable(
        f"{name} undid this in favour of somebody else's change: {said}",
        hint="Nothing was recorded; run it again.",
        database=name,
    )


def _standby(name: str, said: str) -> HoldfastError:
    return Unavailable(
        f"{name} can only be read: {said}",
        hint="Nothing was recorded. Point HOLDFAST_DATABASE_URL at the primary.",
        database=name,
    )


def _unfit(name: str, said: str) -> HoldfastError:
    return UsageError(f"{name} cannot keep a value: {said}", hint="Take out what no column can hold.", database=name)


def _too_large(name: str, said: str) -> HoldfastError:
    return TooLarge(f"{name} cannot keep a value of this size: {said}", hint="Shorten names and keys.", database=name)


_KINDS: tuple[tuple[str, Callable[[str, str], HoldfastError]], ...] = (
    ("SQLITE_FULL", _no_space),
    ("SQLITE_IOERR_SHMSIZE", _no_space),  # the write-ahead log's index could not grow
    ("SQLITE_BUSY", _busy),
    ("SQLITE_LOCKED", _busy),
    ("SQLITE_CORRUPT", _damaged),
    ("SQLITE_NOTADB", _damaged),
    ("SQLITE_IOERR_SHORT_READ", _damaged),
    ("SQLITE_IOERR_CORRUPTFS", _damaged),
    ("SQLITE_READONLY", _refused),
    ("SQLITE_PERM", _refused),
    ("SQLITE_AUTH", _refused),
    ("SQLITE_CANTOPEN", _refused),
    ("SQLITE_CONSTRAINT", _guarded),
    ("SQLITE_IOERR", _disk),
    ("08", _down),
    ("22", _unfit),
    ("23", _guarded),
    ("25006", _standby),
    ("25P03", _slow),  # idle in a transaction for too long
    ("28", _account),
    ("3D000", _nowhere),
    ("40", _crossed),
    ("42501", _account),
    ("53100", _no_space),
    ("53", _full_house),
    ("54", _too_large),
    ("55P03", _busy),
    ("57014", _slow),
    ("57P", _down),
    ("58", _disk),
    ("P0001", _guarded),  # RAISE in a trigger of ours
    ("XX001", _damaged),
    ("XX002", _damaged),
)

_REFUSALS: tuple[tuple[str, Callable[[str, str], HoldfastError]], ...] = (
    ("invalid connection option", lambda name, said: UsageError(f"{name}: {said}", hint="Correct the URL's query.")),
    ("authentication failed", _account),
    ("no password supplied", _account),
    ("pg_hba.conf", _account),
    ("permission denied", _account),
    ("is not permitted to log in", _account),
    ('role "', _account),
    ("too many clients", _full_house),
    ("too many connections", _full_house),
    ("connection slots", _full_house),
    ("session is read-only", _standby),
)
"""What a server says in English before there is a connection: libpq then gives no SQLSTATE. Any other sentence means
that there is no connection."""

_NO_SUCH_TABLE = frozenset({"SQLITE_ERROR", "42P01"})


def driver_code(error: DBAPIError) -> str:
    """`SQLITE_BUSY`, or a SQLSTATE such as `55P03`; empty when the driver gave neither."""
    return str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")


def no_such_table(error: DBAPIError) -> bool:
    """Whether a plain statement failed for want of its table."""
    return driver_code(error) in _NO_SUCH_TABLE


def outcome_unknown(name: str) -> Unavailable:
    """The error for a commit whose answer was lost: it was made, or it was not."""
    return Unavailable(
        f"{name} was asked to commit, and the connection was lost before its answer came",
        hint="It is not known whether the change was recorded. Ask for the same again with the same idempotency key; "
        "without one, look first: holdfast log",
        database=name,
        outcome="unknown",
    )


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Inside, errors of the driver become errors of Holdfast that speak of the database by `name`.

    Raises:
        NoSpace: the disk or the quota is full.
        Unavailable: locked past the time-out, every connection is in use, or disk or server do not answer.
        IntegrityError: the data is damaged, or a trigger or constraint refused the change.
        PermissionRefused: the file or its folder cannot be read or written, or the server refuses the user.
        NotFound: the server has no such database.
        UsageError, TooLarge: a value that the database cannot hold.
    """
    try:
        yield
    except NoConnectionFree as error:
        raise _busy(name, str(error)) from error
    except DBAPIError as error:
        kind = _kind(error)
        if kind is None:
            raise
        raise kind(name, _said(error)) from error


def _kind(error: DBAPIError) -> Callable[[str, str], HoldfastError] | None:
    code = driver_code(error)
    if code:
        return next((kind for prefix, kind in _KINDS if code.startswith(prefix)), None)
    said = str(error.orig)
    found = next((kind for words, kind in _REFUSALS if words in said), None)
    if found is None and isinstance(error, OperationalError | InterfaceError):
        return _nowhere if "database " in said and "does not exist" in said else _down
    return found


def _said(error: DBAPIError) -> str:
    """The first sentence: what follows names lines of functions and of the server's source."""
    return (str(error.orig).strip().splitlines() or [""])[0]
