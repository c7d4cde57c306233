"""Replicas: what each serving process says it serves. Mutable, and no part of the log."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, text, update

from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.tables import replicas
from holdfast.registry.values import Replica, ReplicaState

__all__ = ["live_replicas", "report"]

_KEPT = timedelta(days=7)
"""A replica that has been silent for a week is of no interest to a person looking for what went wrong."""

_UPDATE = (
    update(replicas)
    .where(replicas.c.id == bindparam("of_id"))
    .values({column.name: bindparam(column.name) for column in replicas.c if column.name != "id"})
)


_SET = ", ".join(f"{column.name} = excluded.{column.name}" for column in replicas.c if column.name != "id")

# Valid on SQLite and PostgreSQL alike. Two first reports of one replica may meet: the later one stands.
_ADD = text(
    f"INSERT INTO replicas ({', '.join(column.name for column in replicas.c)}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join(f':{column.name}' for column in replicas.c)}) ON CONFLICT (id) DO UPDATE SET {_SET}"
)

# Rows that somebody else is taking away are left to them: two who delete would otherwise wait for each other.
_FORGET = delete(replicas).where(
    replicas.c.id.in_(
        select(replicas.c.id).where(replicas.c.reported_at < bindparam("until")).with_for_update(skip_locked=True)
    )
)


def report(connection: Connection, replica: Replica, now: datetime) -> Replica:
    """Takes a replica's word; see `Registry.report`."""
    row = {
        "model": str(replica.model),
        "stage": str(replica.stage),
        "host": replica.host,
        "pid": replica.pid,
        "url": replica.url,
        "number": replica.number,
        "digest": None if replica.digest is None else str(replica.digest),
        "epoch": replica.epoch,
        "state": str(replica.state),
        "error": replica.error,
        "started_at": to_text(replica.started_at),
        "reported_at": to_text(now),
        "since": None if replica.since is None else to_text(replica.since),
    }
    if connection.execute(_UPDATE, {**row, "of_id": replica.id}).rowcount == 0:
        connection.execute(_FORGET, {"until": to_text(now - _KEPT)})
        connection.execute(_ADD, {**row, "id": replica.id})
    return replace(replica, reported_at=now)


def live_replicas(connection: Connection, model: ModelName, stage: StageName, since: datetime) -> tuple[Replica, ...]:
    """The replicas of a stage that have not stopped, and have spoken since; see `Registry.live_replicas`."""
    rows = connection.execute(
        select(replicas)
        .where(
            replicas.c.model == str(model),
            replicas.c.stage == str(stage),
            replicas.c.state != str(ReplicaState.STOPPED),
            replicas.c.reported_at >= to_text(since),
        )
        .order_by(replicas.c.started_at, replicas.c.id)
    )
    return tuple(_load(row) for row in rows)


def _load(row: Row[Any]) -> Replica:
    return Replica(
        id=row.id,
        model=ModelName(row.model),
        stage=StageName(row.stage),
        host=row.host,
        pid=row.pid,
        url=row.url,
        number=None if row.number is None else VersionNumber(row.number),
        digest=None if row.digest is None else Digest.parse(row.digest),
        epoch=row.epoch,
        state=ReplicaState(row.state),
        error=row.error,
        started_at=from_text(row.started_at),
        reported_at=from_text(row.reported_at),
        since=None if row.since is None else from_text(row.since),
    )
