"""Many questions, quantiles and drift; held to other people's code and to simulation."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from holdfast.statistics import drift
from holdfast.statistics.quantiles import quantile, quantile_calls
from holdfast.statistics.several import confidence_of_each, holm

EXACT = 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holms_adjustment_is_that_of_statsmodels(ps: list[float]) -> None:
    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]), abs=EXACT)


def test_no_questions_have_no_answers() -> None:
    assert holm([]) == []
    assert confidence_of_each(0.95, 0) == confidence_of_each(0.95, 1) == pytest.approx(0.95)
    assert confidence_of_each(0.95, 5) == pytest.approx(0.99)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("count", [20, 200, 1000])
def test_the_bounds_of_a_quantile_cover_it(share: float, count: int) -> None:
    """Whatever the distribution: by the ranks of uniform numbers, whose quantile is known."""
    chance = np.random.default_rng(9)
    inside = 0
    for _ in range(400):
        found = quantile(chance.random(count), share, confidence=0.95)
        inside += found.low <= share <= found.high
    assert inside / 400 >= 0.92  # at least 0.95, less three standard errors


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80), st.floats(0.01, 0.99))
def test_a_quantile_lies_between_its_bounds_which_are_measured_values(values: list[float], share: float) -> None:
    found = quantile(values, share, confidence=0.95)
    assert found.low <= found.value <= found.high
    assert {found.low, found.value, found.high} <= {*values, inf, -inf}


def test_few_calls_bound_nothing_and_it_says_how_many_would() -> None:
    needed = quantile_calls(0.95, confidence=0.95)
    assert quantile(np.arange(needed - 1), 0.95, confidence=0.95).high == inf
    assert quantile(np.arange(needed), 0.95, confidence=0.95).high == needed - 1
    with pytest.raises(ValueError, match="share between"):
        quantile([], 0.5, confidence=0.95)


def test_drift_of_numbers_is_measured_as_scipy_does() -> None:
    chance = np.random.default_rng(2)
    before, after = chance.normal(size=500), chance.normal(0.3, 1.2, size=300)
    found = drift.numeric(before, after)
    assert found.p == pytest.approx(stats.ks_2samp(before, after).pvalue, abs=EXACT)
    assert found.distance == pytest.approx(stats.wasserstein_distance(before, after), abs=EXACT)
    assert (found.rows, found.reference_rows) == (300, 500)
    assert found.psi > found.psi_by_chance
    assert found.psi_p < 0.01


def test_drift_of_categories_is_measured_as_scipy_does() -> None:
    before, after = ["a"] * 60 + ["b"] * 40, ["a"] * 20 + ["b"] * 20 + ["c"] * 10
    found = drift.categorical(before, after)
    assert found.p == pytest.approx(stats.chi2_contingency([[60, 40, 0], [20, 20, 10]], correction=False).pvalue)
    assert found.distance == pytest.approx(0.2)  # a fifth would have to be something else


def test_the_index_is_the_sum_of_its_definition() -> None:
    a, b = np.array([30, 50, 20]), np.array([100, 60, 40])
    p, q = a / 100, b / 200
    assert drift.psi(a, b) == pytest.approx(float(sum((q - p) * np.log(q / p))), abs=EXACT)
    assert drift.psi(a, a * 7) == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize(("rows", "reference"), [(200, 2_000), (1_000, 1_000)])
def test_chance_alone_stays_below_the_scale_that_is_given(rows: int, reference: int) -> None:
    chance = np.random.default_rng(6)
    over, ps = 0, []
    for _ in range(400):
        found = drift.numeric(chance.exponential(size=reference), chance.exponential(size=rows))
        over += found.psi > found.psi_by_chance
        ps.append(found.psi_p)
    assert 0.02 <= over / 400 <= 0.10
    assert np.mean(ps) == pytest.approx(0.5, abs=0.08)


def test_one_category_and_one_number_have_not_drifted() -> None:
    found = drift.categorical(["a", "a"], ["a"])
    assert (found.psi, found.p, found.psi_p, found.distance) == (0, 1, 1, 0)
    same = drift.numeric([1.0, 1.0, np.nan], [1.0])
    assert (same.psi, same.distance) == (0, 0)


@pytest.mark.parametrize("measure", [drift.numeric, drift.categorical])
def test_nothing_cannot_be_compared(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(ValueError, match="to compare"):
        measure([], [1.0])
