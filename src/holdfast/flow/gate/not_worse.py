"""Step 7: the primary metric against that of the version that holds the stage, on the same rows, with an interval.

`default` lets a version through that is at least as good, as far as these rows tell, and whose loss, should it be
worse after all, is unlikely to be beyond what policy calls harm. `strict` lets it through only when the rows show
that it is not worse by more than the margin. Both say how many rows would decide, where these do not.
"""

from collections.abc import Mapping
from math import isfinite

from holdfast.canonical import Json
from holdfast.flow.bundle.metrics import DIRECTIONS
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.flow.gate.gain import Gain, estimate_json, gain_in
from holdfast.flow.gate.groups import why_incomparable
from holdfast.flow.gate.stage_policy import STRICT, StagePolicy
from holdfast.registry.values import Version

__all__ = ["not_worse"]

_RULE = "not_worse"


def not_worse(case: Case) -> Finding:
    """Compare the two versions by the candidate's primary metric, or by the one that policy names."""
    if case.baseline is None:
        return Finding(_RULE, Outcome.PASS, f"nothing holds {case.stage} yet; there is nothing to lose to")
    if case.measured is None or case.measured.metrics is None or case.against is None or case.against.metrics is None:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"version {case.baseline.number} cannot be compared on these rows: {why_incomparable(case)}",
            _how_to_compare(case.baseline),
        )
    mine, theirs, policy = case.measured.metrics, case.against.metrics, case.policy
    name = mine.primary
    values: dict[str, Json] = {
        "metric": name,
        "value": mine.values[name],
        "baseline": theirs.values[name],
        "gain": (mine.values[name] - theirs.values[name]) * (1.0 if DIRECTIONS[name] else -1.0),
        "margin": policy.margin,
        "rows": mine.rows,
    }
    sentence = (
        f"{name} {mine.values[name]:.4f} against {theirs.values[name]:.4f} of version {case.baseline.number} "
        f"on the same {mine.rows} rows"
    )
    if not isfinite(values["gain"]):
        return Finding(
            _RULE, Outcome.INCONCLUSIVE, f"{sentence}: no number to compare", "Judge by another metric.", values
        )
    if mine.rows < policy.rows_min:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"{sentence}, which are too few to decide; {policy.rows_min} are asked for",
            "Register with a larger holdout.",
            values,
        )
    found = gain_in(case, name, 1.0 - 2.0 * policy.alpha)
    values |= {
        "policy": policy.policy,
        "alpha": policy.alpha,
        "harm_margin": policy.harm_margin,
        "margin_unit": "share of the baseline's error" if found.scale != 1.0 else "of the metric",
        "estimate": estimate_json(found.estimate),
        "alike": found.alike,
    }
    return _decided(found, policy, sentence, values)


def _decided(found: Gain, policy: StagePolicy, sentence: str, values: Mapping[str, Json]) -> Finding:
    from holdfast.statistics.estimate import rows_needed

    estimate, level = found.estimate, round(100 * found.estimate.confidence)
    margin, harm = policy.margin * found.scale, (policy.margin + policy.harm_margin) * found.scale
    if found.alike and policy.policy != STRICT:
        return Finding(_RULE, Outcome.PASS, f"{sentence}: the same answers throughout", "", values)
    told = (
        f"{sentence}; gain {estimate.value:+.4f}, {level} % interval {_bound(estimate.low)} to {_bound(estimate.high)}"
    )
    if estimate.high < -margin - ROUNDING:
        return Finding(
            _RULE,
            Outcome.FAIL,
            f"{told}: worse by {-estimate.value:.4f}, and {margin:g} is allowed",
            "Look at the training data and the parameters: what changed since that version?",
            values,
        )
    asked = -margin if policy.policy == STRICT else -harm
    as_good = policy.policy == STRICT or estimate.value >= -margin - ROUNDING
    if as_good and estimate.low >= asked - ROUNDING:
        return Finding(_RULE, Outcome.PASS, told, "", values)
    needed = rows_needed(estimate, asked if as_good else -margin)
    said = {**values, "rows_needed": needed}
    why = (
        f"a loss beyond {-asked:g} cannot be ruled out"
        if as_good
        else f"worse by {-estimate.value:.4f} and {margin:g} is allowed, but it may be chance"
    )
    hint = f"About {needed} rows would tell." if needed is not None else "No number of such rows would tell."
    return Finding(_RULE, Outcome.INCONCLUSIVE, f"{told}: {why}", f"{hint} Register with a larger holdout.", said)


def _bound(value: float) -> str:
    return f"{value:+.4f}" if isfinite(value) else "not known"


def _how_to_compare(baseline: Version) -> str:
    if baseline.complete:
        return "Give a holdout that both versions can answer."
    return (
        f"Version {baseline.number} lacks {', '.join(baseline.missing)}: register it again with them, or leave "
        "not_worse and groups out of the policy for this one promotion, which its verdict will say."
    )
