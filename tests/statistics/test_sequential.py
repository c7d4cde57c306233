"""Evidence that may be looked at at any time: fair by enumeration, whatever the order, and never too loud."""

import itertools
import subprocess
import sys
from dataclasses import replace
from math import exp, inf, isclose, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from holdfast.statistics import ordered
from holdfast.statistics.detection import requests_to_detect, stopping_line
from holdfast.statistics.means import Means, Sums, mean_difference
from holdfast.statistics.ordered import Histograms, moved, score_bets, slow_bets, slower
from holdfast.statistics.sequential import (
    EVIDENCE_MAX,
    RELATIVE_RISKS,
    Counts,
    error_evidence,
    split_evidence,
    together,
)

EXACT = 1e-9

shares = st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5, 0.9])
some = st.integers(0, 400)
counts = st.builds(Counts, some, some, shares)
histogram = st.lists(st.integers(0, 60), min_size=4, max_size=4)
histograms = st.builds(Histograms, histogram, histogram, shares)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("risk", [1.0, 0.7])
def test_evidence_of_errors_never_grows_in_the_mean_when_the_candidate_is_not_worse(share: float, risk: float) -> None:
    mine = share * risk / (share * risk + 1 - share)
    for sides in itertools.product((0, 1), repeat=6):
        candidate, other = sum(sides), 6 - sum(sides)
        before = error_evidence([Counts(candidate, other, share)])
        after = mine * error_evidence([Counts(candidate + 1, other, share)])
        after += (1 - mine) * error_evidence([Counts(candidate, other + 1, share)])
        assert after <= before * (1 + EXACT)
        if risk == 1.0:
            assert after == pytest.approx(before, rel=EXACT)


def test_a_canary_that_is_no_worse_is_stopped_in_no_more_than_alpha_of_all_courses_of_errors() -> None:
    # Every course of 14 errors with its chance, looked at after each error, over two steps with different shares.
    steps, alpha = (0.2, 0.5), 0.2
    stopped = 0.0
    for sides in itertools.product((0, 1), repeat=14):
        seen = [[0, 0], [0, 0]]
        chance, over = 1.0, False
        for place, mine in enumerate(sides):
            step = int(place >= 6)
            seen[step][1 - mine] += 1
            chance *= steps[step] if mine else 1 - steps[step]
            if not over:
                over = error_evidence(Counts(a, b, s) for (a, b), s in zip(seen, steps, strict=True)) >= 1 / alpha
        stopped += chance * over
    assert 0 < stopped <= alpha


@given(st.lists(counts, max_size=4))
def test_steps_may_come_in_any_order_and_those_of_one_share_may_be_added_up(steps: list[Counts]) -> None:
    summed: dict[float, Counts] = {}
    for step in steps:
        known = summed.get(step.share, Counts(0, 0, step.share))
        summed[step.share] = Counts(known.candidate + step.candidate, known.other + step.other, step.share)
    found = error_evidence(steps)
    assert isclose(found, error_evidence(reversed(steps)), rel_tol=EXACT)
    assert isclose(found, error_evidence(summed.values()), rel_tol=EXACT)


@given(counts)
def test_an_error_of_the_candidate_speaks_against_it_and_one_of_the_other_for_it(step: Counts) -> None:
    now = error_evidence([step])
    assert error_evidence([Counts(step.candidate + 1, step.other, step.share)]) >= now
    assert error_evidence([Counts(step.candidate, step.other + 1, step.share)]) <= now


@given(counts)
def test_evidence_is_the_mean_of_the_ratios_of_its_definition(step: Counts) -> None:
    rho, ratios = step.share, []
    for risk in RELATIVE_RISKS:
        q = rho * risk / (rho * risk + 1 - rho)
        ratios.append(step.candidate * log(q / rho) + step.other * log((1 - q) / (1 - rho)))
    expected = log(sum(exp(one - max(ratios)) for one in ratios) / len(ratios)) + max(ratios)
    assert error_evidence([step]) == pytest.approx(min(EVIDENCE_MAX, exp(min(expected, 700))), rel=EXACT)


def test_with_everything_at_the_candidate_there_is_nothing_to_compare() -> None:
    assert error_evidence([Counts(500, 0, 1.0)]) == split_evidence([Counts(500, 0, 1.0)]) == 1
    assert slower([Histograms([1, 2], [0, 0], 1.0)]).evidence == moved([Histograms([1, 2], [0, 0], 1.0)]).evidence == 1
    assert error_evidence([]) == 1


