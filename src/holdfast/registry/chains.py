"""Rollouts in a database: each a chain of rows, one for its beginning and one for each turn, every one with its event.

Nothing is written when a stage moves: that a rollout is superseded is seen by the epoch of its stage.
"""

from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, or_, select

from holdfast.canonical import JsonObject, decode, encode
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, Incomplete, NotFound, StageMoved, TooLarge, UsageError
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.archives import LAST_OF_VERSION, refuse_archived
from holdfast.registry.events import Entry, append
from holdfast.registry.judgements import require_verdict
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.nearest import unknown_stage
from holdfast.registry.rollouts import (
    ROLLOUTS_MAX,
    NewRollout,
    Rollout,
    RolloutKind,
    RolloutState,
    RouteMark,
    Turn,
)
from holdfast.registry.stages import find_stage
from holdfast.registry.tables import rollouts, stages
from holdfast.registry.values import Stage, Version
from holdfast.registry.versions import resolve

__all__ = ["STANDING", "begin", "every_rollout", "find_rollout", "mark", "step_of", "turn"]

_PLAN_BYTES_MAX = 64 * 1024
"""A plan is a page of steps and guards; every replica reads it."""

_FIGURES_BYTES_MAX = 64 * 1024
"""What one sentence rests on: a histogram for each arm is a few kilobytes."""

_TOLD_BYTES_MAX = 4 * 1024
"""What an event tells in full, since every audit reads all events; of what is longer it has the digest."""

_first = rollouts.alias("first")
_newest = rollouts.alias("newest")

_LAST_EVENT = select(func.max(rollouts.c.event)).where(rollouts.c.rollout == _first.c.event).scalar_subquery()

_COLUMNS = (
    *(column for column in _newest.c if column.name != "plan"),
    _first.c.plan,
    _first.c.verdict.label("let_by"),
    _first.c.created_at.label("began_at"),
    stages.c.epoch.label("stage_epoch"),
)


def _joined(newest: Any) -> Select[Any]:
    """Rollouts, each with the row that `newest` names, and with the epoch of its stage as it is now."""
    return (
        select(*_COLUMNS)
        .select_from(_first)
        .join(_newest, _newest.c.event == newest)
        .join(stages, (stages.c.model == _first.c.model) & (stages.c.name == _first.c.stage))
        .where(_first.c.event == _first.c.rollout)
    )


_ONE = _joined(_LAST_EVENT).where(_first.c.event == bindparam("rollout"))

_AS_OF = _joined(bindparam("event")).where(_first.c.event == _newest.c.rollout)

_OF_STAGE = (
    _joined(_LAST_EVENT)
    .where(_first.c.model == bindparam("model"), _first.c.stage == bindparam("stage"))
    .order_by(_first.c.event.desc())
    .limit(bindparam("limit"))
)

_OF_KIND = _OF_STAGE.where(_first.c.kind == bindparam("kind"))

_STANDS = or_(
    _newest.c.state.in_([str(state) for state in RolloutState if state.going_on]),
    (_newest.c.kind == str(RolloutKind.CANARY)) & (_newest.c.state == str(RolloutState.PASSED)),
)

STANDING = (
    select(_newest.c.rollout, _newest.c.model, _newest.c.stage, _newest.c.number, _newest.c.kind, _newest.c.step)
    .join(stages, (stages.c.model == _newest.c.model) & (stages.c.name == _newest.c.stage))
    .where(
        _newest.c.event
        == select(func.max(rollouts.c.event)).where(rollouts.c.rollout == _newest.c.rollout).scalar_subquery(),
        _STANDS,
        _newest.c.epoch == stages.c.epoch,
    )
)
"""The rollouts in which replicas take part."""

_THIS = STANDING.where(_newest.c.rollout == bindparam("rollout"))

_THIS_KIND = STANDING.where(
    _newest.c.model == bindparam("model"), _newest.c.stage == bindparam("stage"), _newest.c.kind == bindparam("kind")
)

_WHEREABOUTS = select(LAST_OF_VERSION.scalar_subquery())

_MARK = select(
    stages.c.epoch,
    select(func.coalesce(func.max(rollouts.c.event), 0))
    .where(rollouts.c.model == bindparam("model"), rollouts.c.stage == bindparam("stage"))
    .scalar_subquery(),
).where(stages.c.model == bindparam("model"), stages.c.name == bindparam("stage"))


