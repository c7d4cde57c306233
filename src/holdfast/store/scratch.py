"""Folders for work in progress, which others sweep once their owner is gone.

The owner holds an exclusive `flock` on the folder itself for as long as it works there. The kernel gives the lock up
when the owner ends, however it ends; so a folder whose lock can be taken belongs to nobody, and its age does not
matter. The one gap, between making the folder and locking it, is closed by looking: an owner whose folder was swept
in that moment finds another one, or none, under the name, and begins again.

On a file system without `flock` nothing is ever swept: losing space is better than losing work.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import Unavailable
from holdfast.store.disk import FOLDER, refusing

__all__ = ["Scratch", "locked", "scratch", "stands", "sweep"]

_ATTEMPTS_MAX = 16
"""Each attempt loses only to a sweep that began in the same microseconds; sixteen in a row mean something else is
wrong."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder of one owner's own, mode 0700.

    Attributes:
        path: where it is.
        descriptor: the open folder; valid until the scratch is left.
    """

    path: Path
    descriptor: int


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Scratch]:
    """A new locked folder in `parent` whose name begins with `prefix`; removed with all it holds when left.

    Raises:
        NoSpace, PermissionRefused, NotFound: the operating system refused.
    """
    with refusing(parent):
        mine = _claim(parent, prefix)
    try:
        yield mine
    finally:
        shutil.rmtree(mine.path, ignore_errors=True)
        os.close(mine.descriptor)


def sweep(parent: Path, prefix: str) -> int:
    """Remove the scratch folders in `parent` whose owners are gone; how many there were.

    Never raises for what it cannot read, lock or remove: sweeping is a courtesy, and a store on a read-only disk must
    open.
    """
    swept = 0
    with suppress(OSError):
        for folder in list(parent.glob(f"{prefix}*")):
            with suppress(OSError):
                swept += _sweep_one(folder)
    return swept


def _sweep_one(folder: Path) -> int:
    descriptor = os.open(folder, FOLDER)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)
    return 1


def _claim(parent: Path, prefix: str) -> Scratch:
    for _ in range(_ATTEMPTS_MAX):
        folder = parent / f"{prefix}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            descriptor = os.open(folder, FOLDER)
        except FileNotFoundError:
            continue
        if locked(descriptor) and stands(folder, descriptor):
            return Scratch(folder, descriptor)
        os.close(descriptor)
    raise Unavailable(
        f"could not claim a folder for work in progress in {parent}",
        hint="Another process keeps removing it; stop that one, then try again.",
        path=str(parent),
    )


def locked(descriptor: int) -> bool:
    """Whether the open folder is now ours: nobody holds its lock, or nobody can, where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no flock here, so no sweep either
    return True


def stands(folder: Path, descriptor: int) -> bool:
    """Whether the open folder still has this name: it may have been swept before it was locked."""
    try:
        named = folder.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))
