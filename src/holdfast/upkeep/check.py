"""`check`: re-hash everything, name what is damaged, and say which versions it hurts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, IntegrityError, NotFound
from holdfast.registry.interface import Registry
from holdfast.registry.ledger_pages import ledger_pages
from holdfast.registry.whereabouts import Archive
from holdfast.store.interface import EVERYTHING, Depth, Store, StoreCheck
from holdfast.store.remote.probe import require_store
from holdfast.store.remote.refs import REFS, VersionRef
from holdfast.upkeep.indexing import index_versions
from holdfast.upkeep.named_files import NamedFiles, NoFiles
from holdfast.upkeep.retention import tree_needs, version_needs, version_record, whole_needs
from holdfast.upkeep.share import Exchange

__all__ = ["Away", "Checked", "Damaged", "Source", "check", "check_remote"]

Source = Callable[[Sequence[Digest]], object]
"""Brings blobs that the store lacks or has damaged, or raises `NotFound`."""

_Need = tuple[Digest, str, bool]
"""A blob, who needs it, and whether it must be here: what was archived need not be."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """One blob that is damaged or lost, and the versions that need it.

    Attributes:
        digest: the blob's name.
        versions: the versions whose bundle or data it is part of, such as `churn@4`, or
            `ledger of churn`, or `run 4f…` for a file of a run.
        reason: what is wrong with it.
    """

    digest: Digest
    versions: tuple[str, ...]
    reason: str

    def to_json(self) -> JsonObject:
        """One entry of `damaged`."""
        return {"digest": str(self.digest), "versions": list(self.versions), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Away:
    """A version or a snapshot that is in an archive.

    Attributes:
        archive: the newest one.
        blobs: how many of its blobs are not here.
    """

    archive: Archive
    blobs: int

    def to_json(self) -> JsonObject:
        """One entry of `archived`."""
        return {"what": self.archive.name, "blobs_away": self.blobs, **self.archive.to_json()}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        blobs: how many there are.
        bytes: how many bytes they hold.
        damaged: those that are not what their name says, and those that a version needs and the store lacks.
        bytes_read: how many stored bytes were read and hashed to find this out; blobs share them.
        notes: what is wrong with the store and hurts no blob.
        repaired: what was put right before.
        archived: what is in an archive; what is not here of it is no damage.
        indexed: how many versions can now be searched by what they are, and could not before.
        not_indexed: how many still cannot.
    """

    blobs: int
    bytes: int
    damaged: tuple[Damaged, ...]
    bytes_read: int = 0
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    archived: tuple[Away, ...] = ()
    indexed: int = 0
    not_indexed: int = 0

    def to_json(self) -> JsonObject:
        """What `check` prints."""
        return {
            "ok": not self.damaged and not self.notes,
            "blobs": self.blobs,
            "bytes": self.bytes,
            "bytes_read": self.bytes_read,
            "damaged": [one.to_json() for one in self.damaged],
            "notes": list(self.notes),
            "repaired": list(self.repaired),
            "archived": [one.to_json() for one in self.archived],
            "indexed": self.indexed,
            "not_indexed": self.not_indexed,
        }


def check(
    store: Store,
    registry: Registry,
    progress: Callable[[int, int], None] | None = None,
    *,
    depth: Depth = EVERYTHING,
    repair: bool = False,
    sources: Iterable[Source] = (),
    now: datetime | None = None,
    files: NamedFiles | None = None,
) -> Checked:
    """Re-hash what is stored, and look for every blob that a version, a file or a page of the ledger needs.

    Versions that have no facts get them.

    Args:
        store: what to check.
        registry: whose versions need what is in it.
        progress: called with the bytes done and the bytes in all.
        depth: how much to read.
        repair: first put right what can be put right from what is there, and fetch what is damaged from the sources.
        sources: other stores that may have what is damaged here.
        now: the moment, which tells the pages of the ledger that may be gone; None: none may.
        files: the files of runs and logged models; None where there are none.

    Raises:
        PermissionRefused: something could not be opened.
        NoSpace: there was no room to repair.
    """
    archives = {one.digest: one for one in registry.archives()}

    def needs() -> Iterator[_Need]:
        for version in registry.versions():
            name, is_away = f"{version.model}@{version.number}", version.digest in archives
            if is_away:
                for digest in version_record(version, store, registry, _pass_over):
                    yield digest, name, True
            for digest in version_needs(version, store, registry, _pass_over):
                yield digest, name, not is_away
        for tree in archives.keys() - {version.digest for version in registry.versions()}:
            yield tree, archives[tree].name, True
        yield from ((digest, whose, True) for whose, digest in (files or NoFiles()).named())
        for page in ledger_pages(registry):
            yield from (
                (digest, f"ledger of {page.model}", now is None or page.is_needed(now)) for digest in page.blobs
            )

    found = _checked(store, needs, progress, depth, _Repair(sources) if repair else None)
    indexed, not_indexed = index_versions(registry, store)
    return replace(found, archived=_away(store, registry, archives), indexed=indexed, not_indexed=not_indexed)


