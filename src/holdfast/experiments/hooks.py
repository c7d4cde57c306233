"""What MLflow's clients say of webhooks, beside the webhooks themselves; and what a message of theirs tells.

    hooks (here)              webhooks (of the registry)
    name, events, status ──── url, secret, how far it is in the log

An event of MLflow's is one of the log's, or is not told: MLflow tells of tags, which the log has not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.tables import (
    aliases,
    hooks,
    registered_model_tags,
    registered_models,
    registered_version_tags,
    registered_versions,
)
from holdfast.registry.actions import MOVES, Action
from holdfast.registry.records import Event

__all__ = ["EVENTS", "Hook", "HookEvent", "HookStatus", "SqlHooks", "event_of"]

EVENTS = MappingProxyType(
    {
        ("registered_model", "created"): frozenset({Action.MODEL_CREATE, Action.MODEL_READMIT}),
        ("model_version", "created"): frozenset(
            {Action.VERSION_REGISTER, Action.VERSION_ADOPT, Action.VERSION_IMPORT, Action.VERSION_READMIT}
        ),
        ("model_version_alias", "created"): MOVES,
        ("model_version_alias", "deleted"): frozenset({Action.STAGE_CLEAR}),
    }
)
"""MLflow's events, and the actions of the log that they are."""

_UNTOLD = frozenset(
    {
        ("model_version_tag", "set"),
        ("model_version_tag", "deleted"),
        ("prompt", "created"),
        ("prompt_version", "created"),
        ("prompt_tag", "set"),
        ("prompt_tag", "deleted"),
        ("prompt_version_tag", "set"),
        ("prompt_version_tag", "deleted"),
        ("prompt_alias", "created"),
        ("prompt_alias", "deleted"),
        ("budget_policy", "exceeded"),
    }
)
"""MLflow's other events."""

_HOOK = select(hooks).where(hooks.c.id == bindparam("hook"))

_MODEL = select(registered_models.c.name, registered_models.c.description).where(
    registered_models.c.model == bindparam("model")
)

_MODEL_TAGS = select(registered_model_tags.c.key, registered_model_tags.c.value).where(
    registered_model_tags.c.model == bindparam("model")
)

_VERSION = select(registered_versions.c.source, registered_versions.c.run, registered_versions.c.description).where(
    registered_versions.c.model == bindparam("model"), registered_versions.c.number == bindparam("number")
)

_VERSION_TAGS = select(registered_version_tags.c.key, registered_version_tags.c.value).where(
    registered_version_tags.c.model == bindparam("model"), registered_version_tags.c.number == bindparam("number")
)

_ALIAS = select(aliases.c.alias).where(aliases.c.model == bindparam("model"), aliases.c.stage == bindparam("stage"))

HookEvent = tuple[str, str]
"""An entity and an action in MLflow's words, such as `("model_version", "created")`."""


