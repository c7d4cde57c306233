"""Policies in a database: setting one with its event, and which one is in force."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, GateRefused, IntegrityError, TooLarge, UsageError
from holdfast.names import ModelName
from holdfast.registry.actions import Action
from holdfast.registry.as_written import as_bytes
from holdfast.registry.events import Entry, append
from holdfast.registry.governing import KeptPolicy, NewPolicy
from holdfast.registry.judgements import verdict_of
from holdfast.registry.keys import another_request, earlier
from holdfast.registry.nearest import require_model
from holdfast.registry.records import Verdict
from holdfast.registry.tables import policies
from holdfast.registry.values import MoveStage

__all__ = ["IN_FORCE", "in_force", "put", "require_named", "set_for"]

_BODY_BYTES_MAX = 64 * 1024
"""A table for each of a hundred models is ten kilobytes; every verdict under it is held against it."""

_APPROVER = "approver"
"""The rule of a gate that counts approvals."""

_EVERYBODY = ""
"""The scope of a policy for all models; no model can be named so."""

_IN_SCOPE = policies.c.scope.in_([bindparam("model"), _EVERYBODY])

# The scope of a model sorts behind that of everybody: its own policy goes first.
_FIRST = (policies.c.scope.desc(), policies.c.number.desc())

IN_FORCE = select(policies.c.digest).where(_IN_SCOPE).order_by(*_FIRST).limit(1)
"""The digest of the policy that is in force for a model."""

_IN_FORCE = select(policies).where(_IN_SCOPE).order_by(*_FIRST).limit(1)

_LAST = (
    select(policies.c.number).where(policies.c.scope == bindparam("scope")).order_by(policies.c.number.desc()).limit(1)
)

_BY_EVENT = select(policies).where(policies.c.event == bindparam("event"))

_SET_FOR = select(policies).where(policies.c.scope == bindparam("scope")).order_by(policies.c.number)


def put(connection: Connection, new: NewPolicy, now: datetime, actor: str, *, key: str | None = None) -> KeptPolicy:
    """Sets a policy with its event; see `Governing.set_policy`."""
    body = new.text.encode()
    if not new.reason.strip():
        raise UsageError("a policy needs a reason", hint="Say why it is set, for whoever is refused by it.")
    if not new.text.strip():
        raise UsageError("an empty policy says nothing", hint="Write at least one table, such as [gate.production].")
    if len(body) > _BODY_BYTES_MAX:
        raise TooLarge(
            f"the policy has {len(body)} bytes, and may have {_BODY_BYTES_MAX}",
            hint="Set what one model asks besides as a policy of that model.",
            limit=_BODY_BYTES_MAX,
        )
    model = None if new.model is None else str(new.model)
    number = new.expect + 1
    said: dict[str, Any] = {
        "action": Action.POLICY_SET,
        "model": model,
        "reason": new.reason,
        "details": {"digest": str(new.digest), "number": number},
    }
    before = earlier(connection, key, actor, **{name: said[name] for name in ("action", "model", "reason")})
    if before is not None:
        if before.details != said["details"]:
            raise another_request(before)
        return _load(connection.execute(_BY_EVENT, {"event": before.index}).one())
    if model is not None:
        require_model(connection, model)
    scope = model or _EVERYBODY
    found = connection.execute(_LAST, {"scope": scope}).scalar_one_or_none() or 0
    if found != new.expect:
        raise _set_meanwhile(new, found)
    event = append(connection, Entry(**said, idempotency_key=key), now, actor)
    row = {
        "scope": scope,
        "number": number,
        "digest": str(new.digest),
        "body": body,
        "reason": new.reason,
        "created_at": to_text(event.time),
        "created_by": actor,
        "event": event.index,
    }
    connection.execute(insert(policies), row)
    return _load(connection.execute(_BY_EVENT, {"event": event.index}).one())


def _set_meanwhile(new: NewPolicy, found: int) -> AlreadyExists:
    whose = "the registry" if new.model is None else str(new.model)
    option = "" if new.model is None else f" --model {new.model}"
    return AlreadyExists(
        f"{whose} is at policy {found}, and {new.expect} was expected",
        hint=f"Look at what was set meanwhile: holdfast policy history{option}",
        expected=new.expect,
        found=found,
    )


def in_force(connection: Connection, model: ModelName | None) -> KeptPolicy | None:
    """The policy that is in force for a model; see `Governing.policy`."""
    if model is not None:
        require_model(connection, str(model))
    row = connection.execute(_IN_FORCE, {"model": _scope(model)}).one_or_none()
    return None if row is None else _load(row)


def set_for(connection: Connection, model: ModelName | None) -> tuple[KeptPolicy, ...]:
    """Every policy that was set for a model, or for all; see `Governing.policies`."""
    if model is not None:
        require_model(connection, str(model))
    return tuple(_load(row) for row in connection.execute(_SET_FOR, {"scope": _scope(model)}))


def require_named(connection: Connection, asked: MoveStage, digest: str | None, *, is_tried: bool = False) -> None:
    """Refuse a promotion that no verdict lets through under the policy in force.

    Args:
        connection: in the transaction of the move.
        asked: the move.
        digest: of the policy in force; None where there is none.
        is_tried: the version is only tried on requests: the approvals may be yet to come.

    Raises:
        GateRefused: there is no verdict, it does not name the policy, or it is no pass for this stage as it stands.
    """
    if digest is None or asked.action is not Action.STAGE_PROMOTE:
        return
    verdict = None if asked.verdict is None else verdict_of(connection, asked.verdict)
    origin = None if verdict is None else verdict.body.get("policy_origin")
    named = origin.get("digest") if isinstance(origin, dict) else None
    if verdict is None or named != digest:
        raise _no_verdict_lets(asked, digest, "Another policy is in force than the one that it was judged by.", named)
    lets = verdict.outcome == "pass" or (is_tried and _lacks_approvals_only(verdict))
    if verdict.stage != asked.stage or not lets or not verdict.is_against(asked.expect):
        raise _no_verdict_lets(asked, digest, "The verdict is no pass for this stage as it stands.", named)


def _lacks_approvals_only(verdict: Verdict) -> bool:
    """Whether every rule passed but the one that counts approvals; what stands in for a rule does not count here."""
    findings = verdict.body.get("findings")
    said = [one for one in findings if isinstance(one, dict)] if isinstance(findings, list) else []
    lost = {str(one.get("rule")) for one in said if one.get("outcome") != "pass"}
    return lost == {_APPROVER}


def _no_verdict_lets(asked: MoveStage, digest: str, why: str, named: object) -> GateRefused:
    return GateRefused(
        f"{asked.model}@{asked.to} may not have {asked.stage}: no verdict under the policy {digest} lets it",
        hint=f"{why} Let the gate judge it again: holdfast promote {asked.model}@{asked.to} --to {asked.stage}",
        policy=digest,
        found=named if isinstance(named, str) else None,
    )


def _scope(model: ModelName | None) -> str:
    return _EVERYBODY if model is None else str(model)


def _load(row: Row[Any]) -> KeptPolicy:
    body = as_bytes(row.body)
    if str(hash_bytes(body)) != row.digest:
        raise IntegrityError(
            f"the policy {row.digest} holds bytes that hash to {hash_bytes(body)}",
            hint="Run: holdfast audit verify",
            expected=row.digest,
            found=str(hash_bytes(body)),
        )
    return KeptPolicy(
        number=row.number,
        model=ModelName(row.scope) if row.scope else None,
        digest=Digest.parse(row.digest),
        text=body.decode(),
        reason=row.reason,
        by=row.created_by,
        at=from_text(row.created_at),
        event=row.event,
    )
