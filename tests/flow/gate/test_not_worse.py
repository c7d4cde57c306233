"""`not_worse` decides by intervals: each metric by the method that fits it, under the two built-in policies."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from holdfast.canonical import Json
from holdfast.errors import UsageError
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.gain import gain_in
from holdfast.flow.gate.not_worse import not_worse
from holdfast.flow.gate.stage_policy import SAYS, StagePolicy
from holdfast.parts import EvalThreshold
from holdfast.runtime.pipeline import Answer
from tests.effort import examples
from tests.flow.gate.cases import CUT_OFF, NUMBERS, RIGHT, case, wrong_at

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def judge(mine: list[Json], theirs: list[Json], **changes: Any) -> Finding:
    return not_worse(case(mine, theirs, **changes))


def with_scores(mine: list[float], theirs: list[float], targets: list[Json], primary: str, **policy: Any) -> Case:
    """Two versions that rank the rows, and cut at a half."""

    def said(scores: list[float]) -> Measured:
        answer = Answer([int(score >= 0.5) for score in scores], list(scores), None)
        return Measured(answer, measure(targets, answer, CUT_OFF, primary=primary))

    found = case(targets, targets, targets=targets, primary="accuracy", **policy)
    return replace(found, measured=said(mine), against=said(theirs))


class TestDefault:
    def test_the_same_answers_pass_on_however_few_rows(self) -> None:
        finding = judge(wrong_at(3, 4), wrong_at(3, 4), rows_min=0)
        assert finding.outcome is PASS
        assert finding.sentence.endswith("the same answers throughout")

    def test_a_gain_passes_and_its_interval_is_told(self) -> None:
        finding = judge(wrong_at(1), wrong_at(*range(12)))
        assert finding.outcome is PASS
        assert "gain +0.1100, 90 % interval +0.0" in finding.sentence
        assert finding.values["estimate"]["method"] == "Tango 1998, paired"

    def test_as_good_by_luck_does_not_pass_where_harm_is_not_unlikely(self) -> None:
        """Forty rows differ, half each way: as good by these rows, and a loss of 0.1 would not be strange."""
        mine, theirs = wrong_at(*range(20)), wrong_at(*range(20, 40))
        finding = judge(mine, theirs)
        assert finding.outcome is INCONCLUSIVE
        assert "a loss beyond 0.05 cannot be ruled out" in finding.sentence
        assert judge(mine, theirs, harm_margin=0.2).outcome is PASS

    def test_the_rows_it_asks_for_would_have_decided(self) -> None:
        mine, theirs = wrong_at(*range(20)), wrong_at(*range(20, 40))
        needed = judge(mine, theirs).values["rows_needed"]
        times = -(-needed // len(RIGHT))
        more = judge(mine * times, theirs * times, targets=RIGHT * times)
        assert more.outcome is PASS
        assert judge(mine, theirs, targets=RIGHT).outcome is INCONCLUSIVE

    def test_a_few_hundred_rows_are_enough_for_a_usual_candidate(self) -> None:
        """One row in ten differs, and a few more for the better: what people bring to a gate."""
        truth: list[Json] = RIGHT * 3
        mine, theirs = wrong_at(*range(13), targets=truth), wrong_at(*range(13, 30), targets=truth)
        assert judge(mine, theirs, targets=truth).outcome is PASS


class TestStrict:
    def test_the_same_answers_on_few_rows_show_too_little(self) -> None:
        policy = {"policy": "strict", "margin": 0.01}
        finding = judge(RIGHT, RIGHT, **policy)
        assert finding.outcome is INCONCLUSIVE
        times = -(-finding.values["rows_needed"] // len(RIGHT))
        assert judge(RIGHT * times, RIGHT * times, targets=RIGHT * times, **policy).outcome is PASS

    def test_what_is_better_beyond_chance_passes(self) -> None:
        assert judge(RIGHT, wrong_at(*range(12)), policy="strict").outcome is PASS

    def test_what_passes_strict_passes_default(self) -> None:
        chance = random.Random(5)
        for _ in range(40):
            places = [set(chance.sample(range(100), chance.randrange(30))) for _ in range(2)]
            answers = [wrong_at(*one) for one in places]
            if judge(*answers, policy="strict", margin=0.02).outcome is PASS:
                assert judge(*answers, margin=0.02).outcome is PASS


@pytest.mark.parametrize("metric", ["precision", "recall", "f1", "balanced_accuracy"])
def test_metrics_of_labels_are_bootstrapped_and_their_values_are_the_measured_ones(metric: str) -> None:
    finding = judge(wrong_at(1, 2, 3), wrong_at(4, 5, 6, 7, 8, 9), primary=metric)
    assert finding.values["metric"] == metric
    assert finding.values["estimate"]["method"].startswith("paired bootstrap, BCa")
    assert finding.values["estimate"]["value"] == pytest.approx(finding.values["gain"], abs=1e-12)


@pytest.mark.parametrize("metric", ["mean_absolute_error", "root_mean_squared_error", "r2"])
def test_errors_are_turned_so_that_a_gain_is_a_gain(metric: str) -> None:
    targets: list[Json] = [float((place * 37) % 100) for place in range(100)]
    near: list[Json] = [value + (place % 3) - 1.0 for place, value in enumerate(targets)]
    far: list[Json] = [value + (place % 7) - 3.0 for place, value in enumerate(targets)]
    better = judge(near, far, targets=targets, threshold=NUMBERS, primary=metric)
    worse = judge(far, near, targets=targets, threshold=NUMBERS, primary=metric)
    assert (better.outcome, worse.outcome) == (PASS, FAIL)
    assert better.values["estimate"]["value"] == pytest.approx(better.values["gain"], abs=1e-12)


def test_margins_of_errors_are_shares_of_the_error_of_the_version_that_holds_the_stage() -> None:
    """In cents or in euros the gate says the same."""
    targets: list[Json] = [float((place * 37) % 100) for place in range(100)]
    mine: list[Json] = [value + 1.04 + 0.1 * (place % 2) for place, value in enumerate(targets)]
    theirs: list[Json] = [value + 1.0 + 0.1 * (place % 2) for place, value in enumerate(targets)]
    for scale in (1.0, 100.0):
        asked: dict[str, Any] = {"threshold": NUMBERS, "primary": "mean_absolute_error"}
        scaled = [[value * scale for value in column] for column in (mine, theirs, targets)]
        asked["targets"] = scaled[2]
        assert judge(scaled[0], scaled[1], margin=0.05, **asked).outcome is PASS
        assert judge(scaled[0], scaled[1], margin=0.03, **asked).outcome is FAIL


@pytest.mark.thorough
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_rankings_are_compared_by_their_scores(metric: str) -> None:
    chance = random.Random(3)
    targets: list[Json] = [int(chance.random() < 0.4) for _ in range(300)]
    sharp = [min(1.0, max(0.0, 0.5 + 0.3 * (2 * t - 1) + chance.gauss(0, 0.25))) for t in targets]
    dull = [min(1.0, max(0.0, 0.5 + 0.1 * (2 * t - 1) + chance.gauss(0, 0.25))) for t in targets]
    found = with_scores(sharp, dull, targets, metric)
    finding = not_worse(found)
    theirs = {"roc_auc": sklearn_metrics.roc_auc_score, "average_precision": sklearn_metrics.average_precision_score}
    expected = theirs[metric](targets, sharp) - theirs[metric](targets, dull)
    assert finding.outcome is PASS
    assert finding.values["estimate"]["value"] == pytest.approx(expected, abs=1e-9)
    assert not_worse(with_scores(dull, sharp, targets, metric)).outcome is FAIL
    assert not_worse(with_scores(dull, dull, targets, metric)).values["alike"] is True


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc"])
def test_rows_that_belong_together_say_less(metric: str) -> None:
    """Ten customers with ten rows each: what is sure of a hundred rows is not sure of ten customers."""
    targets: list[Json] = [int(place % 2 == 0) for place in range(100)]
    mine = [0.9 if t else 0.1 for t in targets]
    theirs = [(0.45 + 0.01 * place / 100 if place < 30 else 0.9) if t else 0.5 - 0.1 for place, t in enumerate(targets)]
    columns: dict[str, list[Json]] = {"customer": [place // 10 for place in range(100)]}
    alone = gain_in(with_scores(mine, theirs, targets, metric), metric, 0.9).estimate
    together = gain_in(
        with_scores(mine, theirs, targets, metric, columns=columns, cluster="customer"), metric, 0.9
    ).estimate
    assert together.value == pytest.approx(alone.value, abs=1e-9)
    assert together.rows == 10
    if metric != "roc_auc":  # of which every row is right
        assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="'customer' belong together"):
        not_worse(case(RIGHT, wrong_at(1), cluster="customer"))


def test_labels_of_any_kind_are_compared() -> None:
    targets: list[Json] = ["10", "20", "30", "40"] * 30
    mine: list[Json] = [*targets[:-1], "10"]
    theirs: list[Json] = ["10" if place % 10 == 0 else value for place, value in enumerate(targets)]
    finding = judge(mine, theirs, targets=targets, threshold=EvalThreshold("argmax"), primary="f1")
    assert finding.values["estimate"]["value"] == pytest.approx(finding.values["gain"], abs=1e-12)


@settings(max_examples=examples(25), deadline=None)
@given(
    st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)), st.sampled_from(["accuracy", "f1", "balanced_accuracy"])
)
def test_the_same_case_gets_the_same_finding(mine: set[int], theirs: set[int], metric: str) -> None:
    first, again = (judge(wrong_at(*mine), wrong_at(*theirs), primary=metric) for _ in range(2))
    assert first == again


def test_both_policies_say_what_error_they_control() -> None:
    assert set(SAYS) == {"default", "strict"}
    assert all("alpha" in sentence for sentence in SAYS.values())
    assert StagePolicy().policy == "default"
