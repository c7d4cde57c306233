"""The verb *promote*: a stage moves to a version through its gate, or does not move at all.

The procedure has ten steps; `flow.gate` takes (1) to (8), this module (9), and whoever serves confirms (10).
"""

from dataclasses import dataclass
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.errors import AlreadyExists, ApprovalRequired, GateRefused, StageMoved, UsageError
from holdfast.flow.gate import GateRequest, GateVerdict, Outcome, Workbench, gate
from holdfast.flow.gate.composing import composition, unsettled, waived
from holdfast.flow.gate.judge import stage_of
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.interface import Registry
from holdfast.registry.records import Meaning, NewApproval, NewEvent
from holdfast.registry.values import Move, MoveStage, Stage, Version
from holdfast.runtime.at_hand import archive_of

__all__ = ["Promoted", "Promotion", "adopt_stage", "promote", "same_request"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """Move a stage to a version.

    Attributes:
        ask: the version, the stage, who asks, and under which policy.
        reason: why, in the person's words.
        expect: the version that the person believes to hold the stage; None: whatever holds it when the judging begins.
        idempotency_key: the same key again gives the same answer and moves nothing.
    """

    ask: GateRequest
    reason: str = ""
    expect: VersionNumber | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Promoted:
    """A move and the verdict that let it through; None when an earlier call with the same key had moved it."""

    move: Move
    verdict: GateVerdict | None

    def to_json(self) -> JsonObject:
        """What `promote` prints, but for the replicas."""
        value: dict[str, Any] = {**self.move.to_json(), "outcome": str(Outcome.PASS)}
        if self.verdict is not None:
            value["findings"] = [finding.to_json() for finding in self.verdict.findings]
            value |= composition(self.verdict.findings, self.verdict.policy)
        return value


def promote(promotion: Promotion, bench: Workbench, registry: Registry) -> Promoted:
    """Judge, and move the stage when the verdict is `pass`.

    Raises:
        NotFound: no such version or stage.
        AlreadyExists: the version holds the stage already.
        Archived: the version was archived, and has not been restored.
        StageMoved: the stage holds another version than expected, or moved while the version was being judged.
        ApprovalRequired: everything passed but the approvals.
        GateRefused: the verdict is not `pass`; the refusal is in the log.
        UsageError: the idempotency key belongs to another request.
    """
    ask = promotion.ask
    version = registry.resolve(ask.reference)
    before = _moved_before(promotion, version, registry)
    if before is not None:
        return before
    _refuse_what_cannot_be(promotion, version, registry)
    # (1) to (8)
    verdict = gate(ask, bench, registry)
    # The judging takes seconds: whoever lost the race meanwhile is told so before anything is written down.
    before = _moved_before(promotion, version, registry)
    if before is not None:
        return before
    if promotion.expect is not None and verdict.stage.number != promotion.expect:
        # It moved before the judging began: the verdict compares with another version than the person spoke of.
        raise _moved_by_somebody(verdict.stage, promotion.expect, registry)
    if verdict.outcome is not Outcome.PASS:
        raise _refused(promotion, verdict, registry)
    now = registry.stage(version.model, ask.stage)
    if now.number != verdict.stage.number:
        raise _moved_by_somebody(now, verdict.stage.number, registry)
    # (8) the person who promotes stands behind it by name, bound to this verdict
    approval = registry.approve(
        NewApproval(
            version.model,
            version.number,
            version.digest,
            ask.stage,
            Meaning.APPROVE,
            promotion.reason or "promoted it",
            verdict.digest,
        ),
        ask.actor,
    )
    # (9) one transaction: the pointer, last-known-good, and the event that carries the verdict
    asked = MoveStage(
        model=version.model,
        stage=ask.stage,
        to=version.number,
        expect=verdict.stage.number,
        action=Action.STAGE_PROMOTE,
        reason=promotion.reason,
        verdict=verdict.digest,
        approvals=(*verdict.approvals, approval.id),
        idempotency_key=promotion.idempotency_key,
        details={"waived": taken} if (taken := waived(verdict.findings)) else {},
    )
    try:
        return Promoted(registry.move_stage(asked, ask.actor), verdict)
    except UsageError:
        # The same request, sent twice at once, is judged twice; the registry lets one of the two verdicts through.
        before = _moved_before(promotion, version, registry)
        if before is None:
            raise
        return before


def _refuse_what_cannot_be(promotion: Promotion, version: Version, registry: Registry) -> None:
    """Whatever the registry would refuse after the judging, which takes a while."""
    ask = promotion.ask
    stage = stage_of(version.model, ask, registry)
    if stage.number == version.number:
        raise AlreadyExists(
            f"{version.model}@{version.number} holds {ask.stage} already",
            hint=f"See since when with: holdfast live {version.model}",
            version=version.number,
            digest=str(version.digest),
        )
    if promotion.expect is not None and promotion.expect != stage.number:
        raise _moved_by_somebody(stage, promotion.expect, registry)
    if (archive := archive_of(version.digest, registry)) is not None:
        raise archive.away()


def _moved_before(promotion: Promotion, version: Version, registry: Registry) -> Promoted | None:
    """What an earlier request with the same key has done; None when there was none."""
    if promotion.idempotency_key is None:
        return None
    before = registry.move_of(promotion.idempotency_key)
    if before is None:
        return None
    same_request(before, Action.STAGE_PROMOTE, version.model, promotion.ask.stage, version.number)
    return Promoted(before, None)


def _moved_by_somebody(stage: Stage, expected: VersionNumber | None, registry: Registry) -> StageMoved:
    """The error for a stage that does not hold what was expected: who moved it, when, from what to what."""
    mover = None
    if stage.event is not None:
        mover = next(iter(registry.log(stage.model, before=stage.event + 1, limit=1)), None)
    there, wanted, how = stage.number or "nothing", expected or "nothing", "nothing has ever held it"
    if mover is not None:
        how = (
            f"{mover.actor} moved it from {mover.from_number or 'nothing'} to {mover.to_number or 'nothing'} "
            f"at {to_text(mover.time)}, event {mover.index}"
        )
    return StageMoved(
        f"{stage.name} of {stage.model} holds {there}, and {wanted} was expected; {how}",
        hint=f"See what happened with: holdfast log {stage.model}; then decide again.",
        model=str(stage.model),
        stage=str(stage.name),
        expected=expected,
        found=stage.number,
        moved_by=None if mover is None else mover.actor,
        moved_at=None if mover is None else to_text(mover.time),
        moved_from=None if mover is None else mover.from_number,
        moved_to=None if mover is None else mover.to_number,
        event=stage.event,
    )


def same_request(
    before: Move, action: Action, model: ModelName, stage: StageName, number: VersionNumber | None = None
) -> None:
    """Refuse an idempotency key that belongs to another request.

    Raises:
        UsageError: the earlier move was of another kind, of another stage, or to another version.
    """
    asked = (action, model, stage, before.to_number if number is None else number)
    if (before.action, before.model, before.stage, before.to_number) != asked:
        raise UsageError(
            f"the idempotency key belongs to another request, event {before.event}: "
            f"{before.action} of {before.stage} to {before.model}@{before.to_number}",
            hint="Take a new key for a new request.",
            event=before.event,
        )


def adopt_stage(version: Version, stage: StageName, registry: Registry, *, actor: str, reason: str) -> Move:
    """Point an empty stage at a version that another system serves already.

    This is the one move without a gate, so that a model that is in production today can be put under Holdfast before
    its past is known. It is open only while the stage has never held anything, needs a reason, and its event says
    `adopt`.

    Raises:
        UsageError: no reason was given.
        StageMoved: the stage holds, or has held, a version.
    """
    if not reason.strip():
        raise UsageError(
            "adopting a stage needs a reason", hint='Say what serves it today: --reason "in service since March"'
        )
    held = registry.stage(version.model, stage)
    if held.epoch > 0:
        moved = _moved_by_somebody(held, None, registry)
        raise StageMoved(
            f"{stage} has held a version before, so it moves through its gate only: {moved.message}",
            hint=f"Use: holdfast promote {version.model}@{version.number} --to {stage}",
            **moved.details,
        )
    move = MoveStage(
        model=version.model,
        stage=stage,
        to=version.number,
        expect=None,
        action=Action.STAGE_ADOPT,
        reason=reason,
        details={"missing": list(version.missing)},
    )
    return registry.move_stage(move, actor)


def _refused(promotion: Promotion, verdict: GateVerdict, registry: Registry) -> GateRefused | ApprovalRequired:
    version, stage = verdict.version, verdict.stage
    registry.record(
        NewEvent(
            Action.GATE_REFUSE,
            model=version.model,
            stage=stage.name,
            from_number=stage.number,
            to_number=version.number,
            reason=promotion.reason,
            verdict=verdict.digest,
            details={"outcome": str(verdict.outcome)},
        ),
        promotion.ask.actor,
    )
    open_findings = unsettled(verdict.findings, verdict.policy.any_of)
    kind = ApprovalRequired if [finding.rule for finding in open_findings] == ["approver"] else GateRefused
    # What failed is said first, and alone: what could not be decided is most often so because of it.
    open_findings = [finding for finding in open_findings if finding.outcome is Outcome.FAIL] or open_findings
    said = "; ".join(f"{finding.rule}: {finding.sentence}" for finding in open_findings)
    return kind(
        f"{version.model}@{version.number} may not have {stage.name}: {said}",
        hint=open_findings[0].hint,
        **verdict.to_json(),
    )