@pytest.mark.parametrize("wrong", [(-1, 0, 0.5), (0, -1, 0.5), (0, 0, 0.0), (0, 0, 1.1)])
def test_what_cannot_be_counted_is_refused(wrong: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match=r"below zero|is none"):
        Counts(*wrong)


@pytest.mark.parametrize(("mine", "all_of_them", "share"), [(3, 40, 0.1), (60, 300, 0.1), (5, 9, 0.5)])
def test_evidence_on_the_split_is_the_chance_under_its_prior_over_the_chance_under_the_plan(
    mine: int, all_of_them: int, share: float
) -> None:
    expected = integrate.quad(
        lambda p: stats.binom.pmf(mine, all_of_them, p) * stats.beta.pdf(p, 1000 * share, 1000 * (1 - share)), 0, 1,
        points=[share], epsabs=0, epsrel=1e-11, limit=500,
    )[0] / stats.binom.pmf(mine, all_of_them, share)  # fmt: skip
    assert split_evidence([Counts(mine, all_of_them - mine, share)]) == pytest.approx(expected, rel=1e-8)


def test_a_split_is_found_wrong_on_either_side_and_in_no_more_than_alpha_of_all_right_ones() -> None:
    assert split_evidence([Counts(1_300, 8_700, 0.1)]) > 1e4
    assert split_evidence([Counts(700, 9_300, 0.1)]) > 1e4
    chance, stopped = np.random.default_rng(4), 0
    for _ in range(400):
        mine = (chance.random(4_000) < 0.1).cumsum()[19::20].tolist()
        stopped += any(split_evidence([Counts(m, 20 * n - m, 0.1)]) >= 20 for n, m in enumerate(mine, start=1))
    assert stopped / 400 <= 0.05 + 3 * sqrt(0.05 * 0.95 / 400)


def test_guards_together_stop_no_later_than_the_first_of_them_at_its_part_of_the_level() -> None:
    assert together({"errors": 300.0, "latency": 0.0, "scores": 0.3}) >= 100
    assert together({"errors": 90.0, "latency": 120.0}) >= 100
    assert together({"errors": 150.0, "latency": 1.0}, {"errors": 3.0, "latency": 1.0}) == pytest.approx(112.75)
    assert together({"errors": EVIDENCE_MAX, "latency": EVIDENCE_MAX}) == EVIDENCE_MAX
    with pytest.raises(ValueError, match="weight"):
        together({})
    with pytest.raises(ValueError, match="weight"):
        together({"errors": 1.0}, {"latency": 1.0})


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("tolerated", [0.0, 0.05, 0.2])
def test_no_bet_on_scores_gains_in_the_mean_whatever_allowed_pair_of_shares_is_true(
    share: float, tolerated: float
) -> None:
    for bet in score_bets(share, tolerated):
        w, x, y, z = map(exp, bet)
        for other in np.linspace(0, 1, 101):
            for mine in np.clip(np.linspace(other - tolerated, other + tolerated, 5), 0, 1):
                mean = share * (mine * w + (1 - mine) * x) + (1 - share) * (other * y + (1 - other) * z)
                assert mean <= 1 + EXACT


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_no_bet_on_latency_gains_in_the_mean_while_the_candidate_is_no_slower(share: float) -> None:
    for bet in slow_bets(share):
        w, x, y, z = map(exp, bet)
        for other in np.linspace(0, 1, 51):
            for mine in np.linspace(0, other, 5):
                mean = share * (mine * w + (1 - mine) * x) + (1 - share) * (other * y + (1 - other) * z)
                assert mean <= 1 + EXACT


@settings(deadline=None)
@given(st.lists(histograms, min_size=2, max_size=3))
def test_histograms_of_replicas_and_steps_may_come_in_any_order(steps: list[Histograms]) -> None:
    for judge in (slower, moved):
        assert judge(steps).evidence == pytest.approx(judge(reversed(steps)).evidence, rel=1e-6)


def test_a_histogram_says_at_which_edge_the_versions_are_apart() -> None:
    found = slower([Histograms([30, 30, 40, 0], [600, 300, 50, 50], 0.1)])
    assert found.evidence > 1e4
    assert (found.bucket, found.candidate_above, found.other_above) == (2, 0.4, 0.1)
    assert slower([Histograms([600, 300, 50, 50], [30, 30, 35, 5], 0.9)]).evidence < 1


def test_a_version_that_fails_less_is_not_slower_and_its_scores_are_where_they_were() -> None:
    # The other version fails three times in ten; the candidate answers everything, equally fast.
    times = Histograms([500, 400, 100], [3_150, 2_520, 630], 0.1, candidate_without=0, other_without=2_700)
    left_out = replace(times, other_without=0)
    assert slower([times]).evidence < 1
    assert moved([times]).evidence < 1
    assert slower([left_out]).evidence > 1e6
    assert moved([left_out]).evidence > 1e6


