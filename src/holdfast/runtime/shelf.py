"""The shelf of built environments: each made once, by one process, and removed when others need its room.

NAME/           an environment that is whole; it gets its name only then
NAME.lock       held alone by whoever builds or removes it, and shared by each process that runs in it
NAME.bytes      what it takes; its time says when it was last asked for
.NAME.…/        one that is being built, or was when its builder ended
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

__all__ = ["Shelf", "held_in_use"]

_REST_SECONDS = 3600.0
"""Who asked for an environment within the hour may be about to start a process in it."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Environments by name, in one folder.

    Attributes:
        folder: the folder.
        bytes_max: what they may take together, before those unused for longest go.
    """

    folder: Path
    bytes_max: int

    def take(self, name: str, build: Callable[[Path], None]) -> tuple[Path, Path]:
        """The environment of this name, built now if it is not there, and the file that says that it is in use.

        Args:
            name: its name.
            build: puts it into an empty folder that does not exist yet; called by one process at a time.
        """
        place, lock, size = self.folder / name, self._lock(name), self._size(name)
        if _is_whole(place):
            size.touch()
        # Looked at once more: what was just asked for is no longer removed, but may have been a moment ago.
        if not _is_whole(place):
            self.folder.mkdir(parents=True, exist_ok=True)
            with _held(lock, fcntl.LOCK_EX):
                # Somebody else may have built it while this process waited.
                if not _is_whole(place):
                    self._build(name, place, build)
                    size.write_text(f"{_bytes_in(place)}\n", encoding="ascii")
            size.touch()
            self._make_room(name)
        return place, lock

    def _build(self, name: str, place: Path, build: Callable[[Path], None]) -> None:
        for left in [place, *self.folder.glob(f".{name}.*")]:
            shutil.rmtree(left, ignore_errors=True)
        scratch = self.folder / f".{name}.{uuid4().hex}"
        try:
            build(scratch)
            scratch.rename(place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _make_room(self, kept: str) -> None:
        found = []
        for size in self.folder.glob("*.bytes"):
            with suppress(FileNotFoundError):  # somebody else has made room meanwhile
                said, used = size.read_text(encoding="ascii").strip(), size.stat().st_mtime
                found.append((used, int(said) if said.isdecimal() else 0, size.name.removesuffix(".bytes")))
        total = sum(count for _, count, _ in found)
        for used, count, name in sorted(found):
            if total <= self.bytes_max:
                return
            if name != kept and used < time.time() - _REST_SECONDS and self._remove(name):
                total -= count

    def _remove(self, name: str) -> bool:
        """Whether nothing runs in it any more, so that it could be removed."""
        try:
            with _held(self._lock(name), fcntl.LOCK_EX | fcntl.LOCK_NB):
                # Under another name first: one that stands under its own is whole, at every moment.
                doomed = self.folder / f".{name}.{uuid4().hex}"
                # Whoever was ended in the middle of this has left the file of bytes alone, which takes no room.
                with suppress(FileNotFoundError):
                    (self.folder / name).rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)
                self._size(name).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _lock(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def _size(self, name: str) -> Path:
        return self.folder / f"{name}.bytes"


def held_in_use(lock: Path) -> int:
    """A file descriptor that says, until every process that has it has ended, that the environment is in use."""
    handle = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def _held(lock: Path, how: int) -> Iterator[None]:
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _is_whole(place: Path) -> bool:
    # The interpreter is a link; one that leads nowhere any more makes the environment worth building again.
    return (place / "bin" / "python").exists()


def _bytes_in(place: Path) -> int:
    return sum((Path(root) / name).lstat().st_size for root, _, names in os.walk(place) for name in names)
