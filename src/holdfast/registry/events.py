"""The log: adding an event behind the last one, and reading events back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, insert, select, text, union_all

from holdfast.canonical import JsonObject, decode, encode, plain
from holdfast.database.times import from_text, to_text
from holdfast.database.together import together
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, TooLarge, UsageError
from holdfast.registry.actions import Action
from holdfast.registry.interface import EVENTS_MAX
from holdfast.registry.nodes import closed, grow
from holdfast.registry.records import Event
from holdfast.registry.tables import event_nodes, events

__all__ = [
    "LAST",
    "REASON_CHARACTERS_MAX",
    "Entry",
    "Last",
    "Next",
    "append",
    "by_key",
    "count_before",
    "following",
    "load",
    "log",
    "page",
    "prepare",
    "stored",
]

_ACTOR_CHARACTERS_MAX = 256
"""The longest e-mail address, with a little air."""

REASON_CHARACTERS_MAX = 4_000
"""A page of text; what is longer belongs in a ticket that the reason names."""

_DETAILS_BYTES_MAX = 64 * 1024
"""Every audit reads every event: large evidence goes into a verdict or the store, and its digest in here."""

_KEY_CHARACTERS_MAX = 200
"""Room for several UUIDs; short enough for an index."""

LAST = select(events.c.place, events.c.time, events.c.hash).order_by(events.c.place.desc()).limit(1)
"""The last event, as `prepare` needs it."""

_BY_KEY = select(events).where(events.c.idempotency_key == bindparam("key"))

_PAGE = (
    select(events.c.place, events.c.body)
    .where(events.c.place >= bindparam("since"), events.c.place < bindparam("before"))
    .order_by(events.c.place)
)

_PAGE_EVENTS = 1_000
"""Bodies held in memory at once."""

_INSERT = insert(events)

# The times of a log never go back, so that a moment has one place in it: halving finds that by the primary key alone.
_COUNT_BEFORE = text("""
WITH RECURSIVE near (low, high) AS (
  SELECT CAST(0 AS BIGINT), (SELECT COALESCE(MAX("index") + 1, 0) FROM events)
  UNION ALL
  SELECT
    CASE WHEN events.time < :moment THEN events."index" + 1 ELSE near.low END,
    CASE WHEN events.time < :moment THEN near.high ELSE events."index" END
  FROM near JOIN events ON events."index" = (near.low + near.high) / 2
  WHERE near.low < near.high
)
SELECT low FROM near WHERE low = high
""")

# The stages that events of a model name, each found behind the one before by one look at an index.
_NAMED = text("""
WITH RECURSIVE named (stage) AS (
  SELECT MIN(stage) FROM events WHERE model = :model
  UNION ALL
  SELECT (SELECT MIN(stage) FROM events WHERE model = :model AND events.stage > named.stage)
  FROM named WHERE named.stage IS NOT NULL
)
SELECT stage FROM named WHERE stage IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Entry:
    """What an event says before it has its place in the log."""

    action: Action
    model: str | None = None
    stage: str | None = None
    from_number: int | None = None
    from_digest: str | None = None
    to_number: int | None = None
    to_digest: str | None = None
    epoch: int | None = None
    last_known_good: int | None = None
    reason: str = ""
    verdict: str | None = None
    approvals: tuple[JsonObject, ...] = ()
    idempotency_key: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Last:
    """What the next event takes from the one before it.

    Attributes:
        place: of the last event in the log.
        time: of it, as text.
        hash: of it.
    """

    place: int
    time: str
    hash: str


@dataclass(frozen=True, slots=True)
class Next:
    """An event that has its place in the log, and its nodes in the tree, and is not written yet.

    Attributes:
        event: the event.
        row: its columns.
        nodes: the hashes of the nodes that it closes.
    """

    event: Event
    row: Mapping[str, Any]
    nodes: bytes

    def write(self, connection: Connection) -> None:
        """Writes it; both statements may be sent together with others."""
        connection.execute(_INSERT, self.row)
        grow(connection, self.event.index, self.nodes)


