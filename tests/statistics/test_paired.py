"""Two versions on the same rows: proportions, areas, sums; held to other people's code and to first principles."""

import warnings
from itertools import pairwise
from math import ceil, inf, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.stats import norm
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.power import normal_sample_size_one_tail

from holdfast.statistics.estimate import Estimate, rows_needed
from holdfast.statistics.proportions import chance_of, mcnemar, paired_difference
from holdfast.statistics.ranking import auc, auc_difference
from holdfast.statistics.resampling import bootstrap, by_cluster
from holdfast.statistics.scores import (
    CLASS_METRICS,
    NUMBER_METRICS,
    difference,
    number_difference,
    of_labels,
    of_numbers,
)

EXACT = 1e-9
counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400)).map(
    lambda found: (found[0], found[1], found[0] + found[1] + found[2])
)


@settings(deadline=None)
@given(counts)
def test_mcnemar_is_that_of_statsmodels_and_scipy(found: tuple[int, int, int]) -> None:
    gained, lost, rows = found
    p = mcnemar(gained, lost)
    table = [[rows - gained - lost, lost], [gained, 0]]
    assert p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, abs=EXACT)
    if gained + lost:
        assert p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, abs=EXACT)


def likelihood_score(gained: int, lost: int, rows: int, delta: float) -> float:
    """Tango's statistic from its definition: the constrained maximum of the likelihood is searched, not solved for."""
    same = rows - gained - lost

    def minus_log(share: float) -> float:
        return -sum(
            count * np.log(chance) if count else 0.0
            for count, chance in ((gained, share + delta), (lost, share), (same, 1 - 2 * share - delta))
            if chance > 0 or count
        )

    low, high = max(0.0, -delta), (1 - delta) / 2
    found = optimize.minimize_scalar(
        minus_log, bounds=(low + 1e-15, high - 1e-15), method="bounded", options={"xatol": 1e-14}
    )
    variance = rows * (2 * found.x + delta - delta**2)
    return float((gained - lost - rows * delta) / sqrt(variance))


