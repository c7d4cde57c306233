"""Step 7: rows are answered within the budgets.

A percentile is bounded by order statistics, with no distribution assumed (Conover, Practical Nonparametric Statistics,
section 3.2): a budget is kept when the upper bound is within it, broken when the lower bound is past it, and undecided
in between. Too few calls have no upper bound, and so cannot pass.

Times are of one machine on one day. What carries over to another is a ratio: the versions took turns, so each call has
a partner of the same row in the same moment, and the median of the ratios of the pairs is bounded in the same way. The
typical call is compared and not the 95th percentile: ten calls of two hundred decide that one, and on a busy machine
whatever else ran decides those.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, isfinite, lgamma, log, log1p

from holdfast.canonical import Json
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome

__all__ = ["latency", "quantile_bounds"]

_CONFIDENCE = 0.95
_QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class _Bounded:
    """One figure between its bounds, and the budget that it is held against.

    Attributes:
        key: how policy and the finding's values call it, without what stands behind.
        what: the same for a person.
        unit: behind the numbers.
        found: lower bound, value, upper bound; a bound that so few calls cannot give is infinite.
        most: the budget; None: none.
        calls: how many there were.
        enough: how many would give an upper bound at all.
    """

    key: str
    what: str
    unit: str
    found: tuple[float, float, float]
    most: float | None
    calls: int
    enough: int

    @property
    def outcome(self) -> Outcome:
        """How it stands to the budget; `pass` without one."""
        low, _, high = self.found
        if self.most is None or high <= self.most:
            return Outcome.PASS
        return Outcome.FAIL if low > self.most else Outcome.INCONCLUSIVE

    @property
    def sentence(self) -> str:
        """What was found, and what is allowed."""
        low, value, high = self.found
        known = isfinite(low) and isfinite(high)
        bounds = f"{low:.2f} to {high:.2f}" if known else f"{self.calls} calls are too few to bound it"
        allowed = "" if self.most is None else f", {self.most:g}{self.unit} allowed"
        return f"{self.what} {value:.2f}{self.unit} ({bounds}){allowed}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.outcome is Outcome.FAIL:
            return "Make the preprocessing or the model cheaper."
        if self.calls < self.enough:
            return f"Measure again on a quiet machine: {self.enough} calls are needed, and {self.calls} were made."
        return "Measure again on a quiet machine; the budget lies between the bounds."

    def values(self) -> Iterator[tuple[str, Json]]:
        """What the finding keeps of it; a bound that is not known is null."""
        low, value, high = self.found
        yield self.key, value
        yield f"{self.key}_low", low if isfinite(low) else None
        yield f"{self.key}_high", high if isfinite(high) else None
        yield f"{self.key}_max", self.most


def latency(case: Case) -> Finding:
    """Compare the candidate's times with the budgets, and with those of the version that holds the stage."""
    if case.measured is None or not case.measured.latencies_ms:
        return Finding(
            "latency",
            Outcome.INCONCLUSIVE,
            "not decided: the bundle could not be timed",
            "Mend what the other findings name first.",
        )
    asked, mine = case.policy, case.measured.latencies_ms
    theirs = () if case.against is None else case.against.latencies_ms
    budgets = (asked.latency_ms_p50_max, asked.latency_ms_p95_max, asked.latency_ms_p99_max)
    figures = [
        _percentile("latency_ms", "of one row", mine, quantile, most)
        for quantile, most in zip(_QUANTILES, budgets, strict=True)
    ]
    figures += _of_batches(case)
    pairs = [a / b for a, b in zip(mine, theirs, strict=False) if b > 0]
    if pairs:
        most = asked.latency_ratio_max
        bounds, enough = quantile_bounds(pairs, 0.5, _CONFIDENCE), _enough(0.5)
        what = "ratio to the version that holds the stage"
        figures.append(_Bounded("latency_ratio", what, "", bounds, most, len(pairs), enough))
    values: Mapping[str, Json] = {
        **{key: value for figure in figures for key, value in figure.values()},
        "calls": len(mine),
        "batch_rows": asked.latency_batch_rows,
        "batch_calls": len(case.measured.batch_latencies_ms),
        **{f"baseline_latency_ms_p{quantile * 100:g}": _value(theirs, quantile) for quantile in _QUANTILES},
    }
    return _judged(case, figures, values)


def _judged(case: Case, figures: Sequence[_Bounded], values: Mapping[str, Json]) -> Finding:
    """The worst of the figures; what has a budget is told, and the ratio always."""
    told = [figure for figure in figures if figure.most is not None or figure.key == "latency_ratio"]
    sentence = "; ".join(figure.sentence for figure in told)
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        bad = [figure for figure in told if figure.outcome is outcome]
        if bad:
            return Finding("latency", outcome, sentence, bad[0].hint, values)
    if case.policy.latency_ratio_max is not None and case.baseline is not None and "latency_ratio" not in values:
        why = "the version that holds the stage could not be timed"
        return Finding(
            "latency", Outcome.INCONCLUSIVE, f"{sentence}; no ratio: {why}", "See why it does not answer.", values
        )
    return Finding("latency", Outcome.PASS, sentence, "", values)


def _of_batches(case: Case) -> Iterator[_Bounded]:
    times = () if case.measured is None else case.measured.batch_latencies_ms
    if not times:
        if case.policy.latency_ms_batch_p95_max is not None:
            nothing = (-inf, 0.0, inf)
            most, enough = case.policy.latency_ms_batch_p95_max, _enough(0.95)
            yield _Bounded("latency_ms_batch_p95", "p95 of a batch", " ms", nothing, most, 0, enough)
        return
    what = f"of a batch of {case.policy.latency_batch_rows} rows"
    yield _percentile("latency_ms_batch", what, times, 0.5, None)
    yield _percentile("latency_ms_batch", what, times, 0.95, case.policy.latency_ms_batch_p95_max)


def _percentile(key: str, what: str, times: Sequence[float], quantile: float, most: float | None) -> _Bounded:
    name, bounds = f"p{quantile * 100:g}", quantile_bounds(times, quantile, _CONFIDENCE)
    return _Bounded(f"{key}_{name}", f"{name} {what}", " ms", bounds, most, len(times), _enough(quantile))


def _value(times: Sequence[float], quantile: float) -> float | None:
    return quantile_bounds(times, quantile, _CONFIDENCE)[1] if times else None


def _enough(quantile: float) -> int:
    """The calls from which on a percentile has an upper bound: all of them are below it too seldom to be chance."""
    return ceil(log((1.0 - _CONFIDENCE) / 2.0) / log(quantile))


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
