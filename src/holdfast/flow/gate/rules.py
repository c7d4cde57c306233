"""The rules: pure functions from a case to a finding. Their names and order are those of `catalogue.CATALOGUE`."""

from collections.abc import Callable, Mapping
from math import isfinite

from holdfast.canonical import Json
from holdfast.errors import MissingExtra, NoSpace, PermissionRefused, Unavailable
from holdfast.evidence import Metrics
from holdfast.flow.bundle.adding import lines_to_add
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.flow.gate.calibration import calibration
from holdfast.flow.gate.card import card
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.catalogue import Need, needed
from holdfast.flow.gate.drift import drift
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.flow.gate.formats import judge_formats
from holdfast.flow.gate.groups import groups
from holdfast.flow.gate.guards import guards
from holdfast.flow.gate.holdout import holdout
from holdfast.flow.gate.latency import latency
from holdfast.flow.gate.leakage import leakage
from holdfast.flow.gate.memory import memory
from holdfast.flow.gate.not_worse import not_worse
from holdfast.flow.gate.rehearsed import rehearsed
from holdfast.flow.gate.schema import schema
from holdfast.flow.gate.semver import semver
from holdfast.flow.gate.shadowed import shadowed
from holdfast.flow.gate.signature import signature
from holdfast.flow.gate.threshold import threshold
from holdfast.parts import Missing
from holdfast.registry.records import Meaning
from holdfast.runtime.smoke import SCORE_TOLERANCE, compare

__all__ = ["RULES"]

_SHOWN_MAX = 5
"""Damaged files named in one sentence; the verdict's values hold them all."""

_OF_THE_MACHINE = (MissingExtra, NoSpace, PermissionRefused, Unavailable)
"""What keeps a bundle from being opened here, and says nothing against it."""


def completeness(case: Case) -> Finding:
    """Step 2: all five parts, and the evidence without which nothing can be checked."""
    if case.manifest is None:
        return _undecided("completeness", case)
    missing = case.manifest.missing()
    values: Mapping[str, Json] = {"missing": [{"name": m.name, "why": m.why} for m in missing]}
    if not missing:
        return Finding("completeness", Outcome.PASS, "all five parts and the required evidence are there", "", values)
    # The others often follow from the first. All reasons would hide the names; each is in the values, and in `show`.
    first, *others = missing
    said = ", ".join([f"{first.name} ({first.why})", *(one.name for one in others)])
    return Finding("completeness", Outcome.FAIL, f"missing: {said}", "\n".join(lines_to_add(case.manifest)), values)


def integrity(case: Case) -> Finding:
    """Step 3: every byte of the bundle is what its digest says."""
    if case.damage:
        return Finding(
            "integrity",
            Outcome.FAIL,
            f"{len(case.damage)} of the bundle's files damaged or lost: {'; '.join(case.damage[:_SHOWN_MAX])}",
            "Find what else is damaged with: holdfast check; then register the version again from its run.",
            {"damaged": list(case.damage)},
        )
    count = 0 if case.manifest is None else len(case.manifest.files)
    return Finding("integrity", Outcome.PASS, f"{count} files match their digests", "", {"files": count})


def formats(case: Case) -> Finding:
    """Step 4: whether opening the bundle can run code that is hidden in its files."""
    if case.manifest is None or case.damage:
        return _undecided("formats", case)
    return judge_formats(case.manifest, case.listings, case.policy)


def opens(case: Case) -> Finding:
    """Step 5: the bundle opens in its own environment, and answers its frozen rows together and one by one."""
    if case.trouble is not None:
        outcome = Outcome.INCONCLUSIVE if isinstance(case.trouble, _OF_THE_MACHINE) else Outcome.FAIL
        return Finding("opens", outcome, case.trouble.message, case.trouble.hint, {"code": case.trouble.code})
    if case.measured is None:
        return _undecided("opens", case)
    if case.measured.foreign is not None:
        return Finding(
            "opens",
            Outcome.FAIL,
            f"the weights were {case.measured.foreign}, which may answer otherwise without a word",
            "Register it from the environment that it was trained in, or train it again in this one.",
            {"foreign": case.measured.foreign},
        )
    return Finding("opens", Outcome.PASS, "the bundle opens in a process of its own, and answers")


def smoke(case: Case) -> Finding:
    """Step 6: on its frozen holdout the bundle answers what it answered when it was registered."""
    if case.measured is None or case.recorded is None or case.manifest is None:
        return _undecided("smoke", case)
    found = compare(case.recorded, case.measured.answer)
    drifted = _drifted(case.manifest.evidence.metrics, case.measured.metrics)
    values: Mapping[str, Json] = {**found.to_json(), "metrics_changed": drifted}
    if found.within_tolerance and case.measured.metrics_trouble is not None:
        return _undecided("smoke", case)
    if found.within_tolerance and not drifted:
        sentence = f"{found.rows} frozen rows give the recorded outputs and metrics again"
        return Finding("smoke", Outcome.PASS, sentence, "", values)
    return Finding(
        "smoke",
        Outcome.FAIL,
        f"{found}; metrics that changed: {', '.join(drifted) or 'none'}",
        "The bundle does not do what it did when it was registered; compare the environments.",
        values,
    )