def begin(connection: Connection, new: NewRollout, now: datetime, actor: str, *, key: str | None = None) -> Rollout:
    """Begins a rollout with its event; see `Rollouts.begin_rollout`."""
    plan = _encoded("the plan", new.plan, _PLAN_BYTES_MAX)
    said: dict[str, Any] = {
        "action": Action.ROLLOUT_BEGIN,
        "model": str(new.model),
        "stage": str(new.stage),
        "from_number": new.expect,
        "to_number": new.number,
        "reason": new.reason,
        "verdict": None if new.verdict is None else str(new.verdict),
        "details": {"kind": str(new.kind), "state": str(RolloutState.RUNNING), "step": 0, **_told("plan", plan)},
    }
    before = earlier(connection, key, actor, **said)
    if before is not None:
        return _as_of(connection, before.index)
    stage = find_stage(connection, new.model, new.stage)
    version = resolve(connection, Reference(new.model, ByNumber(new.number)))
    _refuse_unfit(connection, new, stage, version)
    entry = Entry(
        **said,
        from_digest=str(stage.digest),
        to_digest=str(version.digest),
        epoch=stage.epoch,
        idempotency_key=key,
    )
    event = append(connection, entry, now, actor)
    row = {
        "event": event.index,
        "rollout": event.index,
        "model": event.model,
        "stage": event.stage,
        "epoch": event.epoch,
        "kind": str(new.kind),
        "number": event.to_number,
        "digest": event.to_digest,
        "against": event.from_number,
        "against_digest": event.from_digest,
        "state": str(RolloutState.RUNNING),
        "step": 0,
        "plan": plan,
        "figures": encode({}),
        "reason": event.reason,
        "verdict": event.verdict,
        "created_at": to_text(event.time),
        "created_by": actor,
    }
    connection.execute(insert(rollouts), row)
    return _as_of(connection, event.index)


def _refuse_unfit(connection: Connection, new: NewRollout, stage: Stage, version: Version) -> None:
    name = f"{new.model}@{new.number}"
    if stage.number != new.expect:
        raise StageMoved(
            f"{new.stage} of {new.model} is held by {stage.number or 'nothing'}, and {new.expect} was expected",
            hint=f"Look at what holds it now, and decide again: holdfast live {new.model}",
            model=str(new.model),
            stage=str(new.stage),
            expected=new.expect,
            found=stage.number,
            event=stage.event,
        )
    if stage.number == new.number:
        raise UsageError(f"{name} holds {new.stage} already", hint="Try another version beside it.")
    if not version.complete:
        raise Incomplete(
            f"{name} is incomplete, and is not tried on requests", hint="Register it whole.", missing=[*version.missing]
        )
    whereabouts = connection.execute(_WHEREABOUTS, {"model": str(new.model), "to": new.number}).scalar_one()
    refuse_archived(connection, whereabouts)
    if new.verdict is not None:
        require_verdict(connection, new.verdict, str(new.model), new.number)
    asked = {"model": str(new.model), "stage": str(new.stage), "kind": str(new.kind)}
    there = connection.execute(_THIS_KIND, asked).first()
    if there is not None:
        raise AlreadyExists(
            f"{new.model}@{there.number} is tried by a {new.kind} at {new.stage} already, rollout {there.rollout}",
            hint="End it first, or wait until it has ended.",
            model=str(new.model),
            stage=str(new.stage),
            rollout=there.rollout,
            version=there.number,
        )


def turn(connection: Connection, asked: Turn, now: datetime, actor: str, *, key: str | None = None) -> Rollout:
    """Changes how a rollout stands, with an event; see `Rollouts.turn_rollout`."""
    if asked.state is RolloutState.SUPERSEDED or asked.step < 0:
        raise UsageError(
            f"no rollout is turned {asked.state} at step {asked.step}",
            hint="A stage that moves supersedes its rollouts by itself; steps are counted from 0.",
        )
    figures = _encoded("the figures", asked.figures, _FIGURES_BYTES_MAX)
    details: JsonObject = {
        "rollout": asked.rollout,
        "before": asked.expect,
        "state": str(asked.state),
        "step": asked.step,
        **_told("figures", figures),
    }
    before = earlier(connection, key, actor, action=Action.ROLLOUT_TURN, reason=asked.reason)
    if before is not None:
        if {name: value for name, value in before.details.items() if name != "kind"} != details:
            raise another_request(before)
        return _as_of(connection, before.index)
    found = find_rollout(connection, asked.rollout)
    if found.event != asked.expect or step_of(connection, found.id) is None:
        _lost(asked, found)
    entry = Entry(
        Action.ROLLOUT_TURN,
        model=str(found.model),
        stage=str(found.stage),
        from_number=found.against,
        from_digest=str(found.against_digest),
        to_number=found.number,
        to_digest=str(found.digest),
        epoch=found.epoch,
        reason=asked.reason,
        idempotency_key=key,
        details={"kind": str(found.kind), **details},
    )
    event = append(connection, entry, now, actor)
    row = {
        "event": event.index,
        "rollout": found.id,
        "model": event.model,
        "stage": event.stage,
        "epoch": event.epoch,
        "kind": str(found.kind),
        "number": event.to_number,
        "digest": event.to_digest,
        "against": event.from_number,
        "against_digest": event.from_digest,
        "state": str(asked.state),
        "step": asked.step,
        "plan": None,
        "figures": figures,
        "reason": event.reason,
        "verdict": None,
        "created_at": to_text(event.time),
        "created_by": actor,
    }
    connection.execute(insert(rollouts), row)
    return _as_of(connection, event.index)


