"""Answers read again: what the worker wrote comes back, and what is no answer is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.pipeline import Answer
from holdfast.runtime.sent import CSV
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2, answer_body
from holdfast.serving.reading import ANSWER_BYTES_MAX, ROWS_MAX, Scored, read_answer

STAMP = {"model": "churn", "version": 3, "digest": "sha256:ab"}
SCORES = st.floats(0.0, 1.0)


@given(rows=st.lists(st.tuples(st.integers(-5, 5), SCORES, SCORES, SCORES), max_size=2 * ROWS_MAX))
def test_what_a_worker_wrote_is_read_up_to_the_limit_of_rows(rows: list[tuple[int, float, float, float]]) -> None:
    predictions = tuple(row[0] for row in rows)
    scores = tuple(row[1:] for row in rows)
    answer = Answer(list(predictions), [list(row) for row in scores], ["a", "b", "c"])
    assert read_answer(INVOCATIONS, answer_body(INVOCATIONS, answer, {}, STAMP)) == Scored(predictions[:ROWS_MAX], ())
    assert read_answer(PREDICT, answer_body(PREDICT, answer, {}, STAMP)) == Scored(
        predictions[:ROWS_MAX], scores[:ROWS_MAX]
    )
    assert read_answer(PREDICT, answer_body(PREDICT, answer, {}, STAMP, CSV)) is None
    assert read_answer(V2, answer_body(V2, answer, {}, STAMP)) == Scored(predictions[:ROWS_MAX], scores[:ROWS_MAX])


@pytest.mark.parametrize(
    ("scored", "numbers"),
    [
        (Scored((3.5, 2), ()), (3.5, 2.0)),
        (Scored(("yes", "no"), ()), ()),
        (Scored((True, False), ()), (1.0, 0.0)),
        (Scored(("yes",), ((0.7,),)), (0.7,)),
        (Scored(("yes",), ((0.3, 0.7),)), (0.7,)),
        (Scored(("b",), ((0.3, 0.6, 0.1),)), (0.6,)),
    ],
)
def test_a_row_has_one_number(scored: Scored, numbers: tuple[float, ...]) -> None:
    assert scored.numbers == numbers


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff",
        b"[1]",
        b"{}",
        b"[" * 100_000,
        b'{"predictions": 3}',
        b'{"predictions": [[1, 2]]}',
        b'{"predictions": [null]}',
        b'{"predictions": [NaN]}',
        b'{"predictions": [1e999]}',
        b'{"predictions": [1' + b"0" * 400 + b"]}",
        b'{"outputs": {}}',
        b'{"outputs": [3, {"name": []}, {"name": "predictions", "data": 3}]}',
        b'{"predictions": [' + b" " * ANSWER_BYTES_MAX + b"1]}",
    ],
)
@pytest.mark.parametrize("shape", [INVOCATIONS, V2])
def test_what_is_no_answer_is_read_as_none(shape: str, answer: bytes) -> None:
    assert read_answer(shape, answer) is None


@pytest.mark.parametrize("scores", [[0.1], [0.1, None], [0.1, "x"], [0.1] * 1000, [1e999, 0.1]])
def test_scores_that_do_not_fit_the_predictions_are_left_out(scores: list[object]) -> None:
    outputs = [{"name": "predictions", "data": [1, 0]}, {"name": "scores", "data": scores}]
    assert read_answer(V2, json.dumps({"outputs": outputs}).encode()) == Scored((1, 0), ())
