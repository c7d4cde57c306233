"""The verb *register*: a bundle gets its number, after every byte of it is durable and not before.

    registered = register(ingredients, workshop, registry, actor="ana", reason="first try")
    registered.version.number     1

What a crash leaves in the scratch folder is swept by the next registration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.evidence import CodeState, Metrics, RunReference
from holdfast.flow.bundle.assemble import Ingredients, Opener, assemble
from holdfast.manifest import Manifest
from holdfast.names import BySemver, StageName
from holdfast.parts import Base, DataSlice, Weights
from holdfast.parts.data_slice import HOLDOUT, TRAIN
from holdfast.registry.actions import Action
from holdfast.registry.facts import Facts
from holdfast.registry.interface import Registry
from holdfast.registry.values import STAGES, Edge, NewVersion, Version
from holdfast.runtime.at_hand import require_data_at_hand
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.facts import facts_in
from holdfast.store.disk import refusal
from holdfast.store.interface import Store
from holdfast.store.scratch import scratch, sweep

__all__ = ["Registered", "Workshop", "claim_named", "new_version", "register"]

_SCRATCH_PREFIX = "bundle-"

_RELATIONS = {TRAIN: "trained_on", HOLDOUT: "measured_on"}
"""What a version did with a snapshot, by its role; of data with another role it is known only that it was read."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where bundles are put together.

    Attributes:
        store: where their bytes go.
        opener: starts a worker for a bundle.
        scratch: a folder for work in progress; what a crash leaves in it is swept by the next call.
        stages: the stages that a new model gets.
    """

    store: Store
    opener: Opener
    scratch: Path
    stages: tuple[StageName, ...] = STAGES


@dataclass(frozen=True, slots=True)
class Registered:
    """A version and what it is."""

    version: Version
    manifest: Manifest

    def to_json(self) -> JsonObject:
        """What `register` prints."""
        return self.version.to_json()


def register(
    given: Ingredients,
    workshop: Workshop,
    registry: Registry,
    *,
    actor: str,
    reason: str = "",
    semver: str | None = None,
    action: Action = Action.VERSION_REGISTER,
) -> Registered:
    """Assemble the bundle, make it durable, and give it the next number of its model.

    A crash before the last step leaves blobs that nothing refers to, and nothing else.

    Raises:
        CannotPackage, BundleFailed, UsageError, NotFound: the bundle could not be put together.
        Incomplete: the weights are an adapter, whose base was not named.
        NotFound: also when the store does not hold data that the version names, or weights of its base.
        Archived: that data was archived, and is not here.
        AlreadyExists: this model has this very bundle already; the details name the version.
        NoSpace, PermissionRefused: the disk is full or read-only; nothing was registered.
    """
    if semver is not None:
        BySemver(semver)
    try:
        workshop.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        sweep(workshop.scratch, _SCRATCH_PREFIX)
        with scratch(workshop.scratch, _SCRATCH_PREFIX) as mine:
            # (1) one directory with all parts, which has answered its own holdout
            files = assemble(given, mine.path, workshop.opener)
            # (2) every byte durable in the store
            _keep(files, workshop.store)
            facts = facts_in(files.manifest, lambda entry: files.read(entry.path))
    except OSError as error:
        raise refusal(error, Path(error.filename or workshop.scratch)) from error
    # (3) the data and the base that it names are here, and stay: nothing may have referred to them for long
    claim_named(files.manifest, registry, workshop.store)
    # (4) the version row: the only commit point
    registry.ensure_model(given.name, actor, stages=workshop.stages)
    version = registry.register(new_version(files.manifest, semver, facts), actor, reason, action=action)
    return Registered(version, files.manifest)


def _keep(files: BundleFiles, store: Store) -> None:
    base = _base(files.manifest)
    elsewhere = frozenset() if base is None else frozenset(base.files)
    entries = [entry for entry in files.manifest.files if entry.path not in elsewhere]
    with store.writer() as writer:
        stored = writer.add_files([files.root / str(entry.path) for entry in entries])
        for entry, found in zip(entries, stored, strict=True):
            if found.digest != entry.digest:
                raise IntegrityError(
                    f"{entry.path} changed while the bundle was being registered",
                    hint="Register again; nothing was recorded.",
                    expected=str(entry.digest),
                    found=str(found.digest),
                )
        writer.add_bytes(files.manifest.encode())
        writer.commit()


def claim_named(manifest: Manifest, registry: Registry, store: Store) -> None:
    """See that the data and the base that a manifest names are in the store, and stay there.

    Raises:
        NotFound: the store does not hold some of it.
        Archived: that data was archived, and is not here.
    """
    _claim(manifest.snapshots(), store)
    _claim_base(manifest, store)
    for tree in manifest.snapshots():
        require_data_at_hand(tree, registry, store)


def _claim(trees: Sequence[Digest], store: Store) -> None:
    for tree in trees:
        store.claim(tree)
    if absent := store.missing(trees):
        raise NotFound(
            f"the data {min(absent)} that the version was trained or tested on is not in the store",
            hint="Freeze it again with: holdfast snapshot, or fetch it with: holdfast pull; then register again.",
            digest=str(min(absent)),
        )


def _base(manifest: Manifest) -> Base | None:
    weights = manifest.parts.weights
    return weights.base if isinstance(weights, Weights) else None


def _claim_base(manifest: Manifest, store: Store) -> None:
    """See that the weights of an adapter's base are here; they were not written, for the base holds them."""
    base = _base(manifest)
    if base is None:
        return
    store.claim(base.digest)  # whoever frees space keeps what this manifest names until the adapter has its row
    if absent := store.missing([base.digest, *(manifest.file(path).digest for path in base.files)]):
        raise NotFound(
            f"{min(absent)}, which belongs to the base {base}, is not in the store",
            hint=f"Fetch it with: holdfast pull {base}; or find what is damaged with: holdfast check. Then repeat.",
            digest=str(min(absent)),
        )


def new_version(manifest: Manifest, semver: str | None, facts: Facts) -> NewVersion:
    """What a manifest, once every byte that it names is durable, is registered as."""
    parts, evidence, digest = manifest.parts, manifest.evidence, manifest.digest
    name = str(digest)
    edges = []
    if isinstance(parts.data_slice, DataSlice):
        edges = [
            Edge("version", name, _RELATIONS.get(item.role, "read"), "snapshot", str(item.digest))
            for item in parts.data_slice.inputs
        ]
    base = _base(manifest)
    if base is not None:
        edges.append(Edge("version", name, "delta_on", "version", str(base.digest)))
    run = evidence.run if isinstance(evidence.run, RunReference) else None
    if run is not None:
        edges.append(Edge("version", name, "produced_by", "run", run.id))
    if isinstance(evidence.code, CodeState) and evidence.code.commit is not None:
        edges.append(Edge("version", name, "built_from", "commit", evidence.code.commit))
    summary: JsonObject = {}
    if isinstance(evidence.metrics, Metrics):
        summary = {"primary": evidence.metrics.primary, "metrics": dict(evidence.metrics.values)}
    if isinstance(parts.weights, Weights):
        summary["weights"] = parts.weights.model_class
    if base is not None:
        summary["base"] = str(base)
    return NewVersion(
        model=manifest.model,
        digest=digest,
        complete=manifest.complete,
        missing=tuple(missing.name for missing in manifest.missing()),
        run_id=None if run is None else run.id,
        semver=semver,
        summary=summary,
        lineage=tuple(dict.fromkeys(edges)),
        facts=facts,
    )
