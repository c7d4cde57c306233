"""`gc`: which bytes nothing needs any more, why the others stay, and deleting the former.

Nothing is deleted that a version, a run or a hold needs. What is refused here is what a person could do by mistake: let
go of another registry's bytes, or of what is only not known because something is damaged.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from holdfast.canonical import JsonObject
from holdfast.config import Settings
from holdfast.database.times import to_text
from holdfast.errors import IntegrityError, UsageError
from holdfast.registry.interface import Registry
from holdfast.registry.whereabouts import Archive
from holdfast.store.collect import UNREFERENCED_AGE, Collected, Plan, claimed, collect, plan_collection
from holdfast.store.index import EXACT, Segment
from holdfast.store.interface import Store
from holdfast.tracking.interface import Tracking
from holdfast.upkeep.elsewhere import Elsewhere, Lacking
from holdfast.upkeep.keep_rules import Facts, KeepRules, keep
from holdfast.upkeep.named_files import DeletedFiles, NamedFiles, NoFiles
from holdfast.upkeep.retention import IN_USE, Retention, fingerprint

__all__ = ["Collection", "Collector"]

_NAMED_MAX = 20
"""Lost blobs in one answer; `check` names all of them."""


@dataclass(frozen=True, slots=True)
class Collector:
    """One project, whose store is to be looked through.

    Attributes:
        settings: where its registry and store are.
        folder: of the store.
        store, registry, tracking: of the project.
        rules: which of its versions stay, archived or not.
        look_at: asks the remote of an archive what it lists now.
        clock: gives the moment, in UTC.
        files: the files of its runs and logged models.
        deleted: those of them whose owners were deleted.
    """

    settings: Settings
    folder: Path
    store: Store
    registry: Registry
    tracking: Tracking
    rules: KeepRules
    look_at: Callable[[Archive], Lacking]
    clock: Callable[[], datetime]
    files: NamedFiles = field(default_factory=NoFiles)
    deleted: DeletedFiles = field(default_factory=NoFiles)

    def free_deleted(self, age: timedelta, *, apply: bool, sole_registry: bool = False) -> list[JsonObject]:
        """Whose files lose their names, since it was deleted so long ago or longer; with `apply` they do.

        To be done before `look`, which then finds what nothing needs any more.

        Raises:
            UsageError: what a person has to say before anything goes was not said.
        """
        if apply:
            self._refuse_foreign(sole_registry=sole_registry)
        found = self.deleted.free(age) if apply else self.deleted.lapsed(age)
        return [{"what": what, "files": files, "bytes": size} for what, files, size in found]

    def look(self, age: timedelta = UNREFERENCED_AGE) -> "Collection":
        """What would go, what stays and why; nothing is changed.

        Args:
            age: of what is never let go, whoever needs it or not.

        Raises:
            IntegrityError: the index is damaged.
            PermissionRefused: something could not be looked at.
        """
        now, before = self.clock(), fingerprint(self.registry, self.tracking, self.files)
        retention = Retention(
            self.store,
            self.registry,
            self.tracking,
            claimed(self.folder, now, age),
            keep(self.rules, Facts.of(self.registry, self.tracking), now),
            Elsewhere(self.look_at),
            now,
            self.files,
        )
        plan = plan_collection(self.folder, retention.needs(), now, spare=retention.lets_go(), age=age)
        return Collection(plan, retention, before)

    def apply(self, found: "Collection", *, sole_registry: bool = False, nothing_needed: bool = False) -> "Collection":
        """Condemn and delete what was found.

        Args:
            found: by `look`, a moment ago.
            sole_registry: whether a person said that no other registry keeps its bytes in this store.
            nothing_needed: whether a person said that everything may go, since the registry knows nothing.

        Raises:
            UsageError: what a person has to say was not said.
            IntegrityError: something that is needed is lost or damaged.
            Unavailable: somebody else is at work; nothing was deleted.
            NoSpace, PermissionRefused: the operating system refused; a repetition goes on.
        """
        self._refuse_foreign(sole_registry=sole_registry)
        self._refuse_unknown(found, nothing_needed=nothing_needed)
        same = found.fingerprint
        done = collect(self.folder, found.plan, still_holds=lambda: found.retention.fingerprint() == same)
        self.files.forget()
        return Collection(found.plan, found.retention, same, done)

    def _refuse_foreign(self, *, sole_registry: bool) -> None:
        own = Settings.at(self.settings.home, {})
        if sole_registry or (
            self.settings.store_url == own.store_url and self.settings.database_url == own.database_url
        ):
            return
        name = "HOLDFAST_STORE_URL" if self.settings.store_url != own.store_url else "HOLDFAST_DATABASE_URL"
        raise UsageError(
            f"{name} is set, so that another registry may keep its bytes in {self.folder} too, and gc cannot see it",
            hint="If this registry is the only one that uses the store, say so: --sole-registry.",
            store=str(self.folder),
        )

    def _refuse_unknown(self, found: "Collection", *, nothing_needed: bool) -> None:
        if found.retention.unread:
            digest, why = min(found.retention.unread.items())
            raise IntegrityError(
                f"what {digest} names is not known, so that anything may be needed: {why}",
                hint="Run: holdfast check. Add or pull again what it names, then repeat.",
                unread=[str(one) for one in sorted(found.retention.unread)[:_NAMED_MAX]],
            )
        if found.plan.doomed and not nothing_needed and found.plan.kept.keys() <= {IN_USE}:
            raise UsageError(
                f"the registry knows no version, run or hold, so that everything in {self.folder} would go",
                hint="Check that registry and store belong together; if all of it may go: --nothing-needed.",
                store=str(self.folder),
            )


@dataclass(frozen=True, slots=True)
class Collection:
    """What was found, and what was done about it.

    Attributes:
        plan: what goes and what stays.
        retention: what was asked.
        fingerprint: of what was needed then.
        done: what was deleted and condemned; None where nothing was to be done.
    """

    plan: Plan
    retention: Retention
    fingerprint: object
    done: Collected | None = None

    def to_json(self) -> JsonObject:
        """What `gc` prints."""
        plan = self.plan
        value: JsonObject = {
            "applied": self.done is not None,
            "bytes": plan.bytes,
            "kept": [{"why": why, "blobs": kept.blobs, "bytes": kept.bytes} for why, kept in plan.kept.items()],
            "archived": [
                {"what": name, "blobs": spared.blobs, "bytes": spared.bytes} for name, spared in plan.spared.items()
            ],
            "bytes_recent": plan.recent_bytes,
            "bytes_tolerated": plan.tolerated_bytes,
            "doomed": [
                {
                    **_named(one.segment),
                    "bytes_needed": one.live_bytes,
                    "condemned_at": None if one.since is None else to_text(one.since),
                    "due_at": to_text(one.due),
                }
                for one in plan.doomed
            ],
            "pardoned": [_named(segment) for segment in plan.pardoned],
            "lost": [str(digest) for digest in plan.lost[:_NAMED_MAX]],
            "unread": [str(digest) for digest in sorted(self.retention.unread)[:_NAMED_MAX]],
            "deleted": [],
            "condemned": [],
            "stuck": [],
            "bytes_freed": 0,
            "bytes_rewritten": 0,
        }
        if self.done is not None:
            value |= {
                "deleted": [_named(segment) for segment in self.done.deleted],
                "condemned": [_named(segment) for segment in self.done.condemned],
                "stuck": [_named(segment) for segment in self.done.stuck],
                "bytes_freed": self.done.bytes_freed,
                "bytes_rewritten": self.done.bytes_rewritten,
            }
        return value


def _named(segment: Segment) -> JsonObject:
    return {"segment": segment.name, "kind": "exact" if segment.kind == EXACT else "pack", "bytes": segment.size}
