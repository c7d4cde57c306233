"""`push`, `pull` and `clone`: versions and snapshots, with every byte they need, from one project to another.

What travels is content: bundles, the data they were trained and measured on, each version's row, and its signatures,
which hold wherever it is. Stages, approvals and verdicts stay where they were given: every registry decides for itself
what it serves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.canonical import JsonObject, Reader
from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, IntegrityError, NotFound, UsageError
from holdfast.manifest import Manifest
from holdfast.names import ByDigest, ByNumber, BySemver, ModelName, Reference, StageName, VersionNumber
from holdfast.registry.interface import Registry
from holdfast.registry.values import Edge, NewVersion, Version
from holdfast.registry.whereabouts import Archive
from holdfast.runtime.at_hand import archive_of
from holdfast.runtime.facts import read_facts
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store
from holdfast.store.remote.incoming import Incoming
from holdfast.store.remote.outgoing import Outgoing
from holdfast.store.remote.refs import REFS, SnapshotRef, VersionRef, snapshot_key, version_key, versions_of
from holdfast.store.remote.remote import Remote
from holdfast.store.tree import load_tree
from holdfast.upkeep.elsewhere import Lacking
from holdfast.upkeep.signatures import fetch_signatures, send_signatures

__all__ = ["Exchange", "Shared", "away", "needs", "pull", "push", "ref_of"]

Progress = Callable[[int, int], None]

_Ref = SnapshotRef | VersionRef


@dataclass(frozen=True, slots=True)
class Exchange:
    """A project and one remote.

    Attributes:
        registry: the project's names.
        store: the project's bytes.
        remote: the other side.
        outgoing: sends from the store to it.
        incoming: fetches from it into the store.
        stages: what a model that comes in for the first time gets.
        as_store: opens the other side as a store of its own; something must have been pushed there.
        look: asks the remote anew what it lists.
    """

    registry: Registry
    store: Store
    remote: Remote
    outgoing: Outgoing
    incoming: Incoming
    stages: tuple[StageName, ...]
    as_store: Callable[[], Store]
    look: Callable[[], Lacking]


@dataclass(frozen=True, slots=True)
class Shared:
    """What a push or a pull did.

    Attributes:
        url: of the remote.
        refs: each with whether it was new on the side that received it.
        blobs: those of which something travelled.
        bytes: that travelled.
        left: what a push left out, since it is archived and not here.
        signatures: those of versions that were new on the side that received them.
    """

    url: str
    refs: tuple[tuple[_Ref, bool], ...]
    blobs: int
    bytes: int
    left: tuple[Archive, ...] = ()
    signatures: int = 0

    def to_json(self) -> JsonObject:
        """What `push`, `pull` and `clone` print."""
        versions = [
            {"model": ref.model, "version": ref.number, "digest": str(ref.digest), "new": new}
            for ref, new in self.refs
            if isinstance(ref, VersionRef)
        ]
        snapshots = [{"digest": str(ref.digest), "new": new} for ref, new in self.refs if isinstance(ref, SnapshotRef)]
        return {
            "url": self.url,
            "versions": versions,
            "snapshots": snapshots,
            "left_out": [archive.name for archive in self.left],
            "blobs": self.blobs,
            "bytes": self.bytes,
            "signatures": self.signatures,
        }


def push(exchange: Exchange, wanted: Sequence[str], progress: Progress | None = None) -> Shared:
    """Have the remote hold versions and snapshots with all they need, and say so there.

    Args:
        exchange: from where to where.
        wanted: references to versions, names of models, digests of snapshots; every version of the project when empty.
        progress: called with the bytes done and the bytes in all.

    Raises:
        NotFound: no such version or snapshot, or the store lacks something that it needs.
        Archived: what was named by itself was archived, and its bytes are not here.
        AlreadyExists: the remote has another digest under a version's number; nothing was sent.
        IntegrityError: something is damaged here; it was not sent.
        Unavailable, PermissionRefused: the remote; a repetition goes on where this ended.
    """
    refs, left = _to_send(exchange, wanted)
    exchange.remote.refuse_others(refs)
    sent = exchange.outgoing.send(list(needs(exchange.store, refs)), progress)
    new = exchange.remote.refer(refs)
    signatures = sum(
        send_signatures(exchange.remote.transport, exchange.registry, ref)
        for ref in refs
        if isinstance(ref, VersionRef)
    )
    shown = tuple(zip(refs, new, strict=True))
    return Shared(exchange.remote.name, shown, sent.blobs, sent.bytes, tuple(left), signatures)


def pull(exchange: Exchange, wanted: Sequence[str], actor: str, progress: Progress | None = None) -> Shared:
    """Have the project hold versions and snapshots of the remote, each version under its own number.

    Args:
        exchange: from where to where.
        wanted: `churn@4`, `churn`, the digest of a snapshot; everything that the remote refers to when empty.
        actor: who asks, for the log.
        progress: called with the bytes done and the bytes in all.

    Raises:
        NotFound: the remote has no such ref, or lacks something that it needs.
        AlreadyExists: a number belongs to another digest here; the details give both, and nothing was changed.
        IntegrityError: what came is not what it is named by, or a ref says of a version what its manifest does not.
        Unavailable, PermissionRefused, NoSpace: what had arrived stays, and a repetition goes on from there.
    """
    refs = list(_refs_there(exchange.remote, wanted))
    absent = exchange.store.missing([ref.digest for ref in refs])
    new = [ref.digest in absent if isinstance(ref, SnapshotRef) else _is_free(exchange.registry, ref) for ref in refs]
    # Each step says what the next one needs: manifests and trees, then trees of data, then everything.
    first = exchange.incoming.fetch([ref.digest for ref in refs])
    manifests = {ref: read_manifest(exchange.store, ref.digest) for ref in refs if isinstance(ref, VersionRef)}
    second = exchange.incoming.fetch([tree for manifest in manifests.values() for tree in manifest.snapshots()])
    for ref in refs:
        exchange.store.claim(ref.digest)  # what is here already must not be let go of before the version has its row
    third = exchange.incoming.fetch(list(needs(exchange.store, refs)), progress)
    for ref, manifest in manifests.items():
        _take_in(exchange, ref, manifest, actor)
    transport = exchange.remote.transport
    signatures = sum(fetch_signatures(transport, exchange.registry, ref, actor) for ref in manifests)
    archived = {archive.digest for archive in exchange.registry.archives()}
    for ref in refs:
        if ref.digest in archived:  # who pulls it wants it here
            exchange.registry.restore(ref.digest, exchange.remote.name, actor, "pulled")
    steps = (first, second, third)
    return Shared(
        exchange.remote.name,
        tuple(zip(refs, new, strict=True)),
        sum(step.blobs for step in steps),
        sum(step.bytes for step in steps),
        signatures=signatures,
    )


def away(exchange: Exchange, ref: _Ref) -> Archive | None:
    """The archive of something that was archived and of which something is not here; None when it can be sent."""
    archive = archive_of(ref.digest, exchange.registry)
    if archive is None:
        return None
    try:
        return archive if exchange.store.missing(needs(exchange.store, [ref])) else None
    except NotFound:
        return archive  # even its manifest or a tree is not here


def _to_send(exchange: Exchange, wanted: Sequence[str]) -> tuple[list[_Ref], list[Archive]]:
    """What can be sent, and what cannot since it is archived: it is left out, unless a person named it."""
    named = [text for text in wanted if _is_one(text)]
    asked = {ref.digest for ref in _refs_here(exchange.registry, named)} if named else set()
    refs, left = [], []
    for ref in _refs_here(exchange.registry, wanted):
        archive = away(exchange, ref)
        if archive is None:
            refs.append(ref)
        elif ref.digest in asked:
            raise archive.away()
        else:
            left.append(archive)
    return refs, left


def _is_one(text: str) -> bool:
    """Whether it names one thing, and not a model with all its versions."""
    return "@" in text or text.startswith("sha256:")


def _refs_here(registry: Registry, wanted: Sequence[str]) -> Iterator[_Ref]:
    if not wanted:
        yield from (ref_of(registry, version) for version in registry.versions())
    for text in wanted:
        if text.startswith("sha256:"):
            yield SnapshotRef(Digest.parse(text))
        elif "@" in text:
            yield ref_of(registry, registry.resolve(Reference.parse(text)))
        else:
            yield from (ref_of(registry, version) for version in registry.versions(ModelName(text)))


def ref_of(registry: Registry, version: Version) -> VersionRef:
    """The ref under which a remote shows the version."""
    name = str(version.digest)
    row = version.to_json()
    for said in ("model", "version", "digest"):
        del row[said]
    row["lineage"] = [edge.to_json() for edge in registry.lineage("version", name) if edge.child == name]
    return VersionRef(str(version.model), version.number, version.digest, row)


def _refs_there(remote: Remote, wanted: Sequence[str]) -> Iterator[_Ref]:
    if not wanted:
        yield from remote.refs(REFS)
    for text in wanted:
        found = list(_named(remote, text))
        if not found:
            raise NotFound(
                f"{remote.name} has no {text}",
                hint="It is there once somebody has pushed it: holdfast push, in the project that has it.",
                wanted=text,
                remote=remote.name,
            )
        yield from found


def _named(remote: Remote, text: str) -> Iterator[_Ref]:
    if text.startswith("sha256:"):
        ref = remote.ref(snapshot_key(Digest.parse(text)))
        yield from (ref,) if ref is not None else ()
        return
    if "@" not in text:
        yield from remote.refs(versions_of(str(ModelName(text))))
        return
    reference = Reference.parse(text)
    model, choice = str(reference.model), reference.choice
    if isinstance(choice, ByNumber):
        ref = remote.ref(version_key(model, choice.number))
        yield from (ref,) if ref is not None else ()
        return
    if not isinstance(choice, ByDigest | BySemver):
        raise UsageError(
            "stages do not travel: each registry decides what it serves",
            hint=f"Pull a number, such as {model}@4, or all of {model}.",
        )
    for ref in remote.refs(versions_of(model)):
        if isinstance(ref, VersionRef):
            by_digest = isinstance(choice, ByDigest) and str(ref.digest).startswith(str(choice))
            if by_digest or (isinstance(choice, BySemver) and ref.row.get("semver") == str(choice)):
                yield ref


def _is_free(registry: Registry, ref: VersionRef) -> bool:
    """Asked before anything is fetched: the registry asks the same again when it takes the version in.

    Raises:
        AlreadyExists: the number is another digest's, or the digest has another number.
    """
    model, number, is_free = ModelName(ref.model), VersionNumber(ref.number), True
    for choice in (ByNumber(number), ByDigest(str(ref.digest))):
        try:
            found = registry.resolve(Reference(model, choice))
        except NotFound:
            continue
        if (found.number, found.digest) != (number, ref.digest):
            raise AlreadyExists(
                f"{model}@{found.number} is {found.digest} here, and {model}@{number} is {ref.digest} in the remote",
                hint="A number names one version for good, and a version has one: pull into a project of its own.",
                model=ref.model,
                version=found.number,
                digest=str(found.digest),
                asked=str(ref.digest),
            )
        is_free = False
    return is_free


def needs(store: Store, refs: Sequence[_Ref]) -> dict[Digest, int]:
    """Every blob that they need, once, with its bytes; what refers to others stands after them.

    Raises:
        NotFound, IntegrityError: a manifest or a tree is lost or damaged.
    """
    needed: dict[Digest, int] = {}

    def see(tree: Digest) -> None:
        if tree not in needed:
            needed.update((entry.digest, entry.size) for entry in load_tree(store, tree).entries)
            needed[tree] = store.size(tree)

    for ref in refs:
        if isinstance(ref, SnapshotRef):
            see(ref.digest)
            continue
        manifest = read_manifest(store, ref.digest)
        for tree in manifest.snapshots():
            see(tree)
        needed.update((entry.digest, entry.size) for entry in manifest.files)
        needed[ref.digest] = store.size(ref.digest)
    return needed


def _take_in(exchange: Exchange, ref: VersionRef, manifest: Manifest, actor: str) -> None:
    """Give the version its row."""
    row, name = Reader(ref.row, ref.key), str(ref.digest)
    missing = tuple(one.name for one in manifest.missing())
    if str(manifest.model) != ref.model or row.flag("complete") != manifest.complete or row.texts("missing") != missing:
        raise IntegrityError(
            f"the ref of {ref.model}@{ref.number} in {exchange.remote.name} says what its manifest does not",
            hint="Somebody changed the ref: have it pushed to another remote.",
            digest=name,
        )
    edges = tuple(_edge(Reader(item, ref.key)) for item in row.items("lineage"))
    new = NewVersion(
        model=manifest.model,
        digest=ref.digest,
        complete=manifest.complete,
        missing=missing,
        run_id=row.maybe_text("run"),
        semver=row.maybe_text("semver"),
        summary=row.mapping("summary"),
        lineage=tuple(edge for edge in edges if (edge.child_kind, edge.child) == ("version", name)),
        facts=read_facts(exchange.store, ref.digest),
    )
    origin = {
        "remote": exchange.remote.name, "created_at": row.text("created_at"), "created_by": row.text("created_by")
    }  # fmt: skip
    exchange.registry.ensure_model(manifest.model, actor, stages=exchange.stages)
    number = VersionNumber(ref.number)
    exchange.registry.import_version(new, number, actor, f"from {exchange.remote.name}", origin=origin)


def _edge(fields: Reader) -> Edge:
    child, parent = fields.reader("child"), fields.reader("parent")
    return Edge(
        child.text("kind"), child.text("name"), fields.text("relation"), parent.text("kind"), parent.text("name")
    )
