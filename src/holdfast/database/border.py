"""The border: the driver's errors come in, Holdfast's go out.

SQLite names its errors precisely (`SQLITE_FULL`, `SQLITE_BUSY_SNAPSHOT`); the first matching prefix below decides.
What matches none is a mistake in a statement of ours, and is let through as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from holdfast.errors import HoldfastError, IntegrityError, NoSpace, PermissionRefused, Unavailable

__all__ = ["driver_code", "translated"]


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
)


def driver_code(error: DBAPIError) -> str:
    """SQLite's own name for the error, such as `SQLITE_BUSY`; empty when the driver gave none."""
    return str(getattr(error.orig, "sqlite_errorname", ""))


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Inside, errors of the driver become errors of Holdfast that speak of the database by `name`.

    Raises:
        NoSpace: the disk or the quota is full.
        Unavailable: locked past the time-out, every connection is in use, or the disk does not answer.
        IntegrityError: the file is damaged, or a trigger or constraint refused the change.
        PermissionRefused: the file or its folder cannot be read or written.
    """
    try:
        yield
    except NoConnectionFree as error:
        raise _busy(name, str(error)) from error
    except DBAPIError as error:
        code = driver_code(error)
        for prefix, kind in _KINDS:
            if code.startswith(prefix):
                raise kind(name, str(error.orig)) from error
        raise
