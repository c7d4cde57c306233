"""Figures from counts alone, held to scipy and statsmodels."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from holdfast.statistics import drift
from holdfast.statistics.chances import chi_squared_beyond, chi_squared_tail, kolmogorov_tail, normal_beyond
from holdfast.statistics.shift import ANSWERS_MAX, OTHERS, agreement, distance, flips, quantile, quantile_ratio, shift

EXACT = 1e-9

some = st.lists(st.integers(0, 500), min_size=6, max_size=6).filter(any)


@given(st.floats(1e-6, 400), st.integers(1, 120))
def test_the_tail_of_chi_squared_is_scipys(value: float, freedom: int) -> None:
    assert chi_squared_tail(value, freedom) == pytest.approx(special.chdtrc(freedom, value), abs=1e-12, rel=EXACT)


@given(st.floats(1e-12, 0.999), st.integers(1, 120))
def test_and_so_is_its_quantile(chance: float, freedom: int) -> None:
    assert chi_squared_beyond(chance, freedom) == pytest.approx(special.chdtri(freedom, chance), rel=EXACT)


@given(st.floats(0.02, 6))
def test_kolmogorovs_tail_is_scipys(value: float) -> None:
    assert kolmogorov_tail(value) == pytest.approx(special.kolmogorov(value), abs=1e-12)


def test_tails_at_their_ends() -> None:
    assert chi_squared_tail(0, 3) == chi_squared_tail(5, 0) == kolmogorov_tail(0) == 1
    assert chi_squared_beyond(0.05, 0) == chi_squared_beyond(1.0, 4) == 0
    assert chi_squared_beyond(0.0, 4) == inf
    assert normal_beyond(0.95) == pytest.approx(special.ndtri(0.975), abs=1e-12)


@given(some, some)
def test_a_shift_of_counts_is_scipys_of_rows(reference: list[int], now: list[int]) -> None:
    found, rows, reference_rows = shift(reference, now), sum(now), sum(reference)
    scale = 1 / rows + 1 / reference_rows
    seen = [column for column in np.array([reference, now]).T if column.any()]
    old, new = (np.array(seen).T + 0.5) / (np.array([[reference_rows], [rows]]) + 0.5 * len(seen))
    freedom = len(seen) - 1
    assert found.psi == pytest.approx(float(stats.entropy(new, old) + stats.entropy(old, new)), abs=EXACT)
    if freedom:
        assert found.psi_by_chance == pytest.approx(special.chdtri(freedom, 0.05) * scale, rel=EXACT)
        assert found.psi_p == pytest.approx(special.chdtrc(freedom, found.psi / scale), abs=EXACT)
    else:
        assert (found.psi_by_chance, found.psi_p) == (0, 1)
    expanded = [np.repeat(np.arange(6), counts) for counts in (reference, now)]
    ks = stats.ks_2samp(*expanded, method="asymp").statistic
    assert found.ks == pytest.approx(ks, abs=EXACT)
    assert found.ks_p == pytest.approx(special.kolmogorov(ks / np.sqrt(scale)), abs=EXACT)
    assert (found.rows, found.reference_rows) == (rows, reference_rows)


@settings(deadline=None)
@given(some, some)
def test_the_distance_is_wassersteins_of_numbers_at_the_places(reference: list[int], now: list[int]) -> None:
    places = [0.5, 1.5, 3.0, 6.0, 12.0, 24.0]
    expected = stats.wasserstein_distance(places, places, reference, now)
    assert distance(places, reference, now) == pytest.approx(expected, abs=EXACT)


def test_of_many_rows_the_index_is_that_of_the_rule_about_drift() -> None:
    reference, now = [90_000, 50_000, 20_000, 40_000], [80_000, 52_000, 24_000, 44_000]
    assert shift(reference, now).psi == pytest.approx(drift.psi(reference, now), rel=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize(("buckets", "rows"), [(2, 20), (5, 20), (10, 50), (20, 100), (20, 1_000)])
def test_chance_alone_passes_the_scale_no_more_often_than_it_should_of_few_rows_too(buckets: int, rows: int) -> None:
    chance, shares = np.random.default_rng(buckets * rows), np.full(buckets, 1 / buckets)
    drawn = zip(chance.multinomial(1_000, shares, 3_000), chance.multinomial(rows, shares, 3_000), strict=True)
    ps = np.array([shift(reference.tolist(), now.tolist()).psi_p for reference, now in drawn])
    for alpha in (0.05, 0.001):
        assert (ps <= alpha).mean() <= alpha + 3.5 * np.sqrt(alpha / len(ps))


@pytest.mark.thorough
def test_chance_alone_rarely_passes_the_scale_and_the_p_of_buckets_is_no_smaller_than_it_should_be() -> None:
    chance, over, small = np.random.default_rng(3), 0, 0
    for _ in range(600):
        samples = (chance.random(size) for size in (900, 300))
        found = shift(*(np.histogram(sample, 10, (0, 1))[0].tolist() for sample in samples))
        over += found.psi > found.psi_by_chance
        small += found.ks_p <= 0.05
    assert 0.02 <= over / 600 <= 0.09
    assert small / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


@given(st.integers(1, 3_000).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))))
def test_the_interval_of_a_share_is_statsmodels(given_rows: tuple[int, int]) -> None:
    same, rows = given_rows
    found = agreement(same, rows, confidence=0.99)
    assert (found.low, found.high) == pytest.approx(proportion_confint(same, rows, 0.01, "wilson"), abs=EXACT)
    assert found.value == same / rows


def test_of_no_rows_nothing_is_known() -> None:
    found = agreement(0, 0)
    assert isnan(found.value)
    assert (found.low, found.high) == (0, 1)
    empty = quantile([0, 1, 2], [0, 0], 0.5)
    assert isnan(empty.value)
    assert (empty.low, empty.high) == (-inf, inf)
    for bad in (lambda: shift([0, 0], [1, 1]), lambda: shift([1], [1, 1]), lambda: distance([1], [1, 1], [1, 1])):
        with pytest.raises(ValueError, match="nothing to compare"):
            bad()
    with pytest.raises(ValueError, match="rows"):
        agreement(3, 2)
    with pytest.raises(ValueError, match="edges"):
        quantile([0, 1], [1, 2], 0.5)


def test_the_table_of_flips_names_the_most_frequent_answers_and_knows_what_agreed_among_the_others() -> None:
    pairs = {(f"c{n:02}", f"c{n:02}"): 100 - n for n in range(ANSWERS_MAX + 3)}
    pairs["c02", "c01"] = 5
    pairs["c21", "c22"] = 4
    found = flips(pairs)
    assert found.answers[:3] == ("c01", "c02", "c00")
    assert found.answers[-1] == OTHERS
    assert len(found.answers) == ANSWERS_MAX + 1
    assert found.table[1][0] == 5
    assert sum(map(sum, found.table)) == found.rows == sum(pairs.values())
    assert found.rows - found.same == 9
    assert flips({}).rows == 0


@settings(deadline=None)
@given(st.integers(1, 10_000), st.sampled_from([0.5, 0.9, 0.99]), st.integers(5, 3_000))
def test_the_bounds_of_a_quantile_hold_that_of_the_rows(seed: int, part: float, rows: int) -> None:
    values = np.random.default_rng(seed).exponential(10, rows)
    edges = [0.0, *np.geomspace(0.1, 100, 40).tolist(), inf]
    counts = np.histogram(values, edges)[0].tolist()
    found = quantile(edges, counts, part)
    of_rows = float(np.quantile(values, part, method="inverted_cdf"))
    assert found.low <= of_rows <= found.high
    assert found.low <= found.value <= found.high
    inside = next(place for place, edge in enumerate(edges) if of_rows <= edge)
    assert edges[inside - 1] <= found.value <= edges[inside]


def test_the_true_quantile_lies_between_the_bounds_as_often_as_is_said() -> None:
    chance, held = np.random.default_rng(5), 0
    edges = np.linspace(0, 1, 201).tolist()
    for _ in range(500):
        held += (
            (found := quantile(edges, np.histogram(chance.random(200), edges)[0].tolist(), 0.9)).low
            <= 0.9
            <= found.high
        )
    assert held / 500 >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 500)


def test_a_version_that_takes_twice_as_long_has_a_ratio_of_two() -> None:
    chance = np.random.default_rng(9)
    edges = [0.0, *np.geomspace(0.1, 1_000, 200).tolist(), inf]
    took = chance.gamma(5, 2, 20_000)
    other, candidate = (np.histogram(values, edges)[0].tolist() for values in (took, 2 * chance.gamma(5, 2, 20_000)))
    for part, ratio in quantile_ratio(edges, candidate, other, (0.5, 0.95)).items():
        assert ratio.low <= 2 <= ratio.high, part
        assert ratio.value == pytest.approx(2, rel=0.06)
        assert ratio.high / ratio.low < 1.4
    assert quantile_ratio(edges, candidate, [0] * len(other), (0.5,))[0.5].high == inf
