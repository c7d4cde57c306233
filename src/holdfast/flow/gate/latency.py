"""Step 7: one row is answered within the budget.

The 95th percentile is bounded by order statistics, with no distribution assumed (Conover, Practical Nonparametric
Statistics, section 3.2): the rule passes when the upper bound is within the budget, fails when the lower bound is past
it, and is inconclusive in between.
"""

from collections.abc import Mapping, Sequence
from math import comb

from holdfast.canonical import Json
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome

__all__ = ["latency", "quantile_bounds"]

_QUANTILE = 0.95
_CONFIDENCE = 0.95


def latency(case: Case) -> Finding:
    """Compare the candidate's time for a single row with the budget."""
    if case.measured is None or not case.measured.latencies_ms:
        return Finding(
            "latency",
            Outcome.INCONCLUSIVE,
            "not decided: the bundle could not be timed",
            "Mend what the other findings name first.",
        )
    low, middle, high = quantile_bounds(case.measured.latencies_ms, _QUANTILE, _CONFIDENCE)
    budget = case.policy.latency_ms_p95_max
    values: Mapping[str, Json] = {
        "latency_ms_p95": middle,
        "latency_ms_p95_low": low,
        "latency_ms_p95_high": high,
        "latency_ms_p95_max": budget,
        "calls": len(case.measured.latencies_ms),
        "baseline_latency_ms_p95": quantile_bounds(case.against.latencies_ms, _QUANTILE, _CONFIDENCE)[1]
        if case.against is not None and case.against.latencies_ms
        else None,
    }
    sentence = f"p95 of one row {middle:.2f} ms ({low:.2f} to {high:.2f}), {budget:g} ms allowed"
    if high <= budget:
        return Finding("latency", Outcome.PASS, sentence, "", values)
    if low > budget:
        return Finding("latency", Outcome.FAIL, sentence, "Make the preprocessing or the model cheaper.", values)
    return Finding("latency", Outcome.INCONCLUSIVE, sentence, "Measure again on a quiet machine.", values)


def quantile_bounds(values: Sequence[float], quantile: float, confidence: float) -> tuple[float, float, float]:
    """The quantile of `values` between its lower and upper bound, by order statistics.

    Args:
        values: at least one measurement.
        quantile: between 0 and 1.
        confidence: of the interval, two-sided; with few values the upper bound is the largest of them.
    """
    ordered, count = sorted(values), len(values)
    tail = (1.0 - confidence) / 2.0
    below, low, high = 0.0, 0, count - 1
    for rank in range(count):
        below += comb(count, rank) * quantile**rank * (1.0 - quantile) ** (count - rank)
        if below <= tail:
            low = rank
        if below >= 1.0 - tail:
            high = rank
            break
    return ordered[low], ordered[min(int(quantile * count), count - 1)], ordered[high]