def _lost(asked: Turn, found: Rollout) -> NoReturn:
    how = f"{found.changed_by} turned it {found.state} at {to_text(found.changed_at)}, event {found.event}"
    if found.event == asked.expect and found.state in {RolloutState.SUPERSEDED, RolloutState.PASSED}:
        how = f"{found.stage} of {found.model} has moved since it began, or it is over"
    raise StageMoved(
        f"rollout {found.id} is {found.state}, and was expected to go on from event {asked.expect}; {how}",
        hint="Look at how it stands now, and decide again.",
        model=str(found.model),
        stage=str(found.stage),
        rollout=found.id,
        expected=asked.expect,
        found=found.event,
        state=str(found.state),
        changed_by=found.changed_by,
        changed_at=to_text(found.changed_at),
    )


def find_rollout(connection: Connection, rollout: int) -> Rollout:
    """The rollout as it stands, by one statement; see `Rollouts.rollout`."""
    row = connection.execute(_ONE, {"rollout": rollout}).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no rollout {rollout}", hint="It is the index of the event that began it.", rollout=rollout
        )
    return _load(row)


def every_rollout(
    connection: Connection, model: ModelName, stage: StageName, kind: RolloutKind | None, limit: int
) -> tuple[Rollout, ...]:
    """The rollouts of a stage, newest first; see `Rollouts.rollouts`."""
    if not 1 <= limit <= ROLLOUTS_MAX:
        raise UsageError(f"{limit} rollouts cannot be asked for at once", hint=f"Ask for 1 to {ROLLOUTS_MAX}.")
    find_stage(connection, model, stage)
    asked = {"model": str(model), "stage": str(stage), "limit": limit}
    found = (
        connection.execute(_OF_STAGE, asked)
        if kind is None
        else connection.execute(_OF_KIND, asked | {"kind": str(kind)})
    )
    return tuple(map(_load, found))


def mark(connection: Connection, model: ModelName, stage: StageName) -> RouteMark:
    """What changes whenever a replica has to look again, by one statement; see `Rollouts.route_mark`."""
    row = connection.execute(_MARK, {"model": str(model), "stage": str(stage)}).one_or_none()
    if row is None:
        raise unknown_stage(connection, str(model), str(stage))
    return RouteMark(*row)


def step_of(connection: Connection, rollout: int) -> int | None:
    """The step that a rollout is at, by one statement; None where it is over, or there is none."""
    row = connection.execute(_THIS, {"rollout": rollout}).one_or_none()
    return None if row is None else int(row.step)


def _as_of(connection: Connection, event: int) -> Rollout:
    """A rollout as it was written with an event, whatever has come since: what its writer was answered."""
    return _load(connection.execute(_AS_OF, {"event": event}).one(), as_written=True)


def _encoded(what: str, value: JsonObject, limit: int) -> bytes:
    body = encode(value)
    if len(body) > limit:
        raise TooLarge(
            f"{what} of the rollout has {len(body)} bytes, and may have {limit}",
            hint="Leave out what can be computed again.",
            limit=limit,
        )
    return body


def _told(name: str, body: bytes) -> JsonObject:
    """What an event tells of a document: itself where it is short, and its digest otherwise."""
    if len(body) <= _TOLD_BYTES_MAX:
        return {name: decode(body, what=name)}
    return {f"{name}_digest": str(hash_bytes(body))}


def _load(row: Row[Any], *, as_written: bool = False) -> Rollout:
    state = RolloutState(row.state)
    if state.going_on and row.epoch != row.stage_epoch and not as_written:
        state = RolloutState.SUPERSEDED
    return Rollout(
        id=row.rollout,
        kind=RolloutKind(row.kind),
        model=ModelName(row.model),
        stage=StageName(row.stage),
        epoch=row.epoch,
        number=VersionNumber(row.number),
        digest=Digest.parse(row.digest),
        against=VersionNumber(row.against),
        against_digest=Digest.parse(row.against_digest),
        plan=decode(row.plan, what=f"the plan of rollout {row.rollout}"),
        state=state,
        step=row.step,
        reason=row.reason,
        figures=decode(row.figures, what=f"the figures of rollout {row.rollout}"),
        verdict=None if row.let_by is None else Digest.parse(row.let_by),
        event=row.event,
        began_at=from_text(row.began_at),
        changed_at=from_text(row.created_at),
        changed_by=row.created_by,
    )
