"""The case that a kept verdict judged, collected again as it stood then.

Bundles, rows and training data are named by digest, and are looked at anew. What changes with time is taken from the
verdict: the policy, the moment, what people had said and signed by then, who could vouch, which rehearsal was the last
one, how the shadow stood, how often the rows had been used, and what the clock and the operating system had measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.canonical import JsonObject, Reader
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.errors import UnsupportedFormat, UsageError
from holdfast.flow.gate.case import Case, Measured, Workbench, examine
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.own_rules import with_own_rules
from holdfast.flow.gate.rendering.report import Report
from holdfast.flow.gate.settling import settled
from holdfast.flow.gate.signature import unless_vouched, with_signatures
from holdfast.flow.gate.sources import CodeSource
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.shadow.standing import Standing
from holdfast.names import Reference, VersionNumber
from holdfast.registry.certificates import REHEARSALS_MAX, Rehearsal
from holdfast.registry.interface import Registry
from holdfast.registry.records import Approval, Verdict
from holdfast.registry.values import Version
from holdfast.runtime.at_hand import require_at_hand

__all__ = ["as_it_was", "code_of_then"]


def as_it_was(kept: Verdict, bench: Workbench, registry: Registry, *, timed: bool = False) -> Case:
    """The case of a gate's verdict, with what its own rules find now.

    Args:
        kept: the verdict.
        bench: where the bundles are opened.
        registry: where it is kept.
        timed: whether times and memory are measured anew, instead of taking those that were kept.

    Raises:
        As `replay`.
    """
    report = Report.of(kept)
    case = Case(
        _version(report, "candidate", registry, bench),
        kept.stage,
        _policy(report),
        str(kept.body.get("asked_by", "")),
        baseline=None if report.against is None else _version(report, "baseline", registry, bench),
        approvals=_approvals(kept, registry),
        judged_before=_judged_before(kept.body),
        at=_moment(kept),
    )
    case = replace(case, rehearsal=_rehearsal(case, report, registry), shadow=_shadow(report))

    def vouch(found: Case) -> Case:
        return unless_vouched(_signed_by_then(found, kept, bench, registry))

    return with_own_rules(_examined(case, bench, report, vouch, timed=timed), bench)


def code_of_then(report: Report, name: str) -> str | None:
    """The digest of the project's own code that judged then, by the name of its rule or `cost`; None: none did."""
    found = report.table("inputs", "code").get(name)
    return found if isinstance(found, str) else None


def _moment(kept: Verdict) -> datetime:
    """When the gate was asked; where the verdict does not say it, when it was kept, moments later."""
    said = kept.body.get("judged_at")
    return from_text(said) if isinstance(said, str) else kept.created_at


def _policy(report: Report) -> StagePolicy:
    """The policy that was asked then; keys that it did not have say what they say by default."""
    try:
        policy = StagePolicy.from_json(str(report.stage), dict(report.table("policy")), "the verdict's policy")
        # What was asked then stands there; a key that is written now may ask for more than it did.
        policy = replace(policy, rules=Reader(dict(report.table("policy")), "policy").texts("rules") or policy.rules)
        # Other code than that which judged would be another rule of the same name, and is not run.
        sources = {name: _of_then(source, report, name) for name, source in policy.sources.items()}
        if policy.cost is not None and policy.cost.source is not None:
            cost = replace(policy.cost, source=_of_then(policy.cost.source, report, "cost"))
            policy = replace(policy, cost=cost)
        return replace(policy, sources=sources)
    except UsageError as error:
        raise UnsupportedFormat(
            f"{error.message}: this Holdfast cannot ask what was asked then",
            hint=f"Replay it with the Holdfast that judged: {report.body.get('holdfast', 'a newer one')}",
        ) from error


def _of_then(source: CodeSource, report: Report, name: str) -> CodeSource:
    digest = code_of_then(report, name)
    return source if digest is None else replace(source, digest=Digest.parse(digest))


def _version(report: Report, who: str, registry: Registry, bench: Workbench) -> Version:
    named = Digest.parse(str(report.table("inputs", who).get("digest")))
    found = registry.resolve(Reference.parse(f"{report.model}@{named}"))
    require_at_hand(found, registry, bench.store)
    return found