class HookStatus(StrEnum):
    """Whether a webhook is told; what happens while it is not, it never hears of."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class Hook:
    """What a client said of a webhook.

    Attributes:
        id: of the webhook.
        name: as the client calls it.
        description: None where there is none.
        events: those that it asked for.
        status: whether it is told of them.
        created_ms: when it was made, in milliseconds since 1970.
        updated_ms: when it was last changed.
    """

    id: str
    name: str
    description: str | None
    events: tuple[HookEvent, ...]
    status: HookStatus
    created_ms: int
    updated_ms: int

    def actions(self) -> tuple[str, ...]:
        """The actions of the log that it asks for, by name."""
        return tuple(sorted({str(action) for event in self.events for action in EVENTS[event]}))

    def told(self, action: str) -> HookEvent | None:
        """What an action of the log is to it; None where it is told nothing."""
        if self.status is not HookStatus.ACTIVE:
            return None
        return next((event for event in self.events if action in EVENTS[event]), None)


def event_of(entity: str, action: str) -> HookEvent:
    """The event that a client names.

    Raises:
        UsageError: there is none such, or it is one that nobody is told of here.
    """
    event = (entity.lower(), action.lower())
    if event in EVENTS:
        return event
    if event in _UNTOLD:
        raise UsageError(
            f"Webhooks of this server are not told of {event[0]}.{event[1]}: its log has no such event. "
            f"They are told of {', '.join(sorted('.'.join(one) for one in EVENTS))}.",
            hint="Leave it out.",
        )
    known = sorted({action for entity, action in (*EVENTS, *_UNTOLD) if entity == event[0]})
    raise UsageError(
        f"Invalid action '{event[1]}' for entity '{event[0]}'. Valid actions are: {known}", hint="Take one of them."
    )


class SqlHooks:
    """What clients said of webhooks, in the database.

    Args:
        database: at the schema of this Holdfast.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, hook: Hook) -> None:
        """Keep what is said of a webhook that is about to be added."""
        with self._database.change() as connection:
            connection.execute(insert(hooks), _row(hook))

    def find(self, hook: str) -> Hook:
        """What is said of a webhook.

        Raises:
            NotFound: nothing is.
        """
        found = self.maybe(hook)
        if found is None:
            raise NotFound(f"Webhook with ID {hook} not found.", hint="List the webhooks.")
        return found

    def maybe(self, hook: str) -> Hook | None:
        """What is said of a webhook; None for one of Holdfast's own."""
        with self._database.read() as connection:
            row = connection.execute(_HOOK, {"hook": hook}).one_or_none()
        return None if row is None else _hook(row)

    def all(self) -> list[Hook]:
        """All that is said, the newest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(hooks).order_by(hooks.c.created_ms.desc(), hooks.c.id)).all()
        return [_hook(row) for row in rows]

    def change(self, hook: Hook, moment_ms: int) -> Hook:
        """Keep what is said from now on."""
        changed = replace(hook, updated_ms=moment_ms)
        with self._database.change() as connection:
            connection.execute(update(hooks).where(hooks.c.id == hook.id).values(_row(changed)))
        return changed

    def remove(self, hook: str) -> None:
        """Forget what is said."""
        with self._database.change() as connection:
            connection.execute(delete(hooks).where(hooks.c.id == hook))

    def data(self, told: HookEvent, event: Event) -> JsonObject:
        """What a message says of an event, as it stands now; a model has the name that MLflow's clients call it by."""
        keys: dict[str, Any] = {"model": event.model, "number": event.to_number, "stage": event.stage}
        with self._database.view() as connection:
            model = connection.execute(_MODEL, keys).one_or_none()
            name = event.model if model is None else model.name
            if told[0] == "registered_model":
                tags = _pairs(connection.execute(_MODEL_TAGS, keys).all())
                return {"name": name, "tags": tags, "description": None if model is None else model.description}
            if told[0] == "model_version_alias":
                alias = connection.execute(_ALIAS, keys).scalar_one_or_none() or event.stage
                target = {} if told[1] == "deleted" else {"version": str(event.to_number)}
                return {"name": name, "alias": alias, **target}
            version = connection.execute(_VERSION, keys).one_or_none()
            return {
                "name": name,
                "version": str(event.to_number),
                "source": None if version is None else version.source,
                "run_id": None if version is None else version.run,
                "tags": _pairs(connection.execute(_VERSION_TAGS, keys).all()),
                "description": None if version is None else version.description,
            }


def _pairs(rows: Sequence[Row[*tuple[Any, ...]]]) -> dict[str, str]:
    return {row.key: row.value for row in sorted(rows, key=lambda row: str(row.key))}


def _row(hook: Hook) -> Mapping[str, Any]:
    return {
        "id": hook.id,
        "name": hook.name,
        "description": hook.description,
        "events": json.dumps(hook.events),
        "status": str(hook.status),
        "created_ms": hook.created_ms,
        "updated_ms": hook.updated_ms,
    }


def _hook(row: Row[*tuple[Any, ...]]) -> Hook:
    events = tuple((str(entity), str(action)) for entity, action in json.loads(row.events))
    return Hook(row.id, row.name, row.description, events, HookStatus(row.status), row.created_ms, row.updated_ms)