@pytest.mark.parametrize(("gained", "lost", "rows"), [(5, 9, 60), (1, 7, 40), (12, 3, 200), (30, 31, 100), (2, 2, 15)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_tangos_bounds_are_where_the_score_test_begins_to_refuse(
    gained: int, lost: int, rows: int, confidence: float
) -> None:
    found = paired_difference(gained, lost, rows, confidence=confidence)
    limit = stats.norm.ppf((1 + confidence) / 2)
    assert likelihood_score(gained, lost, rows, found.low) == pytest.approx(limit, abs=1e-5)
    assert likelihood_score(gained, lost, rows, found.high) == pytest.approx(-limit, abs=1e-5)


@settings(deadline=None)
@given(counts, st.sampled_from([0.5, 0.9, 0.99]))
def test_tangos_interval_holds_the_difference_and_turns_with_it(found: tuple[int, int, int], confidence: float) -> None:
    gained, lost, rows = found
    one, other = (paired_difference(*pair, rows, confidence=confidence) for pair in ((gained, lost), (lost, gained)))
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.low == pytest.approx(-other.high, abs=EXACT)
    assert one.high == pytest.approx(-other.low, abs=EXACT)
    wider = paired_difference(gained, lost, rows, confidence=0.999)
    assert wider.low <= one.low
    assert one.high <= wider.high


@settings(deadline=None)
@given(counts, st.integers(-500, 500).map(lambda value: value / 1_000), st.sampled_from([0.8, 0.95]))
def test_what_speaks_against_a_difference_does_so_where_the_interval_ends_below_it(
    found: tuple[int, int, int], bound: float, confidence: float
) -> None:
    gained, lost, rows = found
    high = paired_difference(gained, lost, rows, confidence=confidence).high
    if abs(high - bound) > 1e-6:
        assert (chance_of(gained, lost, rows, bound) < (1 - confidence) / 2) == (high < bound)


@settings(deadline=None)
@given(st.integers(1, 10_000))
def test_answers_that_never_differ_still_leave_a_doubt_that_shrinks_with_the_rows(rows: int) -> None:
    found = paired_difference(0, 0, rows, confidence=0.95)
    squared = stats.norm.ppf(0.975) ** 2
    assert found.value == 0
    assert found.high == pytest.approx(squared / (rows + squared), abs=EXACT)  # Tango 1998, section 3
    assert found.low == pytest.approx(-found.high, abs=EXACT)
    assert found.p == 1


@pytest.mark.parametrize(("gained", "lost", "rows"), [(0, 0, 0), (-1, 0, 3), (2, 2, 3)])
def test_counts_that_cannot_be_are_refused(gained: int, lost: int, rows: int) -> None:
    with pytest.raises(ValueError, match="among"):
        paired_difference(gained, lost, rows, confidence=0.95)


def test_tangos_interval_covers_what_it_says() -> None:
    """In exact enumeration: of all outcomes of 40 rows, those whose interval holds the truth weigh 95 % or nearly."""
    rows, gain, loss = 40, 0.12, 0.05
    covered = 0.0
    for gained in range(rows + 1):
        for lost in range(rows + 1 - gained):
            weight = stats.multinomial.pmf([gained, lost, rows - gained - lost], rows, [gain, loss, 1 - gain - loss])
            if weight > 1e-9:
                found = paired_difference(gained, lost, rows, confidence=0.95)
                covered += weight * (found.low <= gain - loss <= found.high)
    assert covered == pytest.approx(0.95, abs=0.015)


def scored(seed: int, rows: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    positive = chance.random(rows) < 0.3
    positive[:2] = True, False
    new, old = (chance.normal(size=rows) + shift * positive for shift in (1.0, 0.7))
    return (positive, np.round(new, 1), np.round(old, 1)) if ties else (positive, new, old)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_areas_and_their_difference_are_those_of_the_definition(seed: int, ties: bool) -> None:
    positive, new, old = scored(seed, 120, ties=ties)
    found = auc_difference(positive, new, old, confidence=0.95)
    assert auc(positive, new) == pytest.approx(metrics.roc_auc_score(positive, new), abs=EXACT)
    kernels = []
    for scores in (new, old):
        gap = scores[positive][:, None] - scores[~positive][None]
        kernels.append(np.where(gap > 0, 1.0, np.where(gap == 0, 0.5, 0.0)))
    paired = kernels[0] - kernels[1]
    variance = paired.mean(axis=1).var(ddof=1) / positive.sum() + paired.mean(axis=0).var(ddof=1) / (~positive).sum()
    assert found.value == pytest.approx(paired.mean(), abs=EXACT)
    assert found.high - found.value == pytest.approx(1.959963984540054 * sqrt(variance), abs=EXACT)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(paired.mean()) / sqrt(variance)), abs=EXACT)


def test_the_same_scores_do_not_differ() -> None:
    positive, new, _ = scored(1, 50, ties=False)
    found = auc_difference(positive, new, new, confidence=0.95)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_areas_need_both_kinds_and_bounds_two_rows_of_each() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        auc([True, True], [1.0, 2.0])
    found = auc_difference([True, False, False], [1.0, 0.0, 2.0], [2.0, 0.0, 1.0], confidence=0.95)
    assert (found.low, found.high) == (-inf, inf)


labels = st.lists(st.tuples(*(st.integers(0, 3),) * 3), min_size=2, max_size=60).map(np.array)


@settings(deadline=None)
@given(labels, st.sampled_from(CLASS_METRICS))
def test_metrics_of_labels_are_those_of_scikit_learn(found: np.ndarray, metric: str) -> None:
    truth, new, old = found.T
    known = sorted(set(truth))
    table = of_labels(truth, new, old, known)
    mine = difference(metric, len(known), len(truth))(table.sum(axis=0)[None])[0]
    named = {"labels": known, "average": "macro", "zero_division": 0.0}
    theirs: Any = {
        "accuracy": lambda said: metrics.accuracy_score(truth, said),
        "balanced_accuracy": lambda said: metrics.recall_score(truth, said, **named),
        "precision": lambda said: metrics.precision_score(truth, said, **named),
        "recall": lambda said: metrics.recall_score(truth, said, **named),
        "f1": lambda said: metrics.f1_score(truth, said, **named),
    }[metric]
    assert mine == pytest.approx(theirs(new) - theirs(old), abs=EXACT)


# In steps of a thousandth: of targets that differ by less than a number can hold the square of, R squared is undefined.
numbers = st.lists(
    st.tuples(*(st.integers(-(10**8), 10**8).map(lambda value: value / 1_000),) * 3),
    min_size=2,
    max_size=60,
    unique_by=lambda row: row[0],
).map(np.array)


@settings(deadline=None)
@given(numbers, st.sampled_from(NUMBER_METRICS))
def test_metrics_of_numbers_are_those_of_scikit_learn(found: np.ndarray, metric: str) -> None:
    truth, new, old = found.T
    mine = number_difference(metric)(of_numbers(truth, new, old).sum(axis=0)[None])[0]
    theirs = {
        "mean_absolute_error": metrics.mean_absolute_error,
        "root_mean_squared_error": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
    }[metric]
    expected = theirs(truth, new) - theirs(truth, old)
    scale = max(abs(theirs(truth, new)), abs(theirs(truth, old)), 1.0)
    assert mine == pytest.approx(expected, rel=1e-6, abs=1e-7 * scale)


def test_the_interval_is_scipys() -> None:
    """The same method on other draws: the ends agree within the noise of the draws."""
    chance = np.random.default_rng(7)
    truth = chance.normal(size=150)
    new, old = truth + chance.normal(scale=0.5, size=150), truth + chance.gamma(2.0, 0.4, size=150)
    statistic = number_difference("root_mean_squared_error")
    mine = bootstrap(of_numbers(truth, new, old), statistic, confidence=0.9, seed=1, resamples=20_000).estimate

    def theirs(t: np.ndarray, n: np.ndarray, o: np.ndarray, axis: int = -1) -> Any:
        return np.sqrt(((n - t) ** 2).mean(axis=axis)) - np.sqrt(((o - t) ** 2).mean(axis=axis))

    found = stats.bootstrap(
        (truth, new, old), theirs, paired=True, vectorized=True, method="BCa", n_resamples=20_000, confidence_level=0.9,
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    width = mine.high - mine.low
    assert mine.low == pytest.approx(found.low, abs=0.03 * width)
    assert mine.high == pytest.approx(found.high, abs=0.03 * width)


def test_a_seed_gives_one_interval_and_rows_may_come_in_any_order() -> None:
    chance = np.random.default_rng(3)
    truth, new, old = (chance.integers(0, 2, 300) for _ in range(3))
    table = of_labels(truth, new, old, [1])
    statistic = difference("f1", 1, 300)
    first, again, turned = (
        bootstrap(one, statistic, confidence=0.95, seed=5).estimate for one in (table, table, table[::-1])
    )
    assert first == again == turned
    assert first != bootstrap(table, statistic, confidence=0.95, seed=6).estimate


def test_rows_that_belong_together_are_drawn_together() -> None:
    """A hundred copies of twenty rows say no more than the twenty."""
    chance = np.random.default_rng(4)
    truth, new, old = (chance.integers(0, 2, 40) for _ in range(3))
    few = of_labels(truth, new, old, [1])
    many, clusters = np.repeat(few, 100, axis=0), np.repeat(np.arange(40), 100)
    grouped = by_cluster(many, clusters)
    assert np.array_equal(grouped, few * 100)
    wide, narrow, together = (
        bootstrap(table, difference("accuracy", 1, rows), confidence=0.95, seed=1).estimate
        for table, rows in ((few, 40), (many, 4000), (grouped, 4000))
    )
    assert together.low == pytest.approx(wide.low)
    assert together.high == pytest.approx(wide.high)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 5
    assert together.rows == 40


def test_what_cannot_be_measured_has_no_bounds() -> None:
    table = of_numbers([1.0, 1.0], [1.0, 2.0], [2.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap(table, number_difference("r2"), confidence=0.95, seed=1, resamples=50).estimate
    assert (found.low, found.high) == (-inf, inf)
    with pytest.raises(ValueError, match="no rows"):
        bootstrap(np.zeros((0, 7)), number_difference("r2"), confidence=0.95, seed=1)


def test_what_speaks_against_a_bound_is_the_share_of_resamples_that_reach_it() -> None:
    chance = np.random.default_rng(8)
    truth = chance.normal(size=80)
    drawn = bootstrap(
        of_numbers(truth, truth + 0.3, truth + 0.5), number_difference("mean_absolute_error"),
        confidence=0.9, seed=1, resamples=500,
    )  # fmt: skip
    assert drawn.chance_of(1.0) == 1 / 501
    assert drawn.chance_of(-1.0) == 1
    middle = float(np.median(drawn.values))
    assert drawn.chance_of(middle) == ((drawn.values >= middle).sum() + 1) / 501


def test_versions_that_answer_alike_differ_by_nothing() -> None:
    truth = np.arange(50) % 2
    found = bootstrap(of_labels(truth, truth, truth, [1]), difference("f1", 1, 50), confidence=0.95, seed=1).estimate
    assert (found.value, found.low, found.high) == (0, 0, 0)


@pytest.mark.thorough
def test_the_bootstrap_covers_what_it_says() -> None:
    """Four hundred holdouts of one population; the difference of F1 in the population is inside nine of ten times."""
    chance = np.random.default_rng(11)

    def drawn(rows: int) -> np.ndarray:
        truth = (chance.random(rows) < 0.4).astype(int)
        new, old = (np.where(chance.random(rows) < right, truth, 1 - truth) for right in (0.8, 0.75))
        return of_labels(truth, new, old, [1])

    whole = drawn(2_000_000)
    true = difference("f1", 1, len(whole))(whole.sum(axis=0)[None])[0]
    inside = 0
    for seed in range(400):
        found = bootstrap(drawn(200), difference("f1", 1, 200), confidence=0.9, seed=seed, resamples=1_000).estimate
        inside += found.low <= true <= found.high
    assert 0.86 <= inside / 400 <= 0.94  # three standard errors about 0.9


def test_how_many_rows_would_decide() -> None:
    found = Estimate(0.01, -0.02, 0.04, 0.95, "any", 100)
    error = 0.03 / norm.ppf(0.975) * 10  # of one row
    asked = normal_sample_size_one_tail(0.01, 0.8, 0.025, error)
    assert rows_needed(found, 0.0) == ceil(asked)
    assert rows_needed(found, 0.01) is None
    assert rows_needed(Estimate(0.0, -inf, inf, 0.95, "any", 1), 0.5) is None
    assert rows_needed(found, -0.5) == 101  # decided already, and then one row more is enough
    assert rows_needed(Estimate(1e-9, -0.1, 0.1, 0.95, "any", 100), 0.0) is None


def test_a_reversed_estimate_is_the_other_way_round() -> None:
    found = paired_difference(3, 9, 50, confidence=0.9)
    assert found.reversed().reversed() == found
    for low, high in pairwise((found.reversed().low, found.reversed().value, found.reversed().high)):
        assert low < high
    with pytest.raises(ValueError, match="infinite"):
        Estimate(0.0, float("nan"), 1.0, 0.9, "any", 3)
