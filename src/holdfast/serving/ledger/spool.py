"""The spool: the folder in which one replica keeps its journals until they are sealed.

    ledger/churn/production/4f1c…/lock         held by the replica for as long as it lives
                                 /000003.open  the journal that is written to
                                 /000002.full  one that waits to be sealed

The kernel gives the lock up when the process ends, however it ends: a folder whose lock can be taken is one that a dead
replica left, and whoever takes it seals what is in it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from holdfast.names import ModelName, StageName

__all__ = ["Spool", "folder_of", "left_behind", "waiting"]

_LOCK = "lock"
_OPEN = ".open"
_FULL = ".full"


def folder_of(home: Path, model: ModelName, stage: StageName) -> Path:
    """Where the replicas of a stage on this machine have their spools."""
    return home / "ledger" / str(model) / str(stage)


class Spool:
    """One replica's folder, locked.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def take(cls, folder: Path) -> "Spool | None":
        """The folder, made where it is not there; None when somebody else has it.

        Raises:
            OSError: the operating system refused.
        """
        while True:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it a moment ago may have removed the folder, and with it the file that is locked now.
                if _is_same(lock, folder / _LOCK):
                    return cls(folder, lock)
            except BlockingIOError:
                os.close(lock)
                return None
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)

    def next_path(self, sequence: int) -> Path:
        """Where the journal of this number is begun."""
        return self.folder / f"{sequence:06d}{_OPEN}"

    def full(self, path: Path) -> None:
        """Say that nothing more is written to this journal.

        Raises:
            OSError: the operating system refused.
        """
        path.rename(path.with_suffix(_FULL))

    def waiting(self) -> list[Path]:
        """The journals that wait to be sealed, oldest first."""
        return sorted(self.folder.glob(f"*{_FULL}"))

    def interrupted(self) -> list[Path]:
        """The journals that somebody was writing to."""
        return sorted(self.folder.glob(f"*{_OPEN}"))

    @property
    def bytes(self) -> int:
        """How much waits to be sealed."""
        return sum(_size(path) for path in self.waiting())

    def leave(self) -> None:
        """Give the folder up; it is removed where nothing waits in it."""
        if not self.waiting() and not self.interrupted():
            with suppress(OSError):
                for path in self.folder.glob("*.parquet"):
                    path.unlink()  # a page that was being written when its replica was killed
                (self.folder / _LOCK).unlink()
                self.folder.rmdir()
        os.close(self._lock)


def left_behind(root: Path) -> Iterator[Spool]:
    """The spools below a stage's folder whose replicas are gone, each locked for the caller.

    Raises:
        OSError: the operating system refused.
    """
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if (folder / _LOCK).is_file() and (spool := Spool.take(folder)) is not None:
            yield spool


def waiting(home: Path, model: ModelName | None = None) -> Iterator[Path]:
    """Every journal on this machine, of one model or of all, whoever writes it."""
    root = home / "ledger"
    models = [root / str(model)] if model is not None else sorted(root.iterdir()) if root.is_dir() else []
    for folder in models:
        yield from sorted((*folder.glob(f"*/*/*{_FULL}"), *folder.glob(f"*/*/*{_OPEN}")))


def _is_same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
