"""Eval threshold: how a score becomes an answer, and what that cut was chosen on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.errors import UnsupportedFormat, UsageError

__all__ = ["ARGMAX", "CUT_OFF", "IDENTITY", "EvalThreshold"]

CUT_OFF = "cut_off"
ARGMAX = "argmax"
IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class EvalThreshold:
    """The decision rule that turns scores into predictions; it lives in the bundle and nowhere else.

    Attributes:
        rule: `cut_off` (positive when the score reaches `value`), `argmax` (the class with the highest score, or
            `negative` when that score stays below `value`), or `identity` (the score is the prediction).
        value: the cut; required by `cut_off`, optional for `argmax`, absent for `identity`.
        positive: the label at or above the cut (`cut_off` only).
        negative: the label below the cut.
        metric: the name of the metric that the cut was chosen by.
        slice: the data it was chosen on.
        extra: fields of a newer minor format.
    """

    rule: str
    value: float | None = None
    positive: Json = None
    negative: Json = None
    metric: str | None = None
    slice: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise UsageError(f"{self.value} is no threshold", hint="Give a finite number.")
        if (self.rule, self.value is None) in {(CUT_OFF, True), (IDENTITY, False)}:
            raise UsageError(
                f"a threshold by {self.rule} {'needs' if self.rule == CUT_OFF else 'takes no'} value",
                hint="Give a number for a cut-off, 'argmax' for the most likely class, 'identity' for a regression.",
            )

    def decide(self, scores: Sequence[Json], classes: Sequence[Json] | None) -> list[Json]:
        """The predictions for `scores`.

        Args:
            scores: one finite number a row, or one list a row with a number for each class.
            classes: the label of each column when rows are lists; None otherwise.

        Raises:
            UsageError: the rule does not fit scores of this shape.
            UnsupportedFormat: a rule of a newer format, of which nobody here knows what it decides.
        """
        if self.rule == IDENTITY:
            return list(scores)
        if self.rule == ARGMAX:
            return [self._most_likely(row, classes) for row in scores]
        if self.rule != CUT_OFF or self.value is None:
            raise UnsupportedFormat(
                f"a threshold by {self.rule[:40]!r} is not known here",
                hint="Upgrade Holdfast: pip install --upgrade holdfast",
            )
        if classes is not None:
            column = self._positive_column(classes)
            scores = [row[column] for row in scores]
        if any(isinstance(score, bool) or not isinstance(score, int | float) for score in scores):
            raise UsageError(
                "a cut-off needs a number for each row, and the model gives something else",
                hint="Use a model that scores, or 'argmax' or 'identity' for this kind of model.",
            )
        return [self.positive if score >= self.value else self.negative for score in scores]

    def _positive_column(self, classes: Sequence[Json]) -> int:
        if self.positive not in classes:
            raise UsageError(
                f"the threshold's positive label {self.positive!r} is none of the model's classes {list(classes)}",
                hint="Name the positive label when you register the version.",
            )
        return list(classes).index(self.positive)

    def _most_likely(self, row: Json, classes: Sequence[Json] | None) -> Json:
        if classes is None or not isinstance(row, list) or len(row) != len(classes):
            raise UsageError(
                "argmax needs a score for each class", hint="Use a cut-off or identity for this kind of model."
            )
        try:
            best = max(range(len(row)), key=row.__getitem__)
            is_below = self.value is not None and row[best] < self.value
        except (
            TypeError,
            ValueError,
        ) as error:  # a text has no place among numbers, and nothing is the highest of none
            raise UsageError(
                "argmax needs a number for each class, and the model gives something else",
                hint="Use a model that scores, or 'identity' for this kind of model.",
            ) from error
        return self.negative if is_below else classes[best]

    def to_json(self) -> JsonObject:
        """The part as it stands in a manifest."""
        return {
            **self.extra,
            "rule": self.rule,
            "value": self.value,
            "positive": self.positive,
            "negative": self.negative,
            "metric": self.metric,
            "slice": self.slice,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "EvalThreshold":
        """The part that `to_json` wrote."""
        return cls(
            rule=reader.text("rule"),
            value=reader.maybe_number("value"),
            positive=reader.any("positive"),
            negative=reader.any("negative"),
            metric=reader.maybe_text("metric"),
            slice=reader.maybe_text("slice"),
            extra=reader.rest(),
        )
