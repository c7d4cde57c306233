"""Are scores probabilities? Held to other people's code, to enumeration, and to populations whose truth is known."""

from collections.abc import Callable
from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss
from statsmodels.discrete.discrete_model import Logit

from holdfast.statistics.calibration import brier, calibration_error, recalibration, spiegelhalter
from tests.effort import examples

EXACT = 1e-9

Scores = NDArray[np.float64]

ROWS = st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), min_size=12, max_size=80)


@settings(deadline=None)
@given(ROWS)
def test_the_brier_score_is_that_of_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    happened, said = zip(*rows, strict=True)
    assume(len(set(happened)) == 2)
    assert brier(happened, said) == pytest.approx(brier_score_loss(happened, said), abs=EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_coxs_intercept_and_slope_are_those_of_statsmodels(seed: int) -> None:
    chance = np.random.default_rng(seed)
    said = chance.beta(2, 3, 300)
    happened = (chance.random(300) < expit(0.4 + 0.6 * logit(said))).astype(float)
    found = recalibration(happened, said)
    assert found is not None
    design = np.stack([np.ones_like(said), logit(said)], axis=1)
    fitted = Logit(happened, design).fit(disp=0, method="newton", maxiter=100, tol=1e-14)
    assert [found.intercept, found.slope] == pytest.approx(list(fitted.params), abs=EXACT)
    assert [found.intercept_error, found.slope_error] == pytest.approx(list(fitted.bse), abs=EXACT)


@pytest.mark.parametrize(
    ("happened", "said"),
    [([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]), ([0, 1, 0, 1], [0.3] * 4), ([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4])],
)
def test_where_there_is_no_maximum_there_is_no_slope(happened: list[int], said: list[float]) -> None:
    assert recalibration(happened, said) is None


def test_spiegelhalters_z_is_what_he_defined_and_standard_normal_for_scores_that_are_right() -> None:
    said = np.array([0.1, 0.35, 0.8, 0.6])
    happened = np.array([0, 1, 1, 0])
    expected = float((said * (1 - said)).sum())
    variance = float(((1 - 2 * said) ** 2 * said * (1 - said)).sum())
    assert spiegelhalter(happened, said) == pytest.approx((4 * brier(happened, said) - expected) / sqrt(variance))
    # Over all outcomes, weighted by how likely they are, its mean is 0 and its variance 1: exactly.
    outcomes = [np.array(one) for one in product([0, 1], repeat=4)]
    likely = [float(np.prod(np.where(one == 1, said, 1 - said))) for one in outcomes]
    values = [spiegelhalter(one, said) for one in outcomes]
    assert np.dot(likely, values) == pytest.approx(0.0, abs=EXACT)
    assert np.dot(likely, np.square(values)) == pytest.approx(1.0, abs=EXACT)
    assert spiegelhalter([1, 0], [0.5, 0.5]) == 0.0
    assert spiegelhalter([1], [0.0]) == np.inf


@pytest.mark.thorough
def test_what_chance_adds_to_the_mean_square_is_taken_off_exactly() -> None:
    """Two bins of tied scores, and every outcome that can be, weighted by how likely it is."""
    said, truth = np.repeat([0.3, 0.7], 4), np.repeat([0.45, 0.6], 4)
    mean = 0.0
    for outcome in product([0, 1], repeat=8):
        happened = np.array(outcome)
        found = calibration_error(happened, said, confidence=0.9)
        mean += float(np.prod(np.where(happened == 1, truth, 1 - truth))) * (found.square - found.chance)
    assert mean == pytest.approx(np.mean((truth - said) ** 2), abs=EXACT)


@settings(deadline=None, max_examples=examples(50))
@given(ROWS)
def test_laws(rows: list[tuple[bool, float]]) -> None:
    happened, said = (list(column) for column in zip(*rows, strict=True))
    found = calibration_error(happened, said, confidence=0.9)
    estimate = found.estimate
    assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0
    # The bounds are where the tests of both sides turn.
    if 0 < estimate.low < estimate.value:
        assert found.chance_of_at_most(estimate.low) == pytest.approx(0.05, abs=1e-6)
    if estimate.value < estimate.high < 1:
        assert found.chance_of_at_least(estimate.high) == pytest.approx(0.05, abs=1e-6)
    # Rows that come alone are their own clusters.
    alone = calibration_error(happened, said, confidence=0.9, clusters=range(len(said)))
    assert alone.estimate.high == pytest.approx(estimate.high, abs=1e-6)


def test_rows_that_come_in_copies_say_no_more_than_one_of_each() -> None:
    chance = np.random.default_rng(7)
    said = chance.random(200)
    happened = chance.random(200) < said
    once = calibration_error(happened, said, confidence=0.9).estimate
    copies = calibration_error(
        np.repeat(happened, 5), np.repeat(said, 5), confidence=0.9, clusters=np.repeat(np.arange(200), 5)
    ).estimate
    assert copies.rows == 200
    assert copies.high == pytest.approx(once.high, rel=0.1)
    # Taken for rows of their own they would show an error where there is none.
    assert copies.low == 0.0
    assert calibration_error(np.repeat(happened, 5), np.repeat(said, 5), confidence=0.9).estimate.low > 0.05


def test_few_rows_that_all_came_true_are_not_sure_of_it() -> None:
    found = calibration_error([False] * 30, [0.001] * 30, confidence=0.9).estimate
    assert found.high > 0.03


def _error(bend: Callable[[Scores], Scores]) -> float:
    """The true error of bent scores in bins of a tenth of the rows each, from a population of all scores."""
    said = np.linspace(0, 1, 100_001)
    bins = np.minimum((said * 10).astype(int), 9)
    away = np.bincount(bins, bend(said) - said) / np.bincount(bins)
    return float(np.sqrt(np.mean(away**2)))


def _too_extreme(said: Scores) -> Scores:
    return np.asarray(expit(0.729 * logit(np.clip(said, 1e-9, 1 - 1e-9))))


def _too_low(said: Scores) -> Scores:
    return np.clip(said * 1.097, 0, 1)


@pytest.mark.thorough
@pytest.mark.parametrize("bend", [_too_extreme, _too_low])
@pytest.mark.parametrize("rows", [200, 1000])
def test_an_error_at_the_limit_is_passed_and_failed_in_at_most_alpha_of_all_cases(
    bend: Callable[[Scores], Scores], rows: int
) -> None:
    assert _error(bend) == pytest.approx(0.05, abs=0.001)
    chance, trials = np.random.default_rng(11), 200
    said = chance.random((trials, rows))
    happened = chance.random((trials, rows)) < bend(said)
    found = [calibration_error(h, s, confidence=0.9).estimate for h, s in zip(happened, said, strict=True)]
    # alpha is 0.05; of 200 cases more than 18 would be a chance of one in a thousand.
    assert sum(one.high <= 0.05 for one in found) <= 18
    assert sum(one.low > 0.05 for one in found) <= 18


@pytest.mark.thorough
def test_the_rows_that_are_asked_for_tell_in_four_cases_of_five() -> None:
    chance = np.random.default_rng(5)
    said = chance.random(300)
    few = calibration_error(chance.random(300) < said, said, confidence=0.9)
    needed = few.rows_needed(0.05)
    assert needed is not None
    trials = 200
    scores = chance.random((trials, needed))
    told = [calibration_error(chance.random(needed) < one, one, confidence=0.9).estimate.high <= 0.05 for one in scores]
    assert 0.7 * trials <= sum(told)
    assert few.rows_needed(few.estimate.value) is None


@pytest.mark.parametrize(("happened", "said"), [([1], [0.5]), ([0, 1], [0.5, 1.5]), ([0, 1], [-0.1, 0.5])])
def test_what_is_no_probability_is_refused(happened: list[int], said: list[float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration_error(happened, said, confidence=0.9)
