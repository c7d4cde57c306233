"""Step 7: one row is answered within the budget.

The 95th percentile is bounded by order statistics, with no distribution assumed (Conover, Practical Nonparametric
Statistics, section 3.2): the rule passes when the upper bound is within the budget, fails when the lower bound is past
it, and is inconclusive in between. Too few calls have no upper bound, and so cannot pass.
"""

from collections.abc import Mapping, Sequence
from math import exp, inf, isfinite, lgamma, log, log1p

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
    budget, calls = case.policy.latency_ms_p95_max, len(case.measured.latencies_ms)
    values: Mapping[str, Json] = {
        "latency_ms_p95": middle,
        "latency_ms_p95_low": low if isfinite(low) else None,
        "latency_ms_p95_high": high if isfinite(high) else None,
        "latency_ms_p95_max": budget,
        "calls": calls,
        "baseline_latency_ms_p95": quantile_bounds(case.against.latencies_ms, _QUANTILE, _CONFIDENCE)[1]
        if case.against is not None and case.against.latencies_ms
        else None,
    }
    known = isfinite(low) and isfinite(high)
    bounds = f"{low:.2f} to {high:.2f}" if known else f"{calls} calls are too few to bound it"
    sentence = f"p95 of one row {middle:.2f} ms ({bounds}), {budget:g} ms allowed"
    if high <= budget:
        return Finding("latency", Outcome.PASS, sentence, "", values)
    if low > budget:
        return Finding("latency", Outcome.FAIL, sentence, "Make the preprocessing or the model cheaper.", values)
    return Finding("latency", Outcome.INCONCLUSIVE, sentence, "Measure again on a quiet machine.", values)


def quantile_bounds(values: Sequence[float], quantile: float, confidence: float) -> tuple[float, float, float]:
    """The quantile of `values` between its lower and upper bound, by order statistics.

    Args:
        values: at least one measurement.
        quantile: between 0 and 1, both excluded.
        confidence: of the interval, two-sided. A bound that so few values cannot give is infinite.
    """
    ordered, count = sorted(values), len(values)
    tail = (1.0 - confidence) / 2.0
    below, low, high = 0.0, -inf, inf
    for rank in range(count):
        below += _binomial(count, rank, quantile)
        if below <= tail:
            low = ordered[rank]
        if below >= 1.0 - tail:
            high = ordered[rank]
            break
    return low, ordered[min(int(quantile * count), count - 1)], high


def _binomial(count: int, rank: int, quantile: float) -> float:
    """The probability that exactly `rank` of `count` values lie below the quantile; in logarithms, for any count."""
    ways = lgamma(count + 1) - lgamma(rank + 1) - lgamma(count - rank + 1)
    return exp(ways + rank * log(quantile) + (count - rank) * log1p(-quantile))
