"""Step 7: the primary metric against that of the version that holds the stage, on the same rows, with an interval.

`default` lets a version through that is at least as good, as far as these rows tell, and whose loss, should it be
worse after all, is unlikely to be beyond what policy calls harm. `strict` lets it through only when the rows show
that it is not worse by more than the margin. Both say how many rows would decide, where these do not.
"""

from dataclasses import dataclass
from math import isfinite

from holdfast.canonical import Json
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.flow.gate.gain import Gain, estimate_json, gain_in
from holdfast.flow.gate.groups import why_incomparable
from holdfast.flow.gate.stage_policy import STRICT
from holdfast.registry.values import Version

__all__ = ["Asked", "compared", "not_worse"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One comparison: by which metric, and how much may be lost.

    Attributes:
        rule: on whose behalf.
        metric: None: the primary one.
        margin: how far the metric may fall.
        harm_margin: by how much more it must be unlikely to have fallen.
        among: how many comparisons are made that could each end in `fail`; a loss counts as shown when it would be
            improbable among so many.
    """

    rule: str
    metric: str | None
    margin: float
    harm_margin: float
    among: int = 1


def not_worse(case: Case) -> Finding:
    """Compare the two versions by the candidate's primary metric, or by the one that policy names."""
    return compared(case, Asked("not_worse", None, case.policy.margin, case.policy.harm_margin))


def compared(case: Case, asked: Asked) -> Finding:
    """Compare the two versions by one metric, as the policy's `alpha` and its kind say."""
    rule = asked.rule
    if case.baseline is None:
        return Finding(rule, Outcome.PASS, f"no other version holds {case.stage}; there is nothing to lose to")
    if case.measured is None or case.measured.metrics is None or case.against is None or case.against.metrics is None:
        return Finding(
            rule,
            Outcome.INCONCLUSIVE,
            f"version {case.baseline.number} cannot be compared on these rows: {why_incomparable(case)}",
            _how_to_compare(case.baseline),
        )
    mine, theirs, policy = case.measured.metrics, case.against.metrics, case.policy
    name = asked.metric or policy.metric or mine.primary
    if name not in mine.values or name not in theirs.values:
        trouble = (case.measured.costs_trouble or case.against.costs_trouble) if name == "cost" else None
        usable = ", ".join(sorted(set(mine.values) & set(theirs.values)))
        return Finding(
            rule,
            Outcome.INCONCLUSIVE,
            f"{name} is not measured for these versions{'' if trouble is None else f': {trouble.message}'}",
            f"Use one of: {usable}" if trouble is None else trouble.hint,
            {"metric": name},
        )
    values: dict[str, Json] = {
        "metric": name,
        "value": mine.values[name],
        "baseline": theirs.values[name],
        "gain": (mine.values[name] - theirs.values[name]) * (1.0 if DIRECTIONS[name] else -1.0),
        "margin": asked.margin,
        "rows": mine.rows,
    }
    sentence = (
        f"{name} {mine.values[name]:.4f} against {theirs.values[name]:.4f} of version {case.baseline.number} "
        f"on the same {mine.rows} rows"
    )
    if not isfinite(values["gain"]):
        return Finding(
            rule, Outcome.INCONCLUSIVE, f"{sentence}: no number to compare", "Judge by another metric.", values
        )
    if mine.rows < policy.rows_min:
        return Finding(
            rule,
            Outcome.INCONCLUSIVE,
            f"{sentence}, which are too few to decide; {policy.rows_min} are asked for",
            "Register with a larger holdout.",
            values,
        )
    found = gain_in(case, name, 1.0 - 2.0 * policy.alpha)
    values |= {
        "policy": policy.policy,
        "alpha": policy.alpha,
        "harm_margin": asked.harm_margin,
        "margin_unit": "of the metric" if found.scale == 1.0 else f"share of the baseline's {_error(name)}",
        "estimate": estimate_json(found.estimate),
        "alike": found.alike,
    }
    return _decided(case, found, asked, sentence, values)


def _error(metric: str) -> str:
    return "cost" if metric == "cost" else "error"


def _decided(case: Case, found: Gain, asked: Asked, sentence: str, values: dict[str, Json]) -> Finding:
    from holdfast.statistics.estimate import rows_needed

    rule, strict = asked.rule, case.policy.policy == STRICT
    estimate, level = found.estimate, round(100 * found.estimate.confidence)
    margin, harm = asked.margin * found.scale, (asked.margin + asked.harm_margin) * found.scale
    if found.alike and not strict:
        return Finding(rule, Outcome.PASS, f"{sentence}: the same answers throughout", "", values)
    told = (
        f"{sentence}; gain {estimate.value:+.4f}, {level} % interval {_bound(estimate.low)} to {_bound(estimate.high)}"
    )
    if estimate.high < -margin - ROUNDING and _lost_among_others(case, asked, values, margin):
        return Finding(
            rule,
            Outcome.FAIL,
            f"{told}: worse by {-estimate.value:.4f}, and {margin:g} is allowed",
            "Look at the training data and the parameters: what changed since that version?",
            values,
        )
    wanted = -margin if strict else -harm
    as_good = strict or estimate.value >= -margin - ROUNDING
    if as_good and estimate.low >= wanted - ROUNDING:
        return Finding(rule, Outcome.PASS, told, "", values)
    needed = rows_needed(estimate, wanted if as_good else -margin)
    said = {**values, "rows_needed": needed}
    why = (
        f"a loss beyond {-wanted:g} cannot be ruled out"
        if as_good
        else f"worse by {-estimate.value:.4f} and {margin:g} is allowed, but it may be chance"
    )
    hint = f"About {needed} rows would tell." if needed is not None else "No number of such rows would tell."
    return Finding(rule, Outcome.INCONCLUSIVE, f"{told}: {why}", f"{hint} Register with a larger holdout.", said)


def _lost_among_others(case: Case, asked: Asked, values: dict[str, Json], margin: float) -> bool:
    """Whether the loss is still shown by a bound that holds for all comparisons at once."""
    from holdfast.statistics.several import confidence_of_each

    if asked.among == 1:
        return True
    wider = gain_in(case, str(values["metric"]), confidence_of_each(1.0 - 2.0 * case.policy.alpha, asked.among))
    values["estimate_among_all"] = estimate_json(wider.estimate)
    return wider.estimate.high < -margin - ROUNDING


def _bound(value: float) -> str:
    return f"{value:+.4f}" if isfinite(value) else "not known"


def _how_to_compare(baseline: Version) -> str:
    if baseline.complete:
        return "Give a holdout that both versions can answer."
    return (
        f"Version {baseline.number} lacks {', '.join(baseline.missing)}: register it again with them, or leave "
        "not_worse and groups out of the policy for this one promotion, which its verdict will say."
    )
