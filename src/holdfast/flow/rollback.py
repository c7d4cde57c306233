"""The verb *rollback*: a stage moves back to last-known-good. A pointer moves; nothing is copied, nothing is built.

The procedure has seven steps. This module takes (1) to (4) and (7); whoever serves confirms (5) and watches (6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import JsonObject, plain
from holdfast.config import VERSION
from holdfast.errors import GateRefused, HoldfastError, Incomplete, IntegrityError, NotFound, UsageError
from holdfast.flow.gate.case import Case, Workbench, damaged, examine, manifest_of
from holdfast.flow.gate.finding import Finding, Outcome, overall
from holdfast.flow.gate.rules import RULES
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.promote import same_request
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.interface import Registry
from holdfast.registry.records import Event, NewEvent, NewVerdict, Verdict
from holdfast.registry.values import Move, MoveStage, Stage, Version
from holdfast.runtime.at_hand import archive_of

__all__ = [
    "Rollback",
    "RolledBack",
    "explain_rollback",
    "require_restored",
    "require_whole",
    "roll_back",
    "smoke_again",
    "way_back",
]

_SMOKE = ("completeness", "integrity", "opens", "smoke")
"""What is asked of a version on the way back: that it is whole and still does what it did. It has held the stage
before, so nothing is compared with what it replaces, which is the version in trouble."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """Move a stage back.

    Attributes:
        model: whose stage.
        stage: which one.
        actor: who asks.
        reason: what made it necessary; required in an emergency, may be added later otherwise.
        emergency: skip the smoke step; recorded in the event.
        idempotency_key: the same key again gives the same answer and moves nothing.
        expect: the version that must hold the stage; None: whichever does.
        details: what else the event should keep.
    """

    model: ModelName
    stage: StageName
    actor: str
    reason: str = ""
    emergency: bool = False
    idempotency_key: str | None = None
    expect: VersionNumber | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A move back, and what was checked before it."""

    move: Move
    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> str:
        """`pass`, or `skipped` in an emergency: then nothing was asked of the version."""
        return str(overall(self.findings)) if self.findings else "skipped"

    def to_json(self) -> JsonObject:
        """What `rollback` prints, but for the replicas."""
        return {
            **self.move.to_json(),
            "outcome": self.outcome,
            "findings": [finding.to_json() for finding in self.findings],
        }


def roll_back(rollback: Rollback, bench: Workbench, registry: Registry) -> RolledBack:
    """Move the stage to its last-known-good.

    Raises:
        NotFound: there is nothing to go back to.
        Archived: last-known-good was archived, before the rollbacks that made it so, and has not been restored.
        Incomplete: last-known-good lacks a part.
        IntegrityError: its bytes are damaged.
        GateRefused: it no longer does what it did; the refusal is in the log. An emergency skips this.
        StageMoved: somebody moved the stage meanwhile.
        UsageError: an emergency without a reason, or an idempotency key that belongs to another request.
    """
    if rollback.emergency and not rollback.reason.strip():
        raise UsageError("an emergency rollback needs a reason", hint='Say why: --emergency --reason "error rate 30 %"')
    before = _moved_before(rollback, registry)
    if before is not None:
        return before
    # (1) find last-known-good
    stage = registry.stage(rollback.model, rollback.stage)
    version = way_back(stage, registry)
    require_restored(version, registry)
    # (2) all parts, by digest
    require_whole(version, bench)
    # (3) smoke
    findings = () if rollback.emergency else smoke_again(version, rollback.stage, rollback.actor, bench)
    verdict = _keep(rollback, version, findings, registry)
    if any(finding.outcome is not Outcome.PASS for finding in findings):
        raise _refused(rollback, stage, verdict, findings, registry)
    # (4) the pointer, with what it was seen to hold
    asked = MoveStage(
        model=version.model,
        stage=rollback.stage,
        to=version.number,
        expect=stage.number if rollback.expect is None else rollback.expect,
        action=Action.STAGE_ROLLBACK,
        reason=rollback.reason,
        verdict=verdict.digest,
        idempotency_key=rollback.idempotency_key,
        details={**rollback.details, "emergency": rollback.emergency},
    )
    try:
        return RolledBack(registry.move_stage(asked, rollback.actor), findings)
    except HoldfastError:
        # The same request, sent twice at once: the other one has moved it.
        before = _moved_before(rollback, registry)
        if before is None:
            raise
        return before


def way_back(stage: Stage, registry: Registry) -> Version:
    """(1) the version that a rollback of the stage goes to.

    Raises:
        NotFound: there is none.
    """
    if stage.last_known_good is None:
        raise NotFound(
            f"{stage.name} of {stage.model} has nothing to go back to: no earlier version there is known good",
            hint=f"Choose one from: holdfast list {stage.model}; then: "
            f"holdfast promote {stage.model}@NUMBER --to {stage.name}",
        )
    return registry.resolve(Reference.parse(f"{stage.model}@{stage.last_known_good}"))