def test_a_version_that_fails_more_is_not_slower_either() -> None:
    times = Histograms([300, 250, 50], [4_500, 3_600, 900], 0.1, candidate_without=400)
    assert slower([times]).evidence < 1
    assert moved([times]).evidence < 1
    assert slower([replace(times, candidate=[200, 100, 300])]).evidence > 1e6


def test_latency_is_one_sided_and_scores_are_not() -> None:
    faster = [Histograms([90, 10, 0], [300, 300, 300], 0.1)]
    assert slower(faster).evidence < 1
    assert moved(faster).evidence > 100


def test_a_latency_within_the_tolerated_buckets_is_none() -> None:
    one_up = [Histograms([0, 80, 15, 5], [800, 150, 50, 0], 0.1)]
    assert slower(one_up).evidence > 100
    assert slower(one_up, tolerated_buckets=1).evidence < 1
    assert slower(one_up, tolerated_buckets=3).evidence == 1


def test_scores_that_differ_by_what_is_tolerated_do_not_differ() -> None:
    apart = [Histograms([5_500, 4_500], [54_000, 36_000], 0.1)]
    assert moved(apart, tolerated=0.0).evidence > 100
    assert moved(apart, tolerated=0.06).evidence < 1
    assert moved(apart, tolerated=0.99).evidence == 1


def test_other_buckets_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same ones"):
        Histograms([1], [1, 2], 0.5)
    with pytest.raises(ValueError, match="below zero"):
        Histograms([1, -1], [1, 2], 0.5)
    with pytest.raises(ValueError, match="below zero"):
        Histograms([1, 1], [1, 2], 0.5, other_without=-1)
    with pytest.raises(ValueError, match="is none"):
        Histograms([1, 1], [1, 2], 0.0)
    with pytest.raises(ValueError, match="same ones"):
        slower([Histograms([1, 1], [1, 2], 0.5), Histograms([1, 1, 1], [1, 2, 1], 0.5)])


def test_the_nearest_allowed_pair_is_the_one_that_is_hardest_to_tell_from_the_bet() -> None:
    def divergence(base: float) -> float:
        pairs = ((0.1, 0.6, base + 0.05), (0.9, 0.3, base))
        return sum(weight * (p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))) for weight, p, q in pairs)

    found = ordered._nearest(0.1, 0.6, 0.3, 0.05)
    assert all(divergence(found) <= divergence(other) for other in np.linspace(0.01, 0.94, 500))


def sums(values: np.ndarray) -> Sums:
    return Sums(len(values), float(values.sum()), float((values**2).sum()))


def test_the_interval_of_a_difference_is_robbins_mixture_and_its_evidence_the_mixture_above_zero() -> None:
    chance = np.random.default_rng(8)
    a, b = chance.normal(1.3, 2, 400), chance.normal(1.0, 1, 3_000)
    found = mean_difference([Means(sums(a), sums(b))], alpha=0.05, effect=0.5)
    variance = a.var(ddof=1) / 400 + b.var(ddof=1) / 3_000
    d = a.mean() - b.mean()
    assert found.value == pytest.approx(d, abs=EXACT)
    mixed = integrate.quad(
        lambda t: exp((t * d - t * t / 2) / variance) * 2 * stats.norm.pdf(t, 0, 0.5), 0, inf, epsabs=0
    )[0]
    assert found.evidence == pytest.approx(mixed, rel=1e-7)
    # At the bounds the two-sided mixture, as mSPRT has it, is just 1 / alpha.
    for bound in (found.low, found.high):
        ratio = sqrt(variance / (variance + 0.25)) * exp(0.25 * (d - bound) ** 2 / (2 * variance * (variance + 0.25)))
        assert ratio == pytest.approx(20, rel=1e-7)


def test_of_few_numbers_and_of_equal_ones_nothing_is_said() -> None:
    few = mean_difference([Means(Sums(99, 10, 2), Sums(5_000, 10, 2))], alpha=0.01, effect=1)
    same = mean_difference([Means(Sums(200, 200, 200), Sums(200, 0, 0))], alpha=0.01, effect=1)
    for found in (few, same):
        assert (found.low, found.high, found.evidence) == (-inf, inf, 1)


def test_a_difference_without_doubt_is_found_or_not_at_all() -> None:
    far = Means(Sums(1_000, 10_000, 101_000), Sums(1_000, 0, 1_000))
    near = Means(far.other, far.candidate)
    assert mean_difference([far], alpha=0.01, effect=1).evidence == EVIDENCE_MAX
    assert mean_difference([near], alpha=0.01, effect=1).evidence == 0


