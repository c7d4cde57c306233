"""The outbox in the database: one row for each webhook says how far in the log it is, and who is at work on it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from holdfast.database.engine import Database
from holdfast.database.times import from_text, to_text
from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append
from holdfast.registry.tables import events, webhooks
from holdfast.registry.webhooks.values import Claim, Due, NewWebhook, Webhook, WebhookState, Wish

__all__ = ["LEASE", "SqlOutbox"]

LEASE = timedelta(seconds=40)
"""How long a claim holds without another word from its holder: longer than any attempt takes, and short enough that
what a killed process leaves is taken over before a person asks."""

_WEBHOOKS_MAX = 100
"""Each is a task of the deliverer, and a line in the metrics; who needs more, needs a queue behind one of them."""

_OVERLAP_MAX = timedelta(days=30)
"""A secret that was replaced because it leaked must end; a month is a slow release of a receiver."""

_SIZE = select(func.coalesce(func.max(events.c.place) + 1, 0)).scalar_subquery()

_ACTIVE = str(WebhookState.ACTIVE)

_FREE = or_(
    webhooks.c.holder.is_(None), webhooks.c.holder == bindparam("me"), webhooks.c.held_until <= bindparam("now")
)

_DUE = (
    select(webhooks.c.id, webhooks.c.actions, webhooks.c.models, webhooks.c.next_event, _SIZE.label("size"))
    .where(webhooks.c.state == _ACTIVE, webhooks.c.next_at <= bindparam("now"), webhooks.c.next_event < _SIZE, _FREE)
    .order_by(webhooks.c.id)
)

_CLAIM = (
    update(webhooks)
    .where(webhooks.c.id == bindparam("which"), webhooks.c.state == _ACTIVE, _FREE)
    .where(webhooks.c.next_at <= bindparam("now"))
    .values(holder=bindparam("me"), held_until=bindparam("until"))
)

_MINE = (
    update(webhooks)
    .where(webhooks.c.id == bindparam("which"), webhooks.c.holder == bindparam("me"), webhooks.c.state == _ACTIVE)
    .where(webhooks.c.next_event <= bindparam("place"))
)

_PASS = _MINE.values(next_event=bindparam("behind"), attempts=0, error=None, held_until=bindparam("until"))

_DELIVER = _PASS.values(delivered=webhooks.c.delivered + 1, delivered_at=bindparam("now"))

_FAIL = _MINE.values(
    next_event=bindparam("place"),
    attempts=webhooks.c.attempts + 1,
    error=bindparam("said"),
    next_at=bindparam("again"),
    state=bindparam("then"),
)

_LET_GO = update(webhooks).where(webhooks.c.holder == bindparam("me")).values(holder=None, held_until=None)


class SqlOutbox:
    """Webhooks in a database; it keeps no state of its own.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC. Claims of several machines are compared by it.
        new_id: gives an id that nobody has had.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    def new_id(self) -> str:
        """An id for a webhook, before it is added: its secret is sealed under it."""
        return self._new_id()

    def add(self, webhook: str, new: NewWebhook, secret: str, actor: str) -> Webhook:
        """Adds a webhook with a sealed secret, to be told of what comes behind the event that says so.

        Raises:
            TooLarge: there are as many as there can be.
        """
        now = self._clock()
        with self._database.write() as connection:
            if connection.execute(select(func.count()).select_from(webhooks)).scalar_one() >= _WEBHOOKS_MAX:
                raise TooLarge(
                    f"there may be {_WEBHOOKS_MAX} webhooks",
                    hint="Remove one: holdfast webhook remove, or have one receiver tell the others.",
                    limit=_WEBHOOKS_MAX,
                )
            said = {"webhook": webhook, "url": new.url, "actions": new.wish.actions, "models": new.wish.models}
            event = append(connection, Entry(Action.WEBHOOK_ADD, details=said), now, actor)
            row = {
                "id": webhook,
                "url": new.url,
                "actions": json.dumps(new.wish.actions),
                "models": json.dumps(new.wish.models),
                "secret": secret,
                "created_at": to_text(event.time),
                "created_by": actor,
                "state": _ACTIVE,
                "next_event": event.index + 1,
                "attempts": 0,
                "next_at": to_text(now),
                "delivered": 0,
            }
            connection.execute(insert(webhooks), row)
            return _webhook(_row(connection, webhook))

    def webhooks(self) -> tuple[Webhook, ...]:
        """See `Webhooks.webhooks`."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(webhooks, _SIZE.label("size")).order_by(webhooks.c.created_at, webhooks.c.id)
            )
            return tuple(map(_webhook, rows))

    def find(self, webhook: str) -> Claim:
        """What is needed to send one message to a webhook, whoever has claimed it.

        Raises:
            NotFound: no such webhook.
        """
        with self._database.read() as connection:
            return self._claimed(_row(connection, webhook), self._clock())

    def readdress(self, webhook: str, new: NewWebhook, actor: str) -> Webhook:
        """See `Ledger.readdress`."""
        values = {
            "url": new.url,
            "actions": json.dumps(new.wish.actions),
            "models": json.dumps(new.wish.models),
        }
        said = {"webhook": webhook, "url": new.url, "actions": new.wish.actions, "models": new.wish.models}
        with self._database.write() as connection:
            _row(connection, webhook, locked=True)
            return self._changed(connection, webhook, values, Entry(Action.WEBHOOK_ADD, details=said), actor)

    def rotate(self, webhook: str, secret: str, overlap: timedelta, actor: str) -> Webhook:
        """Replaces the sealed secret; see `Webhooks.rotate`."""
        if not timedelta() <= overlap <= _OVERLAP_MAX:
            raise UsageError(
                f"an overlap is 0 seconds to {_OVERLAP_MAX.days} days",
                hint="A secret that nobody may use any more has none.",
            )
        with self._database.write() as connection:
            now = self._clock()
            held = _row(connection, webhook, locked=True)
            until = to_text(now + overlap)
            old = (
                {"old_secret": held.secret, "old_until": until} if overlap else {"old_secret": None, "old_until": None}
            )
            return self._changed(
                connection,
                webhook,
                {"secret": secret, **old},
                Entry(Action.WEBHOOK_ROTATE, details={"webhook": webhook, "old_until": until}),
                actor,
            )

    def resume(self, webhook: str, actor: str, *, skip: bool) -> Webhook:
        """See `Webhooks.resume`."""
        with self._database.write() as connection:
            held = _row(connection, webhook, locked=True)
            if skip and not held.attempts:
                raise UsageError(
                    "its receiver has refused no event",
                    hint="See how far it is: holdfast webhook list",
                    webhook=webhook,
                )
            skipped = held.next_event if skip else None
            values = {
                "state": _ACTIVE,
                "attempts": 0,
                "error": None,
                "next_at": to_text(self._clock()),
                "next_event": held.next_event + (1 if skip else 0),
            }
            details = {"webhook": webhook, "skipped": skipped}
            return self._changed(connection, webhook, values, Entry(Action.WEBHOOK_RESUME, details=details), actor)

    def remove(self, webhook: str, actor: str) -> Webhook:
        """See `Webhooks.remove`."""
        with self._database.write() as connection:
            found = _webhook(_row(connection, webhook))
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook))
            details = {"webhook": webhook, "url": found.url}
            append(connection, Entry(Action.WEBHOOK_REMOVE, details=details), self._clock(), actor)
            return found

    def due(self, holder: str) -> tuple[Due, ...]:
        """See `Outbox.due`."""
        with self._database.read() as connection:
            rows = connection.execute(_DUE, {"me": holder, "now": to_text(self._clock())})
            return tuple(Due(row.id, _wish(row), row.next_event, row.size) for row in rows)

    def claim(self, webhook: str, holder: str) -> Claim | None:
        """See `Outbox.claim`."""
        now = self._clock()
        asked = {"which": webhook, "me": holder, "now": to_text(now), "until": to_text(now + LEASE)}
        with self._database.change() as connection:
            if connection.execute(_CLAIM, asked).rowcount == 0:
                return None
            return self._claimed(_row(connection, webhook), now)

    def delivered(self, claim: Claim, holder: str, index: int) -> Claim | None:
        """See `Outbox.delivered`."""
        return self._forward(_DELIVER, claim, holder, index)

    def passed(self, claim: Claim, holder: str, index: int) -> Claim | None:
        """See `Outbox.passed`."""
        return self._forward(_PASS, claim, holder, index)

    def failed(self, claim: Claim, holder: str, index: int, error: str, again_at: datetime | None) -> bool:
        """See `Outbox.failed`."""
        asked = {
            "which": claim.id,
            "me": holder,
            "place": index,
            "said": error,
            "again": to_text(again_at or self._clock()),
            "then": str(WebhookState.STOPPED if again_at is None else WebhookState.ACTIVE),
        }
        with self._database.change() as connection:
            return connection.execute(_FAIL, asked).rowcount > 0

    def let_go(self, holder: str) -> None:
        """See `Outbox.let_go`."""
        with self._database.change() as connection:
            connection.execute(_LET_GO, {"me": holder})

    def _forward(self, statement: Any, claim: Claim, holder: str, index: int) -> Claim | None:
        now = self._clock()
        asked = {
            "which": claim.id,
            "me": holder,
            "place": index,
            "behind": index + 1,
            "now": to_text(now),
            "until": to_text(now + LEASE),
        }
        with self._database.change() as connection:
            if connection.execute(statement, asked).rowcount == 0:
                return None
            return self._claimed(_row(connection, claim.id), now)

    def _changed(
        self, connection: Connection, webhook: str, values: dict[str, Any], entry: Entry, actor: str
    ) -> Webhook:
        connection.execute(update(webhooks).where(webhooks.c.id == webhook).values(**values))
        append(connection, entry, self._clock(), actor)
        return _webhook(_row(connection, webhook))

    def _claimed(self, row: Row[Any], now: datetime) -> Claim:
        old = row.old_until is not None and from_text(row.old_until) > now
        return Claim(
            id=row.id,
            url=row.url,
            wish=_wish(row),
            secrets=(row.secret, row.old_secret) if old else (row.secret,),
            next_event=row.next_event,
            attempts=row.attempts,
            until=now + LEASE,
        )


def _row(connection: Connection, webhook: str, *, locked: bool = False) -> Row[Any]:
    statement = select(webhooks, _SIZE.label("size")).where(webhooks.c.id == webhook)
    # Its deliverer writes beside the single writer: what is decided by a row is decided behind its lock.
    found = connection.execute(statement.with_for_update() if locked else statement).one_or_none()
    if found is None:
        raise NotFound(f"there is no webhook {webhook[:80]}", hint="See which there are: holdfast webhook list")
    return found


def _wish(row: Any) -> Wish:
    return Wish(tuple(json.loads(row.actions)), tuple(json.loads(row.models)))


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        wish=_wish(row),
        state=WebhookState(row.state),
        next_event=row.next_event,
        behind=row.size - row.next_event,
        attempts=row.attempts,
        next_at=from_text(row.next_at),
        error=row.error,
        delivered=row.delivered,
        delivered_at=None if row.delivered_at is None else from_text(row.delivered_at),
        old_until=None if row.old_until is None else from_text(row.old_until),
        created_at=from_text(row.created_at),
        created_by=row.created_by,
    )