def _drifted(recorded: Metrics | Missing, now: Metrics | None) -> list[str]:
    if isinstance(recorded, Missing) or now is None:
        return []
    far = float("inf")
    return [
        name
        for name, value in recorded.values.items()
        if not abs(now.values.get(name, far) - value) <= SCORE_TOLERANCE * max(1.0, abs(value))
    ]


def metrics_min(case: Case) -> Finding:
    """Step 7: the metrics reach the floors that policy sets."""
    floors = case.policy.metrics_min
    if not floors:
        return Finding("metrics_min", Outcome.PASS, "policy sets no floors")
    if case.measured is None or case.measured.metrics is None:
        return _undecided("metrics_min", case)
    values = case.measured.metrics.values
    unknown = [name for name in floors if not isfinite(values.get(name, float("nan")))]
    if unknown:
        return Finding(
            "metrics_min",
            Outcome.INCONCLUSIVE,
            f"policy sets a floor for {', '.join(unknown)}, which is not measured for this version",
            f"Use one of: {', '.join(sorted(values))}",
        )
    facts: Mapping[str, Json] = {name: {"value": values[name], "floor": floor} for name, floor in floors.items()}
    said = "; ".join(
        f"{name} {values[name]:.4f}, {'at least' if DIRECTIONS[name] else 'at most'} {floor:g} asked"
        for name, floor in floors.items()
    )
    if any((values[name] - floor) * (1 if DIRECTIONS[name] else -1) < -ROUNDING for name, floor in floors.items()):
        return Finding("metrics_min", Outcome.FAIL, said, "Improve the model, or change the policy openly.", facts)
    return Finding("metrics_min", Outcome.PASS, said, "", facts)


def approver(case: Case) -> Finding:
    """Step 8: enough people stand behind it, and where policy asks, one who did not register it.

    Whoever asks is one of them: a promotion writes down their approval. The last word of each person counts, and one
    rejection outweighs every approval.
    """
    said = {approval.approver: approval for approval in case.approvals}  # oldest first: the last word counts
    against = sorted(name for name, approval in said.items() if approval.meaning is Meaning.REJECT)
    author, asked = case.candidate.created_by, case.policy.approvals_min
    counted = sorted({*said, case.actor} - set(against) - ({author} if case.policy.second_person else set()))
    values: Mapping[str, Json] = {
        "approvers": counted,
        "rejected_by": against,
        "approvals_min": asked,
        "second_person": case.policy.second_person,
        "registered_by": author,
    }
    if against:
        return Finding(
            "approver", Outcome.FAIL, f"rejected by {', '.join(against)}", "Talk to them; they can approve it.", values
        )
    if len(counted) >= asked:
        return Finding("approver", Outcome.PASS, f"approved by {', '.join(counted)}", "", values)
    whom = f" by somebody else than {author}" if case.policy.second_person else ""
    return Finding(
        "approver",
        Outcome.FAIL,
        f"{len(counted)} of {asked} approvals{whom}",
        f"Another person runs: holdfast approve {case.candidate.model}@{case.candidate.number} --stage {case.stage}",
        values,
    )


def _undecided(rule: str, case: Case) -> Finding:
    if case.damage:
        why = "the bundle is damaged"
    elif case.trouble is not None:
        why = case.trouble.message
    elif case.manifest is not None and case.manifest.missing():
        why = f"missing: {', '.join(missing.name for missing in case.manifest.missing())}"
    elif case.unopened:
        signed = Need.SIGNED not in needed(case.policy.rules) or signature(case).outcome is Outcome.PASS
        why = f"the bundle was not opened, because of its {'formats' if signed else 'signatures'}"
    elif case.measured is not None and case.measured.metrics_trouble is not None:
        why = case.measured.metrics_trouble.message
    else:
        why = "the frozen rows have no targets"
    return Finding(rule, Outcome.INCONCLUSIVE, f"not decided: {why}", "Mend what the other findings name first.")


RULES: Mapping[str, Callable[[Case], Finding]] = {
    "completeness": completeness,
    "integrity": integrity,
    "signature": signature,
    "formats": formats,
    "opens": opens,
    "smoke": smoke,
    "not_worse": not_worse,
    "groups": groups,
    "guards": guards,
    "metrics_min": metrics_min,
    "latency": latency,
    "memory": memory,
    "rehearsed": rehearsed,
    "shadow": shadowed,
    "schema": schema,
    "semver": semver,
    "threshold": threshold,
    "calibration": calibration,
    "card": card,
    "leakage": leakage,
    "holdout": holdout,
    "drift": drift,
    "approver": approver,
}
