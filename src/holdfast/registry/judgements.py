"""Judgements: the verdicts of gates and the approvals of people, bound to the digests of what was judged."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, bindparam, func, insert, literal, select

from holdfast.canonical import JsonObject, decode, encode, plain
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, IntegrityError, NotFound, TooLarge, UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append
from holdfast.registry.interface import JUDGED_MAX
from holdfast.registry.keys import earlier
from holdfast.registry.nearest import require_model, unknown_version
from holdfast.registry.records import Approval, Meaning, NewApproval, NewVerdict, Verdict, VerdictEntry
from holdfast.registry.stages import find_stage
from holdfast.registry.tables import approvals, verdicts, versions
from holdfast.registry.values import MoveStage

__all__ = [
    "approvals_of",
    "approve",
    "for_move",
    "judged_on",
    "keep",
    "load_approval",
    "require_verdict",
    "verdict_of",
    "verdicts_of",
]

_BODY_BYTES_MAX = 4 * 1024 * 1024
"""Findings by slice for hundreds of slices are a few hundred kilobytes; predictions belong in the store."""

_APPROVALS_MAX = 32
"""Approvals of one move: they stand in its event."""

_ACTIONS = {Meaning.APPROVE: Action.VERSION_APPROVE, Meaning.REJECT: Action.VERSION_REJECT}

_DIGEST = select(versions.c.digest).where(
    versions.c.model == bindparam("model"), versions.c.number == bindparam("number")
)

_APPROVAL = select(approvals).where(approvals.c.id == bindparam("id"))

_VERDICT = select(verdicts).where(verdicts.c.digest == bindparam("digest"))

_BLOBS_MAX = 256
"""Blobs of one verdict: its answers, and what single rules keep of theirs."""

_VERDICT_FOR = select(verdicts.c.model, verdicts.c.number).where(verdicts.c.digest == bindparam("digest"))


def _digest_of(connection: Connection, model: ModelName, number: int) -> str:
    found = connection.execute(_DIGEST, {"model": str(model), "number": number}).scalar_one_or_none()
    if found is None:
        raise unknown_version(connection, str(model), str(number))
    return str(found)


def require_verdict(connection: Connection, digest: Digest, model: str, number: int) -> None:
    """Makes sure that the verdict is in the registry and speaks of this version.

    Raises:
        NotFound: no such verdict.
        UsageError: it is the verdict of another version.
    """
    row = connection.execute(_VERDICT_FOR, {"digest": str(digest)}).one_or_none()
    if row is None:
        raise _no_verdict(digest)
    if (row.model, row.number) != (model, number):
        raise UsageError(
            f"the verdict {digest} is that of {row.model}@{row.number}, not of {model}@{number}",
            hint=f"Let the gate judge this one: holdfast gate {model}@{number}",
        )


def _no_verdict(digest: Digest) -> NotFound:
    return NotFound(f"there is no verdict {digest}", hint="Keep the verdict before what rests on it.")


def approve(
    connection: Connection, new: NewApproval, id_: str, now: datetime, actor: str, *, key: str | None = None
) -> Approval:
    """Writes down a judgement with its event; see `Registry.approve`."""
    found = _digest_of(connection, new.model, new.number)
    if found != str(new.digest):
        raise UsageError(
            f"{new.model}@{new.number} is {found}, and {new.digest} was judged",
            hint="Look at the version that is there, and judge that.",
        )
    find_stage(connection, new.model, new.stage)
    if new.verdict is not None:
        require_verdict(connection, new.verdict, str(new.model), new.number)
    said: dict[str, Any] = {
        "action": _ACTIONS[new.meaning],
        "model": str(new.model),
        "stage": str(new.stage),
        "to_number": new.number,
        "to_digest": str(new.digest),
        "reason": new.reason,
        "verdict": None if new.verdict is None else str(new.verdict),
    }
    before = earlier(connection, key, actor, **said)
    if before is not None:
        return load_approval(connection.execute(_APPROVAL, {"id": before.details["approval"]}).one())
    event = append(connection, Entry(**said, idempotency_key=key, details={"approval": id_}), now, actor)
    connection.execute(
        insert(approvals),
        {
            "id": id_,
            "model": str(new.model),
            "number": new.number,
            "digest": str(new.digest),
            "stage": str(new.stage),
            "verdict": event.verdict,
            "approver": actor,
            "meaning": str(new.meaning),
            "reason": new.reason,
            "created_at": to_text(event.time),
        },
    )
    return Approval(
        id=id_,
        model=new.model,
        number=new.number,
        digest=new.digest,
        stage=new.stage,
        meaning=new.meaning,
        approver=actor,
        reason=new.reason,
        verdict=new.verdict,
        created_at=event.time,
    )


def load_approval(row: Row[Any]) -> Approval:
    """The approval that a row holds."""
    return Approval(
        id=row.id,
        model=ModelName(row.model),
        number=VersionNumber(row.number),
        digest=Digest.parse(row.digest),
        stage=StageName(row.stage),
        meaning=Meaning(row.meaning),
        approver=row.approver,
        reason=row.reason,
        verdict=None if row.verdict is None else Digest.parse(row.verdict),
        created_at=from_text(row.created_at),
    )


def approvals_of(connection: Connection, model: ModelName, number: int) -> tuple[Approval, ...]:
    """All judgements of a version, oldest first; see `Registry.approvals`."""
    _digest_of(connection, model, number)
    rows = connection.execute(
        select(approvals)
        .where(approvals.c.model == str(model), approvals.c.number == number)
        .order_by(approvals.c.created_at, approvals.c.id)
    )
    return tuple(load_approval(row) for row in rows)


def for_move(connection: Connection, asked: MoveStage) -> tuple[JsonObject, ...]:
    """The approvals that a move rests on, as its event carries them.

    Raises:
        NotFound: no such approval.
        UsageError: a rejection, or one for another version, another stage or another verdict.
        TooLarge: more than an event can carry.
    """
    wanted = sorted(set(asked.approvals))
    if not wanted:
        return ()
    if len(wanted) > _APPROVALS_MAX:
        raise TooLarge(
            f"{len(wanted)} approvals were named, and an event carries {_APPROVALS_MAX}",
            hint="Name those that the policy asks for.",
            limit=_APPROVALS_MAX,
        )
    rows = connection.execute(select(approvals).where(approvals.c.id.in_(wanted)).order_by(approvals.c.id))
    found = {row.id: load_approval(row) for row in rows}
    for id_ in wanted:
        if id_ not in found:
            raise NotFound(f"there is no approval {id_}", hint=f"See: holdfast show {asked.model}@{asked.to}")
        approval = found[id_]
        good = (
            approval.meaning is Meaning.APPROVE
            and (approval.model, approval.number, approval.stage) == (asked.model, asked.to, asked.stage)
            and approval.verdict in {None, asked.verdict}
        )
        if not good:
            raise UsageError(
                f"the approval {id_} does not approve {asked.model}@{asked.to} for {asked.stage} on this verdict",
                hint=f"Ask for one: holdfast approve {asked.model}@{asked.to} --stage {asked.stage}",
            )
    return tuple(found[id_].to_json() for id_ in wanted)


def keep(connection: Connection, new: NewVerdict, now: datetime) -> Verdict:
    """Keeps a verdict under its digest; see `Registry.put_verdict`."""
    body = encode(plain(new.body))
    if len(body) > _BODY_BYTES_MAX:
        raise TooLarge(
            f"the verdict has {len(body)} bytes, and may have {_BODY_BYTES_MAX}",
            hint="Keep the findings in it, and put the data they rest on into the store.",
            limit=_BODY_BYTES_MAX,
        )
    _refuse_wrong_blobs(new.body.get("blobs", []))
    _digest_of(connection, new.model, new.number)
    find_stage(connection, new.model, new.stage)
    digest = str(hash_bytes(body))
    row = {
        "digest": digest,
        "model": str(new.model),
        "number": new.number,
        "stage": str(new.stage),
        "outcome": new.outcome,
        "body": body,
        "created_at": to_text(now),
    }
    there = connection.execute(_VERDICT, {"digest": digest}).one_or_none()
    if there is None:
        connection.execute(insert(verdicts), row)
    elif any(getattr(there, name) != row[name] for name in ("model", "number", "stage", "outcome")):
        raise AlreadyExists(
            f"this verdict was kept for {there.model}@{there.number} and {there.stage}, with outcome {there.outcome}",
            hint="A verdict's body must name the version and the stage that it judges.",
            verdict=digest,
        )
    return _load_verdict(connection.execute(_VERDICT, {"digest": digest}).one())


def _refuse_wrong_blobs(said: object) -> None:
    """Refuse what `gc` could not read: it must know what every verdict keeps."""
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise UsageError("the blobs of a verdict are a list of digests", hint="Leave blobs out where it keeps none.")
    if len(said) > _BLOBS_MAX:
        raise TooLarge(
            f"the verdict keeps {len(said)} blobs, and may keep {_BLOBS_MAX}",
            hint="Keep what belongs together in one blob.",
            limit=_BLOBS_MAX,
        )
    for one in said:
        Digest.parse(one)


def verdict_of(connection: Connection, digest: Digest) -> Verdict:
    """The verdict with this digest, checked against it; see `Registry.verdict`."""
    row = connection.execute(_VERDICT, {"digest": str(digest)}).one_or_none()
    if row is None:
        raise _no_verdict(digest)
    return _load_verdict(row)


def verdicts_of(
    connection: Connection,
    *,
    model: ModelName | None,
    number: VersionNumber | None,
    stage: StageName | None,
    beginning: str,
    after: Digest | None,
    limit: int,
) -> tuple[VerdictEntry, ...]:
    """Verdicts by their digests; see `Questions.verdicts`."""
    statement = select(verdicts).order_by(verdicts.c.digest).limit(limit)
    for column, wanted in ((verdicts.c.model, model), (verdicts.c.number, number), (verdicts.c.stage, stage)):
        if wanted is not None:
            statement = statement.where(column == (wanted if isinstance(wanted, int) else str(wanted)))
    if beginning:
        # Every digest that begins so lies in this range: no digit is above an f.
        statement = statement.where(verdicts.c.digest >= beginning, verdicts.c.digest < f"{beginning}g")
    if after is not None:
        statement = statement.where(verdicts.c.digest > str(after))
    return tuple(_entry(_load_verdict(row)) for row in connection.execute(statement))


def _entry(verdict: Verdict) -> VerdictEntry:
    return VerdictEntry(
        verdict.digest,
        verdict.model,
        verdict.number,
        verdict.stage,
        verdict.outcome,
        _blobs(verdict.body),
        verdict.created_at,
    )


def _blobs(body: JsonObject) -> tuple[Digest, ...]:
    """What a verdict keeps in the store; a verdict of before format 1.1 keeps nothing."""
    said = body.get("blobs")
    return tuple(Digest.parse(one) for one in said) if isinstance(said, list) else ()


def judged_on(connection: Connection, model: ModelName, rows: Digest) -> tuple[VersionNumber, ...]:
    """The versions that were judged on these frozen rows; see `Registry.judged_on`."""
    require_model(connection, str(model))
    # In canonical JSON a field with a value is written in one way only, and inside a text its quotes are escaped.
    field = literal(f'"holdout":"{rows}"'.encode(), LargeBinary)
    is_server = connection.dialect.name == "postgresql"
    place = func.position(field.op("IN")(verdicts.c.body)) if is_server else func.instr(verdicts.c.body, field)
    found = connection.execute(
        select(verdicts.c.number)
        .where(verdicts.c.model == str(model), place > 0)
        .distinct()
        .order_by(verdicts.c.number)
        .limit(JUDGED_MAX)
    )
    return tuple(VersionNumber(number) for number in found.scalars())


def _load_verdict(row: Row[Any]) -> Verdict:
    found = hash_bytes(row.body)
    if str(found) != row.digest:
        raise IntegrityError(
            f"the verdict {row.digest} holds bytes that hash to {found}",
            hint="Run: holdfast audit verify",
            expected=row.digest,
            found=str(found),
        )
    return Verdict(
        digest=found,
        model=ModelName(row.model),
        number=VersionNumber(row.number),
        stage=StageName(row.stage),
        outcome=row.outcome,
        body=decode(row.body, what=f"the verdict {row.digest}"),
        created_at=from_text(row.created_at),
    )
