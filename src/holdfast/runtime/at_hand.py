"""Whether the bytes that somebody is about to open are here: what was archived is told as archived, never as lost."""

from collections.abc import Iterable, Iterator
from itertools import islice

from holdfast.digest import Digest
from holdfast.errors import HoldfastError
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.registry.whereabouts import Archive
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store
from holdfast.store.tree import tree_rows

__all__ = ["archive_of", "here", "require_at_hand", "require_data_at_hand"]

_AT_ONCE = 50_000
"""Blobs that are asked for together: one look at the index for all of them, and a few megabytes of names."""


def archive_of(digest: Digest, registry: Registry) -> Archive | None:
    """The newest archive of a version, or of data: its own, or that of a version which was trained on it."""
    archives = {one.digest: one for one in registry.archives()}
    if not archives or digest in archives:
        return archives.get(digest)
    users = (
        Digest.parse(edge.child)
        for edge in registry.lineage("snapshot", str(digest))
        if (edge.child_kind, edge.parent) == ("version", str(digest))
    )
    return next((archives[user] for user in users if user in archives), None)


def require_at_hand(version: Version, registry: Registry, store: Store) -> None:
    """Raise where the version was archived and its bundle is not here.

    Raises:
        Archived: that is so.
    """
    archive = archive_of(version.digest, registry)
    if archive is None:
        return
    try:
        manifest = read_manifest(store, version.digest)
    except HoldfastError as error:
        raise archive.away() from error
    if store.missing(entry.digest for entry in manifest.files):
        raise archive.away()


def require_data_at_hand(tree: Digest, registry: Registry, store: Store) -> None:
    """Raise where the data of a snapshot was archived, alone or with a version, and is not here.

    Raises:
        Archived: that is so.
    """
    archive = archive_of(tree, registry)
    if archive is None:
        return
    try:
        whole = all(is_here for _, is_here in _looked_for(store, (Digest(row.hex) for row in tree_rows(store, tree))))
    except HoldfastError as error:
        raise archive.away() from error
    if not whole:
        raise archive.away()


def here(store: Store, digests: Iterable[Digest]) -> Iterator[Digest]:
    """Those of the digests that the store has, in their order."""
    return (digest for digest, is_here in _looked_for(store, digests) if is_here)


def _looked_for(store: Store, digests: Iterable[Digest]) -> Iterator[tuple[Digest, bool]]:
    left = iter(digests)
    while some := list(islice(left, _AT_ONCE)):
        absent = store.missing(some)
        yield from ((digest, digest not in absent) for digest in some)
