"""`check`: re-hash everything, name what is damaged, and say which versions it hurts."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, IntegrityError, NotFound
from holdfast.registry.interface import Registry
from holdfast.registry.whereabouts import Archive
from holdfast.store.interface import EVERYTHING, Damage, Depth, Store
from holdfast.upkeep.retention import tree_needs, version_needs, version_record

__all__ = ["Away", "Checked", "Damaged", "Source", "check"]

Source = Callable[[Sequence[Digest]], object]
"""Brings blobs that the store lacks or has damaged, or raises `NotFound`."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """One blob that is damaged or lost, and the versions that need it.

    Attributes:
        digest: the blob's name.
        versions: the versions whose bundle or data it is part of, such as `churn@4`.
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
    """

    blobs: int
    bytes: int
    damaged: tuple[Damaged, ...]
    bytes_read: int = 0
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    archived: tuple[Away, ...] = ()

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
        }


def check(
    store: Store,
    registry: Registry,
    progress: Callable[[int, int], None] | None = None,
    *,
    depth: Depth = EVERYTHING,
    repair: bool = False,
    sources: Iterable[Source] = (),
) -> Checked:
    """Re-hash what is stored, and look for every blob that a version needs.

    Args:
        store: what to check.
        registry: whose versions need what is in it.
        progress: called with the bytes done and the bytes in all.
        depth: how much to read.
        repair: first put right what can be put right from what is there, and fetch what is damaged from the sources.
        sources: other stores that may have what is damaged here.

    Raises:
        PermissionRefused: something could not be opened.
        NoSpace: there was no room to repair.
    """
    repaired = store.repair() if repair else ()
    found = store.check(depth, progress)
    if repair and found.damaged and (healed := _fetch(found.damaged, sources)):
        repaired = (*repaired, *(f"{digest} was fetched again" for digest in healed))
        found = store.check(depth, progress)
    reasons = {one.digest: one.found for one in found.damaged}
    users: dict[Digest, list[str]] = {}
    archives = {one.digest: one for one in registry.archives()}
    elsewhere: dict[Digest, int] = {}
    required: set[Digest] = set()
    for version in registry.versions():
        name = f"{version.model}@{version.number}"
        needed = dict.fromkeys(version_needs(version, store, registry, _pass_over))
        for digest in needed:
            users.setdefault(digest, []).append(name)
        if version.digest in archives:
            elsewhere[version.digest] = len(store.missing(needed))
            required.update(version_record(version, store, registry, _pass_over))
        else:
            required.update(needed)
    for tree in archives.keys() - elsewhere.keys():
        users.setdefault(tree, []).append(archives[tree].name)
        elsewhere[tree] = len(store.missing(tree_needs(tree, store, _pass_over)))
        required.add(tree)
    for digest in store.missing(required):
        reasons.setdefault(digest, "the store does not have it")
    damaged = (Damaged(digest, tuple(users.get(digest, ())), reason) for digest, reason in sorted(reasons.items()))
    away = tuple(Away(archive, elsewhere[digest]) for digest, archive in archives.items())
    return Checked(found.blobs, found.bytes, tuple(damaged), found.bytes_read, found.notes, repaired, away)


def _pass_over(digest: Digest, error: HoldfastError) -> None:
    """What cannot be read is among the damaged already."""


def _fetch(damaged: Iterable[Damage], sources: Iterable[Source]) -> list[Digest]:
    """Have the sources bring what is damaged; what they brought."""
    left, healed = [one.digest for one in damaged], []
    for source in sources:
        for digest in left:
            with suppress(NotFound, IntegrityError):  # it has it as little as we do
                source([digest])
                healed.append(digest)
        left = [digest for digest in left if digest not in healed]
    return healed
