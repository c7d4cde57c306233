"""`calibration`: of the rows that score 0.8, eight of ten come true."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.naive_bayes import GaussianNB

from holdfast.flow.gate.calibration import calibration
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import Outcome
from holdfast.parts import EvalThreshold
from holdfast.runtime.pipeline import Answer
from tests.flow.gate.cases import CUT_OFF, case, manifest, without_answer

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

ARGMAX = EvalThreshold("argmax")


def said(scores: Any, rule: EvalThreshold, classes: list[Any] | None) -> Measured:
    given = np.asarray(scores).tolist()
    return Measured(Answer(rule.decide(given, classes), given, classes), None)


def scored(
    scores: Any, targets: Any, rule: EvalThreshold = CUT_OFF, classes: list[Any] | None = None, **policy: Any
) -> Case:
    """A case of a version that gives these scores."""
    truth = np.asarray(targets).tolist()
    found = case(targets=[1, 0] * (len(truth) // 2), **policy)
    return replace(
        found,
        manifest=manifest(eval_threshold=rule),
        measured=said(scores, rule, classes),
        targets=tuple(truth),
    )


def drawn(rows: int, seed: int = 3) -> tuple[Any, Any]:
    chance = np.random.default_rng(seed)
    scores = chance.random(rows)
    return scores, (chance.random(rows) < scores).astype(int)


def test_scores_that_come_true_pass_and_the_finding_says_what_was_compared() -> None:
    finding = calibration(scored(*drawn(1500)))
    assert finding.outcome is PASS
    assert finding.sentence.startswith("scores of 1 are off by 0.0")
    assert "slope 1.0" in finding.sentence
    assert finding.values["classes"][0]["error"]["method"].startswith("debiased root mean square over 10 bins")


def test_scores_that_are_too_extreme_fail_and_are_called_so() -> None:
    scores, targets = drawn(2000)
    extreme = 1 / (1 + (1 / scores - 1) ** 3)
    finding = calibration(scored(extreme, targets))
    assert finding.outcome is FAIL
    assert "(too extreme)" in finding.sentence
    assert "CalibratedClassifierCV" in finding.hint


def test_few_rows_decide_nothing_and_the_finding_says_how_many_would() -> None:
    finding = calibration(scored(*drawn(150)))
    assert finding.outcome is INCONCLUSIVE
    assert f"About {finding.values['rows_needed']} rows would tell" in finding.hint
    assert finding.values["rows_needed"] > 150
    assert "20 rows are too few" in calibration(scored(*drawn(20))).sentence


def test_strict_asks_for_more_rows_than_default() -> None:
    scores, targets = drawn(600)
    assert calibration(scored(scores, targets)).outcome is PASS
    assert calibration(scored(scores, targets, policy="strict")).outcome is INCONCLUSIVE
    assert calibration(scored(*drawn(6000), policy="strict")).outcome is PASS


@pytest.mark.parametrize(
    ("scores", "rule", "classes", "why"),
    [
        ([-3.2, 7.1] * 50, CUT_OFF, None, "scores go from -3.2 to 7.1, so they are no probabilities"),
        ([[0.9, 0.9]] * 100, ARGMAX, [0, 1], "the scores of a row differ from 1 by up to 0.8 together"),
    ],
)
def test_what_cannot_be_a_probability_fails(scores: Any, rule: EvalThreshold, classes: Any, why: str) -> None:
    finding = calibration(scored(scores, [1, 0] * 50, rule, classes))
    assert finding.outcome is FAIL
    assert why in finding.sentence


def test_each_class_is_judged_and_the_worst_is_named() -> None:
    chance = np.random.default_rng(4)
    shares = chance.dirichlet([2, 2, 2], 3000)
    targets = [["a", "b", "c"][place] for place in (shares.cumsum(axis=1) < chance.random((3000, 1))).sum(axis=1)]
    good = calibration(scored(shares, targets, ARGMAX, ["a", "b", "c"]))
    assert good.outcome is PASS
    assert len(good.values["classes"]) == 3
    # Half of what was said for "c" is said for "b": "a" stays right.
    mixed = np.stack([shares[:, 0], shares[:, 1] + shares[:, 2] / 2, shares[:, 2] / 2], axis=1)
    bad = calibration(scored(mixed, targets, ARGMAX, ["a", "b", "c"]))
    assert bad.outcome is FAIL
    assert [one["p_harm"] < 0.05 for one in bad.values["classes"]] == [False, True, True]
    assert "(the worst of 2 classes)" in bad.sentence


def test_of_two_classes_one_is_judged() -> None:
    scores, targets = drawn(1500)
    finding = calibration(scored(np.stack([1 - scores, scores], axis=1), targets, ARGMAX, [0, 1]))
    assert [one["label"] for one in finding.values["classes"]] == [1]


def test_the_other_version_is_told_beside_it() -> None:
    scores, targets = drawn(1500)
    found = scored(scores, targets)
    baseline = case([1, 0] * 50, [1, 0] * 50).baseline
    other = replace(found, baseline=baseline, against=said(scores / 2, CUT_OFF, None))
    finding = calibration(other)
    assert finding.outcome is PASS
    assert "; those of version 1 by 0.3" in finding.sentence
    margins = replace(other, against=said(scores * 9, CUT_OFF, None))
    assert calibration(margins).values["classes"][0]["baseline_error"] is None


def test_numbers_have_no_scores_and_who_did_not_answer_is_not_judged() -> None:
    numbers = replace(case(), manifest=manifest(eval_threshold=EvalThreshold("identity")))
    assert calibration(numbers).outcome is PASS
    assert calibration(without_answer(case())).outcome is INCONCLUSIVE
    # A model that gives labels alone has no score for any class.
    assert calibration(replace(case(), manifest=manifest(eval_threshold=ARGMAX))).outcome is INCONCLUSIVE


def test_naive_bayes_fails_on_features_that_repeat_one_another_and_passes_once_calibrated() -> None:
    rows, targets = make_classification(6000, n_features=20, n_informative=6, n_redundant=8, random_state=0)
    naive = GaussianNB()
    raw = naive.fit(rows[:3000], targets[:3000]).predict_proba(rows[3000:])
    assert calibration(scored(raw, targets[3000:], ARGMAX, [0, 1])).outcome is FAIL
    mended = CalibratedClassifierCV(naive, method="isotonic", cv=5).fit(rows[:3000], targets[:3000])
    finding = calibration(scored(mended.predict_proba(rows[3000:]), targets[3000:], ARGMAX, [0, 1]))
    assert finding.outcome is PASS
