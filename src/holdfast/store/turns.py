"""Who may delete from a store, and who must not be disturbed by it: three locks that the kernel lets go of.

    with undisturbed(layout): ...       many at once: whoever commits, checks, or makes an index from the packs
    with alone(layout): ...             one at a time, and none of those: whoever deletes
    with sole_collector(layout): ...    one run at a time, from its first look to its last

The locks are `flock`s on folders of the store, so that they leave nothing behind. Where the file system has none,
writers go on without, and nothing is ever deleted.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import Unavailable
from holdfast.store.disk import FOLDER, refusing
from holdfast.store.layout import Layout

__all__ = ["alone", "sole_collector", "undisturbed"]

_PATIENCE_SECONDS = 60.0
"""A commit holds its lock for the time of a few syncs; only a check holds one for longer, and can be waited for by
hand."""

_RETRY_SECONDS = 0.05

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def undisturbed(layout: Layout) -> Iterator[None]:
    """Nothing is deleted from the store inside; waits while somebody deletes."""
    try:
        descriptor = os.open(layout.index, FOLDER)
    except OSError:
        yield  # no index, or none that may be read: nothing was ever written here that could be deleted
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(layout: Layout, patience_seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Nobody commits or checks inside.

    Raises:
        Unavailable: somebody did for all of `patience_seconds`, or the file system has no locks.
    """
    said = "somebody writes to the store or checks it"
    with _held(layout.index, time.monotonic() + patience_seconds, said):
        yield


@contextmanager
def sole_collector(layout: Layout) -> Iterator[None]:
    """No other run looks for what can be deleted inside.

    Raises:
        Unavailable: another run is at work, or the file system has no locks.
        NoSpace, PermissionRefused: the operating system refused.
    """
    with refusing(layout.condemned):
        layout.condemned.mkdir(exist_ok=True)
    with _held(layout.condemned, time.monotonic(), "another run is deleting from this store"):
        yield


@contextmanager
def _held(folder: Path, give_up: float, said: str) -> Iterator[None]:
    with refusing(folder):
        descriptor = os.open(folder, FOLDER)
    try:
        while not _taken(descriptor, folder):
            if time.monotonic() >= give_up:
                raise Unavailable(said, hint="Wait until it has finished, then repeat.", path=str(folder))
            time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise Unavailable(
            f"the file system of {folder} has no locks, so that nothing can be deleted safely beside others",
            hint="Run it on the machine that has the disk, where the file system is local.",
            path=str(folder),
        ) from error
    return True
