"""The ways to remotes: which transport an address wants, and where copies of a remote's index are kept."""

from pathlib import Path

from holdfast.config import Settings
from holdfast.digest import hash_bytes
from holdfast.service.line import Line
from holdfast.store.remote.address import FOLDER, Address
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import Persistent
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.service import ServiceStore, ServiceTransport
from holdfast.store.remote.transport import Transport

__all__ = ["open_remote", "open_service_store", "open_transport"]


def open_remote(settings: Settings, address: Address, endpoint: str | None, storage_class: str | None = None) -> Remote:
    """A remote, as this project sees it; nothing is asked of it yet.

    Args:
        settings: of the project.
        address: where it is.
        endpoint: of a server that speaks like S3.
        storage_class: of packs of data and exact files; all else stays at hand.

    Raises:
        As `open_transport`.
    """
    named_by = hash_bytes(f"{address} {endpoint}".encode()).short
    cold = open_transport(address, endpoint, storage_class) if storage_class is not None else None
    return Remote(open_transport(address, endpoint), settings.cache / "remotes" / named_by, cold)


def open_transport(address: Address, endpoint: str | None = None, storage_class: str | None = None) -> Transport:
    """The way to a remote; nothing is asked of it yet.

    Args:
        address: where it is.
        endpoint: of a server that speaks like S3.
        storage_class: of what is created through it in a bucket; when None, the bucket's own.

    Raises:
        UsageError: an endpoint that may not be used, or credentials that are not understood.
        UnsupportedFormat: a folder that holds something else.
    """
    if address.scheme == FOLDER:
        return Persistent(FolderTransport(Path(address.place)))
    # The library behind it takes longer to import than most commands run.
    from holdfast.store.remote.bucket import open_bucket

    return Persistent(open_bucket(address, endpoint, storage_class=storage_class))


def open_service_store(settings: Settings, line: Line) -> ServiceStore:
    """The store of a server, read through a cache of bounded size; nothing is asked of it yet."""
    remote = Remote(ServiceTransport(line), settings.cache / "remotes" / hash_bytes(line.url.encode()).short)
    return ServiceStore(line, remote, settings.store_cache_bytes_max)
