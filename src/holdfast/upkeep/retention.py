"""What of the store is needed, and by whom: versions, runs, holds, and data that somebody is about to name.

Trees are read as streams, and each once: a snapshot of a million files takes no more memory than one of ten.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from holdfast.digest import Digest
from holdfast.errors import HoldfastError
from holdfast.manifest import FORMAT as MANIFEST_FORMAT
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store
from holdfast.store.tree import TREE_FORMAT, tree_rows
from holdfast.tracking.interface import Tracking

__all__ = ["IN_USE", "Retention", "version_needs", "whole_needs"]

IN_USE = "in use"
"""The reason of what somebody works with, and nobody has named yet."""

_TREE_SIGN = f'"format":"{TREE_FORMAT}"'.encode()
_MANIFEST_SIGN = f'"format":"{MANIFEST_FORMAT}"'.encode()
_SIGN_BYTES_MAX = 4096
"""The first line of a tree says that it is one, and is short."""

Unread = Callable[[Digest, HoldfastError], object]
"""Is told of a manifest or tree that could not be read, so that what it names is not known."""


def version_needs(
    version: Version, store: Store, registry: Registry, unread: Unread, walked: set[Digest] | None = None
) -> Iterator[Digest]:
    """Every blob of a version's bundle and data; what cannot be read is named all the same.

    Args:
        version: whose.
        store: where its manifest and trees are.
        registry: where its lineage is.
        unread: told of each manifest and tree that cannot be read.
        walked: trees whose files were named before and are not named again; those named now are added.
    """
    yield version.digest
    # What the data was is known by lineage too, which stands even where the manifest is damaged.
    edges = registry.lineage("version", str(version.digest))
    trees = [Digest.parse(edge.parent) for edge in edges if edge.parent_kind == "snapshot"]
    try:
        manifest = read_manifest(store, version.digest)
    except HoldfastError as error:
        unread(version.digest, error)
    else:
        yield from (entry.digest for entry in manifest.files)
        trees += manifest.snapshots()
    yield from _trees_need(trees, store, unread, set() if walked is None else walked)


def _trees_need(trees: Iterable[Digest], store: Store, unread: Unread, walked: set[Digest]) -> Iterator[Digest]:
    for tree in trees:
        if tree in walked:
            continue
        walked.add(tree)
        yield tree
        try:
            store.verify(tree)  # the rows of a damaged tree come before the damage shows, and may name anything
            yield from (Digest(row.hex) for row in tree_rows(store, tree))
        except HoldfastError as error:
            unread(tree, error)


def whole_needs(digest: Digest, store: Store, unread: Unread, walked: set[Digest]) -> Iterator[Digest]:
    """What a snapshot, a version or a single blob needs, told apart by what its bytes begin with.

    Args:
        digest: of the tree, the manifest or the blob.
        store: where it is, and what it names.
        unread: told of each manifest and tree that cannot be read.
        walked: as for `version_needs`.
    """
    if digest in walked:
        return
    yield digest
    try:
        head = next(store.pieces(digest), b"")
    except HoldfastError as error:
        unread(digest, error)
        return
    if _TREE_SIGN in head[:_SIGN_BYTES_MAX].partition(b"\n")[0]:
        yield from _trees_need([digest], store, unread, walked)
    elif head.startswith(b"{") and _MANIFEST_SIGN in head:
        yield from _manifest_needs(digest, store, unread, walked)


def _manifest_needs(digest: Digest, store: Store, unread: Unread, walked: set[Digest]) -> Iterator[Digest]:
    try:
        manifest = read_manifest(store, digest)
    except HoldfastError:
        return  # it only looks like one
    yield from (entry.digest for entry in manifest.files)
    yield from _trees_need(manifest.snapshots(), store, unread, walked)


@dataclass(slots=True)
class Retention:
    """Everything that must stay.

    Attributes:
        store: where the bytes are.
        registry: whose versions and holds need them.
        tracking: whose runs do.
        claimed: what somebody works with, whether or not it is here.
        unread: manifests and trees that could not be read; what they name is not known, and so may be anything.
    """

    store: Store
    registry: Registry
    tracking: Tracking
    claimed: Iterable[Digest] = ()
    unread: dict[Digest, str] = field(default_factory=dict)
    _walked: set[Digest] = field(default_factory=set)

    def needs(self) -> Iterator[tuple[Digest, str]]:
        """Every blob that must stay, each with the reason, such as `churn@4`; some more than once."""
        for version in self.registry.versions():
            why = f"{version.model}@{version.number}"
            for digest in version_needs(version, self.store, self.registry, self._note, self._walked):
                yield digest, why
        for hold in self.registry.holds():
            yield from ((digest, f"hold {hold.id}") for digest in self._all_of(hold.digest))
        by_run = self.tracking.digests()
        # A run also names files that it opened and that nobody froze; and what is about to be pulled is not here yet.
        absent = self.store.missing([*(digest for _, digest in by_run), *self.claimed])
        for run, digest in by_run:
            if digest not in absent:
                yield from ((one, f"run {run}") for one in self._all_of(digest))
        for claim in self.claimed:
            if claim not in absent:
                yield from ((one, IN_USE) for one in self._all_of(claim))

    def fingerprint(self) -> object:
        """Changes when a version, a run or a hold comes to need something more."""
        last = self.registry.log(limit=1)
        return last[0].hash if last else None, self.tracking.digests()

    def _note(self, digest: Digest, error: HoldfastError) -> None:
        self.unread[digest] = error.message

    def _all_of(self, digest: Digest) -> Iterator[Digest]:
        return whole_needs(digest, self.store, self._note, self._walked)
