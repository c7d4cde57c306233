"""Step 7: the cut-off that was pinned is still a good one on the frozen rows.

A model that was trained anew gives other scores, and a cut-off that was right for the old ones may be wrong for these.
What it loses against the best cut-off is judged without the profit that the best one makes from the chance of these
rows: `statistics.cut` says how. Where the cut-off moved, the finding says what the old one would have given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from holdfast.canonical import Json
from holdfast.flow.bundle.metrics import positive_scores
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.flow.gate.gain import SEED, clusters_of, estimate_json, require_statistics
from holdfast.flow.gate.stage_policy import CUT_METRICS, STRICT, StagePolicy
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import CUT_OFF

if TYPE_CHECKING:
    from holdfast.statistics.cut import CutLoss, Metric

__all__ = ["threshold"]

_RULE = "threshold"


def threshold(case: Case) -> Finding:
    """Judge the pinned cut-off against the best one on the same rows."""
    rule = case.manifest.parts.eval_threshold if case.manifest is not None else None
    if isinstance(rule, EvalThreshold) and rule.value is None:
        return Finding(_RULE, Outcome.PASS, f"the version answers by {rule.rule}: there is no cut-off to be wrong")
    if isinstance(rule, EvalThreshold) and rule.rule != CUT_OFF:
        return _undecided(
            f"a least score for an answer, {rule.value:g}, has no best value by any metric here",
            "Leave threshold out of the rules of this model.",
        )
    if not isinstance(rule, EvalThreshold) or case.measured is None or case.measured.metrics is None:
        return _undecided("not decided: the version could not be measured", "Mend what the other findings name first.")
    metric = case.policy.threshold_metric or _metric_of(rule, case.measured.metrics.primary)
    scores = positive_scores(case.measured.answer, rule)
    if metric == "cost" and not _kinds(case.policy):
        return _undecided(
            "policy does not say what each kind of mistake of a cut-off costs",
            "Say it: cost = { false_positive = 1.0, false_negative = 20.0 }; or name another threshold_metric.",
        )
    if metric is None or scores is None:
        return _undecided(
            f"by {case.measured.metrics.primary} alone no cut-off is best",
            f'Name another: threshold_metric = "f1"; or one of: {", ".join(CUT_METRICS)}',
        )
    positive = [target == rule.positive for target in case.targets or ()]
    if len(positive) < case.policy.rows_min or len(set(positive)) == 1:
        what = f"{len(positive)} rows are too few" if len(set(positive)) > 1 else "all rows are of one kind"
        return _undecided(f"{what} to judge a cut-off by", "Register with a larger holdout.")
    return _judged(case, rule, metric, positive, scores)


def _metric_of(rule: EvalThreshold, primary: str) -> str | None:
    """The metric that the cut-off was chosen by, or else the primary one, if it has a best cut-off."""
    return next((name for name in (rule.metric, primary) if name in CUT_METRICS), None)


def _kinds(policy: StagePolicy) -> Mapping[str, float]:
    """What the two kinds of mistakes cost; empty where policy says it in another way, or not at all."""
    kinds = {} if policy.cost is None else policy.cost.by_kind
    return kinds if "false_positive" in kinds else {}


@dataclass(frozen=True, slots=True)
class _Measure:
    """What cut-offs are judged by.

    Attributes:
        metric: from counts of rows to a number, higher being better.
        unit: what one of it is in the metric itself, below nothing where lower is better.
    """

    metric: "Metric"
    unit: float = 1.0

    def said(self, value: float) -> float:
        return value * self.unit


def _measure(name: str, policy: StagePolicy, cut: float, positive: Sequence[bool], scores: Sequence[float]) -> _Measure:
    """The metric of this name; costs are shares of what the pinned cut-off costs, so that cents and euros are alike."""
    from holdfast.statistics.cut import METRICS, of_costs, value_at

    if name != "cost":
        return _Measure(METRICS[name])
    kinds = _kinds(policy)
    unit = -value_at(positive, scores, cut, of_costs(**kinds)) or 1.0
    return _Measure(of_costs(**kinds, unit=unit), -unit)


def _judged(case: Case, rule: EvalThreshold, metric: str, positive: Sequence[bool], scores: Sequence[float]) -> Finding:
    require_statistics()
    from holdfast.statistics.cut import cut_loss

    policy, cut = case.policy, float(rule.value or 0.0)
    by = _measure(metric, policy, cut, positive, scores)
    found = cut_loss(
        positive,
        scores,
        cut,
        by.metric,
        confidence=1.0 - 2.0 * policy.alpha,
        seed=SEED,
        clusters=clusters_of(case),
    )
    estimate, level = found.estimate, round(100 * found.estimate.confidence)
    moved, facts = _moved(case, rule, positive, scores, by)
    values: dict[str, Json] = {
        "metric": metric,
        "value": by.said(found.value),
        "cut": cut,
        "best_cut": found.best_cut if isfinite(found.best_cut) else None,
        "best_value": by.said(found.best_value),
        "optimism": found.optimism,
        "loss": estimate_json(estimate),
        "loss_max": policy.threshold_loss_max,
        "rows": len(positive),
        **facts,
    }
    share = " of it" if metric == "cost" else ""
    told = (
        f"{metric} {by.said(found.value):.4f} at the cut-off {cut:g}{moved}; at its best, {found.best_cut:g}, it is "
        f"{by.said(found.best_value):.4f} on these rows. Without their chance {estimate.value:.4f}{share} is lost, "
        f"{level} % interval "
        f"{estimate.low:.4f} to {estimate.high:.4f}, and {policy.threshold_loss_max:g} is allowed"
    )
    return _decided(found, policy, told, values)


def _moved(
    case: Case, rule: EvalThreshold, positive: Sequence[bool], scores: Sequence[float], by: _Measure
) -> tuple[str, Mapping[str, Json]]:
    """What the cut-off of the version that holds the stage would give on these scores, where it is another one."""
    from holdfast.statistics.cut import value_at

    old = case.baseline_manifest.parts.eval_threshold if case.baseline_manifest is not None else None
    if case.baseline is None or not isinstance(old, EvalThreshold) or old.rule != CUT_OFF or old.value is None:
        return "", {}
    if old.value == rule.value:
        return f", as that of version {case.baseline.number}", {"baseline_cut": old.value}
    value = by.said(value_at(positive, scores, old.value, by.metric))
    said = f" (it moved: that of version {case.baseline.number}, {old.value:g}, would give {value:.4f})"
    return said, {"baseline_cut": old.value, "value_at_baseline_cut": value}


def _decided(found: "CutLoss", policy: StagePolicy, told: str, values: Mapping[str, Json]) -> Finding:
    from holdfast.statistics.estimate import rows_needed

    estimate, allowed = found.estimate, policy.threshold_loss_max
    if estimate.low > allowed + ROUNDING:
        better = f"Cut at about {found.best_cut:g}" if isfinite(found.best_cut) else "Look at the scores"
        hint = f"{better}, chosen on rows that are not the holdout, and register again."
        return Finding(_RULE, Outcome.FAIL, told, hint, values)
    strict = policy.policy == STRICT
    asked = allowed if strict else allowed + policy.harm_margin
    small = strict or estimate.value <= allowed + ROUNDING
    if small and estimate.high <= asked + ROUNDING:
        return Finding(_RULE, Outcome.PASS, told, "", values)
    needed = rows_needed(estimate, asked if small else allowed)
    hint = f"About {needed} rows would tell." if needed is not None else "No number of such rows would tell."
    why = f"a loss beyond {asked:g} cannot be ruled out" if small else "that it is more may be chance"
    return _undecided(f"{told}: {why}", f"{hint} Register with a larger holdout.", {**values, "rows_needed": needed})


def _undecided(sentence: str, hint: str, values: Mapping[str, Json] | None = None) -> Finding:
    return Finding(_RULE, Outcome.INCONCLUSIVE, sentence, hint, values or {})
