"""Archives: which bytes have a proved copy in a remote, and need not be here. They are read from the events alone.

An archive is the event that made it, until another event says that the bytes were restored; like a hold, it needs no
table beside the log. What a stage points to, or a rollback would return to, cannot be archived: both are looked at in
the transaction that writes the event, so that no promotion can come between.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import PermissionRefused, StageMoved
from holdfast.names import Reference
from holdfast.registry.actions import POINTING, Action
from holdfast.registry.events import Entry, append, load
from holdfast.registry.holds import every_hold, require_same, told
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.records import Event
from holdfast.registry.tables import events, lineage, rollouts, stages
from holdfast.registry.values import Version
from holdfast.registry.versions import resolve
from holdfast.registry.whereabouts import Archive, NewArchive

__all__ = ["LAST_OF_VERSION", "add", "every_archive", "last_restores", "refuse_archived", "restore"]

_CHANGES = (Action.BYTES_ARCHIVE, Action.BYTES_RESTORE)

_EVENTS = select(events).where(events.c.action.in_(_CHANGES)).order_by(events.c.place)

_THESE = select(events).where(events.c.place.in_(bindparam("places", expanding=True))).order_by(events.c.place)

_RESTORES = select(events).where(events.c.action == Action.BYTES_RESTORE).order_by(events.c.place)

LAST_OF_VERSION = (
    select(events.c.place)
    .where(
        events.c.model == bindparam("model"),
        or_(*(events.c.action == action for action in _CHANGES)),
        events.c.to_number == bindparam("to"),
    )
    .order_by(events.c.place.desc())
    .limit(1)
)
"""The place of the last event that says where the bytes of a version are."""

_AT = select(events).where(events.c.place == bindparam("place"))

_POINTING = select(stages.c.name, stages.c.number).where(
    stages.c.model == bindparam("model"),
    or_(stages.c.number == bindparam("number"), stages.c.last_known_good == bindparam("number")),
)

_later = rollouts.alias("later")

# What is tried beside a stage: of each rollout of the version its newest row, unless the stage has moved since.
_TRIED = (
    select(rollouts.c.stage, rollouts.c.kind, rollouts.c.rollout)
    .join(stages, (stages.c.model == rollouts.c.model) & (stages.c.name == rollouts.c.stage))
    .where(
        rollouts.c.model == bindparam("model"),
        rollouts.c.number == bindparam("number"),
        or_(rollouts.c.state.in_(("running", "held")), (rollouts.c.kind == "canary") & (rollouts.c.state == "passed")),
        rollouts.c.epoch == stages.c.epoch,
        ~select(_later.c.event)
        .where(_later.c.rollout == rollouts.c.rollout, _later.c.event > rollouts.c.event)
        .exists(),
    )
    .limit(1)
)

_USERS = select(lineage.c.child).where(
    lineage.c.child_kind == "version", lineage.c.parent_kind == "snapshot", lineage.c.parent == bindparam("digest")
)

_MOVED_SINCE = (
    select(events)
    .where(events.c.model == bindparam("model"), events.c.action.in_(POINTING), events.c.place > bindparam("expect"))
    .order_by(events.c.place)
    .limit(1)
)


def add(connection: Connection, new: NewArchive, now: datetime, actor: str, *, key: str | None = None) -> Archive:
    """Write down that a remote holds all of it; what stands already for this place is answered as it is.

    Raises:
        NotFound: no such version.
        PermissionRefused: a stage, last-known-good, a hold, or a version that is here needs it.
        StageMoved: a stage of the model has moved since `new.expect`.
    """
    before = earlier(connection, key, actor, action=Action.BYTES_ARCHIVE, reason=new.reason)
    if before is not None:
        return _again(before, new)
    version = resolve(connection, new.what) if isinstance(new.what, Reference) else None
    digest = version.digest if version is not None else Digest.parse(str(new.what))
    standing = every_archive(connection)
    again = next((one for one in standing if (one.digest, one.url) == (digest, new.url)), None)
    if again is not None:
        return again
    for hold in every_hold(connection):
        if hold.digest == digest:
            raise _kept(digest, version, f"hold {hold.id} keeps it", f"Lift it: holdfast hold lift {hold.id}")
    if version is not None:
        _refuse_pointed_at(connection, version)
        if new.expect is not None:
            _refuse_moved(connection, version, new.expect)
    else:
        away = {str(one.digest) for one in standing}
        user = next((one for one in connection.scalars(_USERS, {"digest": str(digest)}) if one not in away), None)
        if user is not None:
            raise _kept(digest, None, f"the version {user} needs it", "Archive the version; its data goes with it.")
    entry = Entry(
        Action.BYTES_ARCHIVE,
        model=None if version is None else str(version.model),
        to_number=None if version is None else version.number,
        to_digest=None if version is None else str(version.digest),
        reason=new.reason,
        idempotency_key=key,
        details={**told(new.what, version), **_place(new)},
    )
    return _archive(append(connection, entry, now, actor))


def _place(new: NewArchive) -> JsonObject:
    return {"remote": new.remote, "url": new.url, "blobs": new.blobs, "bytes": new.bytes}


def _again(before: Event, new: NewArchive) -> Archive:
    """What `add` answered before; what the caller expected then is not asked again, since it was so."""
    require_same(before, new.what)
    if any(before.details[name] != value for name, value in _place(new).items()):
        raise another_request(before)
    return _archive(before)


def restore(
    connection: Connection,
    digest: Digest,
    now: datetime,
    actor: str,
    *,
    remote: str,
    reason: str,
    key: str | None = None,
) -> tuple[Archive, ...]:
    """Write down that the bytes are here again; the archives that this ends, none where it was not archived."""
    before = earlier(connection, key, actor, action=Action.BYTES_RESTORE, reason=reason)
    if before is not None:
        if (before.details["digest"], before.details["remote"]) != (str(digest), remote):
            raise another_request(before)
        rows = connection.execute(_THESE, {"places": before.details["archives"]})
        return tuple(_archive(load(row)) for row in rows)
    ended = tuple(one for one in every_archive(connection) if one.digest == digest)
    if ended:
        entry = Entry(
            Action.BYTES_RESTORE,
            model=ended[0].model,
            to_number=ended[0].version,
            to_digest=None if ended[0].version is None else str(digest),
            reason=reason,
            idempotency_key=key,
            details={"digest": str(digest), "remote": remote, "archives": [one.id for one in ended]},
        )
        append(connection, entry, now, actor)
    return ended


def every_archive(connection: Connection) -> tuple[Archive, ...]:
    """The archives that stand, oldest first."""
    found: dict[int, Archive] = {}
    for event in map(load, connection.execute(_EVENTS)):
        if event.action == Action.BYTES_ARCHIVE:
            found[event.index] = _archive(event)
        else:
            for ended in event.details["archives"]:
                found.pop(ended, None)
    return tuple(found.values())


def last_restores(connection: Connection) -> Mapping[Digest, datetime]:
    """When each of the things that ever were restored was so last."""
    return {Digest.parse(event.details["digest"]): event.time for event in map(load, connection.execute(_RESTORES))}


def refuse_archived(connection: Connection, place: int | None) -> None:
    """Raise where the bytes of a version need not be here.

    Args:
        connection: in the transaction that needs them.
        place: what `LAST_OF_VERSION` gives for the version.

    Raises:
        Archived: they need not.
    """
    if place is None:
        return
    row = connection.execute(_AT, {"place": place}).one()
    if row.action == Action.BYTES_ARCHIVE:
        raise _archive(load(row)).away()


def _refuse_pointed_at(connection: Connection, version: Version) -> None:
    rows = connection.execute(_POINTING, {"model": str(version.model), "number": version.number})
    for row in rows:
        if row.number == version.number:
            why, hint = f"it is live in {row.name}", f"Promote another version to {row.name} first."
        else:
            why = f"it is last-known-good of {row.name}"
            hint = f"A rollback of {row.name} goes there; it is free when {row.name} has moved on."
        raise _kept(version.digest, version, why, hint)
    tried = connection.execute(_TRIED, {"model": str(version.model), "number": version.number}).one_or_none()
    if tried is not None:
        why = f"a {tried.kind} tries it beside {tried.stage}, rollout {tried.rollout}"
        raise _kept(version.digest, version, why, "It is free when the rollout has ended.")


def _refuse_moved(connection: Connection, version: Version, expect: int) -> None:
    row = connection.execute(_MOVED_SINCE, {"model": str(version.model), "expect": expect}).one_or_none()
    if row is not None:
        raise StageMoved(
            f"{row.actor} moved {row.stage} of {row.model} to {row.to_number or 'nothing'} while "
            f"{version.model}@{version.number} was being archived, event {row.place}; it was not written down",
            hint="Repeat: what keeps it is looked at again, and nothing is sent twice.",
            model=row.model,
            stage=row.stage,
            expected=expect,
            found=row.place,
        )


def _kept(digest: Digest, version: Version | None, why: str, hint: str) -> PermissionRefused:
    name = str(digest) if version is None else f"{version.model}@{version.number}"
    return PermissionRefused(f"{name} is not archived: {why}", hint=hint, digest=str(digest), kept_by=why)


def _archive(event: Event) -> Archive:
    said = event.details
    return Archive(
        id=event.index,
        digest=Digest.parse(said["digest"]),
        model=event.model,
        version=event.to_number,
        remote=said["remote"],
        url=said["url"],
        blobs=said["blobs"],
        bytes=said["bytes"],
        reason=event.reason,
        by=event.actor,
        since=event.time,
    )
