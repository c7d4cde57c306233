"""The decision rule: how a score becomes an answer."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UnsupportedFormat, UsageError
from holdfast.parts import EvalThreshold

CUT = EvalThreshold("cut_off", 0.5, "yes", "no")
BOTH = ["no", "yes"]


def test_a_cut_answers_positive_where_the_score_reaches_it() -> None:
    assert CUT.decide([0.49, 0.5, 0.51, 0, 1], None) == ["no", "yes", "yes", "no", "yes"]
    assert CUT.decide([[0.51, 0.49], [0.5, 0.5]], BOTH) == ["no", "yes"]
    assert EvalThreshold("cut_off", 0.0, 1, 0).decide([-0.1, 0.0], None) == [0, 1]


def test_the_positive_class_is_found_by_its_label_and_not_by_its_place() -> None:
    inverse = EvalThreshold("cut_off", 0.5, "no", "yes")
    assert inverse.decide([[0.9, 0.1], [0.1, 0.9]], BOTH) == ["no", "yes"]


def test_argmax_answers_the_best_class_or_none_of_them() -> None:
    scores = [[0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]]
    assert EvalThreshold("argmax").decide(scores, ["a", "b", "c"]) == ["b", "a", "c"]
    assert EvalThreshold("argmax", 0.5).decide(scores, ["a", "b", "c"]) == ["b", None, "c"]
    assert EvalThreshold("argmax", 0.6, negative="unsure").decide(scores, ["a", "b", "c"]) == ["unsure", "unsure", "c"]


def test_identity_answers_the_score() -> None:
    assert EvalThreshold("identity").decide([1.5, -2.0], None) == [1.5, -2.0]


@pytest.mark.parametrize(
    ("threshold", "scores", "classes"),
    [
        (CUT, ["yes"], None),
        (CUT, [True], None),
        (CUT, [None], None),
        (CUT, [[0.1, 0.9]], None),
        (CUT, [[0.1, 0.9]], ["a", "b"]),
        (EvalThreshold("argmax"), [0.5], None),
        (EvalThreshold("argmax"), [0.5], BOTH),
        (EvalThreshold("argmax"), [[0.1, 0.2, 0.7]], BOTH),
        (EvalThreshold("argmax"), [[0.1, "much"]], BOTH),
        (EvalThreshold("argmax"), [[None, 0.1]], BOTH),
        (EvalThreshold("argmax", 0.5), [["much", "more"]], BOTH),
        (EvalThreshold("argmax"), [[]], []),
    ],
)
def test_scores_of_another_shape_are_refused(threshold: EvalThreshold, scores: list[Any], classes: list[Any]) -> None:
    with pytest.raises(UsageError):
        threshold.decide(scores, classes)


@pytest.mark.parametrize(
    ("rule", "value"),
    [("cut_off", None), ("identity", 0.5), ("cut_off", math.nan), ("cut_off", math.inf), ("argmax", math.nan)],
)
def test_a_rule_that_cannot_decide_is_no_rule(rule: str, value: float | None) -> None:
    with pytest.raises(UsageError):
        EvalThreshold(rule, value)


def test_a_rule_of_a_newer_format_is_kept_and_decides_nothing() -> None:
    rule = EvalThreshold("top_k", 3.0)
    with pytest.raises(UnsupportedFormat, match="top_k"):
        rule.decide([0.9], None)


@given(st.lists(st.floats(0, 1)), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_cut_never_makes_more_rows_positive(scores: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    first = EvalThreshold("cut_off", low, True, False).decide(scores, None)
    second = EvalThreshold("cut_off", high, True, False).decide(scores, None)
    assert all(one or not other for one, other in zip(first, second, strict=True))
