"""Two versions that are right or wrong on the same rows.

Only the rows on which they differ say anything about the difference; the others say how small it is.

McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
12 (1947), in its exact form: the rows gained among those that differ are binomial with probability a half. Tango,
"Equivalence test and confidence interval for the difference in proportions for the paired-sample design", Statistics
in Medicine 17 (1998): the interval of all differences that a score test does not refuse; it holds its level at small
numbers, and where no row differs it still has a width.
"""

from math import sqrt

from scipy.optimize import brentq
from scipy.special import bdtr, ndtr, ndtri

from holdfast.statistics.estimate import Estimate

__all__ = ["chance_of", "mcnemar", "paired_difference"]

_PRECISION = 1e-13


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p of "neither is right more often".

    Args:
        gained: rows that only the new one answers rightly.
        lost: rows that only the old one answers rightly.
    """
    differing, fewer = gained + lost, min(gained, lost)
    if differing == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(fewer, differing, 0.5)))


def paired_difference(gained: int, lost: int, rows: int, *, confidence: float) -> Estimate:
    """By how much more often the new one is right, with Tango's interval.

    Args:
        gained: rows that only the new one answers rightly.
        lost: rows that only the old one answers rightly.
        rows: all of them.
        confidence: of the interval, two-sided.

    Raises:
        ValueError: no rows, or more that differ than there are.
    """
    if rows <= 0 or min(gained, lost) < 0 or gained + lost > rows:
        raise ValueError(f"{gained} gained and {lost} lost among {rows} rows")
    limit = float(ndtri((1.0 + confidence) / 2.0))

    def score(difference: float) -> float:
        return _score(gained, lost, rows, difference)

    value = (gained - lost) / rows
    low = -1.0 if score(-1.0) <= limit else brentq(lambda d: score(d) - limit, -1.0, value, xtol=_PRECISION)
    high = 1.0 if score(1.0) >= -limit else brentq(lambda d: score(d) + limit, value, 1.0, xtol=_PRECISION)
    return Estimate(value, low, high, confidence, "Tango 1998, paired", rows, mcnemar(gained, lost))


def chance_of(gained: int, lost: int, rows: int, bound: float) -> float:
    """The one-sided p of "the difference is at least `bound`": small where the rows speak against it.

    By the same score as the interval, so that it falls below `(1 - confidence) / 2` where the upper bound falls below
    `bound`.
    """
    return float(ndtr(_score(gained, lost, rows, bound)))


def _score(gained: int, lost: int, rows: int, difference: float) -> float:
    """Tango's statistic, equation (1) there: how many standard errors the data lie from this difference."""
    far = gained - lost - rows * difference
    a = 2.0 * rows
    b = -gained - lost + (2.0 * rows - gained + lost) * difference
    c = -lost * difference * (1.0 - difference)
    likely = (sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)  # of losing a row, if this were the difference
    variance = rows * (2.0 * likely + difference * (1.0 - difference))
    if variance <= 0.0:
        return 0.0 if far == 0 else float("inf") * far
    return far / sqrt(variance)
