"""A quantile of measured values between two of them, whatever their distribution.

The number of values below a quantile is binomial, so the order statistics whose ranks it falls between with the
wanted chance bound it: David and Nagaraja, "Order Statistics" (2003), section 7.1.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from holdfast.statistics.estimate import Estimate

__all__ = ["quantile", "quantile_calls"]

_CALLS_MAX = 10_000_000


def quantile(values: ArrayLike, share: float, *, confidence: float) -> Estimate:
    """The value below which this share of all values lies, with its bounds.

    Args:
        values: at least one.
        share: above 0 and below 1.
        confidence: of the interval, two-sided; a bound that so few values cannot give is infinite.
    """
    ordered = np.sort(np.asarray(values, float))
    count = ordered.size
    if count == 0 or not 0.0 < share < 1.0:
        raise ValueError("values, and a share between 0 and 1, are needed")
    below = bdtr(np.arange(count), count, share)  # at most so many lie below
    tail = (1.0 - confidence) / 2.0
    first, last = np.flatnonzero(below <= tail), np.flatnonzero(below >= 1.0 - tail)
    return Estimate(
        float(ordered[min(int(share * count), count - 1)]),
        float(ordered[first[-1]]) if first.size else -np.inf,
        float(ordered[last[0]]) if last.size else np.inf,
        confidence,
        "order statistics",
        count,
    )


def quantile_calls(share: float, *, confidence: float) -> int:
    """How many values it takes at least before the quantile has an upper bound at all."""
    tail, count = (1.0 - confidence) / 2.0, 1
    while bdtr(count - 1, count, share) < 1.0 - tail and count < _CALLS_MAX:
        count += 1
    return count
