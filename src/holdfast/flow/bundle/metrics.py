"""Named metrics over recorded answers, as scikit-learn defines them.

A metric is never a number alone: it is measured at a threshold, on named rows, and it has a direction.

They are counts and sums, so they are written out here: a server that registers a version would otherwise load
scikit-learn for them, a second and a hundred megabytes. The tests hold every one to scikit-learn's own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum, inf, sqrt
from typing import Any

from holdfast.canonical import Json
from holdfast.errors import UsageError
from holdfast.evidence import Metrics
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import CUT_OFF, IDENTITY
from holdfast.runtime.pipeline import Answer

__all__ = ["DIRECTIONS", "RowScores", "measure", "positive_scores", "row_scores"]

DIRECTIONS = {
    "accuracy": True,
    "balanced_accuracy": True,
    "precision": True,
    "recall": True,
    "f1": True,
    "roc_auc": True,
    "average_precision": True,
    "r2": True,
    "mean_absolute_error": False,
    "root_mean_squared_error": False,
    "cost": False,
}
"""Every metric that can be named, and whether higher is better; `cost` needs somebody to say what each row costs."""


@dataclass(frozen=True, slots=True)
class RowScores:
    """How good an answer was, row by row.

    Attributes:
        values: for labels 1.0 when right and 0.0 when wrong; for numbers the absolute error.
        higher_is_better: the direction of these values.
        name: what their mean is called.
    """

    values: list[float]
    higher_is_better: bool
    name: str


def measure(
    targets: Sequence[Json],
    answer: Answer,
    threshold: EvalThreshold,
    *,
    primary: str | None,
    costs: Sequence[float] | None = None,
) -> Metrics:
    """All metrics that fit this kind of answer.

    Args:
        targets: the true answer of each row.
        answer: what the bundle said.
        threshold: the bundle's decision rule.
        primary: the metric to judge by; by default `f1` for a cut-off, `accuracy` for classes, and
            `root_mean_squared_error` for numbers.
        costs: what each row's answer costs, where somebody says so; the metric `cost` is their mean.

    Raises:
        UsageError: the primary metric is not known, or does not fit; or the targets are not what the rule answers.
    """
    if any(target is None for target in targets):
        raise UsageError("the holdout has rows without a target", hint="Leave those rows out of the holdout.")
    if threshold.rule == IDENTITY:
        values, default = _numbers(targets, answer.predictions), "root_mean_squared_error"
    else:
        values = _labels(targets, answer, threshold)
        default = "f1" if threshold.rule == CUT_OFF else "accuracy"
    if costs is not None:
        values["cost"] = sum(costs) / len(costs)
    chosen = default if primary is None else primary
    if chosen not in values:
        raise UsageError(
            f"the metric {chosen!r} is not known, or does not fit this kind of answer",
            hint=f"One of: {', '.join(sorted(values))}",
            known=sorted(values),
        )
    return Metrics(
        primary=chosen,
        values=values,
        higher_is_better={name: DIRECTIONS[name] for name in values},
        rows=len(targets),
        threshold=threshold.value,
    )


def row_scores(targets: Sequence[Json], answer: Answer, threshold: EvalThreshold) -> RowScores:
    """How good the answer was on each row; what subgroups are compared by."""
    if threshold.rule == IDENTITY:
        errors = [abs(float(t) - float(p)) for t, p in zip(targets, answer.predictions, strict=True)]
        return RowScores(errors, higher_is_better=False, name="mean_absolute_error")
    right = [float(t == p) for t, p in zip(targets, answer.predictions, strict=True)]
    return RowScores(right, higher_is_better=True, name="accuracy")


def _numbers(targets: Sequence[Json], predictions: Sequence[Json]) -> dict[str, float]:
    if not all(isinstance(value, int | float) for value in (*targets, *predictions)):
        raise UsageError(
            "with threshold='identity' targets and answers are numbers, and some are not",
            hint="Use a cut-off or 'argmax' for a model that answers labels, and a target that is a number otherwise.",
        )
    truth = [float(target) for target in targets]
    errors = [true - float(said) for true, said in zip(truth, predictions, strict=True)]
    squares = _sum(error * error for error in errors)
    found = {
        "mean_absolute_error": _sum(abs(error) for error in errors) / len(errors),
        "root_mean_squared_error": sqrt(squares / len(errors)),
    }
    if len(truth) > 1:  # one row has no variance to explain
        middle = _sum(truth) / len(truth)
        # The mean of equal numbers may miss them by the last digit, which is no spread.
        alike = min(truth) == max(truth)
        spread = 0.0 if alike else _sum((true - middle) * (true - middle) for true in truth)
        # Where all targets are the same, there is nothing to explain: all of it, or nothing of it, was.
        found["r2"] = 1.0 - squares / spread if spread else float(not squares)
    return found


def _labels(targets: Sequence[Json], answer: Answer, threshold: EvalThreshold) -> dict[str, float]:
    if any(isinstance(label, list | dict) for label in targets):
        raise UsageError("a target is a list, and a label is one value", hint="Give one true answer for each row.")
    # Labels are compared as JSON values: a refused row (null) is a label like any other.
    true, said = Counter[Any](targets), Counter[Any](answer.predictions)
    right = Counter[Any](target for target, told in zip(targets, answer.predictions, strict=True) if target == told)
    recalls = [right[label] / count for label, count in true.items()]
    binary = threshold.rule == CUT_OFF
    # Of two labels the positive one is asked about; of several, all that occur, each as much as any other.
    about = [threshold.positive] if binary else list(true)
    found = {
        "accuracy": right.total() / len(targets),
        "balanced_accuracy": _mean(recalls),
        "precision": _mean([_share(right[label], said[label]) for label in about]),
        "recall": _mean([_share(right[label], true[label]) for label in about]),
        "f1": _mean([_share(2 * right[label], true[label] + said[label]) for label in about]),
    }
    scores = positive_scores(answer, threshold) if binary else None
    positive = [target == threshold.positive for target in targets]
    if scores is not None and len(set(positive)) == 2:  # noqa: PLR2004 - a ranking needs both classes
        found |= _ranking(positive, scores)
    return found


def _ranking(positive: Sequence[bool], scores: Sequence[float]) -> dict[str, float]:
    """How far the positive rows stand above the others: the area under the ROC curve, and the average precision.

    Rows of one score are passed together, so ties count a half in the area, as in the statistic of Mann and Whitney.
    """
    by_score: dict[float, list[int]] = {}
    for is_positive, score in zip(positive, scores, strict=True):
        by_score.setdefault(score, [0, 0])[is_positive] += 1
    above = passed = halves = 0
    steps = []
    for score in sorted(by_score, reverse=True):
        others, same = by_score[score]
        halves += others * (2 * above + same)
        above, passed = above + same, passed + same + others
        steps.append(same * above / passed)
    return {"roc_auc": halves / (2 * above * (passed - above)), "average_precision": _sum(steps) / above}


def _share(part: int, whole: int) -> float:
    """Nothing of nothing is 0, as nothing was found right."""
    return part / whole if whole else 0.0


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _sum(values: Iterable[float]) -> float:
    """The sum, rounded once; infinite where it is past what a float holds."""
    try:
        return fsum(values)
    except OverflowError:
        return inf


def positive_scores(answer: Answer, threshold: EvalThreshold) -> list[float] | None:
    """How strongly each row was said to be positive; None where the answer has no such score."""
    if answer.classes is None:
        return answer.scores
    if threshold.positive not in answer.classes:
        return None
    column = answer.classes.index(threshold.positive)
    return [row[column] for row in answer.scores]