def _approvals(kept: Verdict, registry: Registry) -> tuple[Approval, ...]:
    """What people had said by then; a verdict of before 1.1 does not name it, and then time tells."""
    every = registry.approvals(kept.model, kept.number)
    named = kept.body.get("approvals")
    if isinstance(named, list):
        return tuple(one for one in every if one.id in named)
    return tuple(one for one in every if one.stage == kept.stage and _had_spoken(one, kept.created_at))


def _had_spoken(approval: Approval, moment: datetime) -> bool:
    return approval.created_at <= moment and approval.verdict is None


def _judged_before(body: JsonObject) -> tuple[VersionNumber, ...]:
    """The versions that had been judged on the same rows by then."""
    return tuple(VersionNumber(number) for number in Reader(body, "the verdict").items("judged_before"))


def _rehearsal(case: Case, report: Report, registry: Registry) -> Rehearsal | None:
    """The rehearsal that was looked at then, or else the last one by then."""
    if case.baseline is None or Need.REHEARSED not in needed(case.policy.rules):
        return None
    found = registry.rehearsals(case.baseline.model, case.stage, to=case.baseline.number, limit=REHEARSALS_MAX)
    named = _values(report, "rehearsed").get("certificate")
    if isinstance(named, str):
        return next((one for one in found if str(one.digest) == named), None)
    return next((one for one in found if one.created_at <= case.at), None)


def _shadow(report: Report) -> Standing | None:
    """How the shadow stood then: what it had counted is not counted again."""
    values = _values(report, "shadow")
    return Standing.from_json(values) if "rollout" in values else None


def _signed_by_then(case: Case, kept: Verdict, bench: Workbench, registry: Registry) -> Case:
    """The case with who vouched for the candidate then, by the keys that were trusted then."""
    values = _values(Report.of(kept), "signature")
    keys, named = values.get("signed_by"), values.get("signatures")
    known = {Digest.parse(key): str(name) for key, name in keys.items()} if isinstance(keys, Mapping) else None
    case = with_signatures(case, registry, bench.project or Path(), keys=known)
    if case.vouched is None:
        return case
    if isinstance(named, list):
        then = {one.get("signature") for one in named if isinstance(one, Mapping)}
        by_then = tuple(one for one in case.vouched.signatures if str(one.signature.digest) in then)
    else:
        by_then = tuple(one for one in case.vouched.signatures if one.signature.at <= kept.created_at)
    return replace(case, vouched=replace(case.vouched, signatures=by_then))


def _examined(case: Case, bench: Workbench, report: Report, vouch: Callable[[Case], Case], *, timed: bool) -> Case:
    """The case as it is found now, with the times and the memory that were kept."""

    def settle(found: Case) -> Case:
        # What was opened then is opened now, whatever would decide it sooner.
        return settled(found) if report.body.get("settled_by") else found

    if timed:
        return examine(case, bench, vouch, settle)
    asked, untimed = case.policy, case.policy.rules
    if not _broke_down(report):
        untimed = tuple(name for name in asked.rules if Need.TIMED not in needed([name]))
    if needed(untimed) != needed(asked.rules) - {Need.TIMED}:
        untimed = asked.rules  # nothing else opens the bundles, and something must
    case = replace(examine(replace(case, policy=replace(asked, rules=untimed)), bench, vouch, settle), policy=asked)
    return replace(
        case,
        measured=_with_measurements(case.measured, report, "candidate"),
        against=_with_measurements(case.against, report, "baseline"),
    )


def _broke_down(report: Report) -> bool:
    """Whether the bundle answered its rows together, and then did not stay up: it takes single rows to see it again."""
    opened = any(one.rule == "opens" and one.outcome is not Outcome.PASS for one in report.findings)
    return opened and report.table("inputs").get("outputs") is not None


def _with_measurements(measured: Measured | None, report: Report, who: str) -> Measured | None:
    if measured is None:
        return None
    singles, batches = report.latencies_ms.get(who, ()), report.batch_latencies_ms.get(who, ())
    values, key = _values(report, "memory"), "memory_bytes" if who == "candidate" else "baseline_memory_bytes"
    memory = values.get(key) if "memory_bytes" in values else measured.memory_bytes
    return replace(
        measured,
        latencies_ms=tuple(singles),
        batch_latencies_ms=tuple(batches),
        memory_bytes=memory if isinstance(memory, int) else None,
    )


def _values(report: Report, rule: str) -> Mapping[str, Any]:
    """What the finding of a rule says in numbers; empty where there is none."""
    return next((one.values for one in report.findings if one.rule == rule), {})
