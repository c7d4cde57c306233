"""What is decided before a bundle is opened: its environment may take half a minute, and nobody waits for nothing.

Rules that need no worker are judged first. Where one of them fails, and neither a waiver nor its group outweighs that,
the gate fails whatever the others would find. Then the bundle is not opened, and what only its answers would tell is
`inconclusive`, with that reason. So the outcome of the whole is the same as if every rule had been asked.

`approver` never decides: people look at the other findings to make up their minds.
"""

from collections.abc import Iterator
from dataclasses import replace

from holdfast.flow.gate.case import Case
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.composing import unsettled, with_waivers
from holdfast.flow.gate.finding import Finding, Outcome, overall
from holdfast.flow.gate.rules import RULES

__all__ = ["finding_of", "needs_worker", "settled", "unasked"]

_OF_PEOPLE = "approver"


def settled(case: Case) -> Case:
    """The case, with the rules that have decided the whole before the bundle is opened; without any, as it was."""
    if case.damage or case.unopened:
        return case  # it is not opened anyway, and its findings say why
    number, today = case.candidate.number, case.at.date()
    findings = with_waivers(tuple(_at_best(case)), case.policy, number, today)
    any_of = case.policy.any_of
    if overall(findings, any_of) is not Outcome.FAIL:
        return case
    failed = (one.rule for one in unsettled(findings, any_of) if one.outcome is Outcome.FAIL)
    return replace(case, settled=tuple(failed))


def _at_best(case: Case) -> Iterator[Finding]:
    """What the rules that need no worker find, and of the others the best that they could."""
    for name in case.policy.rules:
        if name == _OF_PEOPLE or needs_worker(name):
            yield Finding(name, Outcome.PASS, "the best that it could find")
        else:
            yield RULES[name](case)


def needs_worker(rule: str) -> bool:
    """Whether a rule looks at what the opened bundle answers; those of a project's own may."""
    return Need.OPENED in needed([rule])


def finding_of(rule: str, case: Case) -> Finding:
    """What a rule of the catalogue, or of the project's own, finds in a case that was examined."""
    if rule in case.own:
        return case.own[rule]
    found = RULES[rule](case)
    # Harm that shows in the manifests alone is told; a rule that has not seen the answers passes nothing.
    is_open = bool(case.settled) and needs_worker(rule) and found.outcome is not Outcome.FAIL
    return unasked(rule, case) if is_open else found


def unasked(rule: str, case: Case) -> Finding:
    """The finding of a rule that was not asked, because the whole was decided before the bundle was opened."""
    *others, last = case.settled
    which = f"{', '.join(others)} and {last} fail" if others else f"{last} fails"
    version = f"{case.candidate.model}@{case.candidate.number}"
    return Finding(
        rule,
        Outcome.INCONCLUSIVE,
        f"not asked: {which}, and nothing outweighs that",
        f"Mend that first; or have every rule asked: holdfast gate {version} --to {case.stage} --all-rules",
    )
