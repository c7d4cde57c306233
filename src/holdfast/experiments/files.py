"""Files of runs and logged models: names in the database, bytes in the store.

    name                     bytes
    3/<run>/.../MLmodel ──► sha256:…

Small files wait in the database first (`waiting.py`), and go into the store together.

Whoever writes under a name that is taken gives the name other bytes; the bytes that it had stay as they are under their
digest, and so does every version that was made of them. What stands below a frozen folder keeps its name and bytes.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, func, select, text

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import NotFound, TooLarge, UsageError, WrongBytes
from holdfast.experiments.free_names import (
    is_folder,
    refuse,
    refuse_frozen,
    refuse_root,
    require_free,
    take_turns,
    why_frozen,
)
from holdfast.experiments.paths import LAST, bounds, owner_of
from holdfast.experiments.tables import frozen_files, run_files, waiting_files
from holdfast.experiments.waiting import WAITING_BYTES_MAX, Waiting, wait
from holdfast.store.interface import Store
from holdfast.store.naming import gathered

__all__ = ["DAY_MS", "LISTED_MAX", "FileName", "Listed", "SqlFiles", "freeze_files", "now_ms"]

_T = TypeVar("_T")

LISTED_MAX = 100_000
"""Names in one folder: ten megabytes of an answer that MLflow's protocol has no pages for."""

_ROWS = 1_000
"""Names asked for at once when a folder is listed: a model's folder takes one question."""

DAY_MS = 24 * 3_600_000
"""What moments are added up by, so that no sum of them is too large for a database."""

_SETTLED_AFTER = 256
"""Small files that one process takes in before it has all that wait go into the store: sixteen megabytes at most."""

_WHY_BELOW = (
    select(frozen_files.c.path, frozen_files.c.why)
    .where(frozen_files.c.path > bindparam("low"), frozen_files.c.path < bindparam("high"))
    .order_by(frozen_files.c.path)
    .limit(1)
)

# The moment is that of the last time: by it is told what somebody is about to make a version of.
_FREEZE = text(
    "INSERT INTO frozen_files (path, why, created_ms) VALUES (:path, :why, :now) "
    "ON CONFLICT (path) DO UPDATE SET created_ms = excluded.created_ms"
)

_FILE = select(run_files.c.path, run_files.c.digest, run_files.c.bytes).where(run_files.c.path == bindparam("path"))

_BELOW: Select[*tuple[Any, ...]] = (
    select(run_files.c.path, run_files.c.digest, run_files.c.bytes)
    .where(run_files.c.path > bindparam("low"), run_files.c.path < bindparam("high"))
    .order_by(run_files.c.path)
)

_NAMES = select(run_files.c.path).where(run_files.c.path > bindparam("low"), run_files.c.path < bindparam("high"))

_PAGE = _BELOW.limit(bindparam("rows"))

_PAGE_IN_STORE = _PAGE.where(~exists().where(waiting_files.c.digest == run_files.c.digest))

_NAME = text(
    "INSERT INTO run_files (path, digest, bytes, created_ms) VALUES (:path, :digest, :bytes, :now) "
    "ON CONFLICT (path) DO UPDATE "
    "SET digest = excluded.digest, bytes = excluded.bytes, created_ms = excluded.created_ms"
)

_FINGERPRINT = select(
    func.count(),
    func.max(run_files.c.created_ms),
    func.sum(run_files.c.created_ms % DAY_MS),
    func.sum(run_files.c.bytes),
)

_REMOVE = delete(run_files).where(
    (run_files.c.path == bindparam("path"))
    | ((run_files.c.path > bindparam("low")) & (run_files.c.path < bindparam("high")))
)


class FileName(NamedTuple):
    """A file.

    Attributes:
        path: its name, from the root.
        digest: of its bytes.
        bytes: how many they are.
    """

    path: str
    digest: Digest
    bytes: int


class Listed(NamedTuple):
    """What stands in a folder.

    Attributes:
        name: its own, without those of the folders that it is in.
        bytes: of a file; None for a folder.
    """

    name: str
    bytes: int | None


