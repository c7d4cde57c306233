"""Stages: defining them and reading them as they stand."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select

from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, TooLarge
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append
from holdfast.registry.keys import earlier
from holdfast.registry.nearest import require_model, unknown_stage
from holdfast.registry.records import Event
from holdfast.registry.tables import stages, versions
from holdfast.registry.values import Stage

__all__ = ["begin", "define", "epoch_of", "find_stage", "look_up", "stages_of"]

_STAGES_MAX = 64
"""A person must be able to read the list; nobody was seen with more than a dozen."""

_WITH_DIGEST = select(stages, versions.c.digest).outerjoin(
    versions, (versions.c.model == stages.c.model) & (versions.c.number == stages.c.number)
)

_ONE = _WITH_DIGEST.where(stages.c.model == bindparam("model"), stages.c.name == bindparam("name"))

_ALL = _WITH_DIGEST.where(stages.c.model == bindparam("model")).order_by(stages.c.name)

_EPOCH = select(stages.c.epoch).where(stages.c.model == bindparam("model"), stages.c.name == bindparam("name"))


def begin(connection: Connection, event: Event, names: Iterable[str]) -> None:
    """Adds empty stages whose beginning the event records.

    Raises:
        TooLarge: the model would have more stages than a model can have.
    """
    fresh = [
        {
            "model": event.model,
            "name": name,
            "number": None,
            "epoch": 0,
            "last_known_good": None,
            "event": event.index,
            "changed_at": to_text(event.time),
        }
        for name in names
    ]
    there = connection.execute(
        select(func.count()).select_from(stages).where(stages.c.model == event.model)
    ).scalar_one()
    if there + len(fresh) > _STAGES_MAX:
        raise TooLarge(
            f"{event.model} would have {there + len(fresh)} stages, and may have {_STAGES_MAX}",
            hint="Use another model, or a stage that is there.",
            limit=_STAGES_MAX,
        )
    if fresh:
        connection.execute(insert(stages), fresh)


def define(
    connection: Connection, model: ModelName, name: StageName, now: datetime, actor: str, *, key: str | None = None
) -> Stage:
    """Adds an empty stage; see `Registry.define_stage`."""
    require_model(connection, str(model))
    entry = Entry(Action.STAGE_DEFINE, str(model), str(name), idempotency_key=key)
    before = earlier(connection, key, actor, action=entry.action, model=entry.model, stage=entry.stage)
    if before is not None:
        return _as_defined(before)
    if connection.execute(_ONE, {"model": str(model), "name": str(name)}).one_or_none() is not None:
        raise AlreadyExists(
            f"{model} has a stage {name} already", hint="Promote a version to it.", model=str(model), stage=str(name)
        )
    event = append(connection, entry, now, actor)
    begin(connection, event, [str(name)])
    return _as_defined(event)


def _as_defined(event: Event) -> Stage:
    """A stage as it stood when it was defined, whatever has moved it since."""
    return Stage(
        model=ModelName(str(event.model)),
        name=StageName(str(event.stage)),
        number=None,
        digest=None,
        epoch=0,
        last_known_good=None,
        event=None,
        changed_at=event.time,
    )


def find_stage(connection: Connection, model: ModelName, name: StageName) -> Stage:
    """The stage as it stands, by one statement; see `Registry.stage`."""
    found = look_up(connection, model, name)
    if found is None:
        raise unknown_stage(connection, str(model), str(name))
    return found


def look_up(connection: Connection, model: ModelName, name: StageName) -> Stage | None:
    """The stage as it stands, when it is there; one statement in any case."""
    row = connection.execute(_ONE, {"model": str(model), "name": str(name)}).one_or_none()
    return None if row is None else _load(row)


def stages_of(connection: Connection, model: str) -> tuple[Stage, ...]:
    """The stages of a model, by name; see `Registry.stages`."""
    found = tuple(_load(row) for row in connection.execute(_ALL, {"model": model}))
    if not found:
        require_model(connection, model)
    return found


def epoch_of(connection: Connection, model: ModelName, name: StageName) -> int:
    """The stage's epoch, by one statement; see `Registry.stage_epoch`."""
    epoch = connection.execute(_EPOCH, {"model": str(model), "name": str(name)}).scalar_one_or_none()
    if epoch is None:
        raise unknown_stage(connection, str(model), str(name))
    return int(epoch)


def _load(row: Row[Any]) -> Stage:
    return Stage(
        model=ModelName(row.model),
        name=StageName(row.name),
        number=None if row.number is None else VersionNumber(row.number),
        digest=None if row.digest is None else Digest.parse(row.digest),
        epoch=row.epoch,
        last_known_good=None if row.last_known_good is None else VersionNumber(row.last_known_good),
        event=row.event if row.epoch else None,
        changed_at=from_text(row.changed_at),
    )
