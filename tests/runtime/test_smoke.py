"""Smoke: recorded outputs survive the way to the disk, and differences are counted."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import BundleFailed, UnsupportedFormat
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.smoke import SCORE_TOLERANCE, compare, read_outputs, write_outputs

finite = st.floats(allow_nan=False, allow_infinity=False)
label = st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.text(), st.booleans())


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    if draw(st.booleans()):
        values = draw(st.lists(finite))
        return Answer(list(values), list(values), None)
    classes: list[Any] = draw(st.lists(label, min_size=1, max_size=4))
    rows = draw(st.integers(0, 6))
    scores = draw(
        st.lists(st.lists(finite, min_size=len(classes), max_size=len(classes)), min_size=rows, max_size=rows)
    )
    return Answer([draw(st.sampled_from(classes)) for _ in range(rows)], scores, classes)


@given(answers())
def test_outputs_read_back_are_the_outputs_that_were_written(answer: Answer) -> None:
    assert read_outputs(write_outputs(answer)) == answer


@given(answers())
def test_an_answer_does_not_differ_from_itself(answer: Answer) -> None:
    found = compare(answer, read_outputs(write_outputs(answer)))
    assert found.within_tolerance
    assert found.score_difference_max == 0.0


def probabilities(*values: float) -> Answer:
    return Answer([int(v >= 0.5) for v in values], [[1 - v, v] for v in values], [0, 1])


@pytest.mark.parametrize(
    ("recorded", "found", "mismatches", "within"),
    [
        (probabilities(0.2, 0.8), probabilities(0.2 + 1e-9, 0.8), 0, True),
        (probabilities(0.2, 0.8), probabilities(0.2 + 1e-5, 0.8), 0, False),
        (probabilities(0.2, 0.8), probabilities(0.2, 0.4), 1, False),
        (probabilities(0.2, 0.8), probabilities(0.2), 1, False),
        (probabilities(0.2), probabilities(0.2, 0.8), 1, False),
        (probabilities(0.2), Answer([0], [[0.8, 0.2]], [1, 0]), 0, False),
        (probabilities(0.2), Answer([0], [[0.8, 0.2, 0.0]], [0, 1]), 0, False),
        (Answer([1], [0.5], None), Answer([True], [0.5], None), 1, False),
        (Answer(["a"], ["a"], None), Answer(["a"], ["a"], None), 0, True),
        (Answer(["a"], ["a"], None), Answer(["b"], ["b"], None), 1, False),
        (Answer([1e9], [1e9], None), Answer([1e9 + 1], [1e9 + 1], None), 0, True),
        (Answer([1e9], [1e9], None), Answer([1e9 * 1.001], [1e9 * 1.001], None), 1, False),
        (Answer([0.1], [0.1], None), Answer([math.nan], [math.nan], None), 1, False),
    ],
)
def test_differences_are_counted(recorded: Answer, found: Answer, mismatches: int, within: bool) -> None:
    differences = compare(recorded, found)
    assert differences.prediction_mismatches == mismatches
    assert differences.within_tolerance is within
    json.dumps(differences.to_json(), allow_nan=False)


@given(st.floats(-1e300, 1e300), st.floats(0, 10))  # beyond, moving the score overflows
def test_the_tolerance_is_relative_above_one(score: float, far: float) -> None:
    moved = score + far * SCORE_TOLERANCE * max(1.0, abs(score))
    within = compare(Answer([0], [score], None), Answer([0], [moved], None)).within_tolerance
    if far < 0.99:
        assert within
    elif far > 1.01 and math.isfinite(moved):
        assert not within


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format":"holdfast.rows","format_version":"1.0"}', b'{"format":"holdfast.outputs"}']
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        read_outputs(data)


def test_a_newer_format_is_refused() -> None:
    data = write_outputs(probabilities(0.5)).replace(b'"1.0"', b'"2.0"')
    with pytest.raises(UnsupportedFormat, match="recorded outputs"):
        read_outputs(data)


def test_a_score_that_is_no_number_cannot_be_recorded() -> None:
    with pytest.raises(BundleFailed):
        write_outputs(Answer([0.0], [math.nan], None))
