"""Backups: a project, a place, and what goes between them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.config import HOME_NAME, POLICY_NAME, Settings
from holdfast.errors import UsageError
from holdfast.service.line import Line
from holdfast.store.disk import refusing
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.remote.address import Address
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.transport import Transport
from holdfast.store.scratch import scratch, sweep
from holdfast.store.turns import undisturbed
from holdfast.wire.project import Project, actor_of, make_home, utc_now
from holdfast.wire.remotes import open_transport

if TYPE_CHECKING:
    from holdfast.upkeep.backup import Made

__all__ = ["make_backup", "put_back"]

Progress = Callable[[int, int], None]

_PREFIX = "backup-"


def make_backup(project: Project, place: Transport, *, names_only: bool, progress: Progress | None) -> "Made":
    """Keep all of a project in one more place.

    Args:
        project: not one of a server's clients.
        place: a folder or a bucket of its own.
        names_only: whether the bytes are kept safe in another way.
        progress: called with the bytes done and the bytes in all.

    Raises:
        UsageError: the project asks a server.
        As `holdfast.upkeep.backup.make`.
    """
    if isinstance(project.names, Line):
        raise UsageError(
            "HOLDFAST_URL names a server, which keeps the names and the bytes",
            hint="Run this where the server runs, with HOLDFAST_URL unset.",
        )
    from holdfast.upkeep import backup

    settings = project.settings
    with _scratch(settings) as folder:
        source = backup.Source(
            database=project.names.database(),
            store=None if names_only else _transport(settings),
            undisturbed=_undisturbed(project),
            scratch=folder,
            files=_files(settings),
            clock=utc_now,
        )
        return backup.make(source, place, progress)


def put_back(folder: Path, place: Transport, wanted: str | None, reason: str, progress: Progress | None) -> "Made":
    """A project in `folder` as it was when a backup was made; its log says so, and gets a key of its own.

    Args:
        folder: has no project, or one whose putting back was interrupted.
        place: where the backup stands.
        wanted: how its name begins; the newest when None.
        reason: for the log.
        progress: called with the bytes done and the bytes in all.

    Raises:
        UsageError: the registry is not empty, or the environment names a server.
        As `holdfast.upkeep.backup.put_back`.
    """
    from holdfast.upkeep import backup

    settings = Settings.at(folder.absolute() / HOME_NAME)
    if settings.url is not None:
        raise UsageError("HOLDFAST_URL names a server", hint="Run this where the server is to run, with it unset.")
    found = backup.newest(place, wanted)
    make_home(settings, exist_ok=True)
    with _scratch(settings) as mine:
        target = backup.Target(
            database_url=settings.database_url,
            store=_transport(settings),
            scratch=mine,
            files=_files(settings),
            clock=utc_now,
        )
        return backup.put_back(found, place, target, (actor_of(settings.project), reason), progress)


def _transport(settings: Settings) -> Transport:
    return open_transport(Address.parse(settings.store_url))


def _undisturbed(project: Project) -> Callable[[], AbstractContextManager[None]]:
    store = project.store
    if isinstance(store, LocalStore) and not isinstance(store, RemoteStore):
        return partial(undisturbed, Layout(store.root))
    return nullcontext


def _files(settings: Settings) -> dict[str, Path]:
    """What belongs to a project beside its names and bytes, and holds no secret."""
    return {POLICY_NAME: settings.policy_path, "remotes.json": settings.home / "remotes.json"}


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    with refusing(settings.scratch):
        settings.scratch.mkdir(mode=0o700, exist_ok=True)
    sweep(settings.scratch, _PREFIX)
    with scratch(settings.scratch, _PREFIX) as mine:
        yield mine.path
