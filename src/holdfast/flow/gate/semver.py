"""Step 7: the semantic version says how much changed since the version that holds the stage.

What changed is read from the two manifests, part by part. A step that is too small fails, because outsiders plan by it;
one that is larger than it had to be is told, and passes.
"""

from collections.abc import Mapping, Sequence

from holdfast.canonical import Json
from holdfast.flow.bundle.step import Reason, Step, asked_step, reasons, step_between, suggested
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome

__all__ = ["semver"]

_RULE = "semver"

_SHOWN_MAX = 3
"""Reasons named in one sentence; the finding's values hold them all."""


def semver(case: Case) -> Finding:
    """Compare the step that the semantic version takes with the step that the change asks for."""
    mine = case.candidate.semver
    model = case.candidate.model
    if mine is None:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"version {case.candidate.number} has no semantic version",
            f"Register it with one: holdfast register {model} … --semver {_first_or_next(case)}",
        )
    if case.baseline is None:
        return Finding(_RULE, Outcome.PASS, f"no other version holds {case.stage}; any semantic version is a beginning")
    theirs, number = case.baseline.semver, case.baseline.number
    if theirs is None:
        return Finding(_RULE, Outcome.PASS, f"version {number} has no semantic version; {mine} is the first")
    found = _reasons(case)
    if found is None:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"what changed since version {number} cannot be told: a manifest cannot be read",
            "Find what is damaged with: holdfast check",
        )
    taken, asked = step_between(theirs, mine), asked_step(theirs, found)
    values: Mapping[str, Json] = {
        "semver": mine,
        "baseline": theirs,
        "step": None if taken is None else str(taken),
        "asked": str(asked),
        "suggested": suggested(theirs, asked),
        "reasons": [{"step": str(reason.step), "sentence": reason.sentence} for reason in found],
    }
    if taken is None or taken < asked:
        why = f"goes back from {theirs}" if taken is None else f"is a step of {taken} from {theirs}"
        return Finding(
            _RULE,
            Outcome.FAIL,
            f"{mine} {why} of version {number}, and what changed asks for {asked}: {_told(found)}",
            f"Register it again, as {suggested(theirs, asked)} or more.",
            values,
        )
    more = f"; {suggested(theirs, asked)} would have done" if taken > asked else ""
    said = f"{mine} after {theirs} of version {number} is a step of {taken}, and {asked} is asked for{more}"
    return Finding(_RULE, Outcome.PASS, f"{said}: {_told(found)}", "", values)


def _reasons(case: Case) -> tuple[Reason, ...] | None:
    if case.manifest is None or case.baseline_manifest is None:
        return None
    return reasons(case.baseline_manifest, case.manifest)


def _told(found: Sequence[Reason]) -> str:
    if not found:
        return "nothing that counts changed"
    more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    return "; ".join(f"{reason.sentence} ({reason.step})" for reason in found[:_SHOWN_MAX]) + more


def _first_or_next(case: Case) -> str:
    if case.baseline is None or case.baseline.semver is None:
        return "1.0.0"
    step = asked_step(case.baseline.semver, _reasons(case) or ())
    return suggested(case.baseline.semver, max(step, Step.PATCH))
