"""The gate: collect the case, apply the rules, keep the verdict."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, HoldfastError, NotFound
from holdfast.evidence import Holdout
from holdfast.flow.gate.case import Case, Workbench, examine, manifest_of
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.composing import composition, with_waivers
from holdfast.flow.gate.finding import Finding, Outcome, overall
from holdfast.flow.gate.keeping import keep
from holdfast.flow.gate.own_rules import with_own_rules
from holdfast.flow.gate.policy import Policy
from holdfast.flow.gate.precedence import asked_of
from holdfast.flow.gate.settling import finding_of, settled
from holdfast.flow.gate.signature import unless_vouched, with_signatures
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.shadow.beginning import counted, last_between
from holdfast.flow.shadow.standing import Standing
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry.certificates import Rehearsal
from holdfast.registry.interface import Registry
from holdfast.registry.records import Approval, Meaning
from holdfast.registry.values import Stage, Version
from holdfast.runtime.at_hand import require_at_hand

__all__ = ["GateRequest", "GateVerdict", "gate", "stage_of"]


@dataclass(frozen=True, slots=True)
class GateRequest:
    """May this version have this stage?

    Attributes:
        reference: the version.
        stage: the stage.
        actor: who asks.
        policy: what the project asks of its stages; where the registry has a policy, that one is in force.
        at: the moment, in UTC: waivers stand or have ended on its day.
        all_rules: whether the bundle is opened, and every rule asked, also where one that needs no worker has failed
            and decided the outcome.
    """

    reference: Reference
    stage: StageName
    actor: str
    policy: Policy
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)
    all_rules: bool = False


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate said, and on what.

    Attributes:
        version: the version that was judged.
        stage: the stage, as it stood when the judging began.
        outcome: the worst of the findings, where a waived one counts as passed and a group as its best.
        findings: one for each rule, in the order of the steps.
        digest: the name of the verdict as it is kept in the registry.
        approvals: the ids of the approvals that it rests on.
        policy: what was asked.
    """

    version: Version
    stage: Stage
    outcome: Outcome
    findings: tuple[Finding, ...]
    digest: Digest
    approvals: tuple[str, ...]
    policy: StagePolicy

    def to_json(self) -> JsonObject:
        """What `gate` prints."""
        return {
            "model": str(self.version.model),
            "version": self.version.number,
            "digest": str(self.version.digest),
            "stage": str(self.stage.name),
            "against": None if self.stage.number == self.version.number else self.stage.number,
            "outcome": str(self.outcome),
            "findings": [finding.to_json() for finding in self.findings],
            **composition(self.findings, self.policy),
            "verdict": str(self.digest),
            "policy_digest": str(self.policy.digest),
        }


def gate(request: GateRequest, bench: Workbench, registry: Registry) -> GateVerdict:
    """Judge the version against the version that holds the stage now, and keep the verdict.

    Raises:
        NotFound: no such model, version or stage.
        Archived: the version was archived, and its bytes are not here.
        UsageError: the policy is not valid, or asks something else than the one that the registry has.
        NoSpace, PermissionRefused: the store could not take the answers, which are a part of the verdict.
    """
    # (1) resolve the reference to a version
    version = registry.resolve(request.reference)
    require_at_hand(version, registry, bench.store)
    stage = stage_of(version.model, request, registry)
    baseline = None
    if stage.number is not None and stage.number != version.number:
        baseline = registry.resolve(Reference.parse(f"{version.model}@{stage.number}"))
    policy, origin = asked_of(request.policy, registry, version.model, request.stage)
    policy.require_timely(request.at.date(), f"{origin} [gate.{request.stage}]")
    approvals = tuple(
        approval
        for approval in registry.approvals(version.model, version.number)
        if approval.stage == request.stage and approval.digest == version.digest and _speaks_now(approval)
    )
    # (2) to (6): completeness, bytes, formats, environment, smoke; (7) and (8) look at what these brought
    case = Case(
        version,
        request.stage,
        policy,
        request.actor,
        baseline=baseline,
        approvals=approvals,
        judged_before=_judged_before(version, policy, bench, registry),
        rehearsal=_rehearsal(request, baseline, policy, registry),
        shadow=_shadow(version, baseline, request.stage, policy, registry),
        at=request.at,
        origin=origin.to_json(),
    )
    folder = bench.project or Path()
    case = examine(
        case,
        bench,
        lambda found: unless_vouched(with_signatures(found, registry, folder)),
        lambda found: found if request.all_rules else settled(found),
    )
    case = with_own_rules(case, bench)
    findings = tuple(finding_of(name, case) for name in policy.rules)
    findings = with_waivers(findings, policy, version.number, case.at.date())
    kept = keep(case, findings, bench.store, registry)
    last = {approval.approver: approval for approval in approvals}
    used = tuple(approval.id for approval in last.values() if approval.meaning is Meaning.APPROVE)
    outcome = overall(findings, policy.any_of)
    return GateVerdict(version, stage, outcome, findings, kept.digest, used, policy)


def _judged_before(
    version: Version, policy: StagePolicy, bench: Workbench, registry: Registry
) -> tuple[VersionNumber, ...]:
    """The other versions that gates judged on the frozen rows of this one."""
    if "holdout" not in policy.rules:
        return ()
    try:
        manifest = manifest_of(bench.store, version)
    except HoldfastError:
        return ()  # the examination says what is wrong with it
    holdout = manifest.evidence.holdout
    if not isinstance(holdout, Holdout):
        return ()
    judged = registry.judged_on(version.model, manifest.file(holdout.rows).digest)
    return tuple(number for number in judged if number != version.number)


def _rehearsal(
    request: GateRequest, baseline: Version | None, policy: StagePolicy, registry: Registry
) -> Rehearsal | None:
    """The last rehearsal of going back to the version that holds the stage."""
    if baseline is None or Need.REHEARSED not in needed(policy.rules):
        return None
    found = registry.rehearsals(baseline.model, request.stage, to=baseline.number, limit=1)
    return next(iter(found), None)


def _shadow(
    version: Version, baseline: Version | None, stage: StageName, policy: StagePolicy, registry: Registry
) -> Standing | None:
    """How the newest shadow of exactly this version against the one that holds the stage stands."""
    if baseline is None or Need.SHADOWED not in needed(policy.rules):
        return None
    found = last_between(version.model, stage, version.digest, baseline.digest, registry)
    return None if found is None else Standing.of(found, counted(found, registry))


def stage_of(model: ModelName, request: GateRequest, registry: Registry) -> Stage:
    """The stage that is asked for; one that the policy names and the model does not have yet is added to the model.

    Raises:
        NotFound: neither the model nor the policy has it.
    """
    try:
        return registry.stage(model, request.stage)
    except NotFound:
        if request.stage not in request.policy.stages:
            raise
    try:
        return registry.define_stage(model, request.stage, request.actor)
    except AlreadyExists:
        return registry.stage(model, request.stage)  # somebody asked for it in the same moment


def _speaks_now(approval: Approval) -> bool:
    """Whether it is a judgement of the version, and not of one earlier verdict: approving one says nothing of the next.

    A rejection always speaks, until the person takes it back.
    """
    return approval.verdict is None or approval.meaning is Meaning.REJECT
