"""Named metrics over recorded answers, as scikit-learn defines them.

A metric is never a number alone: it is measured at a threshold, on named rows, and it has a direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.canonical import Json
from holdfast.errors import MissingExtra, UsageError
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
        MissingExtra: scikit-learn is not installed.
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


def _sklearn() -> Any:
    try:
        from sklearn import metrics
    except ImportError as error:
        raise MissingExtra(
            "metrics need scikit-learn, which is not installed", hint="Install it: pip install 'holdfast[gate]'"
        ) from error
    return metrics


def _numbers(targets: Sequence[Json], predictions: Sequence[Json]) -> dict[str, float]:
    if not all(isinstance(value, int | float) for value in (*targets, *predictions)):
        raise UsageError(
            "with threshold='identity' targets and answers are numbers, and some are not",
            hint="Use a cut-off or 'argmax' for a model that answers labels, and a target that is a number otherwise.",
        )
    metrics = _sklearn()
    found = {
        "mean_absolute_error": float(metrics.mean_absolute_error(targets, predictions)),
        "root_mean_squared_error": float(metrics.root_mean_squared_error(targets, predictions)),
    }
    if len(targets) > 1:  # one row has no variance to explain
        found["r2"] = float(metrics.r2_score(targets, predictions))
    return found


def _labels(targets: Sequence[Json], answer: Answer, threshold: EvalThreshold) -> dict[str, float]:
    metrics = _sklearn()
    if any(isinstance(label, list | dict) for label in targets):
        raise UsageError("a target is a list, and a label is one value", hint="Give one true answer for each row.")
    # Labels are compared as JSON values and handed over as numbers: a refused row (null) is a label like any other.
    order = {label: place for place, label in enumerate(dict.fromkeys([*targets, *answer.predictions]))}
    truth = [order[label] for label in targets]
    said = [order[label] for label in answer.predictions]
    binary = threshold.rule == CUT_OFF
    if binary and threshold.positive not in order:
        order[threshold.positive] = len(order)
    average: dict[str, Any] = (
        {"labels": [order[threshold.positive]], "average": "micro"}
        if binary
        else {"labels": sorted(set(truth)), "average": "macro"}
    )
    found = {
        "accuracy": metrics.accuracy_score(truth, said),
        # The mean recall over the classes that occur; scikit-learn's own warns about a class that was only predicted.
        "balanced_accuracy": metrics.recall_score(
            truth, said, labels=sorted(set(truth)), average="macro", zero_division=0.0
        ),
        "precision": metrics.precision_score(truth, said, zero_division=0.0, **average),
        "recall": metrics.recall_score(truth, said, zero_division=0.0, **average),
        "f1": metrics.f1_score(truth, said, zero_division=0.0, **average),
    }
    scores = positive_scores(answer, threshold) if binary else None
    positive = [target == threshold.positive for target in targets]
    if scores is not None and len(set(positive)) == 2:  # noqa: PLR2004 - a ranking needs both classes
        found["roc_auc"] = metrics.roc_auc_score(positive, scores)
        found["average_precision"] = metrics.average_precision_score(positive, scores)
    return {name: float(value) for name, value in found.items()}


def positive_scores(answer: Answer, threshold: EvalThreshold) -> list[float] | None:
    """How strongly each row was said to be positive; None where the answer has no such score."""
    if answer.classes is None:
        return answer.scores
    if threshold.positive not in answer.classes:
        return None
    column = answer.classes.index(threshold.positive)
    return [row[column] for row in answer.scores]
