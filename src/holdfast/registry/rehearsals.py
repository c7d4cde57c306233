"""Rehearsals: certificates kept under their digests, each with its event."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from holdfast.canonical import encode
from holdfast.database.times import from_text, to_text
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, TooLarge, UsageError
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.certificates import REHEARSALS_MAX, NewRehearsal, Rehearsal, read_rehearsal
from holdfast.registry.events import Entry, append
from holdfast.registry.keys import earlier
from holdfast.registry.stages import find_stage
from holdfast.registry.tables import rehearsals
from holdfast.registry.versions import resolve

__all__ = ["every_rehearsal", "keep"]

_BODY_BYTES_MAX = 1024 * 1024
"""A certificate is a page of steps and figures; what was measured call by call belongs in the store."""

_BY_DIGEST = select(rehearsals).where(rehearsals.c.digest == bindparam("digest"))


def keep(connection: Connection, new: NewRehearsal, now: datetime, actor: str, *, key: str | None = None) -> Rehearsal:
    """Keeps a certificate with its event; see `Registry.put_rehearsal`."""
    body = encode(new.body)
    if len(body) > _BODY_BYTES_MAX:
        raise TooLarge(
            f"the certificate has {len(body)} bytes, and may have {_BODY_BYTES_MAX}",
            hint="Keep what was measured call by call elsewhere.",
            limit=_BODY_BYTES_MAX,
        )
    digest = str(hash_bytes(body))
    entry = Entry(
        Action.ROLLBACK_REHEARSE,
        model=str(new.model),
        stage=str(new.stage),
        from_number=new.from_number,
        from_digest=str(new.from_digest),
        to_number=new.to_number,
        to_digest=str(new.to_digest),
        idempotency_key=key,
        details={"certificate": digest, "outcome": new.outcome},
    )
    earlier(
        connection, key, actor, action=entry.action, model=entry.model, stage=entry.stage, details=dict(entry.details)
    )
    there = connection.execute(_BY_DIGEST, {"digest": digest}).one_or_none()
    if there is not None:
        return _load(there)
    find_stage(connection, new.model, new.stage)
    for number, said in ((new.from_number, new.from_digest), (new.to_number, new.to_digest)):
        found = resolve(connection, Reference(new.model, ByNumber(number)))
        if found.digest != said:
            raise UsageError(
                f"{new.model}@{number} is {found.digest}, and {said} was rehearsed",
                hint="Rehearse the version that is there.",
            )
    event = append(connection, entry, now, actor)
    connection.execute(
        insert(rehearsals),
        {
            "digest": digest,
            "model": str(new.model),
            "stage": str(new.stage),
            "from_number": new.from_number,
            "to_number": new.to_number,
            "outcome": new.outcome,
            "body": body,
            "event": event.index,
            "created_at": to_text(event.time),
            "created_by": actor,
        },
    )
    return _load(connection.execute(_BY_DIGEST, {"digest": digest}).one())


def every_rehearsal(
    connection: Connection, model: ModelName, stage: StageName, to: VersionNumber | None, limit: int
) -> tuple[Rehearsal, ...]:
    """The rehearsals of a stage, newest first; see `Registry.rehearsals`."""
    if not 1 <= limit <= REHEARSALS_MAX:
        raise UsageError(f"{limit} rehearsals cannot be asked for at once", hint=f"Ask for 1 to {REHEARSALS_MAX}.")
    find_stage(connection, model, stage)
    statement = (
        select(rehearsals)
        .where(rehearsals.c.model == str(model), rehearsals.c.stage == str(stage))
        .order_by(rehearsals.c.event.desc())
        .limit(limit)
    )
    if to is not None:
        statement = statement.where(rehearsals.c.to_number == to)
    return tuple(_load(row) for row in connection.execute(statement))


def _load(row: Row[Any]) -> Rehearsal:
    found = hash_bytes(row.body)
    if str(found) != row.digest:
        raise IntegrityError(
            f"the certificate {row.digest} holds bytes that hash to {found}",
            hint="Run: holdfast audit verify",
            expected=row.digest,
            found=str(found),
        )
    return Rehearsal(found, read_rehearsal(row.body), row.event, from_text(row.created_at), row.created_by)
