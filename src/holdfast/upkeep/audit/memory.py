"""What this user last saw of a log, kept where nobody who can write to its database has any business.

    ~/.local/state/holdfast/logs/<64 digits>        the text of a checkpoint
    ~/.local/state/holdfast/logs/<64 digits>.key    the public key of a log that a server signs

One file for each registry. It is only ever replaced by what a longer log was, and so says at the next look whether the
log still begins with what it was. A memory that cannot be kept (no home, a read-only disk) stops nobody from working.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.config import Settings
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError
from holdfast.registry.checkpoints import Checkpoint
from holdfast.registry.provable import ProvableRegistry
from holdfast.store.disk import place
from holdfast.upkeep.audit.key import LogKey, not_as_seen

__all__ = ["Memory", "Watch"]


class Memory:
    """What was seen of one log.

    Args:
        state: this user's folder for such things; None when there is none.
        registry: says which registry it is: the paths of its home and its database.
    """

    def __init__(self, state: Path | None, registry: str) -> None:
        self.path = None if state is None else state / "logs" / hash_bytes(registry.encode()).hex

    @classmethod
    def of(cls, settings: Settings) -> "Memory":
        """What was seen of the log of a project: of its server or database, through the home that it has."""
        # Without what stands in front of an @: a password may change, and does not belong into the name of a file.
        database = re.sub(r"//[^/@]*@", "//", settings.url or settings.database_url)
        return cls(settings.state, f"{settings.home}\n{database}")

    def last(self) -> Checkpoint | None:
        """What was seen last; None when nothing was, or nobody knows.

        Raises:
            UnsupportedFormat: the file holds something else.
        """
        try:
            return None if self.path is None else Checkpoint.parse(self.path.read_text(encoding="utf-8"))
        except OSError:
            return None

    def keep(self, seen: Checkpoint) -> bool:
        """Remembers it, unless somebody has seen a longer log meanwhile; whether anything is remembered now."""
        return self._write(seen, only_longer=True)

    def replace(self, seen: Checkpoint) -> bool:
        """Remembers it, whatever was seen before."""
        return self._write(seen, only_longer=False)

    def key(self) -> str | None:
        """The public key that a server had when it was first asked; None when it was not, or nobody knows."""
        try:
            return None if self.path is None else self.path.with_suffix(".key").read_text(encoding="utf-8").strip()
        except OSError:
            return None

    def keep_key(self, key: str) -> None:
        """Remembers a server's public key, where anything can be remembered."""
        if self.path is not None:
            path = self.path.with_suffix(".key")
            with suppress(OSError, HoldfastError), self._turn(self.path):
                place(path, 0o600, lambda file: file.write(f"{key}\n".encode()))

    def forget(self) -> None:
        """For a registry that begins anew at the same place."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _write(self, seen: Checkpoint, *, only_longer: bool) -> bool:
        if self.path is None:
            return False
        try:
            with self._turn(self.path):
                before = self.last() if only_longer else None
                if before is None or before.head.size < seen.head.size:
                    place(self.path, 0o600, lambda file: file.write(seen.text().encode()))
        except (OSError, HoldfastError):
            return False
        return True

    @contextmanager
    def _turn(self, path: Path) -> Iterator[None]:
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class Watch:
    """Looks at the log whenever a registry is opened, and after every write: two small reads.

    Args:
        memory: what was seen of it.
        origin: gives the name that it is remembered under.
    """

    def __init__(self, memory: Memory, origin: Callable[[], str]) -> None:
        self._memory = memory
        self._origin = origin

    @classmethod
    def of(cls, settings: Settings) -> "Watch":
        """Of the log of a project."""
        if settings.url is not None:
            host = urlsplit(settings.url).netloc  # the log's own name is known where its key is
            return cls(Memory.of(settings), lambda: host)
        return cls(Memory.of(settings), LogKey.of(settings).origin)

    def opened(self, registry: ProvableRegistry) -> None:
        """Demands that the log begins with what was seen of it, and remembers what it is now.

        Raises:
            IntegrityError: it does not.
        """
        # First the memory, then the log: another process may make both longer in between, and never shorter.
        seen = self._memory.last()
        head, earlier = registry.heads(() if seen is None else (seen.head.size,))
        if seen is not None and earlier.get(seen.head.size) != seen.head:
            found = Checkpoint(seen.origin, earlier.get(seen.head.size, head))
            raise not_as_seen(seen, found, "was seen")
        if seen is None or seen.head != head:
            with suppress(
                HoldfastError
            ):  # a project that cannot be written to has no key, and can be read all the same
                self._memory.keep(Checkpoint(self._origin(), head))

    def grown(self, registry: ProvableRegistry) -> None:
        """Remembers what the log is after a write. What was committed is not taken back: the next opening will tell."""
        with suppress(HoldfastError):
            self.opened(registry)
