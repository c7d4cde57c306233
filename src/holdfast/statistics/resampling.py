"""The paired bootstrap of whatever is a function of sums over rows, which nearly every metric is.

Each row contributes a few numbers, such as whether it was a true positive of the new version and of the old one. A
metric, and so the difference of two, is a function of the sums. Drawing rows anew is then drawing how often each row
counts, and rows that contribute the same count together: ten thousand answers of two classifiers have sixteen kinds
at most. Where rows belong together (one user, one document), their sums are what is drawn.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 14 for the bias-corrected and accelerated
interval (BCa), whose jackknife is exact here at no cost.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from holdfast.statistics.estimate import Estimate

__all__ = ["RESAMPLES", "Resampled", "bootstrap", "by_cluster", "by_weights"]

RESAMPLES = 4_000
"""The end of a 95 % interval then moves by a few hundredths of its width from one seed to another."""

_UNDEFINED_SHARE_MAX = 0.01
"""So many resamples may lack a value (no positive row was drawn, say) before an interval would be a guess."""

_JACKKNIFE_UNITS_MAX = 2_000
"""Leaving out each of more than these in turn costs more than all resamples, and the skew it measures goes to zero."""

_AT_ONCE = 4_000_000
"""Numbers drawn at a time: 32 MB."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From sums along the last axis to a value for each; NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Resampled:
    """An estimate with the values that its resamples gave, ascending.

    Attributes:
        estimate: the value and its BCa interval.
        values: of the statistic, one for each resample in which it has one.
    """

    estimate: Estimate
    values: NDArray[np.float64]

    def chance_of(self, bound: float) -> float:
        """The one-sided p of "the value is at least `bound`"; never 0, for no number of resamples shows that."""
        reaching = self.values.size - int(np.searchsorted(self.values, bound, "left"))
        return (reaching + 1) / (self.values.size + 1)


def by_cluster(contributions: ArrayLike, clusters: ArrayLike) -> NDArray[np.float64]:
    """The contributions of rows that belong together, added up: one row for each cluster.

    Args:
        contributions: of shape (rows, numbers).
        clusters: which cluster each row belongs to; any values that can be compared.
    """
    given = np.asarray(contributions, float)
    _, places = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((int(places.max()) + 1 if places.size else 0, given.shape[1]))
    np.add.at(sums, places, given)
    return sums


def bootstrap(
    contributions: ArrayLike, statistic: Statistic, *, confidence: float, seed: int, resamples: int = RESAMPLES
) -> Resampled:
    """The statistic of all rows, and how it would vary if others like them had been drawn.

    Args:
        contributions: of shape (rows, numbers).
        statistic: of their sums.
        confidence: of the interval, two-sided.
        seed: the same one gives the same interval.
        resamples: how many.

    Raises:
        ValueError: no rows.
    """
    given = np.asarray(contributions, float)
    rows = given.shape[0]
    if rows == 0:
        raise ValueError("nothing can be drawn from no rows")
    kinds, counts = np.unique(given, axis=0, return_counts=True)
    total = counts @ kinds
    value = float(statistic(total[None])[0])
    values = _drawn(kinds, counts, statistic, np.random.default_rng(seed), resamples)
    known = np.sort(values[np.isfinite(values)])
    method = f"paired bootstrap, BCa, {resamples} resamples, seed {seed}"
    if not np.isfinite(value) or known.size < (1.0 - _UNDEFINED_SHARE_MAX) * resamples:
        return Resampled(Estimate(value, -np.inf, np.inf, confidence, method, rows), known)
    low, high = _bca(value, known, statistic(total - kinds), counts, confidence)
    return Resampled(Estimate(value, low, high, confidence, method, rows), known)


def by_weights(
    units: int, statistic: Statistic, *, confidence: float, seed: int, resamples: int = RESAMPLES
) -> Resampled:
    """The same for a statistic that needs all rows at once, such as an area under a curve.

    Args:
        units: how many rows, or clusters, there are to be drawn.
        statistic: of how often each of them counts, of shape (…, units).
        confidence: of the interval, two-sided.
        seed: the same one gives the same interval.
        resamples: how many.
    """
    if units <= 0:
        raise ValueError("nothing can be drawn from no rows")
    ones = np.ones(units)
    value = float(statistic(ones[None])[0])
    chance = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // units)
    parts = [
        statistic(np.stack([np.bincount(one, minlength=units) for one in chance.integers(0, units, (count, units))]))
        for count in _steps(resamples, step)
    ]
    known = np.sort(np.concatenate(parts)[np.isfinite(np.concatenate(parts))])
    method = f"paired bootstrap, BCa, {resamples} resamples, seed {seed}"
    if not np.isfinite(value) or known.size < (1.0 - _UNDEFINED_SHARE_MAX) * resamples:
        return Resampled(Estimate(value, -np.inf, np.inf, confidence, method, units), known)
    if units > _JACKKNIFE_UNITS_MAX:
        without = np.zeros(1)  # no acceleration: at such sizes it is nothing
        method = method.replace("BCa", "bias-corrected")
    else:
        without = np.concatenate([statistic(ones - np.eye(units)[at : at + step]) for at in range(0, units, step)])
    low, high = _bca(value, known, without, np.ones(without.size, dtype=np.int64), confidence)
    return Resampled(Estimate(value, low, high, confidence, method, units), known)


def _steps(total: int, step: int) -> list[int]:
    return [min(step, total - at) for at in range(0, total, step)]


def _drawn(
    kinds: NDArray[np.float64],
    counts: NDArray[np.int64],
    statistic: Statistic,
    chance: np.random.Generator,
    resamples: int,
) -> NDArray[np.float64]:
    rows = int(counts.sum())
    values = np.empty(resamples)
    step = max(1, _AT_ONCE // len(counts))
    for begin in range(0, resamples, step):
        end = min(resamples, begin + step)
        if len(counts) == rows:  # every row is of its own kind: draw rows, which is quicker than how often each
            drawn = chance.integers(0, rows, (end - begin, rows))
            weights = np.stack([np.bincount(one, minlength=rows) for one in drawn])
        else:
            weights = chance.multinomial(rows, counts / rows, size=end - begin)
        values[begin:end] = statistic(weights @ kinds)
    return values


def _bca(
    value: float,
    values: NDArray[np.float64],
    without_one: NDArray[np.float64],
    counts: NDArray[np.int64],
    confidence: float,
) -> tuple[float, float]:
    if values[0] == values[-1]:
        return float(values[0]), float(values[0])
    # A value that many resamples share counts half below and half above: counts of rows are discrete.
    below = (np.searchsorted(values, value, "left") + np.searchsorted(values, value, "right")) / 2
    bias = float(ndtri(np.clip(below / values.size, 1 / (2 * values.size), 1 - 1 / (2 * values.size))))
    skew = _acceleration(without_one, counts)
    ends = []
    for tail in ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0):
        shifted = bias + float(ndtri(tail))
        ends.append(float(np.quantile(values, float(ndtr(bias + shifted / (1.0 - skew * shifted))))))
    return ends[0], ends[1]


def _acceleration(without_one: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """How the spread changes with the value: from leaving out each row in turn. (14.15) there."""
    if not np.all(np.isfinite(without_one)):
        return 0.0
    mean = float(counts @ without_one) / float(counts.sum())
    away = mean - without_one
    squares = float(counts @ away**2)
    return 0.0 if squares == 0 else float(counts @ away**3) / (6.0 * squares**1.5)
