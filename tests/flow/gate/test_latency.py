"""A budget is kept when even the upper bound is within it, broken when even the lower is not, and else undecided."""

import math
from dataclasses import replace
from typing import Any

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


def timed(
    mine: list[float], theirs: list[float] | None = None, batches: list[float] | None = None, **policy: Any
) -> Finding:
    """The finding on calls of both versions, in pairs, and on batches."""
    found = case(RIGHT, RIGHT, **policy)
    assert found.measured is not None
    assert found.against is not None
    measured = replace(found.measured, latencies_ms=tuple(mine), batch_latencies_ms=tuple(batches or ()))
    found = replace(found, measured=measured, against=replace(found.against, latencies_ms=tuple(theirs or ())))
    finding = latency(found)
    encode(plain(finding.to_json()))
    return finding


CALLS = [1.0 + place % 50 / 10 for place in range(400)]


@pytest.mark.parametrize("name", ["p50", "p95", "p99"])
def test_each_percentile_has_a_budget_of_its_own(name: str) -> None:
    low, high = (timed(CALLS).values[f"latency_ms_{name}_{end}"] for end in ("low", "high"))
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low <= high
    kept: dict[str, Any] = {f"latency_ms_{name}_max": high}
    assert timed(CALLS, **kept).outcome is Outcome.PASS
    exceeded: dict[str, Any] = {f"latency_ms_{name}_max": low - 0.01}
    broken = timed(CALLS, **exceeded)
    assert broken.outcome is Outcome.FAIL
    assert f"{name} of one row" in broken.sentence


def test_a_tail_needs_more_calls_than_a_median() -> None:
    finding = timed(CALLS[:200], latency_ms_p99_max=50.0)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "368 calls are needed, and 200 were made" in finding.hint
    assert finding.values["latency_ms_p99_high"] is None
    assert timed(CALLS, latency_ms_p99_max=50.0).outcome is Outcome.PASS


def test_the_ratio_is_that_of_pairs_and_so_a_busy_machine_does_not_show_in_it() -> None:
    slow_hour = [100.0 if place // 40 % 2 else 1.0 for place in range(400)]
    finding = timed([1.2 * one for one in slow_hour], slow_hour, latency_ratio_max=1.3, latency_ms_p95_max=1e6)
    assert finding.outcome is Outcome.PASS
    assert finding.values["latency_ratio"] == pytest.approx(1.2)
    assert finding.values["latency_ratio_low"] == pytest.approx(1.2)
    assert "ratio to the version that holds the stage 1.20" in finding.sentence
    assert timed([1.4 * one for one in CALLS], CALLS, latency_ratio_max=1.3).outcome is Outcome.FAIL


def test_a_ratio_between_its_bounds_decides_nothing() -> None:
    mine = [1.0 + place / 100 for place in range(60)]
    finding = timed(mine, [1.0] * 60, latency_ratio_max=1.3, latency_ms_p95_max=1.7)
    assert finding.values["latency_ratio_low"] <= 1.3 < finding.values["latency_ratio_high"]
    assert finding.outcome is Outcome.INCONCLUSIVE


def test_a_ratio_to_what_could_not_be_timed_decides_nothing() -> None:
    assert timed(CALLS, None, latency_ratio_max=2.0).outcome is Outcome.INCONCLUSIVE
    assert timed(CALLS, None).outcome is Outcome.PASS


def test_batches_are_told_apart_and_judged_where_they_have_a_budget() -> None:
    quick, many = CALLS, [20.0 + place % 10 for place in range(100)]
    told = timed(quick, None, many)
    assert told.values["latency_ms_batch_p50"] == pytest.approx(25.0)
    assert (told.values["batch_rows"], told.values["batch_calls"]) == (100, 100)
    assert told.outcome is Outcome.PASS
    assert timed(quick, None, many, latency_ms_batch_p95_max=40.0).outcome is Outcome.PASS
    broken = timed(quick, None, many, latency_ms_batch_p95_max=10.0)
    assert broken.outcome is Outcome.FAIL
    assert "p95 of a batch of 100 rows" in broken.sentence
    assert timed(quick, None, [], latency_ms_batch_p95_max=10.0).outcome is Outcome.INCONCLUSIVE
