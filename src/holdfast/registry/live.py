"""What was live, and when, from the events alone: the pointers are not asked, so that they can be doubted."""

from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, select

from holdfast.canonical import decode
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import POINTING, Action
from holdfast.registry.nearest import require_model
from holdfast.registry.records import Holding, Live, waivers_in
from holdfast.registry.tables import events
from holdfast.registry.whereabouts import Tenure

__all__ = ["live", "tenures"]


def live(connection: Connection, model: ModelName, at: datetime | None) -> Live:
    """What held each stage at a moment, the moment itself included; see `Registry.live`."""
    require_model(connection, str(model))
    until = []
    if at is not None:
        # An event is never earlier than the one before it: the moment is a place in the log, found in one look.
        last = select(events.c.place).where(events.c.time <= to_text(at))
        place = connection.scalars(last.order_by(events.c.time.desc(), events.c.place.desc()).limit(1)).one_or_none()
        until = [events.c.place <= (-1 if place is None else place)]
    begun = select(events.c.action, events.c.stage, events.c.details).where(
        events.c.model == str(model), events.c.action.in_((Action.MODEL_CREATE, Action.STAGE_DEFINE)), *until
    )
    names: set[str] = set()
    for row in connection.execute(begun):
        if row.action == Action.STAGE_DEFINE:
            names.add(row.stage)
        else:
            names.update(decode(row.details, what=f"the beginning of {model}")["stages"])
    columns = (events.c.place, events.c.time, events.c.actor, events.c.to_number, events.c.to_digest, events.c.details)
    # Only moves have an epoch, and an index holds them alone: a thousand refusals between two moves cost nothing.
    moves = select(*columns).where(
        events.c.model == str(model), events.c.epoch.is_not(None), events.c.action.in_(POINTING), *until
    )
    held: dict[str, Holding | None] = {}
    for name in sorted(names):
        move = moves.where(events.c.stage == name)
        row_or_none = connection.execute(move.order_by(events.c.place.desc()).limit(1)).one_or_none()
        held[name] = None if row_or_none is None or row_or_none.to_number is None else _holding(row_or_none)
    return Live(model, at, held)


def tenures(connection: Connection) -> tuple[Tenure, ...]:
    """Each time that a version held a stage; see `Registry.tenures`."""
    columns = (events.c.place, events.c.time, events.c.model, events.c.stage, events.c.to_number)
    rows = connection.execute(select(*columns).where(events.c.action.in_(POINTING)).order_by(events.c.place))
    by_stage: dict[tuple[str, str], list[Row[*tuple[Any, ...]]]] = {}
    for row in rows:
        by_stage.setdefault((row.model, row.stage), []).append(row)
    found = [
        Tenure(
            model=ModelName(model),
            stage=StageName(stage),
            number=VersionNumber(began.to_number),
            event=began.place,
            since=from_text(began.time),
            until=None if ended is None else from_text(ended.time),
        )
        for (model, stage), moves in by_stage.items()
        for began, ended in pairwise([*moves, None])
        if began is not None and began.to_number is not None
    ]
    return tuple(sorted(found, key=lambda one: one.event))


def _holding(row: Row[*tuple[Any, ...]]) -> Holding:
    return Holding(
        version=VersionNumber(row.to_number),
        digest=Digest.parse(row.to_digest),
        since=from_text(row.time),
        by=row.actor,
        event=row.place,
        waived=waivers_in(decode(row.details, what=f"the details of event {row.place}")),
    )
