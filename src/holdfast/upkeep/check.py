"""`check`: re-hash everything, name what is damaged, and say which versions it hurts."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import IntegrityError, NotFound
from holdfast.registry.interface import Registry
from holdfast.store.interface import EVERYTHING, Damage, Depth, Store
from holdfast.upkeep.retention import version_needs

__all__ = ["Checked", "Damaged", "Source", "check"]

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
class Checked:
    """What a check found.

    Attributes:
        blobs: how many there are.
        bytes: how many bytes they hold.
        damaged: those that are not what their name says, and those that a version needs and the store lacks.
        bytes_read: how many stored bytes were read and hashed to find this out; blobs share them.
        notes: what is wrong with the store and hurts no blob.
        repaired: what was put right before.
    """

    blobs: int
    bytes: int
    damaged: tuple[Damaged, ...]
    bytes_read: int = 0
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()

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
    for version in registry.versions():
        name = f"{version.model}@{version.number}"
        for digest in dict.fromkeys(version_needs(version, store, registry, lambda _digest, _error: None)):
            users.setdefault(digest, []).append(name)
    for digest in store.missing(users):
        reasons.setdefault(digest, "the store does not have it")
    damaged = (Damaged(digest, tuple(users.get(digest, ())), reason) for digest, reason in sorted(reasons.items()))
    return Checked(found.blobs, found.bytes, tuple(damaged), found.bytes_read, found.notes, repaired)


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
