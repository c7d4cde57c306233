"""Which version held a stage from when to when, how it came and how it went; from the events alone."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from holdfast.canonical import decode
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import POINTING, Action
from holdfast.registry.answers import Spell
from holdfast.registry.asking import SPELLS_MAX
from holdfast.registry.nearest import unknown_stage
from holdfast.registry.records import waivers_in
from holdfast.registry.stages import stages_of
from holdfast.registry.tables import events, verdicts

__all__ = ["history"]


def history(
    connection: Connection, model: ModelName, stage: StageName | None, before: int | None, limit: int
) -> tuple[Spell, ...]:
    """The spells of a stage, or of all, the newest first; see `Questions.history`."""
    if not 1 <= limit <= SPELLS_MAX:
        raise UsageError(f"{limit} spells cannot be asked for at once", hint=f"Ask for 1 to {SPELLS_MAX}.")
    names = [one.name for one in stages_of(connection, str(model))]
    if stage is not None and stage not in names:
        raise unknown_stage(connection, str(model), str(stage))
    found = [
        spell
        for name in (names if stage is None else [stage])
        for spell in _of_stage(connection, model, name, before, limit)
    ]
    return tuple(sorted(found, key=lambda one: one.event, reverse=True)[:limit])


def _of_stage(
    connection: Connection, model: ModelName, stage: StageName, before: int | None, limit: int
) -> Iterator[Spell]:
    moves = _moves(model, stage)
    newest = events.c.place.desc()
    rows_max = 2 * limit  # a stage is never emptied twice in a row: at least every other one begins a spell
    if before is None:
        after, rows = None, connection.execute(moves.order_by(newest).limit(rows_max)).all()
    else:
        # What ended the newest of them stands on the page before.
        after = connection.execute(
            moves.where(events.c.place >= before).order_by(events.c.place).limit(1)
        ).one_or_none()
        rows = connection.execute(moves.where(events.c.place < before).order_by(newest).limit(rows_max)).all()
    for ended, began in pairwise([after, *rows]):
        if began is not None and began.to_number is not None:
            yield _spell(model, stage, began, ended)


def _moves(model: ModelName, stage: StageName) -> Select[*tuple[Any, ...]]:
    columns = (events.c.place, events.c.time, events.c.actor, events.c.action, events.c.from_number)
    more = (events.c.to_number, events.c.to_digest, events.c.reason, events.c.verdict, events.c.details)
    return (
        select(*columns, *more, verdicts.c.outcome)
        .outerjoin(verdicts, verdicts.c.digest == events.c.verdict)
        # Only moves have an epoch, and an index holds them alone.
        .where(events.c.model == str(model), events.c.stage == str(stage), events.c.epoch.is_not(None))
        .where(events.c.action.in_(POINTING))
    )


def _spell(model: ModelName, stage: StageName, began: Row[Any], ended: Row[Any] | None) -> Spell:
    return Spell(
        model=model,
        stage=stage,
        number=VersionNumber(began.to_number),
        digest=Digest.parse(began.to_digest),
        replaced=None if began.from_number is None else VersionNumber(began.from_number),
        action=Action(began.action),
        by=began.actor,
        reason=began.reason,
        verdict=None if began.verdict is None else Digest.parse(began.verdict),
        outcome=began.outcome,
        waived=waivers_in(decode(began.details, what=f"the details of event {began.place}")),
        event=began.place,
        since=from_text(began.time),
        until=None if ended is None else from_text(ended.time),
        ended=None if ended is None else Action(ended.action),
        ended_event=None if ended is None else ended.place,
        ended_reason=None if ended is None else ended.reason,
    )
