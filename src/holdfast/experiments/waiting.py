"""Small files on their way into the store: they wait in the database until there are several, or one of them is needed.

A file that went into the store alone would be a pack of its own, with an index file of its own, and a handful of syncs;
a model is seven of them, and every pack is looked at by whoever opens the store. Here a file is one row beside its
name, durable with one commit. `settle` moves rows into the store, and takes them away when the store has the bytes.
"""

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection, bindparam, delete, exists, select, text

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError
from holdfast.experiments.tables import run_files, waiting_files
from holdfast.store.interface import Store

__all__ = ["WAITING_BYTES_MAX", "Waiting", "wait"]

WAITING_BYTES_MAX = 64 << 10
"""Of one file: descriptions, locks, tables of examples, small models. What is larger is worth a pack."""

_TOGETHER = 256
"""Rows moved at once: sixteen megabytes at most."""

_FORGOTTEN_MS = 3_600_000
"""After an hour, what no file names goes. Whoever names it now has just written its moment, and so keeps it."""

# The moment is written anew, so that who takes away what is forgotten looks again, and finds it younger.
_WAIT = text(
    "INSERT INTO waiting_files (digest, data, bytes, created_ms) VALUES (:digest, :data, :bytes, :now) "
    "ON CONFLICT (digest) DO UPDATE SET created_ms = excluded.created_ms"
)

_ONE = select(waiting_files.c.data).where(waiting_files.c.digest == bindparam("digest"))

_BELOW = (
    select(waiting_files.c.digest, waiting_files.c.data)
    .where(
        exists().where(
            run_files.c.digest == waiting_files.c.digest,
            run_files.c.path > bindparam("low"),
            run_files.c.path < bindparam("high"),
        )
    )
    .limit(_TOGETHER)
)

_SETTLED = delete(waiting_files).where(waiting_files.c.digest.in_(bindparam("digests", expanding=True)))

_FORGET = delete(waiting_files).where(
    waiting_files.c.created_ms < bindparam("before"), ~exists().where(run_files.c.digest == waiting_files.c.digest)
)


def wait(connection: Connection, digest: Digest, data: bytes, moment_ms: int) -> None:
    """Keep some bytes here for now."""
    row = {"digest": str(digest), "data": base64.b64encode(data).decode(), "bytes": len(data), "now": moment_ms}
    connection.execute(_WAIT, row)


class Waiting:
    """The small files that wait.

    Args:
        database: where they wait.
        store: where they go.
        undisturbed: nothing is deleted from the store while this lasts.
    """

    def __init__(
        self, database: Database, store: Store, undisturbed: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._database = database
        self._store = store
        self._undisturbed = undisturbed

    def read(self, digest: Digest) -> bytes | None:
        """The bytes, verified; None where they do not wait, and then the store has them.

        Raises:
            IntegrityError: they are damaged.
        """
        with self._database.read() as connection:
            data = connection.execute(_ONE, {"digest": str(digest)}).scalar_one_or_none()
        return None if data is None else _verified(digest, data)

    def settle(self, low: str, high: str) -> None:
        """Bring the bytes of all files between two paths into the store.

        Raises:
            IntegrityError: some are damaged; they, and what comes after them, stay where they are.
            NoSpace, PermissionRefused: the store could not be written to.
        """
        while digests := self._moved(low, high):
            self._done(digests)
            if len(digests) < _TOGETHER:
                return

    def forget(self, moment_ms: int) -> None:
        """Take away what no file has named for an hour."""

        def once() -> None:
            with self._database.change() as connection:
                connection.execute(_FORGET, {"before": moment_ms - _FORGOTTEN_MS})

        insisted(once)

    def _moved(self, low: str, high: str) -> list[str]:
        with self._database.read() as connection:
            rows = connection.execute(_BELOW, {"low": low, "high": high}).all()
        if rows:
            with self._store.writer() as writer:
                for row in rows:
                    writer.add_bytes(_verified(Digest.parse(row.digest), row.data))
                with self._undisturbed():
                    writer.commit()
        return [row.digest for row in rows]

    def _done(self, digests: list[str]) -> None:
        def once() -> None:
            with self._database.change() as connection:
                connection.execute(_SETTLED, {"digests": digests})

        insisted(once)


def _verified(digest: Digest, data: str) -> bytes:
    found = base64.b64decode(data)
    if hash_bytes(found) != digest:
        raise IntegrityError(
            f"{digest} is damaged in the database: its bytes hash to {hash_bytes(found)}",
            hint="Restore the registry from a backup, or log the file again.",
            expected=str(digest),
            found=str(hash_bytes(found)),
        )
    return found
