"""What the store has kept of a version: its manifest, and every byte that this lists."""

from collections.abc import Iterator

from holdfast.errors import HoldfastError, IntegrityError, NotFound
from holdfast.manifest import Manifest
from holdfast.registry.values import Version
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store

__all__ = ["damaged", "manifest_of"]


def manifest_of(store: Store, version: Version) -> Manifest:
    """The manifest of a version that the registry knows.

    Raises:
        IntegrityError: it is damaged, or the store has lost it.
    """
    try:
        return read_manifest(store, version.digest)
    except NotFound as error:
        raise IntegrityError(
            f"the manifest of {version.model}@{version.number} is lost: {error.message}",
            hint="Find what else is lost with: holdfast check; then bring the store back from a copy.",
            **error.details,
        ) from error


def damaged(store: Store, manifest: Manifest) -> Iterator[str]:
    """One sentence for each file of the bundle that the store lacks or holds damaged."""
    for entry in manifest.files:
        try:
            store.verify(entry.digest)
        except HoldfastError as error:
            yield f"{entry.path}: {error.message}"
