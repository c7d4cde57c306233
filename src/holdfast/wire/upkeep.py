"""What upkeep works with: a project and one of its remotes, a project whose store is looked through."""

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.store.local import LocalStore
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.wire.project import Project, utc_now
from holdfast.wire.remotes import open_remote

if TYPE_CHECKING:
    from holdfast.upkeep.gc import Collector
    from holdfast.upkeep.remotes import NamedRemote
    from holdfast.upkeep.share import Exchange

__all__ = ["open_collector", "open_exchange"]


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
    )


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
        clock=utc_now,
    )
