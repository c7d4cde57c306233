"""Moving a stage, or emptying it: an update with its requirement, and its event, in one transaction.

(1) the same request again; (2) the requirement: the stage holds what the caller expects; (3) the version, that its
bytes are meant to be here, and for a rollback, that it has held the stage; (4) the verdict, the policy that it names,
the approvals, and the guard of a server that knows who asks; (5) the event; (6) the pointer. The database refuses (6)
without (5), and a stage that does not stand where (5) says it stood. To empty a stage, (3) and (4) have nothing to ask.
"""

from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Connection, Row, bindparam, exists, select, true, update

from holdfast.canonical import JsonObject, plain
from holdfast.database.times import to_text
from holdfast.database.together import together
from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, StageMoved, UsageError
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry.actions import MOVES, POINTING, Action
from holdfast.registry.archives import LAST_OF_VERSION, refuse_archived
from holdfast.registry.clearing import Cleared, ClearStage
from holdfast.registry.events import LAST, Entry, Last, Next, by_key, prepare
from holdfast.registry.guard import Evidence, Guard
from holdfast.registry.judgements import approvals_of, for_move, require_verdict, verdict_of
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.last_known_good import MOVES_READ_MAX, last_known_good
from holdfast.registry.nearest import unknown_stage, unknown_version
from holdfast.registry.policies import IN_FORCE, in_force, require_named
from holdfast.registry.records import Event
from holdfast.registry.stages import find_stage
from holdfast.registry.tables import events, stages, versions
from holdfast.registry.values import Move, MoveStage
from holdfast.registry.versions import resolve

__all__ = ["clear", "evidence", "move", "move_of"]

_target = versions.alias("target")
_holder = versions.alias("holder")

_last = LAST.subquery("last")

# Everything that the move depends on, in one statement: the stage, what holds it, the version that shall and where its
# bytes are, the policy in force, and the end of the log.
_GROUND = (
    select(
        stages.c.number,
        stages.c.epoch,
        stages.c.last_known_good,
        stages.c.event,
        _holder.c.digest.label("holder_digest"),
        _target.c.digest.label("target_digest"),
        LAST_OF_VERSION.scalar_subquery().label("whereabouts"),
        IN_FORCE.scalar_subquery().label("policy"),
        _last.c.place.label("last_place"),
        _last.c.time.label("last_time"),
        _last.c.hash.label("last_hash"),
    )
    .select_from(stages)
    .join(_last, true())
    .outerjoin(_holder, (_holder.c.model == stages.c.model) & (_holder.c.number == stages.c.number))
    .outerjoin(_target, (_target.c.model == stages.c.model) & (_target.c.number == bindparam("to")))
    .where(stages.c.model == bindparam("model"), stages.c.name == bindparam("stage"))
)

_MOVED = (events.c.model == bindparam("model")) & (events.c.stage == bindparam("stage")) & events.c.action.in_(MOVES)

_HISTORY = (
    select(events.c.action, events.c.from_number, events.c.to_number)
    .where(events.c.model == bindparam("model"), events.c.stage == bindparam("stage"), events.c.action.in_(POINTING))
    .order_by(events.c.place.desc())
    .limit(MOVES_READ_MAX)
)

_HAS_HELD = select(exists().where(_MOVED, events.c.to_number == bindparam("to")))

_POINT = (
    update(stages)
    .where(stages.c.model == bindparam("of_model"), stages.c.name == bindparam("of_stage"))
    .values(
        number=bindparam("number"),
        epoch=bindparam("epoch"),
        last_known_good=bindparam("last_known_good"),
        event=bindparam("event"),
        changed_at=bindparam("changed_at"),
    )
)


