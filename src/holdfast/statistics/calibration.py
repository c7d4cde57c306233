"""Is a score a probability? How far the scores lie from the shares that come true, and how surely.

Rows are put into bins of about equally many, by their score, and the mean of what happened is compared with the mean
of what was said. The error is the root of the mean square of these differences over rows. As it stands it is too large,
for a bin of fifty rows is off by chance alone: so the chance is taken off, as in Bröcker, "Estimating reliability and
resolution of probability forecasts through decomposition of the empirical score", Climate Dynamics 39 (2012), and
Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019. What is inside of a bin evens out, so the true
error is this or more.

The interval is that of all errors that a test does not refuse. The mean square is a sum of squares of differences that
are normal, nearly; it is taken for a noncentral chi-squared variable, as if each bin were as uncertain as the most
uncertain one is. That widens the interval, and so errs on the side of "not known".

Beside it stand the two classics: Spiegelhalter, "Probabilistic prediction in patient management and clinical trials",
Statistics in Medicine 5 (1986), which tests that all scores are right; and Cox, "Two further applications of a model
for binary regression", Biometrika 45 (1958), whose slope says whether they are too extreme (below 1) or too timid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import ncx2

from holdfast.statistics.estimate import Estimate, two_sided_p

__all__ = ["Calibration", "Recalibration", "brier", "calibration_error", "recalibration", "spiegelhalter"]

_BINS = 10
"""Few enough that fifty rows fall into each of them on a holdout of a gate, and the customary number."""

_LIKELY = 0.8
"""How often the rows that are asked for should tell."""

_ROWS_MAX = 10**9
"""Past this a number of rows says only that no holdout will ever decide it."""

_CERTAIN = 1e-6
"""Cox's model takes logarithms: a score of 0 or 1 counts as that close to it."""

_STEPS_MAX = 100
_PRECISION = 1e-12

_METHOD = "debiased root mean square over {bins} bins of equal mass, noncentral chi-squared"

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far scores are from probabilities.

    Attributes:
        estimate: the error, a root mean square in units of probability, and its interval. Its p is Spiegelhalter's.
        square: the mean square of the differences as it stands, chance included.
        chance: how much of it is there by chance, where all scores are right.
        unit: how much of that one degree of freedom adds.
    """

    estimate: Estimate
    square: float
    chance: float
    unit: float

    @property
    def freedom(self) -> float:
        """The degrees of freedom; one at least, for some bin is uncertain."""
        return max(self.chance / self.unit, 1.0)

    def chance_of_at_least(self, error: float) -> float:
        """The one-sided p of "the error is at least this": small where the rows speak for a smaller one."""
        return float(ncx2.cdf(max(self.square / self.unit, self.freedom), self.freedom, error**2 / self.unit))

    def chance_of_at_most(self, error: float) -> float:
        """The one-sided p of "the error is at most this": small where the rows speak for a larger one."""
        return float(ncx2.sf(self.square / self.unit, self.freedom, error**2 / self.unit))

    def rows_needed(self, bound: float) -> int | None:
        """How many rows would tell, in four cases of five, on which side of `bound` the error lies.

        Returns:
            None when no number would: the estimate is the bound itself.
        """
        tail, rows = (1.0 - self.estimate.confidence) / 2.0, self.estimate.rows

        def short(count: float) -> float:
            """By how much the chance to tell, with so many rows, is below what is asked."""
            unit = self.unit * rows / count
            lies, border = self.estimate.value**2 / unit, bound**2 / unit
            if self.estimate.value < bound:
                limit = float(ncx2.ppf(tail, self.freedom, border))
                return _LIKELY - (float(ncx2.cdf(limit, self.freedom, lies)) if limit >= self.freedom else 0.0)
            return _LIKELY - float(ncx2.sf(ncx2.isf(tail, self.freedom, border), self.freedom, lies))

        most = float(rows)
        while short(most) > 0:
            most *= 2
            if most > _ROWS_MAX:
                return None
        return max(rows + 1, round(most if most == rows else brentq(short, most / 2, most, xtol=1.0)))


def calibration_error(
    happened: ArrayLike, said: ArrayLike, *, confidence: float, clusters: ArrayLike | None = None
) -> Calibration:
    """How far the scores are from the shares that come true.

    Args:
        happened: for each row whether it did.
        said: for each row the score, between 0 and 1.
        confidence: of the interval, two-sided.
        clusters: which rows belong together; None: none do.

    Raises:
        ValueError: fewer than two rows, or scores that are no probabilities.
    """
    truth, scores = np.asarray(happened, float), np.asarray(said, float)
    if truth.size < 2 or scores.min() < 0 or scores.max() > 1:  # noqa: PLR2004 - one row has no spread
        raise ValueError("a calibration needs two rows, and scores between 0 and 1")
    rows, bins = truth.size, _bins(scores)
    counts = np.bincount(bins).astype(float)
    away = truth - scores
    means = np.bincount(bins, away) / counts
    # Of each bin: the variance of its mean, times its rows. Rows that belong together are added up first.
    left = away - means[bins]
    spread = np.bincount(bins, left**2) if clusters is None else _of_clusters(left, bins, np.asarray(clusters))
    variances = spread / np.maximum(counts - 1.0, 1.0)
    # A bin in which everything came out alike is not sure of itself: one row more of each kind says how unsure it is.
    shares = (np.bincount(bins, truth) + 1.0) / (counts + 2.0)
    unit = float(np.maximum(variances, shares * (1.0 - shares)).max()) / rows
    square, chance = float(counts @ means**2) / rows, float(variances.sum()) / rows
    value = sqrt(max(square - chance, 0.0))
    low, high = _bounds(square / unit, max(chance / unit, 1.0), unit, (1.0 - confidence) / 2.0)
    independent = rows if clusters is None else int(np.unique(np.asarray(clusters)).size)
    p = two_sided_p(spiegelhalter(truth, scores)) if clusters is None else None
    method = _METHOD.format(bins=counts.size)
    found = Estimate(value, min(low, value), max(min(high, 1.0), value), confidence, method, independent, p)
    return Calibration(found, square, chance, unit)


def _bins(scores: _Array) -> NDArray[np.int64]:
    """The bin of each row: as even as they can be without parting rows of one score."""
    kinds, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    found = np.minimum((middles * _BINS / scores.size).astype(np.int64), _BINS - 1)
    _, renumbered = np.unique(found, return_inverse=True)
    numbered: NDArray[np.int64] = renumbered.reshape(kinds.size)[places.reshape(scores.size)]
    return numbered


def _of_clusters(left: _Array, bins: NDArray[np.int64], clusters: NDArray[np.generic]) -> _Array:
    _, members = np.unique(clusters, return_inverse=True)
    width = int(bins.max()) + 1
    cells = np.bincount(members.reshape(bins.size) * width + bins, left)
    sums = np.zeros((-(-cells.size // width), width))
    sums.flat[: cells.size] = cells
    together: _Array = (sums**2).sum(axis=0)
    return together


def _bounds(observed: float, freedom: float, unit: float, tail: float) -> tuple[float, float]:
    """The errors between which a test refuses none, from the mean square in units of its chance."""

    def least(chance: float, seen: float) -> float:
        def too_likely(noncentral: float) -> float:
            return float(ncx2.cdf(seen, freedom, noncentral)) - chance

        if too_likely(0.0) <= 0:
            return 0.0
        most = max(seen, 1.0)
        while too_likely(most) > 0:
            most *= 2
        return float(brentq(too_likely, 0.0, most, xtol=_PRECISION * most))

    low = sqrt(least(1.0 - tail, observed) * unit)
    # Differences smaller than chance makes them are luck, and no better news than those that chance makes.
    return low, sqrt(least(tail, max(observed, freedom)) * unit)


def brier(happened: ArrayLike, said: ArrayLike) -> float:
    """The mean square of what happened less what was said; scikit-learn's `brier_score_loss`."""
    return float(np.mean((np.asarray(happened, float) - np.asarray(said, float)) ** 2))


