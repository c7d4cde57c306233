"""`archive` and `restore`: older versions go to colder storage, proved, and come back when somebody wants them.

Archiving: (1) no keep-rule keeps it; (2) the remote gets what it lacks, each record proved on its way out; (3) the
remote is asked anew, lists every blob, and gets the ref; (4) the rules are asked again, for hours may have passed; (5)
in one transaction: no stage has moved since, none points to it, and the event. Nothing is deleted here: `gc` does that
later, and asks the remote once more. Any step may be interrupted, and a repetition goes on from there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import Archived, HoldfastError, IntegrityError, NotFound, PermissionRefused, StageMoved
from holdfast.names import ByNumber, Reference
from holdfast.registry.interface import Registry
from holdfast.registry.values import Version
from holdfast.registry.whereabouts import NewArchive
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store
from holdfast.store.remote.refs import SnapshotRef, VersionRef
from holdfast.tracking.interface import Tracking
from holdfast.upkeep.bases import likely_bases
from holdfast.upkeep.keep_rules import Facts, KeepRules, Kept, Which, keep, which
from holdfast.upkeep.share import Exchange, away, needs, ref_of
from holdfast.upkeep.signatures import send_signatures

__all__ = [
    "Archiver",
    "Done",
    "Due",
    "Outcome",
    "Progress",
    "Wish",
    "archive",
    "archive_all",
    "due",
    "prepared",
    "restore",
    "wanted",
]

Progress = Callable[[int, int], None]
"""Is told the bytes done and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Due:
    """What may be archived.

    Attributes:
        name: what a person calls it: `churn@1`, or the digest of a snapshot.
        what: the version, or the digest of the snapshot.
        ref: under which the remote shows it.
        needed: its blobs, each with its bytes; what refers to others stands after them.
    """

    name: str
    what: Version | Digest
    ref: VersionRef | SnapshotRef
    needed: dict[Digest, int]

    def to_json(self) -> JsonObject:
        """One entry of `archive --dry-run`."""
        return {
            "what": self.name,
            "digest": str(self.ref.digest),
            "blobs": len(self.needed),
            "bytes": sum(self.needed.values()),
        }


