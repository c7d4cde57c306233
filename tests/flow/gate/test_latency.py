"""A budget is kept when even the upper bound is within it, broken when even the lower is not, and else undecided."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from holdfast.canonical import encode, plain
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.latency import latency, quantile_bounds
from tests.flow.gate.cases import RIGHT, case, without_answer


def judge(times: list[float], *, budget: float = 100.0) -> Finding:
    found = case(RIGHT, RIGHT, latency_ms_p95_max=budget)
    assert found.measured is not None
    finding = latency(replace(found, measured=replace(found.measured, latencies_ms=tuple(times))))
    encode(plain(finding.to_json()))
    return finding


def test_a_quick_version_passes() -> None:
    finding = judge([1.0 + place / 1000 for place in range(200)])
    assert finding.outcome is Outcome.PASS
    assert finding.values["calls"] == 200


def test_a_slow_version_fails_with_what_to_do() -> None:
    finding = judge([150.0 + place for place in range(200)])
    assert finding.outcome is Outcome.FAIL
    assert finding.hint


def test_a_budget_between_the_bounds_decides_nothing() -> None:
    times = [float(place) for place in range(200)]
    low, middle, high = quantile_bounds(times, 0.95, 0.95)
    assert low < middle < high
    assert judge(times, budget=middle).outcome is Outcome.INCONCLUSIVE
    assert judge(times, budget=high).outcome is Outcome.PASS
    assert judge(times, budget=low - 0.5).outcome is Outcome.FAIL


def test_one_slow_call_of_two_hundred_breaks_no_budget() -> None:
    assert judge([1.0] * 199 + [5000.0]).outcome is Outcome.PASS


def test_too_few_calls_cannot_pass_however_quick() -> None:
    finding = judge([1.0] * 71)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "71 calls are too few" in finding.sentence
    assert finding.values["latency_ms_p95_high"] is None
    assert judge([1.0] * 72).outcome is Outcome.PASS


def test_few_calls_can_fail_when_all_of_them_are_slow() -> None:
    assert judge([5000.0] * 6).outcome is Outcome.FAIL


def test_one_call_proves_nothing() -> None:
    assert judge([5000.0]).outcome is Outcome.INCONCLUSIVE


def test_a_version_that_could_not_be_timed_decides_nothing() -> None:
    assert judge([]).outcome is Outcome.INCONCLUSIVE
    assert latency(without_answer(case(RIGHT, RIGHT))).outcome is Outcome.INCONCLUSIVE


def test_the_other_version_is_measured_beside_it_for_context() -> None:
    found = case(RIGHT, RIGHT)
    assert found.measured is not None
    assert found.against is not None
    mine = replace(found.measured, latencies_ms=(1.0,) * 100)
    theirs = replace(found.against, latencies_ms=(7.0,) * 100)
    assert latency(replace(found, measured=mine, against=theirs)).values["baseline_latency_ms_p95"] == 7.0
    assert latency(replace(found, measured=mine)).values["baseline_latency_ms_p95"] is None


@settings(deadline=None)
@given(
    st.lists(st.floats(0.0, 1e6), min_size=1, max_size=400),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_the_bounds_are_those_of_the_binomial_distribution(
    values: list[float], quantile: float, confidence: float
) -> None:
    ordered, count, tail = sorted(values), len(values), (1.0 - confidence) / 2.0
    # Where a probability equals the tail to the last digit, two correct sums may fall on two sides of it.
    below = stats.binom.cdf(range(count), count, quantile)
    assume(min(abs(below - edge).min() for edge in (tail, 1.0 - tail)) > 1e-9)
    least, most = stats.binom.ppf([tail, 1.0 - tail], count, quantile)
    low, middle, high = quantile_bounds(values, quantile, confidence)
    # Ranks from 1: the lower bound is the value of rank `least`, the upper that of rank `most` + 1, where they exist.
    assert low == (ordered[int(least) - 1] if least >= 1 else -math.inf)
    assert high == (ordered[int(most)] if most < count else math.inf)
    assert low <= middle <= high


@pytest.mark.parametrize("count", [1_000, 5_000, 100_000])
def test_many_values_are_no_trouble(count: int) -> None:
    values = [float(place) for place in range(count)]
    least, most = stats.binom.ppf([0.025, 0.975], count, 0.95)
    low, _, high = quantile_bounds(values, 0.95, 0.95)
    assert (low, high) == (values[int(least) - 1], values[int(most)])
