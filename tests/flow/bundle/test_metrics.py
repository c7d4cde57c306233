"""Metrics, against scikit-learn asked directly."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from holdfast.canonical import encode
from holdfast.errors import UsageError
from holdfast.flow.bundle.metrics import DIRECTIONS, measure, row_scores
from holdfast.parts import EvalThreshold
from holdfast.runtime.pipeline import Answer

CUT = EvalThreshold("cut_off", 0.4, "yes", "no")
ARGMAX = EvalThreshold("argmax")
IDENTITY = EvalThreshold("identity")


def said(threshold: EvalThreshold, scores: list[Any], classes: list[Any] | None) -> Answer:
    return Answer(threshold.decide(scores, classes), scores, classes)


binary = st.lists(st.tuples(st.sampled_from(["yes", "no"]), st.floats(0, 1)), min_size=2, max_size=40)


@settings(deadline=None)
@given(binary)
def test_two_labels_and_a_cut(rows: list[tuple[str, float]]) -> None:
    targets, scores = [target for target, _ in rows], [score for _, score in rows]
    answer = said(CUT, [[1 - score, score] for score in scores], ["no", "yes"])
    found = measure(targets, answer, CUT, primary=None)
    truth, predicted = np.array(targets), np.array(answer.predictions)
    expected = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "precision": sk.precision_score(truth, predicted, pos_label="yes", zero_division=0.0),
        "recall": sk.recall_score(truth, predicted, pos_label="yes", zero_division=0.0),
        "f1": sk.f1_score(truth, predicted, pos_label="yes", zero_division=0.0),
        "balanced_accuracy": np.mean([np.mean(predicted[truth == label] == label) for label in sorted(set(targets))]),
    }
    if len(set(targets)) == 2:
        expected["roc_auc"] = sk.roc_auc_score(truth == "yes", scores)
        expected["average_precision"] = sk.average_precision_score(truth == "yes", scores)
    assert found.values == pytest.approx(expected)
    assert (found.primary, found.rows, found.threshold) == ("f1", len(rows), 0.4)
    assert found.higher_is_better == {name: DIRECTIONS[name] for name in expected}
    encode(found.to_json())


several = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.tuples(*[st.floats(0.01, 1)] * 3)), min_size=1, max_size=30
)


@settings(deadline=None)
@given(several, st.sampled_from([None, 0.6]))
def test_several_classes_and_one_that_refuses(rows: list[tuple[str, tuple[float, ...]]], least: float | None) -> None:
    targets = [target for target, _ in rows]
    scores = [[score / sum(three) for score in three] for _, three in rows]
    threshold = EvalThreshold("argmax", least)
    answer = said(threshold, scores, ["a", "b", "c"])
    found = measure(targets, answer, threshold, primary=None)
    predicted = ["refused" if label is None else label for label in answer.predictions]
    labels = sorted(set(targets))
    assert found.primary == "accuracy"
    assert found.values == pytest.approx(
        {
            "accuracy": sk.accuracy_score(targets, predicted),
            "balanced_accuracy": sk.recall_score(targets, predicted, labels=labels, average="macro", zero_division=0.0),
            "precision": sk.precision_score(targets, predicted, labels=labels, average="macro", zero_division=0.0),
            "recall": sk.recall_score(targets, predicted, labels=labels, average="macro", zero_division=0.0),
            "f1": sk.f1_score(targets, predicted, labels=labels, average="macro", zero_division=0.0),
        }
    )


# A thousandth is the finest step: where targets differ by less than 1e-150, scikit-learn divides by a variance of zero.
value = st.integers(-(10**9), 10**9).map(lambda thousandths: thousandths / 1000)
numbers = st.lists(st.tuples(value, value), min_size=2, max_size=30).filter(
    lambda rows: len({target for target, _ in rows}) > 1
)


@settings(deadline=None)
@given(numbers)
def test_numbers(rows: list[tuple[float, float]]) -> None:
    targets, predictions = [a for a, _ in rows], [b for _, b in rows]
    found = measure(targets, Answer(predictions, predictions, None), IDENTITY, primary=None)
    assert found.values == pytest.approx(
        {
            "mean_absolute_error": sk.mean_absolute_error(targets, predictions),
            "root_mean_squared_error": sk.root_mean_squared_error(targets, predictions),
            "r2": sk.r2_score(targets, predictions),
        },
        nan_ok=False,
    )
    assert found.higher_is_better == {"mean_absolute_error": False, "root_mean_squared_error": False, "r2": True}
    encode(found.to_json())


@given(value, st.integers(2, 30), value)
def test_of_targets_that_are_all_the_same_all_is_explained_or_nothing(target: float, count: int, said: float) -> None:
    answers = [target] * (count - 1) + [said]
    found = measure([target] * count, Answer(answers, answers, None), IDENTITY, primary="r2")
    assert found.values["r2"] == float(said == target)


def test_one_row_has_no_variance_to_explain() -> None:
    found = measure([3.0], Answer([2.0], [2.0], None), IDENTITY, primary=None)
    assert found.values == {"mean_absolute_error": 1.0, "root_mean_squared_error": 1.0}


def test_a_holdout_of_one_class_has_no_ranking() -> None:
    answer = said(CUT, [0.1, 0.9], None)
    found = measure(["yes", "yes"], answer, CUT, primary=None)
    assert found.values["recall"] == 0.5
    assert "roc_auc" not in found.values
    with pytest.raises(UsageError, match="roc_auc") as error:
        measure(["yes", "yes"], answer, CUT, primary="roc_auc")
    assert "accuracy" in error.value.details["known"]


def test_a_positive_label_that_never_occurs_gives_numbers_still() -> None:
    odd = EvalThreshold("cut_off", 0.5, "maybe", "no")
    found = measure(["a", "b"], said(odd, [0.1, 0.9], None), odd, primary=None)
    assert found.values["recall"] == 0.0
    assert "roc_auc" not in found.values
    encode(found.to_json())


@pytest.mark.parametrize(
    ("labels", "positive"), [([0, 1], 1), ([False, True], True), ([0.0, 1.0], 1), ([1, 2], 2), (["0", "1"], "1")]
)
def test_labels_of_every_type(labels: list[Any], positive: Any) -> None:
    threshold = EvalThreshold("cut_off", 0.5, positive, labels[0])
    answer = said(threshold, [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], labels)
    found = measure([labels[0], labels[1], labels[1]], answer, threshold, primary="recall")
    assert found.values["recall"] == 0.5
    assert found.values["roc_auc"] == 1.0


def test_the_ranking_follows_the_positive_label_and_not_the_last_one() -> None:
    threshold = EvalThreshold("cut_off", 0.5, "no", "yes")
    answer = said(threshold, [[0.9, 0.1], [0.2, 0.8]], ["no", "yes"])
    assert measure(["no", "yes"], answer, threshold, primary=None).values["roc_auc"] == 1.0


@pytest.mark.parametrize(
    ("targets", "answer", "threshold"),
    [
        ([None, "yes"], said(CUT, [0.1, 0.9], None), CUT),
        (["yes", "no"], Answer(["yes", "no"], ["yes", "no"], None), IDENTITY),
        ([1.0, 2.0], Answer([[0.1, 0.9], [0.2, 0.8]], [[0.1, 0.9], [0.2, 0.8]], ["a", "b"]), IDENTITY),
        ([1.0, "x"], Answer([1.0, 2.0], [1.0, 2.0], None), IDENTITY),
        ([["a"], ["b"]], said(CUT, [0.1, 0.9], None), CUT),
    ],
)
def test_targets_that_the_rule_cannot_answer_are_refused(
    targets: list[Any], answer: Answer, threshold: EvalThreshold
) -> None:
    with pytest.raises(UsageError):
        measure(targets, answer, threshold, primary=None)


def test_a_metric_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    for threshold, answer, targets in (
        (CUT, said(CUT, [0.1, 0.9], None), ["no", "yes"]),
        (IDENTITY, Answer([1.0, 2.0], [1.0, 2.0], None), [1.0, 2.0]),
    ):
        for primary in ("F1", "auc", "", "rmse"):
            with pytest.raises(UsageError, match="not known, or does not fit"):
                measure(targets, answer, threshold, primary=primary)


def test_how_good_an_answer_was_row_by_row() -> None:
    right = row_scores(["yes", "no"], said(CUT, [0.9, 0.9], None), CUT)
    assert (right.values, right.higher_is_better, right.name) == ([1.0, 0.0], True, "accuracy")
    off = row_scores([1.0, 2.0], Answer([1.5, 2.0], [1.5, 2.0], None), IDENTITY)
    assert (off.values, off.higher_is_better, off.name) == ([0.5, 0.0], False, "mean_absolute_error")
    refused = row_scores(
        ["a"], said(EvalThreshold("argmax", 0.9), [[0.6, 0.4]], ["a", "b"]), EvalThreshold("argmax", 0.9)
    )
    assert refused.values == [0.0]
