"""Rollouts in a database as they are read: each as its newest row says, unless its stage has moved since.

Nothing is written when a stage moves: that a rollout is superseded is seen by the epoch of its stage.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, or_, select

from holdfast.canonical import decode
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.nearest import unknown_stage
from holdfast.registry.rollouts import ROLLOUTS_MAX, Rollout, RolloutKind, RolloutState, RouteMark
from holdfast.registry.stages import find_stage
from holdfast.registry.tables import rollouts, stages

__all__ = ["STANDING", "THIS_KIND", "as_of", "every_rollout", "find_rollout", "mark", "step_of"]

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


def _standing(newest: ColumnElement[Any]) -> Select[Any]:
    """Of the rollouts whose newest events are `newest`, those that can be turned."""
    return (
        select(_newest.c.rollout, _newest.c.model, _newest.c.stage, _newest.c.number, _newest.c.kind, _newest.c.step)
        .join(stages, (stages.c.model == _newest.c.model) & (stages.c.name == _newest.c.stage))
        .where(_newest.c.event == newest, _STANDS, _newest.c.epoch == stages.c.epoch)
    )


_ROWS = select(func.max(rollouts.c.event))

STANDING = _standing(_ROWS.where(rollouts.c.rollout == _newest.c.rollout).scalar_subquery())
"""All rollouts in which replicas take part."""

_THIS = _standing(_ROWS.where(rollouts.c.rollout == bindparam("rollout")).scalar_subquery())

_OF_THIS_KIND = (
    (rollouts.c.model == bindparam("model"))
    & (rollouts.c.stage == bindparam("stage"))
    & (rollouts.c.kind == bindparam("kind"))
)

THIS_KIND = _standing(_ROWS.where(_OF_THIS_KIND).scalar_subquery())
"""The one of a kind that stands beside a stage: no other can have the newest event of its kind there."""

_MARK = select(
    stages.c.epoch,
    select(func.coalesce(func.max(rollouts.c.event), 0))
    .where(rollouts.c.model == bindparam("model"), rollouts.c.stage == bindparam("stage"))
    .scalar_subquery(),
).where(stages.c.model == bindparam("model"), stages.c.name == bindparam("stage"))


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


def as_of(connection: Connection, event: int) -> Rollout:
    """A rollout as it was written with an event, whatever has come since: what its writer was answered."""
    return _load(connection.execute(_AS_OF, {"event": event}).one(), as_written=True)


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
