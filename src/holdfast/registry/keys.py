"""Idempotency keys: the same request again gives the answer that it had, and writes nothing.

A key stands in the event that its request caused, and nowhere else: the answer is made from that event, or from what
the event made and nothing can change since. A request that wrote nothing leaves its key free.
"""

from uuid import uuid4

from sqlalchemy import Connection

from holdfast.errors import UsageError
from holdfast.registry.events import by_key
from holdfast.registry.records import Event

__all__ = ["another_request", "earlier", "fresh_key"]


def fresh_key() -> str:
    """A key that no request has had."""
    return uuid4().hex


def earlier(connection: Connection, key: str | None, actor: str, **said: object) -> Event | None:
    """The event that this request caused when it was made before; None when it was not, or has no key.

    Args:
        connection: of the single writer, so that nobody makes the same request meanwhile.
        key: of the request.
        actor: who asks.
        said: the fields of the event that the request decides; the others were the registry's to fill in.

    Raises:
        UsageError: the key belongs to another request.
    """
    before = None if key is None else by_key(connection, key)
    if before is None:
        return None
    if before.actor != actor or any(getattr(before, name) != value for name, value in said.items()):
        raise another_request(before)
    return before


def another_request(before: Event) -> UsageError:
    """The error for a key that another request has had."""
    return UsageError(
        f"the idempotency key {before.idempotency_key!r} belongs to another request, event {before.index}",
        hint="Take a new key for a new request.",
        event=before.index,
    )