def move(connection: Connection, asked: MoveStage, now: datetime, actor: str, guard: Guard | None = None) -> Move:
    """Moves a stage together with its event; see `Registry.move_stage`."""
    if asked.action not in MOVES:
        raise UsageError(f"{asked.action} does not move a stage", hint="Promote, roll back, or adopt.")
    # (1) The same request again.
    before = _before(connection, asked, actor)
    if before is not None:
        return _done(before)
    # (2) The requirement.
    model, stage, to = str(asked.model), str(asked.stage), asked.to
    ground = connection.execute(_GROUND, {"model": model, "stage": stage, "to": to}).one_or_none()
    if ground is None:
        raise unknown_stage(connection, model, stage)
    if ground.number != asked.expect:
        _lost(connection, asked, ground)
    # (3) The version.
    if ground.target_digest is None:
        raise unknown_version(connection, model, str(to))
    if ground.number == to:
        raise AlreadyExists(
            f"{model}@{to} holds {stage} already",
            hint="Nothing needs to be done.",
            model=model,
            stage=stage,
            version=to,
            digest=ground.target_digest,
        )
    refuse_archived(connection, ground.whereabouts)
    good = _good(connection, asked, ground)
    # (4) The evidence.
    if asked.verdict is not None:
        require_verdict(connection, asked.verdict, model, to)
    require_named(connection, asked, ground.policy)
    approvals = for_move(connection, asked)
    if guard is not None:
        guard(connection, evidence(connection, asked, actor, now))
    # (5) The event.
    entry = Entry(
        action=asked.action,
        model=model,
        stage=stage,
        from_number=ground.number,
        from_digest=ground.holder_digest,
        to_number=to,
        to_digest=ground.target_digest,
        epoch=ground.epoch + 1,
        last_known_good=good,
        reason=asked.reason,
        verdict=None if asked.verdict is None else str(asked.verdict),
        approvals=approvals,
        idempotency_key=asked.idempotency_key,
        details=asked.details,
    )
    found = prepare(connection, entry, now, actor, Last(ground.last_place, ground.last_time, ground.last_hash))
    # (6) The pointer.
    return _done(_point(connection, found))


def clear(connection: Connection, asked: ClearStage, now: datetime, actor: str) -> Cleared:
    """Empties a stage together with its event; see `Registry.clear_stage`."""
    model, stage = str(asked.model), str(asked.stage)
    if not asked.reason.strip():
        raise UsageError("emptying a stage needs a reason", hint='Say why: --reason "the contract has ended"')
    # (1) The same request again.
    said = {"action": Action.STAGE_CLEAR, "model": model, "stage": stage, "from_number": asked.expect}
    more = {"reason": asked.reason, "details": plain(asked.details)}
    before = earlier(connection, asked.idempotency_key, actor, **said, **more)
    if before is not None:
        return _cleared(before)
    # (2) The requirement.
    ground = connection.execute(_GROUND, {"model": model, "stage": stage, "to": asked.expect}).one_or_none()
    if ground is None:
        raise unknown_stage(connection, model, stage)
    if ground.number != asked.expect:
        _lost(connection, asked, ground)
    # (5) The event.
    entry = Entry(
        action=Action.STAGE_CLEAR,
        model=model,
        stage=stage,
        from_number=ground.number,
        from_digest=ground.holder_digest,
        epoch=ground.epoch + 1,
        last_known_good=ground.number,
        reason=asked.reason,
        idempotency_key=asked.idempotency_key,
        details=asked.details,
    )
    found = prepare(connection, entry, now, actor, Last(ground.last_place, ground.last_time, ground.last_hash))
    # (6) The pointer.
    return _cleared(_point(connection, found))


def _point(connection: Connection, found: Next) -> Event:
    """(5) and (6), sent in one go: the stage stands as its event says."""
    event = found.event
    point = {
        "of_model": event.model,
        "of_stage": event.stage,
        "number": event.to_number,
        "epoch": event.epoch,
        "last_known_good": event.last_known_good,
        "event": event.index,
        "changed_at": to_text(event.time),
    }
    with together(connection):
        found.write(connection)
        connection.execute(_POINT, point)
    return event


def evidence(connection: Connection, asked: MoveStage, actor: str, now: datetime) -> Evidence:
    """All that the registry holds for a move and against it, for a guard."""
    return Evidence(
        asked=asked,
        actor=actor,
        stage=find_stage(connection, asked.model, asked.stage),
        version=resolve(connection, Reference(asked.model, ByNumber(asked.to))),
        verdict=None if asked.verdict is None else verdict_of(connection, asked.verdict),
        judgements=approvals_of(connection, asked.model, asked.to),
        policy=in_force(connection, asked.model),
        now=now,
    )


