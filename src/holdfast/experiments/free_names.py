"""Whether a name can be given to a file: asked in the transaction that gives it, and before a long way to that."""

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text

from holdfast.digest import hash_bytes
from holdfast.errors import PermissionRefused, UsageError
from holdfast.experiments.paths import bounds, folders_of
from holdfast.experiments.tables import frozen_files, run_files

__all__ = ["is_folder", "refuse", "refuse_frozen", "refuse_root", "require_free", "take_turns", "why_frozen"]

_ROOT_PARTS = 3
"""`3/<run>/artifacts` and `3/models/<id>`: whoever writes below one of them takes turns with whoever freezes there.
Whoever removes or freezes what has fewer parts, and so holds several of them, takes turns with everybody."""

_LOCK_CHARACTERS = 15
"""Of a digest, as many as fit into the 64 bits of a lock with its sign."""

# A file has one writer anyway, and no such words.
_ALONE = text("SELECT pg_advisory_xact_lock_shared(:all), pg_advisory_xact_lock(:lock)")
_ALONE_WITH_ALL = text("SELECT pg_advisory_xact_lock(:all)")

_WHY = (
    select(frozen_files.c.path, frozen_files.c.why)
    .where(frozen_files.c.path.in_(bindparam("paths", expanding=True)))
    .order_by(frozen_files.c.path)
    .limit(1)
)

_FILE_AMONG = select(run_files.c.path).where(run_files.c.path.in_(bindparam("paths", expanding=True))).limit(1)

_SOMETHING_BELOW = (
    select(run_files.c.path).where(run_files.c.path > bindparam("low"), run_files.c.path < bindparam("high")).limit(1)
)


def take_turns(connection: Connection, path: str) -> None:
    """On a server, whoever writes below one root is alone with it: what is frozen there stays so until the commit."""
    if connection.dialect.name == "postgresql":
        parts = path.split("/")[:_ROOT_PARTS]
        asked = _ALONE if len(parts) == _ROOT_PARTS else _ALONE_WITH_ALL
        connection.execute(asked, {"all": _lock_of(""), "lock": _lock_of("/".join(parts))})


def _lock_of(root: str) -> int:
    return int(hash_bytes(f"holdfast files\n{root}".encode()).hex[:_LOCK_CHARACTERS], 16)


def require_free(connection: Connection, path: str) -> None:
    """Go on only where a file can stand under this name, or stands there and may get other bytes.

    Raises:
        PermissionRefused: the name is frozen.
        UsageError: it is the root, a folder, or below a file.
    """
    refuse_root(path)
    refuse_frozen(connection, path)
    *above, _ = folders_of(path)
    found = connection.execute(_FILE_AMONG, {"paths": above}).one_or_none() if above else None
    if found is not None:
        raise UsageError(f"Invalid path: {found.path!r} is a file, not a directory", hint="Take another name.")
    if is_folder(connection, path):
        raise UsageError(f"Invalid path: {path!r} is a directory, not a file", hint="Take another name.")


def is_folder(connection: Connection, path: str) -> bool:
    """Whether files stand below this path."""
    low, high = bounds(path)
    return connection.execute(_SOMETHING_BELOW, {"low": low, "high": high}).one_or_none() is not None


def refuse_root(path: str) -> None:
    """Raises `UsageError` where the path is that of the root."""
    if not path:
        raise UsageError("Artifact path must include a filename (cannot end with '/').", hint="Name a file.")


def why_frozen(connection: Connection, path: str) -> Row[*tuple[Any, ...]] | None:
    """The frozen path that a path is or stands below, and why it is so; None where there is none."""
    return connection.execute(_WHY, {"paths": folders_of(path)}).one_or_none()


def refuse_frozen(connection: Connection, path: str) -> None:
    """Raises `PermissionRefused` where the path is frozen."""
    refuse(why_frozen(connection, path))


def refuse(frozen: Row[*tuple[Any, ...]] | None) -> None:
    """Raises `PermissionRefused` where something that is frozen was found."""
    if frozen is not None:
        raise PermissionRefused(frozen.why, hint="", path=frozen.path)
