"""Writing down what changed nothing but the log."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from holdfast.canonical import plain
from holdfast.names import ByNumber, ModelName, Reference, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append
from holdfast.registry.judgements import require_verdict
from holdfast.registry.keys import earlier
from holdfast.registry.ledger_pages import require_page
from holdfast.registry.nearest import require_model
from holdfast.registry.records import Event, NewEvent
from holdfast.registry.versions import resolve

__all__ = ["record"]


def record(connection: Connection, new: NewEvent, now: datetime, actor: str, *, key: str | None = None) -> Event:
    """Writes an event behind the last; see `Registry.record`."""
    model = None if new.model is None else str(new.model)
    said: dict[str, Any] = {
        "action": new.action,
        "model": model,
        "stage": None if new.stage is None else str(new.stage),
        "from_number": new.from_number,
        "to_number": new.to_number,
        "reason": new.reason,
        "verdict": None if new.verdict is None else str(new.verdict),
        "details": plain(new.details),
    }
    before = earlier(connection, key, actor, **said)
    if before is not None:
        return before
    if model is not None:
        require_model(connection, model)
    if new.action is Action.PAGE_SEAL:
        require_page(new)  # whoever deletes believes what it says of how long it is kept
    if new.verdict is not None:
        require_verdict(connection, new.verdict, str(model), new.to_number or 0)
    entry = Entry(
        **said,
        idempotency_key=key,
        from_digest=_digest(connection, new.model, new.from_number),
        to_digest=_digest(connection, new.model, new.to_number),
    )
    return append(connection, entry, now, actor)


def _digest(connection: Connection, model: ModelName | None, number: VersionNumber | None) -> str | None:
    if model is None or number is None:
        return None
    return str(resolve(connection, Reference(model, ByNumber(number))).digest)
