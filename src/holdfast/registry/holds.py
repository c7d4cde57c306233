"""Holds: what must be kept, though nothing else may need it. They are read from the events alone.

A hold is the event that made it, until another event takes it back: what is never changed and never deleted needs no
table beside the log.
"""

from datetime import datetime

from sqlalchemy import Connection, select

from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append, load
from holdfast.registry.records import Event, Hold
from holdfast.registry.tables import events
from holdfast.registry.values import Version

__all__ = ["add", "every_hold", "lift"]

_EVENTS = select(events).where(events.c.action.in_([Action.HOLD_ADD, Action.HOLD_LIFT])).order_by(events.c.place)


def add(connection: Connection, what: Digest | Version, reason: str, now: datetime, actor: str) -> Hold:
    """Write down that a version, or what a digest names, is to be kept.

    Raises:
        UsageError: no reason was given.
    """
    version = what if isinstance(what, Version) else None
    digest = what if isinstance(what, Digest) else what.digest
    if not reason.strip():
        raise UsageError("a hold needs a reason", hint="Say why, for whoever finds it in a year.")
    entry = Entry(
        Action.HOLD_ADD,
        model=None if version is None else str(version.model),
        to_number=None if version is None else version.number,
        to_digest=None if version is None else str(version.digest),
        reason=reason,
        details={"digest": str(digest)},
    )
    return _hold(append(connection, entry, now, actor))


def lift(connection: Connection, hold: int, reason: str, now: datetime, actor: str) -> Hold:
    """Write down that the hold is no more; what it was.

    Raises:
        NotFound: there is no such hold, or it was taken back before.
    """
    found = next((one for one in every_hold(connection) if one.id == hold), None)
    if found is None:
        raise NotFound(
            f"there is no hold {hold}", hint="See which there are: holdfast hold list. Lifted ones are in the log."
        )
    entry = Entry(
        Action.HOLD_LIFT,
        model=found.model,
        from_number=found.version,
        from_digest=None if found.version is None else str(found.digest),
        reason=reason,
        details={"digest": str(found.digest), "hold": hold},
    )
    append(connection, entry, now, actor)
    return found


def every_hold(connection: Connection) -> tuple[Hold, ...]:
    """The holds that stand, oldest first."""
    found: dict[int, Hold] = {}
    for event in map(load, connection.execute(_EVENTS)):
        if event.action == Action.HOLD_ADD:
            found[event.index] = _hold(event)
        else:
            found.pop(event.details["hold"], None)
    return tuple(found.values())


def _hold(event: Event) -> Hold:
    return Hold(
        id=event.index,
        digest=Digest.parse(event.details["digest"]),
        model=event.model,
        version=event.to_number,
        reason=event.reason,
        by=event.actor,
        since=event.time,
    )
