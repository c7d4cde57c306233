"""The verb *register*, for a bundle whose files lie in the store already: no bytes move, and nothing is opened.

    version = register_logged(prepared, store, registry, actor="ana", reason="first try")

What a bundle of a model logged elsewhere is made of is found out by a bridge; here it gets its number, by the same
steps as in `flow.register`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import JsonObject
from holdfast.errors import AlreadyExists, IntegrityError, NotFound
from holdfast.flow.register import claim_named, new_version
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import ByDigest, Reference, RelativePath, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.interface import Registry
from holdfast.registry.values import STAGES, Version
from holdfast.runtime.facts import facts_in
from holdfast.store.interface import Store

__all__ = ["Came", "Prepared", "register_logged"]

_READ_BYTES_MAX = 16 << 20
"""What is read here is a lock, which has two megabytes at most."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A bundle whose large files are in the store.

    Attributes:
        manifest: what it is.
        small: the files that it has beside those, by their path in the bundle.
        notes: what is known and has no place in the manifest, one sentence each.
    """

    manifest: Manifest
    small: Mapping[RelativePath, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Came:
    """Where a version came from that had its number before.

    Attributes:
        number: its own.
        origin: who made it there and when, for the log.
    """

    number: VersionNumber
    origin: JsonObject


def register_logged(
    prepared: Prepared,
    store: Store,
    registry: Registry,
    *,
    actor: str,
    reason: str = "",
    stages: tuple[StageName, ...] = STAGES,
    came: Came | None = None,
) -> Version:
    """Make the bundle whole in the store, and give it the next number of its model, or the one that it had elsewhere.

    The same content again is the version that is there.

    Raises:
        NotFound: the store lacks a file, or data that the version names.
        Archived: that data was archived, and is not here.
        IntegrityError: a small file is not what the manifest names.
        NoSpace, PermissionRefused: the disk is full or read-only; nothing was registered.
    """
    manifest = prepared.manifest
    # (1), (2) what a client sent is durable; the rest becomes so now, and with it the manifest
    _require(prepared, store)
    _keep(prepared, store)

    def read(entry: FileEntry) -> bytes:
        return prepared.small.get(entry.path) or store.read(entry.digest, bytes_max=_READ_BYTES_MAX)

    facts = facts_in(manifest, read)
    # (3) the data that it names is here, and stays
    claim_named(manifest, registry, store)
    # (4) the version row: the only commit point
    registry.ensure_model(manifest.model, actor, stages=stages)
    new = new_version(manifest, None, facts)
    try:
        if came is not None:
            return registry.import_version(new, came.number, actor, reason, origin=came.origin)
        return registry.register(new, actor, reason, action=Action.VERSION_REGISTER)
    except AlreadyExists as error:
        if error.details.get("digest") != str(manifest.digest):
            raise
        return registry.resolve(Reference(manifest.model, ByDigest(str(manifest.digest))))


def _require(prepared: Prepared, store: Store) -> None:
    logged = [entry for entry in prepared.manifest.files if entry.path not in prepared.small]
    absent = store.missing([entry.digest for entry in logged])
    if absent:
        entry = next(entry for entry in logged if entry.digest in absent)
        raise NotFound(
            f"the store does not hold {entry.path}, which is {entry.digest}",
            hint="Log the model again; or find what is damaged with: holdfast check",
            digest=str(entry.digest),
        )


def _keep(prepared: Prepared, store: Store) -> None:
    with store.writer() as writer:
        for path, data in prepared.small.items():
            expected, found = prepared.manifest.file(path).digest, writer.add_bytes(data).digest
            if found != expected:
                raise IntegrityError(
                    f"{path} is not what the manifest names", hint="Log the model again.",
                    expected=str(expected), found=str(found),
                )  # fmt: skip
        writer.add_bytes(prepared.manifest.encode())
        writer.commit()