def _good(connection: Connection, asked: MoveStage, ground: Row[*tuple[Any, ...]]) -> int | None:
    """Where a rollback goes after the move: to what it replaces, unless it goes back, or the stage was emptied."""
    is_back = asked.action is Action.STAGE_ROLLBACK
    if not is_back and (ground.number is not None or not ground.epoch):
        return None if ground.number is None else int(ground.number)
    key = {"model": str(asked.model), "stage": str(asked.stage)}
    if is_back and not connection.execute(_HAS_HELD, {**key, "to": asked.to}).scalar_one():
        raise UsageError(
            f"{asked.model}@{asked.to} has never held {asked.stage}: a rollback goes back",
            hint=f"Promote it instead: holdfast promote {asked.model}@{asked.to} --to {asked.stage}",
        )
    history: list[tuple[str, int | None, int | None]] = [tuple(row) for row in connection.execute(_HISTORY, key)]
    history.reverse()
    return last_known_good([*history, (asked.action, ground.number, asked.to)])


def move_of(connection: Connection, key: str) -> Move | None:
    """The move that was made under an idempotency key; see `Registry.move_of`."""
    event = by_key(connection, key)
    return None if event is None or event.action not in MOVES else _done(event)


def _done(event: Event) -> Move:
    return Move(
        model=ModelName(str(event.model)),
        stage=StageName(str(event.stage)),
        action=Action(event.action),
        from_number=None if event.from_number is None else VersionNumber(event.from_number),
        to_number=VersionNumber(int(event.to_number or 0)),
        to_digest=Digest.parse(str(event.to_digest)),
        epoch=int(event.epoch or 0),
        last_known_good=None if event.last_known_good is None else VersionNumber(event.last_known_good),
        event=event.index,
        time=event.time,
        verdict=None if event.verdict is None else Digest.parse(event.verdict),
    )


def _cleared(event: Event) -> Cleared:
    return Cleared(
        model=ModelName(str(event.model)),
        stage=StageName(str(event.stage)),
        number=VersionNumber(int(event.from_number or 0)),
        digest=Digest.parse(str(event.from_digest)),
        epoch=int(event.epoch or 0),
        event=event.index,
        time=event.time,
    )


def _before(connection: Connection, asked: MoveStage, actor: str) -> Event | None:
    """The event of the move, when it was made before under its key."""
    before = earlier(
        connection,
        asked.idempotency_key,
        actor,
        action=asked.action,
        model=str(asked.model),
        stage=str(asked.stage),
        from_number=asked.expect,
        to_number=asked.to,
        reason=asked.reason,
        verdict=None if asked.verdict is None else str(asked.verdict),
        details=plain(asked.details),
    )
    if before is not None and {approval["id"] for approval in before.approvals} != set(asked.approvals):
        raise another_request(before)
    return before


def _lost(connection: Connection, asked: MoveStage | ClearStage, ground: Row[*tuple[Any, ...]]) -> NoReturn:
    mover = connection.execute(select(events).where(events.c.place == ground.event)).one()
    moved = bool(ground.epoch)
    expected, found = _holding(asked.expect), _holding(ground.number)
    how = (
        f"{mover.actor} moved it from {_holding(mover.from_number)} to {_holding(mover.to_number)} "
        f"at {mover.time}, event {mover.place}"
        if moved
        else "nothing has ever held it"
    )
    details: JsonObject = {
        "model": str(asked.model),
        "stage": str(asked.stage),
        "expected": asked.expect,
        "found": ground.number,
        "moved_by": mover.actor if moved else None,
        "moved_at": mover.time if moved else None,
        "moved_from": mover.from_number if moved else None,
        "moved_to": mover.to_number if moved else None,
        "event": mover.place if moved else None,
    }
    raise StageMoved(
        f"{asked.stage} of {asked.model} has moved: expected {expected}, found {found}; {how}",
        hint=f"Look at what holds it now, and decide again: holdfast live {asked.model}",
        **details,
    )


def _holding(number: int | None) -> str:
    return "nothing" if number is None else str(number)
