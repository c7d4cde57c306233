"""The base of an adapter: a registered version, whose weights the adapter's bundle holds under `weights/base/`.

Its files are not written into the bundle while this is put together: they are listed by the digests that they have in
the store already, and so cost no bytes there, nor on the way to a remote that has them.
"""

from dataclasses import dataclass

from holdfast.errors import Incomplete, UsageError
from holdfast.manifest import FileEntry
from holdfast.names import Reference, RelativePath
from holdfast.parts import Base, Missing, Weights
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store

__all__ = ["BASE_FOLDER", "BaseVersion", "find_base"]

BASE_FOLDER = "weights/base"
"""Where the base's weights stand in an adapter's bundle."""

_OWN_FOLDER = "weights/"


@dataclass(frozen=True, slots=True)
class BaseVersion:
    """A version that can be a base.

    Attributes:
        version: which one.
        weights: its weights, which are whole.
        entries: their files, at their places in an adapter's bundle.
    """

    version: Version
    weights: Weights
    entries: tuple[FileEntry, ...]

    def part(self) -> Base:
        """What an adapter's weights say of it."""
        paths = tuple(entry.path for entry in self.entries)
        return Base(self.version.digest, self.version.model, self.version.number, self.weights.format, paths)


def find_base(reference: Reference, registry: Registry, store: Store) -> BaseVersion:
    """The version that `reference` names, as a base.

    Raises:
        NotFound: no such version, or the store does not hold its manifest.
        Incomplete: it has no weights.
        UsageError: it is an adapter itself. Which of two deltas comes first, and how each is scaled when both apply, no
            format of adapters says; merged into one, they are whole weights and can be a base.
        IntegrityError: its manifest is damaged.
    """
    version = registry.resolve(reference)
    manifest = read_manifest(store, version.digest)
    weights, name = manifest.parts.weights, f"{version.model}@{version.number}"
    if isinstance(weights, Missing):
        raise Incomplete(
            f"{name} has no weights that an adapter could be a delta on: {weights.why}",
            hint="Name a version that has weights.",
            missing=["weights"],
        )
    if weights.base is not None:
        raise UsageError(
            f"{name} is an adapter itself, on {weights.base}",
            hint=f"Merge it into {weights.base}, register the result as whole weights, and name that version.",
            base=str(weights.base.digest),
        )
    held = [manifest.file(path) for path in weights.files]
    common = _OWN_FOLDER if all(str(entry.path).startswith(_OWN_FOLDER) for entry in held) else ""
    entries = (
        FileEntry(
            RelativePath(f"{BASE_FOLDER}/{str(entry.path).removeprefix(common)}").portable(), entry.digest, entry.size
        )
        for entry in held
    )
    return BaseVersion(version, weights, tuple(sorted(entries)))