def append(connection: Connection, entry: Entry, now: datetime, actor: str) -> Event:
    """Writes the entry behind the last event of the log, and into the tree over it.

    Raises:
        As `prepare`.
    """
    row = connection.execute(LAST).one_or_none()
    found = prepare(connection, entry, now, actor, None if row is None else Last(*row))
    with together(connection):
        found.write(connection)
    return found.event


def prepare(connection: Connection, entry: Entry, now: datetime, actor: str, last: Last | None) -> Next:
    """The entry as the event behind the last one, which was read in this transaction.

    Its time is `now`, or the last event's time when the clock stands behind that: the log never runs backwards, so that
    "what was live at T" has one answer.

    Raises:
        UsageError: no actor.
        TooLarge: the actor, the reason, the details or the idempotency key is past its limit.
        IntegrityError: the log or its tree lacks something.
    """
    details = plain(entry.details)
    encoded = encode(details)
    _check(entry, actor, len(encoded))
    time = to_text(now)
    event = Event(
        index=0 if last is None else last.place + 1,
        time=from_text(time if last is None else max(time, last.time)),
        actor=actor,
        action=str(entry.action),
        model=entry.model,
        stage=entry.stage,
        from_number=entry.from_number,
        from_digest=entry.from_digest,
        to_number=entry.to_number,
        to_digest=entry.to_digest,
        epoch=entry.epoch,
        last_known_good=entry.last_known_good,
        reason=entry.reason,
        verdict=entry.verdict,
        approvals=entry.approvals,
        idempotency_key=entry.idempotency_key,
        details=details,
        prev=None if last is None else last.hash,
        hash="",
    )
    body = event.body()
    event = replace(event, hash=str(hash_bytes(body)))
    return Next(event, _columns(event, encoded.decode(), body), closed(connection, event.index, body))


def _columns(event: Event, details: str, body: bytes) -> dict[str, Any]:
    return {
        "place": event.index,
        "time": to_text(event.time),
        "actor": event.actor,
        "action": event.action,
        "model": event.model,
        "stage": event.stage,
        "from_number": event.from_number,
        "from_digest": event.from_digest,
        "to_number": event.to_number,
        "to_digest": event.to_digest,
        "epoch": event.epoch,
        "last_known_good": event.last_known_good,
        "reason": event.reason,
        "verdict": event.verdict,
        "approvals": encode(list(event.approvals)).decode(),
        "idempotency_key": event.idempotency_key,
        "details": details,
        "prev": event.prev,
        "hash": event.hash,
        "body": body,
    }


def _check(entry: Entry, actor: str, details_bytes: int) -> None:
    if not actor:
        raise UsageError("nobody was named as the actor", hint="Say who asks: every event carries a name.")
    for what, size, limit in (
        ("the actor's name", len(actor), _ACTOR_CHARACTERS_MAX),
        ("the reason", len(entry.reason), REASON_CHARACTERS_MAX),
        ("the idempotency key", len(entry.idempotency_key or ""), _KEY_CHARACTERS_MAX),
        ("the details of the event", details_bytes, _DETAILS_BYTES_MAX),
    ):
        if size > limit:
            raise TooLarge(
                f"{what} has a size of {size}, and may have {limit}",
                hint="Shorten it, and keep the long form where the short one can point to.",
                limit=limit,
            )


def by_key(connection: Connection, key: str) -> Event | None:
    """The event that an earlier request with this idempotency key caused."""
    row = connection.execute(_BY_KEY, {"key": key}).one_or_none()
    return None if row is None else load(row)


def load(row: Row[Any]) -> Event:
    """The event that a row holds, field by field; the stored body is not looked at."""
    return Event(
        index=row.place,
        time=from_text(row.time),
        actor=row.actor,
        action=row.action,
        model=row.model,
        stage=row.stage,
        from_number=row.from_number,
        from_digest=row.from_digest,
        to_number=row.to_number,
        to_digest=row.to_digest,
        epoch=row.epoch,
        last_known_good=row.last_known_good,
        reason=row.reason,
        verdict=row.verdict,
        approvals=tuple(decode(row.approvals, what=f"the approvals of event {row.place}")),
        idempotency_key=row.idempotency_key,
        details=decode(row.details, what=f"the details of event {row.place}"),
        prev=row.prev,
        hash=row.hash,
    )


