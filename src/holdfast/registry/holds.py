"""Holds: what must be kept, though nothing else may need it. They are read from the events alone.

A hold is the event that made it, until another event takes it back: what is never changed and never deleted needs no
table beside the log.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.names import ByNumber, Reference
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append, load
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.records import Event, Hold
from holdfast.registry.tables import events
from holdfast.registry.values import Version
from holdfast.registry.versions import resolve

__all__ = ["add", "every_hold", "lift", "require_same", "told"]

_EVENTS = select(events).where(events.c.action.in_([Action.HOLD_ADD, Action.HOLD_LIFT])).order_by(events.c.place)

_AT = select(events).where(events.c.place == bindparam("index"))


def add(
    connection: Connection,
    what: Digest | Reference,
    reason: str,
    now: datetime,
    actor: str,
    *,
    key: str | None = None,
) -> Hold:
    """Write down that a version, or what a digest names, is to be kept.

    Raises:
        NotFound: no such version.
        UsageError: no reason was given.
    """
    before = earlier(connection, key, actor, action=Action.HOLD_ADD, reason=reason)
    if before is not None:
        require_same(before, what)
        return _hold(before)
    version = resolve(connection, what) if isinstance(what, Reference) else None
    if not reason.strip():
        raise UsageError("a hold needs a reason", hint="Say why, for whoever finds it in a year.")
    entry = Entry(
        Action.HOLD_ADD,
        model=None if version is None else str(version.model),
        to_number=None if version is None else version.number,
        to_digest=None if version is None else str(version.digest),
        reason=reason,
        idempotency_key=key,
        details=told(what, version),
    )
    return _hold(append(connection, entry, now, actor))


def told(what: Digest | Reference, version: Version | None) -> JsonObject:
    """What the details of an event say of its object: its digest, and what somebody called it who gave no number."""
    if version is None:
        return {"digest": str(what)}
    asked = {} if isinstance(what, Reference) and isinstance(what.choice, ByNumber) else {"asked": str(what)}
    return {"digest": str(version.digest), **asked}


def require_same(before: Event, what: Digest | Reference) -> None:
    """Makes sure that an earlier event is of what is asked for now, whatever else that name means by now.

    Raises:
        UsageError: it is of something else.
    """
    if isinstance(what, Digest):
        same = (before.model, before.details["digest"]) == (None, str(what))
    elif isinstance(what.choice, ByNumber):
        same = (before.model, before.to_number) == (str(what.model), what.choice.number) and "asked" not in (
            before.details
        )
    else:
        same = before.details.get("asked") == str(what)
    if not same:
        raise another_request(before)


def lift(connection: Connection, hold: int, reason: str, now: datetime, actor: str, *, key: str | None = None) -> Hold:
    """Write down that the hold is no more; what it was.

    Raises:
        NotFound: there is no such hold, or it was taken back before.
    """
    before = earlier(connection, key, actor, action=Action.HOLD_LIFT, reason=reason)
    if before is not None:
        if before.details["hold"] != hold:
            raise another_request(before)
        return _hold(load(connection.execute(_AT, {"index": hold}).one()))
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
        idempotency_key=key,
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