def spiegelhalter(happened: ArrayLike, said: ArrayLike) -> float:
    """Spiegelhalter's z: how many standard errors the Brier score lies above that of scores that are right.

    It is 0 where all scores are a half or certain, about which the test can say nothing; and infinite where something
    happened that was said to be impossible.
    """
    truth, scores = np.asarray(happened, float), np.asarray(said, float)
    above = float(((truth - scores) * (1.0 - 2.0 * scores)).sum())
    variance = float(((1.0 - 2.0 * scores) ** 2 * scores * (1.0 - scores)).sum())
    if variance <= 0:
        return 0.0 if above == 0 else float("inf") * above
    return above / sqrt(variance)


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Cox's model: the log odds of what happens are the intercept and slope times those that were said.

    Attributes:
        intercept: 0 when the scores are right; above, they are too low.
        slope: 1 when they are right; below, they are too extreme, and above too timid.
        intercept_error: its standard error.
        slope_error: likewise.
    """

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float


def recalibration(happened: ArrayLike, said: ArrayLike) -> Recalibration | None:
    """Cox's intercept and slope by maximum likelihood; None where there is no maximum, or only one score.

    There is none where a cut would part all that happened from all that did not.
    """
    truth = np.asarray(happened, float)
    odds = logit(np.clip(np.asarray(said, float), _CERTAIN, 1.0 - _CERTAIN))
    if np.ptp(odds) == 0 or np.ptp(truth) == 0 or _parted(truth, odds):
        return None
    design = np.stack([np.ones_like(odds), odds], axis=1)
    found = _maximum(design, truth)
    if found is None:
        return None
    values, covariance = found
    errors = np.sqrt(np.diag(covariance))
    return Recalibration(float(values[0]), float(values[1]), float(errors[0]), float(errors[1]))


def _parted(truth: _Array, odds: _Array) -> bool:
    among, other = odds[truth > 0], odds[truth <= 0]
    return bool(among.min() >= other.max() or other.min() >= among.max())


def _maximum(design: _Array, truth: _Array) -> tuple[_Array, _Array] | None:
    """Newton's method on the concave log likelihood; steps that do not climb are halved."""
    log_likelihood: Callable[[_Array], float] = lambda values: float(  # noqa: E731 - said in one line
        truth @ (design @ values) - np.logaddexp(0.0, design @ values).sum()
    )
    values = np.zeros(design.shape[1])
    for _ in range(_STEPS_MAX):
        likely = expit(design @ values)
        curvature = design.T @ (design * (likely * (1.0 - likely))[:, None])
        try:
            step = np.linalg.solve(curvature, design.T @ (truth - likely))
        except np.linalg.LinAlgError:
            return None
        while log_likelihood(values + step) < log_likelihood(values) - _PRECISION and np.abs(step).max() > _PRECISION:
            step /= 2
        values = values + step
        if np.abs(step).max() <= _PRECISION * max(1.0, float(np.abs(values).max())):
            return values, np.linalg.inv(curvature)
    return None
