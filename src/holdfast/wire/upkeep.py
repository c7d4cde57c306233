"""What upkeep works with: a project and one of its remotes, a project whose store is looked through."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.service.line import Line
from holdfast.store.local import LocalStore
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.store.remote.remote import Remote
from holdfast.wire.project import Project, utc_now
from holdfast.wire.remotes import open_remote

if TYPE_CHECKING:
    from holdfast.registry.whereabouts import Archive
    from holdfast.upkeep.archive import Archiver
    from holdfast.upkeep.elsewhere import Lacking
    from holdfast.upkeep.gc import Collector
    from holdfast.upkeep.named_files import DeletedFiles, NamedFiles
    from holdfast.upkeep.remotes import NamedRemote
    from holdfast.upkeep.share import Exchange

__all__ = ["open_archiver", "open_collector", "open_exchange", "open_named_files"]


def open_exchange(project: Project, named: "NamedRemote") -> "Exchange":
    """The project and one of its remotes.

    Raises:
        UsageError: the project keeps its own bytes in a remote.
    """
    if not isinstance(project.store, LocalStore) or isinstance(project.store, RemoteStore):
        raise UsageError(
            "this project works directly on a remote, so there is nothing to push or pull",
            hint="Unset HOLDFAST_STORE_URL to have a store of its own.",
        )
    from holdfast.upkeep.share import Exchange

    remote = open_remote(project.settings, named.address, named.endpoint, named.storage_class)
    return Exchange(
        registry=project.registry,
        store=project.store,
        remote=remote,
        outgoing=Outgoing(project.store.root, remote),
        incoming=Incoming(project.store, remote),
        stages=project.policy.stages,
        as_store=lambda: RemoteStore(remote, project.settings.store_cache_bytes_max),
        look=lambda: _look(project, remote),
    )


def _look(project: Project, remote: Remote) -> "Lacking":
    """Ask the remote what it lists now; what that answers is what a store on it would say of each blob."""
    if not remote.catalog.refresh():
        remote.catalog.look_for_segments()
    there = RemoteStore(remote, project.settings.store_cache_bytes_max)

    def lacking(digests: Iterable[Digest]) -> set[Digest]:
        return there.missing(digests)

    return lacking


def _looker(project: Project) -> "Callable[[Archive], Lacking]":
    """Asks the remotes of a project by their archives."""
    from holdfast.upkeep.remotes import Remotes

    def look_at(archive: "Archive") -> "Lacking":
        named = Remotes(project.settings.home).of_archive(archive)
        return _look(project, open_remote(project.settings, named.address, named.endpoint))

    return look_at


def open_archiver(project: Project) -> "Archiver":
    """Tells which versions of a project stay, for whoever archives the others.

    Raises:
        UsageError: the policy file is not valid.
    """
    from holdfast.upkeep.archive import Archiver

    return Archiver(project.registry, project.tracking, project.store, project.keep_rules, utc_now)


def open_collector(project: Project) -> "Collector":
    """Looks through the project's store for what nothing needs.

    Raises:
        UsageError: the project keeps its own bytes in a remote.
    """
    if not isinstance(project.store, LocalStore) or isinstance(project.store, RemoteStore):
        raise UsageError(
            "this project works directly on a remote, and only a store on a local disk can be cleaned up",
            hint="Run it where the store is a folder.",
        )
    from holdfast.upkeep.gc import Collector

    return Collector(
        settings=project.settings,
        folder=project.store.root,
        store=project.store,
        registry=project.registry,
        tracking=project.tracking,
        rules=project.keep_rules,
        look_at=_looker(project),
        clock=utc_now,
        files=open_named_files(project),
        deleted=_deleted_files(project),
    )


def _deleted_files(project: Project) -> "DeletedFiles":
    from holdfast.upkeep.named_files import NoFiles

    if isinstance(project.names, Line):
        return NoFiles()
    from holdfast.experiments.lapsed import SqlLapsed

    return SqlLapsed(project.names.database())


def open_named_files(project: Project) -> "NamedFiles":
    """The files of the project's runs and logged models, also on their way; none where a server keeps its names."""
    from holdfast.upkeep.named_files import AllFiles, NoFiles

    if isinstance(project.names, Line):
        return NoFiles()
    from holdfast.experiments.files import SqlFiles
    from holdfast.experiments.uploads import SqlUploads

    database = project.names.database()
    files = SqlFiles(database, project.store)
    return AllFiles((files, SqlUploads(database, project.store, files)))
