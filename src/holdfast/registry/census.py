"""What a server measures of its database: how long the log is, which replicas serve what, how far webhooks are."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from holdfast.database.engine import Database
from holdfast.database.times import to_text
from holdfast.registry.tables import events, replicas, webhooks

__all__ = ["Behind", "Census", "Serving", "SqlCensus"]

_FRESH = timedelta(seconds=60)
"""A replica reports every few seconds: one that was silent for a minute serves nothing that anybody knows of."""

_ROWS_MAX = 1_000
"""Lines of one kind in an answer: whoever has more kinds of replicas wants another way to count them."""


@dataclass(frozen=True, slots=True)
class Serving:
    """So many replicas of a stage serve a version, or are on their way to it."""

    model: str
    stage: str
    version: int | None
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Behind:
    """A webhook, and how many events lie before it."""

    webhook: str
    state: str
    events: int


@dataclass(frozen=True, slots=True)
class Census:
    """What was counted at one moment."""

    events: int
    replicas: tuple[Serving, ...]
    webhooks: tuple[Behind, ...]


class SqlCensus:
    """Counts in a database.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def take(self) -> Census:
        """Count, in three statements over small tables and the end of an index."""
        kinds = (replicas.c.model, replicas.c.stage, replicas.c.number, replicas.c.state)
        serving = (
            select(*kinds, func.count().label("total"))
            .where(replicas.c.reported_at >= to_text(self._clock() - _FRESH))
            .group_by(*kinds)
            .order_by(*kinds[:2])
            .limit(_ROWS_MAX)
        )
        with self._database.view() as connection:
            size = connection.execute(select(func.coalesce(func.max(events.c.place) + 1, 0))).scalar_one()
            hooks = select(webhooks.c.id, webhooks.c.state, webhooks.c.next_event).order_by(webhooks.c.id)
            return Census(
                events=size,
                replicas=tuple(Serving(*row) for row in connection.execute(serving)),
                webhooks=tuple(
                    Behind(row.id, row.state, max(0, size - row.next_event)) for row in connection.execute(hooks)
                ),
            )