@pytest.mark.thorough
@pytest.mark.parametrize(("share", "alpha"), [(0.1, 0.01), (0.05, 0.05), (0.5, 0.002)])
def test_the_line_is_where_the_evidence_is_first_enough(share: float, alpha: float) -> None:
    for errors, needed in zip(range(1, 400), stopping_line(share, alpha), strict=False):
        enough = [n for n in range(errors + 1) if error_evidence([Counts(n, errors - n, share)]) >= 1 / alpha]
        assert needed == min(enough, default=errors + 1)


@pytest.mark.parametrize(
    ("p0", "p1", "share"), [(0.01, 0.5, 0.1), (0.01, 0.05, 0.05), (0.001, 0.01, 0.1), (0.3, 0.8, 0.05), (0.0, 1.0, 0.5)]
)
def test_requests_to_detection_are_those_of_a_simulation(p0: float, p1: float, share: float) -> None:
    chance, failing, errors = np.random.default_rng(12), share * p1 + (1 - share) * p0, 1_000
    line = np.fromiter(itertools.islice(stopping_line(share, 0.01), errors), int)
    reached = (chance.random((3_000, errors)) < share * p1 / failing).cumsum(axis=1) >= line
    assert reached.any(axis=1).all()
    at = chance.geometric(failing, (3_000, errors)).cumsum(axis=1)[np.arange(3_000), reached.argmax(axis=1)]
    for part in (0.5, 0.9):
        assert requests_to_detect(p0, p1, share, 0.01, part) == pytest.approx(np.quantile(at, part), rel=0.1)


def test_a_stricter_level_a_smaller_harm_and_more_certainty_take_more_requests() -> None:
    def asked(p1: float = 0.03, alpha: float = 0.01, quantile: float = 0.5) -> int:
        found = requests_to_detect(0.01, p1, 0.1, alpha, quantile)
        assert found is not None
        return found

    assert asked(p1=0.05) < asked() < asked(alpha=0.001) < asked(alpha=0.0001)
    assert asked(quantile=0.1) < asked() < asked(quantile=0.9)


def test_what_is_hardly_worse_is_not_waited_for() -> None:
    assert requests_to_detect(0.01, 0.0105, 0.1, 0.01) is None
    assert requests_to_detect(0.01, 0.01, 0.1, 0.01) is None
    with pytest.raises(ValueError, match="no chances"):
        requests_to_detect(0.01, 0.0, 0.1, 0.01)


@pytest.mark.parametrize(("rate", "share"), [(0.001, 0.1), (0.05, 0.05), (0.3, 0.5)])
def test_no_more_than_alpha_of_simulated_canaries_are_aborted_for_nothing(rate: float, share: float) -> None:
    chance, runs, alpha = np.random.default_rng(20), 1_000, 0.05
    errors = int(20_000 * rate)
    line = np.fromiter(itertools.islice(stopping_line(share, alpha), errors), int)
    stopped = ((chance.random((runs, errors)) < share).cumsum(axis=1) >= line).any(axis=1).mean()
    assert stopped <= alpha + 3 * sqrt(alpha * (1 - alpha) / runs)


def test_taking_what_was_observed_for_the_share_loses_what_the_split_itself_says() -> None:
    # The share is part of the bet: with the one that made nine of thirty errors likely there is nothing to see.
    assert error_evidence([Counts(9, 21, 0.1)]) > 20 > error_evidence([Counts(9, 21, 0.3)])


def test_rates_that_move_with_the_share_stop_only_those_who_add_the_steps_up() -> None:
    quiet, busy = Counts(1, 99, 0.01), Counts(500, 500, 0.5)
    assert error_evidence([quiet, busy]) < 1
    observed = (0.01 * 100_000 + 0.5 * 10_000) / 110_000
    assert error_evidence([Counts(501, 599, observed)]) > 1e6


@pytest.mark.slow
def test_what_a_replica_judges_with_loads_no_libraries_of_numbers() -> None:
    names = "sequential, ordered, means, firsts, shift, detection"
    said = subprocess.run(
        [sys.executable, "-c", f"import sys; from holdfast.statistics import {names}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"numpy", "scipy"} & set(said.stdout.split())


def test_every_sum_of_logarithms_survives_counts_that_overflow() -> None:
    assert error_evidence([Counts(10**6, 0, 0.01)]) == EVIDENCE_MAX
    assert error_evidence([Counts(0, 10**6, 0.5)]) == pytest.approx(0, abs=EXACT)
