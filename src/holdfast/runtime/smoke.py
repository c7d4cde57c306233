"""Smoke: what a bundle answers on its frozen holdout, against what was recorded when the version was registered.

    outputs = write_outputs(predictor.holdout())        once, into the bundle
    compare(read_outputs(outputs), predictor.holdout())  before every gate and before every swap

Law: `read_outputs(write_outputs(answer)) == answer`.
"""

import json
import math
from dataclasses import dataclass
from itertools import zip_longest

from holdfast.canonical import Json, JsonObject, Reader, decode
from holdfast.errors import BundleFailed, UnsupportedFormat
from holdfast.runtime.pipeline import Answer

__all__ = ["SCORE_TOLERANCE", "Differences", "answer_of", "compare", "read_outputs", "write_outputs"]

SCORE_TOLERANCE = 1e-6
"""Another processor or thread count changes the last digits of a float64 score, never the sixth; relative above one."""

_FORMAT, _FORMAT_VERSION = "holdfast.outputs", "1.0"

_DEPTH_MAX = 8
"""An answer for one row may be a table; nothing that is compared goes deeper."""

_INTEGER_MAX = 1 << 64
"""The largest identifier that any column holds; Python's own integers go on, and no float follows them there."""

_ABSENT = object()
"""Stands for a row that one side has and the other has not; equal to nothing."""


@dataclass(frozen=True, slots=True)
class Differences:
    """How two answers to the same rows differ.

    Attributes:
        rows: how many were recorded.
        rows_found: how many were answered now.
        prediction_mismatches: rows whose prediction is another one, or is missing.
        score_difference_max: the largest distance between two scores, relative where scores are above one; infinite
            when they cannot be subtracted and are not equal.
    """

    rows: int
    rows_found: int
    prediction_mismatches: int
    score_difference_max: float

    @property
    def within_tolerance(self) -> bool:
        """Whether the bundle still is what was registered: every prediction equal, every score within tolerance."""
        return (
            self.rows == self.rows_found
            and self.prediction_mismatches == 0
            and self.score_difference_max <= SCORE_TOLERANCE
        )

    def to_json(self) -> JsonObject:
        """The differences as verdicts and reports carry them; an infinite distance is null."""
        far = self.score_difference_max
        return {
            "rows": self.rows,
            "rows_found": self.rows_found,
            "prediction_mismatches": self.prediction_mismatches,
            "score_difference_max": far if math.isfinite(far) else None,
            "within_tolerance": self.within_tolerance,
        }

    def __str__(self) -> str:
        return (
            f"{self.prediction_mismatches} of {self.rows} predictions differ, "
            f"scores by up to {self.score_difference_max:.3g}, {self.rows_found} rows answered"
        )


def compare(recorded: Answer, found: Answer) -> Differences:
    """What differs between the recorded answer and the one that was found now."""
    mismatches = sum(
        not _same(a, b) for a, b in zip_longest(recorded.predictions, found.predictions, fillvalue=_ABSENT)
    )
    farthest = 0.0
    for a, b in zip_longest(recorded.scores, found.scores, fillvalue=_ABSENT):
        farthest = max(farthest, _distance(a, b))
    if recorded.classes != found.classes:
        farthest = math.inf
    return Differences(len(recorded.predictions), len(found.predictions), mismatches, farthest)


def _same(recorded: object, found: object) -> bool:
    """Labels are equal or not; a regression's prediction is a score and has the tolerance of one."""
    if isinstance(recorded, float) or isinstance(found, float):
        return _distance(recorded, found) <= SCORE_TOLERANCE
    return type(recorded) is type(found) and recorded == found


def _distance(recorded: object, found: object) -> float:
    if isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            return math.inf
        return max((_distance(a, b) for a, b in zip(recorded, found, strict=True)), default=0.0)
    if _is_number(recorded) and _is_number(found):
        a, b = float(recorded), float(found)  # type: ignore[arg-type]  # both are int or float
        return abs(a - b) / max(1.0, abs(a)) if math.isfinite(a - b) else math.inf
    return 0.0 if type(recorded) is type(found) and recorded == found else math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_outputs(answer: Answer) -> bytes:
    """The bytes in which a bundle records its answer to its own holdout.

    Raises:
        BundleFailed: a score is NaN or infinite, which could never be compared again.
    """
    document = {"format": _FORMAT, "format_version": _FORMAT_VERSION, **answer.to_json()}
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise BundleFailed(
            "the model scores some holdout rows with NaN or infinity",
            hint="Look at those rows: a version must have a finite score for each of its holdout.",
        ) from error


def read_outputs(data: bytes) -> Answer:
    """The answer that `write_outputs` wrote.

    Raises:
        UnsupportedFormat: anything else.
    """
    reader = Reader(decode(data, what="the recorded outputs", exact=True), "outputs")
    name, version = reader.text("format"), reader.text("format_version")
    if name != _FORMAT or version.partition(".")[0] != _FORMAT_VERSION.partition(".")[0]:
        raise UnsupportedFormat(
            f"recorded outputs of format {name[:40]} {version[:20]}",
            hint="Upgrade Holdfast: pip install --upgrade holdfast",
        )
    return _answer(reader)


def answer_of(body: bytes) -> Answer:
    """The answer in the bytes that a worker sent back for a table.

    Raises:
        UnsupportedFormat: the bytes are no answer.
    """
    return _answer(Reader(decode(body, what="the worker's answer", exact=True), "answer"))


def _answer(reader: Reader) -> Answer:
    classes: list[Json] | None = reader.items("classes") if reader.has("classes") else None
    answer = Answer(reader.items("predictions"), reader.items("scores"), classes)
    # Somebody's code may have written it: what is believed here is compared, counted and written down again elsewhere.
    if not all(_is_plain(value, _DEPTH_MAX) for values in (answer.predictions, answer.scores) for value in values):
        raise _no_answer("a value that is nested, or larger, than any answer is")
    if classes is not None:
        if not all(_is_plain(name, 0) for name in classes):
            raise _no_answer("classes that are no labels")
        if not all(isinstance(score, list) and len(score) == len(classes) for score in answer.scores):
            raise _no_answer("scores that are not one for each class")
    return answer


def _is_plain(value: Json, depth: int) -> bool:
    if isinstance(value, dict):
        return False
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return not isinstance(value, int) or abs(value) <= _INTEGER_MAX


def _no_answer(what: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"the answer holds {what}", hint="Look at what the bundle's code writes to its socket.")
