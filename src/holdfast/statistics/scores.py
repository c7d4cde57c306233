"""The metrics that have names, as functions of sums over rows, for two versions at once.

    table = of_labels(truth, new, old, labels)             what each row contributes
    difference("f1", labels)(table.sum(axis=0)[None])      the new version's F1 less the old one's

Each number is scikit-learn's of the same name; a test holds them to it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.statistics.resampling import Statistic

__all__ = [
    "CLASS_METRICS",
    "NUMBER_METRICS",
    "cost_difference",
    "difference",
    "number_difference",
    "of_costs",
    "of_labels",
    "of_numbers",
]

CLASS_METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
NUMBER_METRICS = ("mean_absolute_error", "root_mean_squared_error", "r2")

_Array = NDArray[np.float64]


def of_labels(truth: ArrayLike, new: ArrayLike, old: ArrayLike, labels: Sequence[int]) -> _Array:
    """What each row contributes to the metrics of labels of two versions.

    Args:
        truth: a label for each row, as a whole number.
        new: what the new version says of each.
        old: what the old one says.
        labels: those whose precision and recall count; the one that is positive, or all that are true of some row.

    Returns:
        Of shape (rows, 2 + 5 * len(labels)): whether the new one is right, and the old one; then for each label whether
        the row has it, whether the new one says it, and rightly so, and the same two of the old one.
    """
    right, said, before = (np.asarray(one) for one in (truth, new, old))
    columns = [said == right, before == right]
    for label in labels:
        has = right == label
        columns += [has, said == label, has & (said == label), before == label, has & (before == label)]
    return np.stack(columns, axis=1).astype(float)


def difference(metric: str, labels: int, rows: int) -> Statistic:
    """The metric of the new version less that of the old one, from sums of what `of_labels` gives.

    Args:
        metric: one of `CLASS_METRICS`.
        labels: how many labels count; precision, recall and F1 are means over them.
        rows: how many rows there are.
    """

    def of(sums: _Array) -> _Array:
        if metric == "accuracy":
            return (sums[..., 0] - sums[..., 1]) / rows
        table = sums[..., 2:].reshape(*sums.shape[:-1], labels, 5)
        has, new, new_right, old, old_right = (table[..., place] for place in range(5))
        return _mean(metric, has, new, new_right) - _mean(metric, has, old, old_right)

    return of


def _mean(metric: str, has: _Array, said: _Array, right: _Array) -> _Array:
    """Over the labels, of what scikit-learn calls macro; an empty quotient is 0, as with its `zero_division=0`."""
    if metric == "balanced_accuracy":
        # A label that no row has is not among the labels: its recall is not 0, it is nothing.
        shares = np.divide(right, has, out=np.full_like(right, np.nan), where=has > 0)
        over_known: _Array = np.nanmean(shares, axis=-1)
        return over_known
    below = {"precision": said, "recall": has, "f1": (said + has) / 2}[metric]
    shares = np.divide(right, below, out=np.zeros_like(right), where=below > 0)
    over_labels: _Array = shares.mean(axis=-1)
    return over_labels


def of_numbers(truth: ArrayLike, new: ArrayLike, old: ArrayLike) -> _Array:
    """What each row contributes to the metrics of numbers of two versions.

    Returns:
        Of shape (rows, 7): one, the truth and its square about their mean, absolute and squared errors of each version.
    """
    right, said, before = (np.asarray(one, float) for one in (truth, new, old))
    away = right - right.mean()  # about the mean, so that nothing cancels
    errors = (said - right, before - right)
    columns = [np.ones_like(away), away, away**2, *(abs(one) for one in errors), *(one**2 for one in errors)]
    return np.stack(columns, axis=1)


def number_difference(metric: str) -> Statistic:
    """The metric of the new version less that of the old one, from sums of what `of_numbers` gives.

    Args:
        metric: one of `NUMBER_METRICS`.
    """

    def of(sums: _Array) -> _Array:
        count = sums[..., 0]
        if metric == "mean_absolute_error":
            return (sums[..., 3] - sums[..., 4]) / count
        if metric == "root_mean_squared_error":
            return np.sqrt(sums[..., 5] / count) - np.sqrt(sums[..., 6] / count)
        spread = sums[..., 2] - sums[..., 1] ** 2 / count
        return np.divide(sums[..., 6] - sums[..., 5], spread, out=np.full_like(spread, np.nan), where=spread > 0)

    return of


def of_costs(new: ArrayLike, old: ArrayLike) -> _Array:
    """What each row contributes to the mean cost of two versions.

    Args:
        new: what each row's answer of the new version costs.
        old: the same of the old one.

    Returns:
        Of shape (rows, 2): one, and by how much the new one costs more.
    """
    more = np.asarray(new, float) - np.asarray(old, float)
    return np.stack([np.ones_like(more), more], axis=1)


def cost_difference(sums: _Array) -> _Array:
    """The mean cost of the new version less that of the old one, from sums of what `of_costs` gives."""
    mean: _Array = sums[..., 1] / sums[..., 0]
    return mean
