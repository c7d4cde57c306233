"""What a server gives to others of a project: its names, its runs, and the files of its store."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from holdfast.config import Settings
from holdfast.errors import UsageError
from holdfast.store.interface import Store
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.remote.address import FOLDER, Address
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.transport import Transport
from holdfast.store.turns import undisturbed
from holdfast.wire.project import Project
from holdfast.wire.remotes import open_transport

__all__ = ["Files", "open_files"]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a project's store.

    Attributes:
        store: reads them here.
        transport: how they are listed, read in ranges, and added.
        undisturbed: nothing is deleted from the store while this lasts.
        signed: gives URLs by which files of a bucket can be read past the server; None where the operator wants none.
    """

    store: Store
    transport: Transport
    undisturbed: Callable[[], AbstractContextManager[None]]
    signed: Callable[[str, int], str | None] | None = None


def open_files(project: Project) -> Files:
    """The files of a project's own store, made ready for what others send.

    Raises:
        UsageError: the project asks a server itself.
        NoSpace, PermissionRefused: the store cannot be written to.
    """
    if project.settings.url is not None:
        raise UsageError(
            "HOLDFAST_URL names a server, and a server gives away what is its own", hint="Unset HOLDFAST_URL here."
        )
    store = project.store
    if isinstance(store, LocalStore) and not isinstance(store, RemoteStore):
        layout = Layout(store.root)
        layout.prepare_to_write()
        return Files(store, FolderTransport(store.root), partial(undisturbed, layout))
    with store.writer() as writer:
        writer.commit()  # makes the bucket a store, where it is none
    address = Address.parse(project.settings.store_url)
    return Files(store, open_transport(address), nullcontext, _signed(address, project.settings))


def _signed(address: Address, settings: Settings) -> Callable[[str, int], str | None] | None:
    if not settings.direct_reads or address.scheme == FOLDER:
        return None
    from holdfast.store.remote.bucket import open_bucket

    return open_bucket(address).signed
