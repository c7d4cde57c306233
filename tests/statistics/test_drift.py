"""Drift, excess and samples; held to scipy and to simulation."""

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from holdfast.statistics import drift, excess, sampling
from holdfast.statistics.excess import straddling
from holdfast.statistics.sampling import Sampler

EXACT = 1e-9


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


@pytest.mark.thorough
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


@settings(deadline=None)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 6))
def test_the_chance_that_so_many_lie_in_both_heaps_is_that_of_every_way_to_deal(
    groups: list[int], first: int, second: int, found: int
) -> None:
    share, expected = first / (first + second), 0.0
    for dealt in itertools.product(*(range(size + 1) for size in groups)):
        if sum(rows for rows, size in zip(dealt, groups, strict=True) if rows < size) >= found:
            expected += prod(stats.binom.pmf(rows, size, share) for rows, size in zip(dealt, groups, strict=True))
    sizes, counts = np.unique(groups, return_counts=True)
    assert straddling(found, sizes, counts, first, second) == pytest.approx(expected, abs=EXACT)


def test_pairs_alone_are_binomial() -> None:
    expected = stats.binom.sf(24, 37, 2 * 0.375 * 0.625)
    assert straddling(25, np.array([2]), np.array([37]), 180, 300) == pytest.approx(expected, abs=EXACT)


@pytest.mark.thorough
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kinds", [40, 400, 4000])
def test_honest_splits_of_tables_that_repeat_are_called_leaks_no_more_often_than_alpha(
    monkeypatch: pytest.MonkeyPatch, kinds: int, *, exact: bool
) -> None:
    monkeypatch.setattr(excess, "EXACT_ROWS_MAX", 1 << 14 if exact else 0)
    chance = np.random.default_rng(kinds)
    alarms = 0
    for _ in range(400):
        rows = chance.integers(0, kinds, 600) * chance.integers(1, 3, 600)
        first, second = rows[:180], rows[180:]
        sizes, groups = np.unique(np.unique(rows, return_counts=True)[1], return_counts=True)
        repeated = sizes > 1
        found = int(np.isin(first, second).sum())
        alarms += straddling(found, sizes[repeated], groups[repeated], 180, 420) <= 0.05
    assert alarms / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_rows_that_lie_in_both_beyond_chance_are_found_among_those_that_repeat_anyway() -> None:
    chance = np.random.default_rng(2)
    sizes, groups, found = np.array([2]), np.array([20_000]), int(chance.binomial(20_000, 0.42))
    assert straddling(found, sizes, groups, 30_000, 70_000) > 0.01
    assert straddling(found + 800, sizes, groups + 800, 30_000, 70_000) < 1e-6


def test_a_sample_draws_each_row_with_the_same_chance_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "ROWS_KEPT_MAX", 50)
    drawn = np.zeros(1000)
    for seed in range(400):
        sampler = Sampler(seed)
        for start, end in ((0, 7), (7, 400), (400, 1000)):
            sampler.add({"row": np.arange(start, end), "text": [str(n) for n in range(start, end)]})
        found = sampler.sample()
        assert sampler.rows == 1000
        assert found["row"].size == 50
        assert [str(int(n)) for n in found["row"]] == list(found["text"])
        drawn[found["row"].astype(int)] += 1
    # Each of three parts of the table has the share that is due to it, within five standard errors.
    for part in (drawn[:7], drawn[7:400], drawn[400:]):
        assert part.mean() == pytest.approx(20, abs=5 * np.sqrt(20 / part.size))


def test_a_column_that_a_piece_lacks_is_missing_in_its_rows() -> None:
    sampler = Sampler(1)
    sampler.add({"a": np.array([1, 2])})
    sampler.add({"a": ["x"], "b": [None]})
    sampler.add({})
    found = sampler.sample()
    assert [*found["a"]] == [1, 2, "x"]
    assert [*found["b"]] == [None, None, None]