def require_restored(version: Version, registry: Registry) -> None:
    """(1) go on only where the version was not archived, or is here again.

    Raises:
        Archived: it was, and has not been restored.
    """
    if (archive := archive_of(version.digest, registry)) is not None:
        raise archive.away()


def _moved_before(rollback: Rollback, registry: Registry) -> RolledBack | None:
    """What an earlier request with the same key has done; None when there was none."""
    before = None if rollback.idempotency_key is None else registry.move_of(rollback.idempotency_key)
    if before is None:
        return None
    same_request(before, Action.STAGE_ROLLBACK, rollback.model, rollback.stage)
    return RolledBack(before, ())


def _keep(rollback: Rollback, version: Version, findings: tuple[Finding, ...], registry: Registry) -> Verdict:
    outcome = str(overall(findings)) if findings else "skipped"
    body = {
        "format": "holdfast.verdict",
        "format_version": "1.0",
        "purpose": "rollback",
        "model": str(version.model),
        "stage": str(rollback.stage),
        "inputs": {"candidate": {"version": version.number, "digest": str(version.digest)}},
        "outcome": outcome,
        "findings": [finding.to_json() for finding in findings],
        "asked_by": rollback.actor,
        "holdfast": VERSION,
    }
    return registry.put_verdict(NewVerdict(version.model, version.number, rollback.stage, outcome, plain(body)))


def _refused(
    rollback: Rollback, stage: Stage, verdict: Verdict, findings: tuple[Finding, ...], registry: Registry
) -> GateRefused:
    registry.record(
        NewEvent(
            Action.GATE_REFUSE,
            model=verdict.model,
            stage=verdict.stage,
            from_number=stage.number,
            to_number=verdict.number,
            reason=rollback.reason,
            verdict=verdict.digest,
            details={"outcome": verdict.outcome, "purpose": "rollback"},
        ),
        rollback.actor,
    )
    bad = [finding for finding in findings if finding.outcome is not Outcome.PASS]
    return GateRefused(
        f"last-known-good, version {verdict.number}, no longer works: {bad[0].sentence}",
        hint=f'{bad[0].hint} To move anyway: --emergency --reason "…"',
        model=str(verdict.model),
        version=verdict.number,
        stage=str(verdict.stage),
        outcome=verdict.outcome,
        findings=[finding.to_json() for finding in findings],
        verdict=str(verdict.digest),
    )


def explain_rollback(move: Move, reason: str, actor: str, registry: Registry) -> Event:
    """(7) what made it necessary, as a person says it once the fire is out.

    Raises:
        UsageError: nothing was said, or the move was no rollback.
    """
    if not reason.strip():
        raise UsageError("an explanation needs words", hint="Say what made the rollback necessary.")
    if move.action is not Action.STAGE_ROLLBACK:
        raise UsageError(f"event {move.event} is no rollback", hint=f"Find it with: holdfast log {move.model}")
    return registry.record(
        NewEvent(
            Action.ROLLBACK_EXPLAIN,
            model=move.model,
            stage=move.stage,
            from_number=move.from_number,
            to_number=move.to_number,
            reason=reason,
            details={"event": move.event},
        ),
        actor,
    )


def require_whole(version: Version, bench: Workbench) -> None:
    """(2) go on only where the bundle has all parts, and every byte of it is here and is what its digest says.

    Raises:
        IntegrityError: something is damaged or lost.
        Incomplete: a part is missing.
    """
    try:
        manifest = manifest_of(bench.store, version)
        damage = list(damaged(bench.store, manifest))
    except HoldfastError as error:
        raise _damaged(version, [error.message]) from error
    if damage:
        raise _damaged(version, damage)
    if not manifest.complete:
        names = [missing.name for missing in manifest.missing()]
        raise Incomplete(
            f"last-known-good, version {version.number}, lacks {', '.join(names)}",
            hint="Promote a complete version instead.",
            missing=names,
        )


def _damaged(version: Version, damage: list[str]) -> IntegrityError:
    return IntegrityError(
        f"last-known-good, version {version.number}, is damaged: {damage[0]}",
        hint="Find what else is damaged with: holdfast check; or promote another version, one that is whole.",
        model=str(version.model),
        version=version.number,
        damaged=damage,
    )


def smoke_again(version: Version, stage: StageName, actor: str, bench: Workbench) -> tuple[Finding, ...]:
    """(3) whether the version still does what it did; no policy is read for it.

    A mistake in holdfast.toml must not stand between a person and the way back.
    """
    case = examine(Case(version, stage, StagePolicy(rules=_SMOKE), actor), bench)
    return tuple(RULES[name](case) for name in _SMOKE)