def stored() -> Select[Any]:
    """The statement that reads all events in the order of the log, each with the nodes of the tree that it closed."""
    joined = events.outerjoin(event_nodes, event_nodes.c.event == events.c.place)
    return select(events, event_nodes.c.nodes).select_from(joined).order_by(events.c.place)


def page(connection: Connection, since: int, size: int) -> list[bytes]:
    """The bodies of the next events, from `since` on and before `size`.

    Raises:
        IntegrityError: one is missing.
    """
    wanted = min(size - since, _PAGE_EVENTS)
    rows = connection.execute(_PAGE, {"since": since, "before": since + wanted}).all()
    for place, row in enumerate(rows, since):
        if row.place != place or not isinstance(row.body, bytes):
            break
    else:
        if len(rows) == wanted:
            return [row.body for row in rows]
        place = since + len(rows)
    raise IntegrityError(
        f"event {place} is missing in the log, or is not as it was written",
        hint="Look at what is wrong: holdfast audit verify",
        event=place,
    )


def following(
    connection: Connection, after: int, model: str | None, actions: Sequence[str], limit: int
) -> Sequence[Event]:
    """The next events behind one that fit, oldest first.

    Raises:
        UsageError: the limit is not 1 to `EVENTS_MAX`.
    """
    _check_limit(limit)
    statement = select(events).where(events.c.place > after).order_by(events.c.place).limit(limit)
    if model is not None:
        statement = statement.where(events.c.model == model)
    if actions:
        statement = statement.where(events.c.action.in_(actions))
    return [load(row) for row in connection.execute(statement)]


def log(
    connection: Connection, model: str | None, *, since: datetime | None, before: int | None, limit: int
) -> Sequence[Event]:
    """The newest events that fit, newest first.

    Raises:
        UsageError: the limit is not 1 to `EVENTS_MAX`.
    """
    _check_limit(limit)
    within = []
    if since is not None:
        within.append(events.c.place >= count_before(connection, to_text(since)))
    if before is not None:
        within.append(events.c.place < before)
    if model is not None:
        within.append(events.c.place.in_(_newest(connection, model, within, limit)))
    statement = select(events).where(*within).order_by(events.c.place.desc()).limit(limit)
    return [load(row) for row in connection.execute(statement)]


def count_before(connection: Connection, moment: str) -> int:
    """How many events lie before a moment, as text; the place of the first that does not.

    Raises:
        IntegrityError: the log has a gap.
    """
    found = connection.execute(_COUNT_BEFORE, {"moment": moment}).scalar_one_or_none()
    if found is None:
        raise IntegrityError("an event is missing in the log", hint="Look at what is wrong: holdfast audit verify")
    return int(found)


def _newest(connection: Connection, model: str, within: Sequence[ColumnElement[bool]], limit: int) -> Select[Any]:
    """The places of the newest events of a model: no index has them in one row, but one has them by stage.

    The newest of each stage, and of those that concern none, are few; the newest of all are among them.
    """
    stages = [None, *connection.scalars(_NAMED, {"model": model})]
    of_stage = [
        select(events.c.place)
        .where(events.c.model == model, events.c.stage.is_not_distinct_from(stage), *within)
        .order_by(events.c.place.desc())
        .limit(limit)
        .subquery()
        for stage in stages
    ]
    found = union_all(*(select(one.c.place) for one in of_stage)).subquery()
    return select(found.c.place).order_by(found.c.place.desc()).limit(limit)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= EVENTS_MAX:
        raise UsageError(
            f"{limit} events cannot be asked for at once",
            hint=f"Ask for 1 to {EVENTS_MAX}, and for the next page with the index of the last one.",
        )
