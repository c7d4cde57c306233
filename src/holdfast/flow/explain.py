"""The verb *explain*: what a version is, whole, from its manifest and the registry."""

from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.flow.gate.case import manifest_of
from holdfast.manifest import Manifest
from holdfast.names import Reference
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.store.interface import Store

__all__ = ["Explained", "explain"]


@dataclass(frozen=True, slots=True)
class Explained:
    """A version, what it is made of, and the stages that hold it."""

    version: Version
    manifest: Manifest
    stages: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """What `show` prints."""
        return {
            **self.version.to_json(),
            "parts": self.manifest.parts.to_json(),
            "evidence": self.manifest.evidence.to_json(),
            "files": [entry.to_json() for entry in self.manifest.files],
            "stages": list(self.stages),
        }


def explain(reference: Reference, registry: Registry, store: Store) -> Explained:
    """The version that `reference` names.

    Raises:
        NotFound: no such version.
        IntegrityError: its manifest is damaged or lost.
    """
    version = registry.resolve(reference)
    manifest = manifest_of(store, version)
    held = tuple(str(stage.name) for stage in registry.stages(version.model) if stage.number == version.number)
    return Explained(version, manifest, held)
