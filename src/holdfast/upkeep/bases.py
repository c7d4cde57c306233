"""Which earlier weights those of a version may resemble, so that whoever packs them for an archive can say less."""

from holdfast.digest import Digest
from holdfast.errors import HoldfastError
from holdfast.manifest import Manifest
from holdfast.names import RelativePath
from holdfast.parts import Weights
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store

__all__ = ["likely_bases"]


def likely_bases(version: Version, manifest: Manifest, registry: Registry, store: Store) -> dict[Digest, list[Digest]]:
    """For each weights file, the earlier ones that it may resemble, the likeliest first.

    Of the versions of its model that are archived already, from the nearest number on: the file at the same path, then
    the others of the same kind; after those, the same of the versions that it was made from.

    Args:
        version: that is about to be archived.
        manifest: its manifest.
        registry: where archives and lineage are.
        store: where manifests are; one that cannot be read is passed over.
    """
    if not isinstance(manifest.parts.weights, Weights):
        return {}
    versions = {one.digest: one for one in registry.versions(version.model)}
    archived = [versions[one.digest] for one in registry.archives() if one.digest in versions]
    archived.sort(key=lambda one: (abs(one.number - version.number), one.number))
    parents = [
        Digest.parse(edge.parent)
        for edge in registry.lineage("version", str(version.digest))
        if (edge.child, edge.parent_kind) == (str(version.digest), "version")
    ]
    earlier = [one for one in dict.fromkeys([*(one.digest for one in archived), *parents]) if one != version.digest]
    found: dict[Digest, dict[Digest, None]] = {}
    for other in earlier:
        try:
            known = read_manifest(store, other)
        except HoldfastError:
            continue
        theirs = known.parts.weights
        if not isinstance(theirs, Weights) or theirs.format != manifest.parts.weights.format:
            continue
        for path in manifest.parts.weights.files:
            bases = found.setdefault(manifest.file(path).digest, {})
            same = [one for one in theirs.files if one == path]
            alike = [one for one in theirs.files if one != path and _kind(one) == _kind(path)]
            bases.update(dict.fromkeys(known.file(one).digest for one in (*same, *alike)))
    return {digest: [base for base in bases if base != digest] for digest, bases in found.items()}


def _kind(path: RelativePath) -> str:
    """What the name of a file says that it is: what follows its last dot."""
    return str(path).rpartition(".")[2]