@dataclass(frozen=True, slots=True)
class Done:
    """What was archived or restored.

    Attributes:
        name: what a person calls it.
        digest: of it.
        remote: where it went, or came from.
        is_new: whether an event was written; False when it was so before.
        blobs: those of which something travelled.
        bytes: that travelled.
    """

    name: str
    digest: Digest
    remote: str
    is_new: bool
    blobs: int
    bytes: int

    def to_json(self) -> JsonObject:
        """One entry of `archive`, and what `restore` prints."""
        return {
            "what": self.name,
            "digest": str(self.digest),
            "remote": self.remote,
            "new": self.is_new,
            "blobs": self.blobs,
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of several things.

    Attributes:
        done: those that are archived now.
        left: the others, each with why not.
    """

    done: tuple[Done, ...]
    left: tuple[tuple[str, HoldfastError], ...]

    @property
    def failed(self) -> bool:
        """Whether something is wrong with one of those that were left; to be kept by a rule is not wrong."""
        return any(isinstance(error, IntegrityError | NotFound) for _, error in self.left)

    def to_json(self) -> JsonObject:
        """What `archive` prints, but for the remote."""
        return {
            "archived": [one.to_json() for one in self.done],
            "left": [{"what": name, "error": error.to_json()} for name, error in self.left],
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants something archived.

    Attributes:
        remote: what the project calls the remote that takes it.
        actor: who asks.
        reason: why, in the person's words.
    """

    remote: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Archiver:
    """One project whose versions are to be archived.

    Attributes:
        registry, tracking, store: of the project.
        rules: which versions stay.
        clock: gives the moment, in UTC.
    """

    registry: Registry
    tracking: Tracking
    store: Store
    rules: KeepRules
    clock: Callable[[], datetime]

    def keeps(self, what: Version | Digest) -> tuple[Kept | None, int | None]:
        """Why something stays, and the index of the last event when that was so."""
        facts = Facts.of(self.registry, self.tracking)
        if isinstance(what, Version):
            return keep(self.rules, facts, self.clock()).get(which(what)), facts.seen
        return self._keeps_data(what, facts), facts.seen

    def _keeps_data(self, tree: Digest, facts: Facts) -> Kept | None:
        away = {one.digest for one in self.registry.archives()}
        for hold in facts.holds:
            if hold.digest == tree:
                return Kept(f"hold {hold.id}", f"Lift it: holdfast hold lift {hold.id}")
        for version in facts.versions:
            if version.digest not in away and tree in _trees(version, self.registry, self.store):
                name = f"{version.model}@{version.number}"
                return Kept(f"data of {name}", f"Archive the version, and its data goes with it: {name}.")
        makers = {one.run_id for one in facts.versions if tree in _trees(one, self.registry, self.store)}
        for run, digest in self.tracking.digests():
            if digest == tree and run not in makers:
                return Kept(f"run {run}", "A run keeps what it read, for as long as it is on record.")
        return None


def due(archiver: Archiver) -> tuple[list[Version], dict[Which, Kept]]:
    """The versions that are at hand and that no keep-rule keeps, and why the others stay."""
    facts = Facts.of(archiver.registry, archiver.tracking)
    kept = keep(archiver.rules, facts, archiver.clock())
    away = {one.digest for one in archiver.registry.archives()}
    return [one for one in facts.versions if which(one) not in kept and one.digest not in away], kept


def wanted(archiver: Archiver, text: str) -> Version | Digest:
    """What a person named: a version, or a snapshot by its digest.

    Raises:
        NotFound: no such version or snapshot.
        PermissionRefused: a keep-rule keeps it; the message says which, the hint what to do.
    """
    what: Version | Digest
    if text.startswith("sha256:"):
        what = Digest.parse(text)
        if not archiver.store.has(what):
            raise NotFound(f"the store does not have {text}", hint="Name what holdfast snapshot answered.")
    else:
        what = archiver.registry.resolve(Reference.parse(text))
    kept, _ = archiver.keeps(what)
    if kept is not None:
        raise _refused(_name(what), kept)
    return what


def prepared(archiver: Archiver, what: Version | Digest) -> Due:
    """What is needed of it.

    Raises:
        NotFound, IntegrityError: its manifest or a tree is lost or damaged.
    """
    ref = SnapshotRef(what) if isinstance(what, Digest) else ref_of(archiver.registry, what)
    return Due(_name(what), what, ref, needs(archiver.store, [ref]))


def archive_all(
    archiver: Archiver,
    exchange: Exchange,
    wish: Wish,
    things: Iterable[Version | Digest],
    progress: Progress,
    *,
    all_of_them: bool = False,
) -> Outcome:
    """Archive these things, one after the other; each is written down before the next begins.

    Args:
        archiver: whose.
        exchange: with the remote that takes them.
        wish: who asks, why, and what the project calls the remote.
        things: versions, and digests of snapshots.
        progress: called with the bytes done and the bytes in all, for each anew.
        all_of_them: raise for the first that cannot be archived; if not, it is passed over, and the outcome says why.

    Raises:
        As `archive`.
    """
    done, left = [], []
    for what in things:
        try:
            done.append(archive(archiver, exchange, wish, prepared(archiver, what), progress))
        except (PermissionRefused, StageMoved, IntegrityError, NotFound, Archived) as error:
            # A refusal of the remote itself concerns all of them.
            if all_of_them or (isinstance(error, PermissionRefused) and "kept_by" not in error.details):
                raise
            left.append((_name(what), error))
    return Outcome(tuple(done), tuple(left))


def archive(archiver: Archiver, exchange: Exchange, wish: Wish, one: Due, progress: Progress) -> Done:
    """Have the remote hold all of it, prove that, and write it down; the steps have the numbers of the module.

    Raises:
        PermissionRefused: a rule has come to keep it; the copy stays in the remote.
        StageMoved: a stage of its model moved in the last moment.
        AlreadyExists: the remote has another digest under the version's number; nothing was sent.
        Archived: it was archived in another remote, and its bytes are not here.
        IntegrityError: something is damaged here, or the remote lists less than it acknowledged.
        Unavailable: the remote; a repetition goes on where this ended.
    """
    needed = list(one.needed)
    exchange.remote.refuse_others([one.ref])
    if (there := away(exchange, one.ref)) is not None:
        if there.url != exchange.remote.name:
            raise there.away()
        return Done(one.name, one.ref.digest, wish.remote, is_new=False, blobs=0, bytes=0)
    # (2) the bytes
    sent = exchange.outgoing.send(needed, progress, bases=_bases(archiver, one.what))
    # (3) what it lists, asked anew
    if lacking := exchange.look()(needed):
        raise IntegrityError(
            f"{exchange.remote.name} does not list {len(lacking)} of {len(needed)} blobs of {one.name} that it took",
            hint="Repeat. If this lasts, somebody deletes there, or it does not keep what it acknowledges.",
            lacking=[str(min(lacking))],
        )
    exchange.remote.refer([one.ref])
    if isinstance(one.ref, VersionRef):
        send_signatures(exchange.remote.transport, exchange.registry, one.ref)
    # (4) the rules
    kept, seen = archiver.keeps(one.what)
    if kept is not None:
        raise _refused(one.name, kept)
    # (5) the event
    before = {found.id for found in archiver.registry.archives()}
    what = one.what if isinstance(one.what, Digest) else Reference(one.what.model, ByNumber(one.what.number))
    new = NewArchive(
        what,
        remote=wish.remote,
        url=exchange.remote.name,
        blobs=len(needed),
        bytes=sum(one.needed.values()),
        reason=wish.reason,
        expect=seen,
    )
    made = archiver.registry.archive(new, wish.actor)
    return Done(one.name, one.ref.digest, wish.remote, made.id not in before, sent.blobs, sent.bytes)


def restore(exchange: Exchange, remote: str, what: Version | Digest, *, actor: str, progress: Progress) -> Done:
    """Bring back every byte of a version or a snapshot, verified, and write that down.

    Where all of it is here already the remote is not asked: a restore must not wait for what it does not need.

    Args:
        exchange: the project, and the remote that has them.
        remote: what the project calls it.
        what: the version, or the digest of the snapshot.
        actor: who asks.
        progress: called with the bytes done and the bytes in all.

    Raises:
        NotFound: the remote lacks something.
        IntegrityError: what came is not what it is named by.
        Unavailable, PermissionRefused, NoSpace: what had arrived stays, and a repetition goes on from there.
    """
    store, registry, fetch = exchange.store, exchange.registry, exchange.incoming.fetch
    digest = what if isinstance(what, Digest) else what.digest
    store.claim(digest)  # from now on nothing of it is let go, whether it was here or comes in
    ref = SnapshotRef(digest) if isinstance(what, Digest) else ref_of(registry, what)
    came = []
    if store.missing([digest]):
        came.append(fetch([digest]))
    if isinstance(what, Version) and (trees := store.missing(read_manifest(store, digest).snapshots())):
        came.append(fetch(sorted(trees)))
    if absent := store.missing(needs(store, [ref])):
        came.append(fetch(sorted(absent), progress))
    ended = registry.restore(digest, remote, actor)
    return Done(
        _name(what), digest, remote, bool(ended), sum(one.blobs for one in came), sum(one.bytes for one in came)
    )


def _name(what: Version | Digest) -> str:
    return str(what) if isinstance(what, Digest) else f"{what.model}@{what.number}"


def _bases(archiver: Archiver, what: Version | Digest) -> dict[Digest, list[Digest]]:
    """What may make the copy smaller; what a snapshot shares with itself is found without being named."""
    if isinstance(what, Digest):
        return {}
    manifest = read_manifest(archiver.store, what.digest)
    return likely_bases(what, manifest, archiver.registry, archiver.store)


def _refused(name: str, kept: Kept) -> PermissionRefused:
    return PermissionRefused(f"{name} is kept: {kept.reason}", hint=kept.hint, what=name, kept_by=kept.reason)


def _trees(version: Version, registry: Registry, store: Store) -> set[Digest]:
    """The data that a version names, in its manifest or by lineage."""
    name = str(version.digest)
    found = {
        Digest.parse(edge.parent)
        for edge in registry.lineage("version", name)
        if (edge.child, edge.parent_kind) == (name, "snapshot")
    }
    return found | set(read_manifest(store, version.digest).snapshots())