def now_ms() -> int:
    """The moment, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SqlFiles:
    """The files that MLflow's clients keep on a server. Paths are such as `safe_path` gives.

    Args:
        database: has their names.
        store: has their bytes.
        undisturbed: nothing is deleted from the store while this lasts.
        clock: gives the moment in milliseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._store = store
        self._undisturbed = undisturbed
        self._clock = clock
        self._waiting = Waiting(database, store, undisturbed)
        self._taken = 0

    def find(self, path: str) -> FileName:
        """The file of this name.

        Raises:
            NotFound: there is none.
            UsageError: it is a folder.
        """
        with self._database.read() as connection:
            row = connection.execute(_FILE, {"path": path}).one_or_none()
            if row is not None:
                return _named(row)
            is_one = is_folder(connection, path)
        if is_one:
            raise UsageError(f"Artifact path refers to a directory, not a file: '{path}'", hint="Name a file of it.")
        raise NotFound(f"No such artifact: '{path}'", hint="List the folder that it should be in.", path=path)

    def read(self, path: str, *, bytes_max: int) -> bytes:
        """The bytes of a file, verified.

        Raises:
            NotFound, UsageError: as `find`.
            TooLarge: it has more than `bytes_max`.
            IntegrityError: its bytes are damaged.
        """
        return self.data(self.find(path), bytes_max=bytes_max)

    def data(self, file: FileName, *, bytes_max: int) -> bytes:
        """The bytes of a file that was found, verified.

        Raises:
            TooLarge, IntegrityError: as `read`.
        """
        if file.bytes <= min(WAITING_BYTES_MAX, bytes_max):
            found = self._waiting.read(file.digest)
            if found is not None:
                return found
        return self._store.read(file.digest, bytes_max=bytes_max)

    def below(self, folder: str) -> list[FileName]:
        """All files below a folder, at any depth, by path; their paths are whole, and their bytes in the store."""
        low, high = bounds(folder)
        self._waiting.settle(low, high)
        with self._database.read() as connection:
            return [_named(row) for row in connection.execute(_BELOW, {"low": low, "high": high})]

    def listed(self, folder: str) -> list[Listed]:
        """What stands in a folder, by name; nothing where it is none. Folders in it are passed over in one step.

        Raises:
            TooLarge: more than `LISTED_MAX`.
        """
        found: dict[str, Listed] = {}
        low, high = bounds(folder)
        at = low
        with self._database.view() as connection:
            while rows := connection.execute(_PAGE, {"low": at, "high": high, "rows": _ROWS}).all():
                for row in rows:
                    name, slash, _ = row.path[len(low) :].partition("/")
                    found.setdefault(name, Listed(name, None if slash else row.bytes))
                    at = f"{low}{name}/{LAST}" if slash else row.path
                if len(found) > LISTED_MAX:
                    raise _too_many(folder)
                if len(rows) < _ROWS:
                    break
        return sorted(found.values())

    def put(
        self,
        path: str,
        pieces: Iterable[bytes],
        size: int | None = None,
        also: Callable[[Connection, FileName], None] = lambda _connection, _file: None,
    ) -> FileName:
        """Take in a file, under a name that is free or not; it is durable when this returns.

        Args:
            path: its name.
            pieces: its bytes in order; they are never held all at once.
            size: how many they have to be; None where nobody knows.
            also: done in the transaction that gives the name; where it raises, the name is not given.

        Raises:
            PermissionRefused: the name is frozen.
            UsageError: it is the root, a folder, or below a file.
            WrongBytes: there were fewer or more bytes than `size`.
            NoSpace: the disk is full. Nothing is kept of it, then or whenever `pieces` raises.
        """
        with self._database.view() as connection:
            require_free(connection, path)
        rest = gathered(pieces, WAITING_BYTES_MAX + 1)
        head = next(rest, b"")
        if len(head) <= WAITING_BYTES_MAX:
            _require_size(path, len(head), size)
            made = FileName(path, hash_bytes(head), len(head))
            self._name(made, head, also)
            self._settle_some()
            return made
        with self._store.writer() as writer:
            stored = writer.add_pieces(chain([head], rest))
            _require_size(path, stored.size, size)
            made = FileName(path, stored.digest, stored.size)
            with self._undisturbed():
                writer.commit()
                self._name(made, None, also)
        return made

    def remove(self, path: str) -> int:
        """Take away the name of a file, or of all files below a folder; how many they were. The bytes stay for now.

        Raises:
            PermissionRefused: something of it is frozen.
            UsageError: it is the root.
        """
        refuse_root(path)
        low, high = bounds(path)

        def work(connection: Connection) -> int:
            take_turns(connection, path)
            refuse_frozen(connection, path)
            refuse(connection.execute(_WHY_BELOW, {"low": low, "high": high}).one_or_none())
            return connection.execute(_REMOVE, {"path": path, "low": low, "high": high}).rowcount

        return self._changed(work)

    def freeze(self, folder: str, why: str) -> None:
        """What is this path or stands below it keeps its bytes from now on, and nothing comes to it.

        Args:
            folder: or a file.
            why: a sentence for whoever tries; one that stands there already stays.
        """
        self._changed(lambda connection: freeze_files(connection, folder, why, self._clock()))

    def is_frozen(self, path: str) -> bool:
        """Whether nothing of this name can be written or taken away."""
        with self._database.read() as connection:
            return why_frozen(connection, path) is not None

    def names(self, folder: str) -> frozenset[str]:
        """The paths of all files below a folder, at any depth; as in `below` they are whole."""
        low, high = bounds(folder)
        with self._database.read() as connection:
            return frozenset(connection.scalars(_NAMES, {"low": low, "high": high}))

    def named(self) -> Iterator[tuple[str, Digest]]:
        """What files need of the store, each with what the file belongs to; a page of names is read at a time."""
        after = ""
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_PAGE_IN_STORE, {"low": after, "high": LAST, "rows": _ROWS}).all()
            yield from ((owner_of(row.path), Digest.parse(row.digest)) for row in rows)
            if len(rows) < _ROWS:
                return
            after = rows[-1].path

    def fingerprint(self) -> object:
        """Changes when a file comes to need bytes that none needed before."""
        with self._database.read() as connection:
            return tuple(connection.execute(_FINGERPRINT).one())

    def forget(self) -> None:
        """Let go of small files that lost their names."""
        self._waiting.forget(self._clock())

    def _name(self, file: FileName, data: bytes | None, also: Callable[[Connection, FileName], None]) -> None:
        """Give the name, and keep the bytes where the store has them not yet."""
        now = self._clock()

        def work(connection: Connection) -> None:
            take_turns(connection, file.path)
            also(connection, file)
            require_free(connection, file.path)
            if data is not None:
                wait(connection, file.digest, data, now)
            connection.execute(_NAME, {**file._asdict(), "digest": str(file.digest), "now": now})

        self._changed(work)

    def _settle_some(self) -> None:
        self._taken += 1
        if self._taken >= _SETTLED_AFTER:
            self._taken = 0
            self._waiting.settle("", LAST)
            self._waiting.forget(self._clock())

    def _changed(self, work: Callable[[Connection], _T]) -> _T:
        def once() -> _T:
            with self._database.change() as connection:
                return work(connection)

        return insisted(once)


def freeze_files(connection: Connection, folder: str, why: str, moment_ms: int) -> None:
    """As `SqlFiles.freeze`, for whoever changes more in the same transaction.

    Raises:
        UsageError: it is the root.
    """
    refuse_root(folder)
    take_turns(connection, folder)
    connection.execute(_FREEZE, {"path": folder, "why": why, "now": moment_ms})


def _named(row: Row[*tuple[Any, ...]]) -> FileName:
    return FileName(row.path, Digest.parse(row.digest), row.bytes)


def _require_size(path: str, found: int, size: int | None) -> None:
    if size is not None and found != size:
        raise WrongBytes(f"{found} bytes of {size} came; nothing was kept", hint="Send it again.", path=path)


def _too_many(folder: str) -> TooLarge:
    return TooLarge(
        f"{folder or 'the root'} has more than {LISTED_MAX} names, which is too many for one answer",
        hint="List a folder inside it.",
        limit=LISTED_MAX,
    )
