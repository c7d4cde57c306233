"""Areas under the ROC curve of two scores over the same rows, and whether they differ.

DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic
curves", Biometrics 44 (1988); by mid-ranks, so that it takes a sort: Sun and Xu, "Fast implementation of DeLong's
algorithm", IEEE Signal Processing Letters 21 (2014).
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from holdfast.statistics.estimate import Estimate, two_sided_p

__all__ = ["auc", "auc_difference", "weighted_areas", "weighted_precisions"]

_METHOD = "DeLong 1988, paired"


def auc(positive: ArrayLike, scores: ArrayLike) -> float:
    """The chance that a positive row has a higher score than another one; ties count a half.

    Raises:
        ValueError: all rows are of one kind.
    """
    return float(_areas(np.asarray(positive, bool), np.asarray(scores, float)[None])[0][0])


def auc_difference(positive: ArrayLike, new: ArrayLike, old: ArrayLike, *, confidence: float) -> Estimate:
    """By how much the area of the new scores is larger.

    Args:
        positive: for each row whether it is one.
        new: the scores of each row.
        old: those of the other version.
        confidence: of the interval, two-sided.

    Raises:
        ValueError: all rows are of one kind.
    """
    chosen = np.asarray(positive, bool)
    areas, among, other = _areas(chosen, np.stack([np.asarray(new, float), np.asarray(old, float)]))
    value = float(areas[0] - areas[1])
    # The variance of a difference, from the spread of what each row contributes to it.
    spread = sum(
        float(np.var(part[0] - part[1], ddof=1)) / part.shape[1] for part in (among, other) if part.shape[1] > 1
    )
    half = float(ndtri((1.0 + confidence) / 2.0)) * sqrt(spread)
    if min(among.shape[1], other.shape[1]) < 2:  # noqa: PLR2004 - one row has no spread
        return Estimate(value, -np.inf, np.inf, confidence, _METHOD, chosen.size)
    p = two_sided_p(value / sqrt(spread)) if spread > 0 else float(value == 0)
    return Estimate(value, value - half, value + half, confidence, _METHOD, chosen.size, p)


def weighted_areas(positive: ArrayLike, scores: ArrayLike) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The area under the ROC curve as a function of how often each row counts, of shape (…, rows); NaN without both."""
    chosen, given = np.asarray(positive, bool), np.asarray(scores, float)
    order = np.argsort(given, kind="stable")
    ranked, chosen = given[order], chosen[order]
    last = np.searchsorted(ranked, ranked, "right") - 1
    first = np.searchsorted(ranked, ranked, "left")

    def of(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sorted_weights = np.asarray(weights, float)[..., order]
        others = np.cumsum(np.where(chosen, 0.0, sorted_weights), axis=-1)
        below = np.concatenate([np.zeros((*others.shape[:-1], 1)), others], axis=-1)[..., first]
        ranks = (below + others[..., last]) / 2  # ties count a half
        among = np.where(chosen, sorted_weights, 0.0)
        pairs = among.sum(axis=-1) * others[..., -1]
        areas: NDArray[np.float64] = np.divide(
            (among * ranks).sum(axis=-1), pairs, out=np.full_like(pairs, np.nan), where=pairs > 0
        )
        return areas

    return of


def weighted_precisions(positive: ArrayLike, scores: ArrayLike) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The average precision as a function of how often each row counts; scikit-learn's, without interpolation."""
    chosen, given = np.asarray(positive, bool), np.asarray(scores, float)
    order = np.argsort(-given, kind="stable")
    ranked, chosen = -given[order], chosen[order]
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, [True]))

    def of(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sorted_weights = np.asarray(weights, float)[..., order]
        among = np.cumsum(np.where(chosen, sorted_weights, 0.0), axis=-1)[..., ends]
        said = np.cumsum(sorted_weights, axis=-1)[..., ends]
        steps = np.diff(among, axis=-1, prepend=0.0)
        precision = np.divide(among, said, out=np.zeros_like(among), where=said > 0)
        total = among[..., -1]
        found: NDArray[np.float64] = np.divide(
            (steps * precision).sum(axis=-1), total, out=np.full_like(total, np.nan), where=total > 0
        )
        return found

    return of


def _areas(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each score the area, and what each positive and each other row contributes to it."""
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        raise ValueError("an area needs rows of both kinds")
    together = rankdata(scores, axis=1)
    among = (together[:, positive] - rankdata(scores[:, positive], axis=1)) / others
    other = 1.0 - (together[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / count
    return among.mean(axis=1), among, other
