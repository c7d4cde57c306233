"""What a search can ask of a version, read from its bytes in a store."""

from collections.abc import Callable
from dataclasses import replace

from holdfast.digest import Digest
from holdfast.evidence import Environment
from holdfast.manifest import FileEntry, Manifest
from holdfast.registry.facts import Facts, facts_of
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store

__all__ = ["facts_in", "read_facts"]

_LOCK_BYTES_MAX = 16 << 20
"""A lock of a thousand packages with all their hashes has two megabytes."""


def read_facts(store: Store, digest: Digest) -> Facts:
    """The facts of the version `digest`, from verified bytes.

    Raises:
        NotFound: the store does not hold its manifest or its lock.
        IntegrityError: what it holds is something else.
    """

    def read(entry: FileEntry) -> bytes:
        return store.read(entry.digest, bytes_max=_LOCK_BYTES_MAX)

    return facts_in(read_manifest(store, digest), read)


def facts_in(manifest: Manifest, read: Callable[[FileEntry], bytes]) -> Facts:
    """The facts of a version whose manifest was read; `read` gives the bytes of its lock.

    A lock past what is read whole counts as one fact that is left out.
    """
    environment = manifest.evidence.environment
    if not isinstance(environment, Environment):
        return facts_of(manifest, "")
    entry = manifest.file(environment.lock)
    if entry.size > _LOCK_BYTES_MAX:
        found = facts_of(manifest, "")
        return replace(found, left_out=found.left_out + 1)
    return facts_of(manifest, read(entry).decode(errors="replace"))
