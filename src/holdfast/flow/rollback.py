"""The verb *rollback*: a stage moves back to last-known-good. A pointer moves; nothing is copied, nothing is built.

The procedure has seven steps. This module takes (1) to (4) and (7); whoever serves confirms (5) and watches (6).
"""

from dataclasses import dataclass, replace

from holdfast.canonical import JsonObject
from holdfast.errors import GateRefused, Incomplete, IntegrityError, NotFound, UsageError
from holdfast.flow.gate.case import Case, Workbench, bundle_is_whole, examine
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.policy import Policy
from holdfast.flow.gate.rules import RULES
from holdfast.flow.promote import same_request
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.actions import Action
from holdfast.registry.interface import Registry
from holdfast.registry.records import Event, NewEvent, NewVerdict
from holdfast.registry.values import Move, MoveStage, Version

__all__ = ["Rollback", "RolledBack", "explain_rollback", "roll_back"]

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
        policy: the project's policy, for the formats it allows to be opened.
        reason: what made it necessary; required in an emergency, may be added later otherwise.
        emergency: skip the smoke step; recorded in the event.
        idempotency_key: the same key again gives the same answer and moves nothing.
    """

    model: ModelName
    stage: StageName
    actor: str
    policy: Policy
    reason: str = ""
    emergency: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A move back, and what was checked before it."""

    move: Move
    findings: tuple[Finding, ...]

    def to_json(self) -> JsonObject:
        """What `rollback` prints, but for the replicas."""
        return {
            **self.move.to_json(),
            "outcome": str(Outcome.PASS),
            "findings": [finding.to_json() for finding in self.findings],
        }


def roll_back(rollback: Rollback, bench: Workbench, registry: Registry) -> RolledBack:
    """Move the stage to its last-known-good.

    Raises:
        NotFound: there is nothing to go back to.
        Incomplete: last-known-good lacks a part.
        IntegrityError: its bytes are damaged.
        GateRefused: it no longer does what it did; an emergency skips this.
        StageMoved: somebody moved the stage meanwhile.
    """
    if rollback.emergency and not rollback.reason.strip():
        raise UsageError("an emergency rollback needs a reason", hint='Say why: --emergency --reason "error rate 30 %"')
    before = None if rollback.idempotency_key is None else registry.move_of(rollback.idempotency_key)
    if before is not None:
        moved = registry.resolve(Reference.parse(f"{rollback.model}@{before.to_number}"))
        same_request(before, Action.STAGE_ROLLBACK, rollback.stage, moved)
        return RolledBack(before, ())
    # (1) find last-known-good
    stage = registry.stage(rollback.model, rollback.stage)
    if stage.last_known_good is None:
        raise NotFound(
            f"{rollback.stage} of {rollback.model} has no last-known-good: nothing was replaced there yet",
            hint=f"Choose a version with: holdfast list {rollback.model}; move to it with: holdfast promote",
        )
    version = registry.resolve(Reference.parse(f"{rollback.model}@{stage.last_known_good}"))
    # (2) all parts, by digest
    _require_whole(version, bench)
    # (3) smoke
    findings = () if rollback.emergency else _smoke(rollback, version, bench)
    outcome = "skipped" if rollback.emergency else str(Outcome.PASS)
    verdict = registry.put_verdict(
        NewVerdict(
            version.model,
            version.number,
            rollback.stage,
            outcome,
            {
                "format": "holdfast.verdict",
                "format_version": "1.0",
                "purpose": "rollback",
                "model": str(version.model),
                "stage": str(rollback.stage),
                "inputs": {"candidate": {"version": version.number, "digest": str(version.digest)}},
                "outcome": outcome,
                "findings": [finding.to_json() for finding in findings],
                "asked_by": rollback.actor,
            },
        )
    )
    # (4) the pointer, with what it was seen to hold
    move = registry.move_stage(
        MoveStage(
            model=version.model,
            stage=rollback.stage,
            to=version.number,
            expect=stage.number,
            action=Action.STAGE_ROLLBACK,
            reason=rollback.reason,
            verdict=verdict.digest,
            idempotency_key=rollback.idempotency_key,
            details={"emergency": rollback.emergency},
        ),
        rollback.actor,
    )
    return RolledBack(move, findings)


def explain_rollback(move: Move, reason: str, actor: str, registry: Registry) -> Event:
    """(7) what made it necessary, as a person says it once the fire is out."""
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


def _require_whole(version: Version, bench: Workbench) -> None:
    manifest, damage = bundle_is_whole(bench.store, version.digest)
    if damage:
        raise IntegrityError(
            f"last-known-good, version {version.number}, is damaged: {damage[0]}",
            hint="Heal it with: holdfast check; or promote another version that is whole.",
            damaged=list(damage),
        )
    if not manifest.complete:
        names = [missing.name for missing in manifest.missing()]
        raise Incomplete(
            f"last-known-good, version {version.number}, lacks {', '.join(names)}",
            hint="Promote a complete version instead.",
            missing=names,
        )


def _smoke(rollback: Rollback, version: Version, bench: Workbench) -> tuple[Finding, ...]:
    policy = rollback.policy.for_stage(version.model, rollback.stage)
    case = examine(Case(version, rollback.stage, replace(policy, rules=_SMOKE), rollback.actor), bench)
    findings = tuple(RULES[name](case) for name in _SMOKE)
    bad = [finding for finding in findings if finding.outcome is not Outcome.PASS]
    if bad:
        raise GateRefused(
            f"last-known-good, version {version.number}, no longer works: {bad[0].sentence}",
            hint=f'{bad[0].hint} To move anyway: --emergency --reason "…"',
            findings=[finding.to_json() for finding in findings],
        )
    return findings