def _away(store: Store, registry: Registry, archives: Mapping[Digest, Archive]) -> tuple[Away, ...]:
    """How much of what is in an archive is not here."""
    needed = {version.digest: version_needs(version, store, registry, _pass_over) for version in registry.versions()}
    return tuple(
        Away(archive, len(store.missing(needed.get(digest) or tree_needs(digest, store, _pass_over))))
        for digest, archive in archives.items()
    )


def check_remote(
    exchange: Exchange,
    progress: Callable[[int, int], None] | None = None,
    *,
    depth: Depth = EVERYTHING,
    repair: bool = False,
) -> Checked:
    """Re-hash what is in a remote, and look for every blob that its refs need.

    Args:
        exchange: the project, and the remote to check.
        progress: called with the bytes done and the bytes in all.
        depth: how much to read.
        repair: first list again what is not listed, and send from the project what is damaged there.

    Raises:
        NotFound: nobody has pushed anything there yet.
        UnsupportedFormat: it is not a store, or a ref is damaged.
        Unavailable, PermissionRefused: the remote did not answer, or refused.
    """
    require_store(exchange.remote.transport)
    exchange.remote.cutting()
    store = exchange.as_store()

    def needs() -> Iterator[_Need]:
        for ref in exchange.remote.refs(REFS):
            name = f"{ref.model}@{ref.number}" if isinstance(ref, VersionRef) else f"snapshot {ref.digest}"
            for digest in whole_needs(ref.digest, store, _pass_over, set()):
                yield digest, name, True

    return _checked(store, needs, progress, depth, _Repair([exchange.outgoing.send]) if repair else None)


def _checked(
    store: Store,
    needs: Callable[[], Iterable[_Need]],
    progress: Callable[[int, int], None] | None,
    depth: Depth,
    repair: "_Repair | None",
) -> Checked:
    repaired = store.repair() if repair is not None else ()
    found = store.check(depth, progress)
    reasons, users = _wrong(store, found, needs)
    if repair is not None:
        # What names others may be among what is lost: each round can show more that is.
        while repair.bring(reasons):
            reasons, users = _wrong(store, None, needs)
        if repair.brought:
            repaired = (*repaired, *(f"{digest} was brought again" for digest in repair.brought))
            found = store.check(depth, progress)
            reasons, users = _wrong(store, found, needs)
    damaged = (Damaged(digest, tuple(users.get(digest, ())), reason) for digest, reason in sorted(reasons.items()))
    return Checked(found.blobs, found.bytes, tuple(damaged), found.bytes_read, found.notes, repaired)


def _pass_over(digest: Digest, error: HoldfastError) -> None:
    """What cannot be read is among the damaged already."""


def _wrong(
    store: Store, found: StoreCheck | None, needs: Callable[[], Iterable[_Need]]
) -> tuple[dict[Digest, str], dict[Digest, dict[str, None]]]:
    """What is wrong with which blobs, and who needs which."""
    reasons = {one.digest: one.found for one in found.damaged} if found is not None else {}
    users: dict[Digest, dict[str, None]] = {}
    required = set()
    for digest, name, must_be_here in needs():
        users.setdefault(digest, {})[name] = None
        if must_be_here:
            required.add(digest)
    for digest in store.missing(required):
        reasons.setdefault(digest, "the store does not have it")
    return reasons, users


class _Repair:
    """Has the sources bring what is lost or damaged, each blob once.

    Attributes:
        brought: what they brought.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)
        self._tried: set[Digest] = set()
        self.brought: list[Digest] = []

    def bring(self, wrong: Iterable[Digest]) -> bool:
        """Whether anything came that had not been asked for before."""
        left = sorted(set(wrong) - self._tried)
        self._tried.update(left)
        before = len(self.brought)
        for source in self._sources:
            came = _brought(source, left)
            self.brought += came
            left = sorted(set(left) - set(came))
        return len(self.brought) > before


def _brought(source: Source, digests: Sequence[Digest]) -> list[Digest]:
    """Those of `digests` that the source has: asked for together, or where it lacks some, one by one."""
    if not digests:
        return []
    with suppress(NotFound, IntegrityError):
        source(digests)
        return list(digests)
    came = []
    for digest in digests:
        with suppress(NotFound, IntegrityError):  # it has it as little as we do
            source([digest])
            came.append(digest)
    return came
