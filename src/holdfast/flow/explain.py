"""The verb *explain*: what a version is, whole, from its manifest and the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import JsonObject
from holdfast.errors import IntegrityError
from holdfast.flow.gate.case import manifest_of
from holdfast.manifest import Manifest
from holdfast.names import Reference
from holdfast.registry.certificates import Rehearsal
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.registry.vouching import Signature
from holdfast.registry.whereabouts import Archive
from holdfast.runtime.at_hand import archive_of
from holdfast.store.interface import Store

__all__ = ["Explained", "explain"]


@dataclass(frozen=True, slots=True)
class Explained:
    """A version, what it is made of, the stages that hold it, who signed it, and where it is archived, if it is.

    Of the stages, `waived` names those that it came to by waivers, and these. `rehearsals` are the last ones of going
    back to it, one for each stage for which there was any. `known_as` is what MLflow's clients call its model, where it
    is another name.
    """

    version: Version
    manifest: Manifest
    stages: tuple[str, ...]
    archive: Archive | None = None
    signatures: tuple[Signature, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()
    waived: Mapping[str, tuple[JsonObject, ...]] = field(default_factory=dict)
    known_as: str | None = None

    def to_json(self) -> JsonObject:
        """What `show` prints."""
        return {
            **self.version.to_json(),
            "parts": self.manifest.parts.to_json(),
            "evidence": self.manifest.evidence.to_json(),
            "files": [entry.to_json() for entry in self.manifest.files],
            "stages": list(self.stages),
            "signatures": [one.about() for one in self.signatures],
            "waived": {name: list(waivers) for name, waivers in self.waived.items()},
            "archived": None if self.archive is None else self.archive.to_json(),
            "rehearsals": [one.brief() for one in self.rehearsals],
            "known_as": self.known_as,
        }


def explain(reference: Reference, registry: Registry, store: Store) -> Explained:
    """The version that `reference` names.

    Raises:
        NotFound: no such version.
        Archived: it was archived, and even its record is not here.
        IntegrityError: its manifest is damaged or lost.
    """
    version = registry.resolve(reference)
    archive = archive_of(version.digest, registry)
    try:
        manifest = manifest_of(store, version)
    except IntegrityError as error:
        if archive is None:
            raise
        raise archive.away() from error
    stages = registry.stages(version.model)
    held = tuple(str(stage.name) for stage in stages if stage.number == version.number)
    live = registry.live(version.model).stages if held else {}
    waived = {name: one.waived for name, one in live.items() if name in held and one is not None and one.waived}
    rehearsed = tuple(
        one for stage in stages for one in registry.rehearsals(version.model, stage.name, to=version.number, limit=1)
    )
    signatures = registry.signatures(version.model, version.number)
    known_as = next((model.known_as for model in registry.models(only=version.model)), None)
    return Explained(version, manifest, held, archive, signatures, rehearsed, waived, known_as)
