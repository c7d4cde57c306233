"""Composition: what findings come to together, under the groups and the waivers of a policy. Pure functions.

Nothing here changes what a rule found. A waiver is set beside its finding; a group says which findings stand in for
each other; and everything that a person reads says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from holdfast.canonical import JsonObject
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome, best
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.waivers import in_force

__all__ = ["about_policy", "composition", "unsettled", "waived", "with_waivers"]


def with_waivers(findings: Sequence[Finding], policy: StagePolicy, number: int, today: date) -> tuple[Finding, ...]:
    """The findings, each that did not pass with the waiver that stands for it today, or told of one that did.

    Args:
        findings: as the rules gave them.
        policy: what the stage asks.
        number: of the version.
        today: the day on which it is judged, by UTC.
    """
    return tuple(_with_waiver(finding, policy, number, today) for finding in findings)


def _with_waiver(finding: Finding, policy: StagePolicy, number: int, today: date) -> Finding:
    if finding.outcome is Outcome.PASS:
        return finding
    found = in_force(policy.waive, finding.rule, number, today)
    if found is not None:
        return replace(finding, waived=found)
    over = [waiver for waiver in policy.waive if waiver.is_for(finding.rule, number) and waiver.until < today]
    if not over:
        return finding
    last = max(over, key=lambda waiver: waiver.until)
    said = f"The waiver of {last.by} ended with {last.until} and has no effect."
    return replace(finding, hint=f"{finding.hint} {said}".strip())


def waived(findings: Sequence[Finding]) -> list[JsonObject]:
    """What was waived: by rule, who answers for it, why and until when."""
    return [{"rule": one.rule, **one.waived.told()} for one in findings if one.waived is not None]


def composition(findings: Sequence[Finding], policy: StagePolicy) -> JsonObject:
    """What findings come to beside their outcome, as verdicts and commands tell it: the waivers, and each group."""
    groups = [
        {"rules": list(group), "outcome": str(best([one for one in findings if one.rule in group]))}
        for group in policy.any_of
    ]
    return {"waived": waived(findings), "any_of": groups}


def about_policy(case: Case, findings: Sequence[Finding]) -> JsonObject:
    """What a verdict says of its policy beside the policy itself: its name, where it is written, what it came to."""
    return {
        "policy_digest": str(case.policy.digest),
        "policy_origin": dict(case.origin),
        **composition(findings, case.policy),
    }


def unsettled(findings: Sequence[Finding], any_of: Sequence[Sequence[str]]) -> list[Finding]:
    """The findings that keep a version from its stage: not passed, not waived, and nothing stood in for them."""
    grouped = {rule for group in any_of for rule in group}
    lost = {
        rule
        for group in any_of
        if best([one for one in findings if one.rule in group]) is not Outcome.PASS
        for rule in group
    }
    return [one for one in findings if one.counts is not Outcome.PASS and (one.rule not in grouped or one.rule in lost)]
