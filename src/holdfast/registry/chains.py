"""Rollouts as they are written: each a chain of rows, one for its beginning and one for each turn, with events."""

from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Connection, insert, select

from holdfast.canonical import JsonObject, decode, encode
from holdfast.database.times import to_text
from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, Incomplete, StageMoved, TooLarge, UsageError
from holdfast.names import ByNumber, Reference
from holdfast.registry.actions import Action
from holdfast.registry.archives import LAST_OF_VERSION, refuse_archived
from holdfast.registry.as_it_stands import THIS_KIND, as_of, find_rollout, step_of
from holdfast.registry.events import Entry, append
from holdfast.registry.guard import Guard
from holdfast.registry.judgements import require_verdict
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.moves import evidence
from holdfast.registry.policies import IN_FORCE, require_named
from holdfast.registry.rollouts import (
    STEPS_MAX,
    NewRollout,
    Rollout,
    RolloutKind,
    RolloutState,
    Turn,
)
from holdfast.registry.stages import find_stage
from holdfast.registry.tables import rollouts
from holdfast.registry.values import MoveStage, Stage, Version
from holdfast.registry.versions import resolve

__all__ = ["begin", "turn"]

_PLAN_BYTES_MAX = 64 * 1024
"""A plan is a page of steps and guards; every replica reads it."""

_FIGURES_BYTES_MAX = 64 * 1024
"""What one sentence rests on: a histogram for each arm is a few kilobytes."""

_TOLD_BYTES_MAX = 4 * 1024
"""What an event tells in full, since every audit reads all events; of what is longer it has the digest."""

_WHEREABOUTS = select(LAST_OF_VERSION.scalar_subquery())


def begin(
    connection: Connection,
    new: NewRollout,
    now: datetime,
    actor: str,
    *,
    guard: Guard | None = None,
    key: str | None = None,
) -> Rollout:
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
        return as_of(connection, before.index)
    stage = find_stage(connection, new.model, new.stage)
    version = resolve(connection, Reference(new.model, ByNumber(new.number)))
    _refuse_unfit(connection, new, stage, version)
    if new.kind is RolloutKind.CANARY:
        _require_gate(connection, new, now, actor, guard)
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
    return as_of(connection, event.index)


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
    there = connection.execute(THIS_KIND, asked).first()
    if there is not None:
        raise AlreadyExists(
            f"{new.model}@{there.number} is tried by a {new.kind} at {new.stage} already, rollout {there.rollout}",
            hint="End it first, or wait until it has ended.",
            model=str(new.model),
            stage=str(new.stage),
            rollout=there.rollout,
            version=there.number,
        )


def _require_gate(connection: Connection, new: NewRollout, now: datetime, actor: str, guard: Guard | None) -> None:
    """A canary answers people: it needs what a promotion needs, but for those who approve of the promotion itself."""
    asked = MoveStage(
        new.model, new.stage, new.number, new.expect, Action.STAGE_PROMOTE, reason=new.reason, verdict=new.verdict
    )
    policy = connection.execute(IN_FORCE, {"model": str(new.model)}).scalar_one_or_none()
    require_named(connection, asked, policy, is_tried=True)
    if guard is not None:
        guard(connection, evidence(connection, replace(asked, action=Action.ROLLOUT_BEGIN), actor, now))


def turn(connection: Connection, asked: Turn, now: datetime, actor: str, *, key: str | None = None) -> Rollout:
    """Changes how a rollout stands, with an event; see `Rollouts.turn_rollout`."""
    if asked.state is RolloutState.SUPERSEDED or not 0 <= asked.step <= STEPS_MAX:
        raise UsageError(
            f"no rollout is turned {asked.state} at step {asked.step}",
            hint=f"A stage that moves supersedes its rollouts by itself; steps are counted from 0 to {STEPS_MAX}.",
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
        return as_of(connection, before.index)
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
    return as_of(connection, event.index)


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
