"""Reading answers again, off their path: what a version predicted, and how sure it was.

    read_answer(INVOCATIONS, b'{"predictions":[1,0],…}') -> Scored((1, 0), ())
    read_answer(V2, b'{"outputs":[…]}')                  -> Scored((1, 0), ((0.2, 0.8), (0.9, 0.1)))

For everybody who counts, compares or draws what is answered. An answer is a worker's, and a worker runs a bundle's
code: what has another form than an answer is read as none, whatever it is. So is an answer in CSV or Arrow: those who
ask for tables are jobs, and what they get is watched by their errors and their time.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

from holdfast.canonical import Json
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2

__all__ = ["ANSWER_BYTES_MAX", "ROWS_MAX", "Prediction", "Scored", "number_of", "read_answer"]

Prediction: TypeAlias = bool | int | float | str
"""What a version says of one row: a class or a number."""

ROWS_MAX = 256
"""Rows that are read of one answer: the first ones tell how a version answers, and one batch does not outweigh all."""

ANSWER_BYTES_MAX = 1 << 20
"""Parsing a mebibyte of JSON takes some 10 ms of a processor that also answers; a longer answer is not read at all."""

_CLASSES_MAX = 256
"""Scores that are read of one row; a version with more classes is watched by its predictions."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What one answer says, row by row.

    Attributes:
        predictions: one a row, after the threshold.
        scores: one tuple a row, before it: a single score, or one for each class; empty where the answer has none.
    """

    predictions: tuple[Prediction, ...]
    scores: tuple[tuple[float, ...], ...]

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number a row: the score, of two classes the second one's, of more the highest; else the prediction.

        Empty where predictions are words and there are no scores.
        """
        if self.scores:
            return tuple(map(_speaking, self.scores))
        return tuple(float(one) for one in self.predictions if not isinstance(one, str))


def number_of(score: Json) -> float | None:
    """The one number of a recorded score, as `Scored.numbers` has it; None where it has none."""
    row = score if isinstance(score, list) else [score]
    numbers = [float(one) for one in row if isinstance(one, int | float)]
    return _speaking(numbers) if numbers and len(numbers) == len(row) else None


def _speaking(row: Sequence[float]) -> float:
    return row[-1] if len(row) <= 2 else max(row)  # noqa: PLR2004 - two classes


def read_answer(shape: str, answer: bytes) -> Scored | None:
    """What an answer says, up to `ROWS_MAX` rows; None where it is no answer of this shape, or a very long one.

    Args:
        shape: the shape of request and answer: a name of `holdfast.runtime.shapes`.
        answer: the answer's bytes, as the worker wrote them.
    """
    if len(answer) > ANSWER_BYTES_MAX:
        return None
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    if shape == INVOCATIONS:
        return _scored(said.get("predictions"), None)
    if shape == PREDICT:
        scores = said.get("scores")
        return _scored(said.get("predictions"), {"data": _flat(scores)} if isinstance(scores, list) else None)
    return _of_tensors(said.get("outputs")) if shape == V2 else None


def _flat(scores: list[Any]) -> list[Any]:
    return [number for row in scores for number in (row if isinstance(row, list) else (row,))]


def _of_tensors(outputs: object) -> Scored | None:
    if not isinstance(outputs, list):
        return None
    tensors = {tensor["name"]: tensor for tensor in outputs if isinstance(tensor, dict) and _named(tensor)}
    predictions = tensors.get("predictions")
    return None if predictions is None else _scored(predictions.get("data"), tensors.get("scores"))


def _named(tensor: dict[str, Any]) -> bool:
    return tensor.get("name") in ("predictions", "scores") and isinstance(tensor.get("data"), list)


def _scored(predictions: object, scores: dict[str, Any] | None) -> Scored | None:
    if not isinstance(predictions, list):
        return None
    first = predictions[:ROWS_MAX]
    if not all(_is_prediction(one) for one in first):
        return None
    return Scored(tuple(first), () if scores is None else _rows(scores["data"], len(predictions)))


def _is_prediction(value: object) -> bool:
    return isinstance(value, bool | str) or _is_number(value)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float):
        return False
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _rows(flat: list[Any], rows: int) -> tuple[tuple[float, ...], ...]:
    """The scores of the first rows: a tensor's data are flat, in row-major order."""
    width = len(flat) // rows if rows else 0
    if width == 0 or width > _CLASSES_MAX or width * rows != len(flat):
        return ()
    read = flat[: width * ROWS_MAX]
    if not all(_is_number(one) for one in read):
        return ()
    numbers = [float(one) for one in read]
    return tuple(tuple(numbers[at : at + width]) for at in range(0, len(numbers), width))
