"""What replicas count of rollouts (mutable, and no part of the log), and what turned out to be right (append-only)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text

from holdfast.canonical import decode, encode
from holdfast.database.times import to_text
from holdfast.errors import TooLarge, UsageError
from holdfast.names import ModelName
from holdfast.registry.as_it_stands import STANDING, find_rollout, step_of
from holdfast.registry.nearest import require_model
from holdfast.registry.rollouts import TRUTHS_AT_ONCE_MAX, TRUTHS_MAX, Tally, Truth
from holdfast.registry.tables import tallies as tally_rows
from holdfast.registry.tables import truths as truth_rows

__all__ = ["count", "forget", "learn", "tallies_of", "truths_of"]

_COUNTS_BYTES_MAX = 64 * 1024
"""Two histograms of hundreds of buckets for each arm, and room; a replica sends its tally every second or so."""

_REPLICA_CHARACTERS_MAX = 256
"""A host's name with its process and more; it is a part of the key."""

_TALLIES_MAX = 1_000
"""Replicas that count at one step: more than follow any stage, so that nobody fills the table with names."""

_REQUEST_CHARACTERS_MAX = 256
"""Twice what a replica takes as the id of a request."""

_VALUE_BYTES_MAX = 1_024
"""The name of a class; a number is far shorter."""

_PLACE_MAX = 2**31 - 1
"""No request has so many rows."""

_KEPT = timedelta(days=30)
"""Behind the end of a rollout somebody may still ask what was counted: as long as other things are looked at."""

_ADD = text(
    "INSERT INTO tallies (rollout, step, replica, counts, reported_at) "
    "VALUES (:rollout, :step, :replica, :counts, :reported_at) ON CONFLICT (rollout, step, replica) "
    "DO UPDATE SET counts = excluded.counts, reported_at = excluded.reported_at"
)

_OTHERS = select(func.count()).where(
    tally_rows.c.rollout == bindparam("rollout"),
    tally_rows.c.step == bindparam("step"),
    tally_rows.c.replica != bindparam("replica"),
)

_OF_ROLLOUT = (
    select(tally_rows)
    .where(tally_rows.c.rollout == bindparam("rollout"))
    .order_by(tally_rows.c.step, tally_rows.c.replica)
)

_standing = STANDING.subquery()

_FORGET = delete(tally_rows).where(
    tally_rows.c.reported_at < bindparam("until"), tally_rows.c.rollout.not_in(select(_standing.c.rollout))
)

# The database refuses a second word; who brings one is not told so, for it may be the first one again.
_LEARN = text(
    "INSERT INTO truths (model, request, place, value, created_at, created_by) "
    "SELECT :model, :request, :place, :value, :created_at, :created_by WHERE NOT EXISTS "
    "(SELECT 1 FROM truths WHERE model = :model AND request = :request AND place = :place)"
)

_LAST = select(func.coalesce(func.max(truth_rows.c.nth), 0)).where(truth_rows.c.model == bindparam("model"))

_AFTER = (
    select(truth_rows)
    .where(truth_rows.c.model == bindparam("model"), truth_rows.c.nth > bindparam("after"))
    .order_by(truth_rows.c.nth)
    .limit(bindparam("limit"))
)


def count(connection: Connection, tally: Tally, now: datetime) -> None:
    """Takes a replica's counts; see `Rollouts.tally`."""
    counts = encode(tally.counts)
    _bound("the counts of a replica", len(counts), _COUNTS_BYTES_MAX)
    _bound("the name of a replica", len(tally.replica), _REPLICA_CHARACTERS_MAX)
    step = step_of(connection, tally.rollout)
    if step is None or not 0 <= tally.step <= step:
        return
    which = {"rollout": tally.rollout, "step": tally.step, "replica": tally.replica}
    _bound("the replicas that count at one step", connection.execute(_OTHERS, which).scalar_one() + 1, _TALLIES_MAX)
    connection.execute(_ADD, {**which, "counts": counts, "reported_at": to_text(now)})


def forget(connection: Connection, now: datetime) -> None:
    """Deletes what was counted of rollouts that are over, when nobody has spoken of them for 30 days."""
    connection.execute(_FORGET, {"until": to_text(now - _KEPT)})


def tallies_of(connection: Connection, rollout: int) -> tuple[Tally, ...]:
    """All counts of a rollout; see `Rollouts.tallies`."""
    find_rollout(connection, rollout)
    rows = connection.execute(_OF_ROLLOUT, {"rollout": rollout})
    return tuple(Tally(row.rollout, row.step, row.replica, decode(row.counts, what="a tally")) for row in rows)


def learn(connection: Connection, model: ModelName, truths: Sequence[Truth], now: datetime, actor: str) -> int:
    """Takes what turned out to be right; see `Rollouts.put_truths`.

    Args:
        connection: of the single writer, so that indexes are seen in their order, and nobody who reads misses one.
        model: whose requests.
        truths: in the order in which they are learned.
        now: the moment.
        actor: who says so.
    """
    _bound("truths at once", len(truths), TRUTHS_AT_ONCE_MAX)
    at = to_text(now)
    rows = [
        {
            "model": str(model),
            "request": one.request,
            "place": one.place,
            "value": _value(one),
            "created_at": at,
            "created_by": actor,
        }
        for one in truths
    ]
    require_model(connection, str(model))
    if rows:
        connection.execute(_LEARN, rows)
    return int(connection.execute(_LAST, {"model": str(model)}).scalar_one())


def truths_of(connection: Connection, model: ModelName, after: int, limit: int) -> tuple[Truth, ...]:
    """What came after an index; see `Rollouts.truths`."""
    if not 1 <= limit <= TRUTHS_MAX:
        raise UsageError(f"{limit} truths cannot be asked for at once", hint=f"Ask for 1 to {TRUTHS_MAX}.")
    require_model(connection, str(model))
    rows = connection.execute(_AFTER, {"model": str(model), "after": after, "limit": limit})
    return tuple(Truth(row.request, decode(row.value, what="a truth"), row.place, row.nth) for row in rows)


def _value(truth: Truth) -> str:
    """The value as text, when all that the truth says can be kept."""
    if not truth.request or not 0 <= truth.place <= _PLACE_MAX:
        raise UsageError(
            f"row {truth.place} of request {truth.request[:80]!r} is no row of a request",
            hint="Name the request by its id; rows are counted from 0.",
        )
    value: Any = truth.value
    if not isinstance(value, bool | int | float | str):
        raise UsageError(
            f"{type(value).__name__} is neither a class nor a number", hint="Give a text, a number, or true or false."
        )
    encoded = encode(value)
    _bound("the id of a request", len(truth.request), _REQUEST_CHARACTERS_MAX)
    _bound("a truth", len(encoded), _VALUE_BYTES_MAX)
    return encoded.decode()


def _bound(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise TooLarge(f"{what}: {found}, and {limit} are the most", hint="Send less at once.", limit=limit)
