"""A value between two bounds, what it decides, and how many rows would decide."""

from dataclasses import dataclass
from math import ceil, isfinite, isnan

from scipy.special import ndtr, ndtri

__all__ = ["Estimate", "rows_needed", "two_sided_p"]

_ROWS_MAX = 10**12
"""Past this a number of rows says only that no holdout will ever decide it."""

_POWER = 0.8
"""The chance with which a number of rows is meant to tell: what plans of studies ask for by custom."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its confidence interval.

    Attributes:
        value: the point estimate.
        low, high: the bounds; infinite where the method could not give one.
        confidence: of the interval, two-sided: each bound alone holds with `(1 + confidence) / 2`.
        method: how it was found, for a reader who wants to look it up.
        rows: on how many independent rows, or clusters of rows, it rests.
        p: of the hypothesis that nothing differs, two-sided; None where the method has none.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    rows: int
    p: float | None = None

    def __post_init__(self) -> None:
        if isnan(self.low) or isnan(self.high):
            raise ValueError("a bound that is not known is infinite")

    def reversed(self) -> "Estimate":
        """The same of the difference taken the other way round."""
        return Estimate(-self.value, -self.high, -self.low, self.confidence, self.method, self.rows, self.p)


def rows_needed(found: Estimate, bound: float) -> int | None:
    """How many rows would tell, in four cases of five, on which side of `bound` the true value lies.

    This is the sample size of a one-sided test at the interval's level (Chow, Shao, Wang and Lokhnygina, Sample Size
    Calculations in Clinical Research, section 3.2), with the estimate taken for the truth and the standard error
    read from the width of the interval, which shrinks with the root of the rows. It is an order of magnitude, as
    every such number before the fact.

    Returns:
        None when no number of rows would: the estimate is the bound itself, or the interval has no end on that side.
    """
    distance = abs(found.value - bound)
    width = found.value - found.low if found.value > bound else found.high - found.value
    if not (isfinite(width) and isfinite(distance)) or distance == 0:
        return None
    level = float(ndtri((1.0 + found.confidence) / 2.0))
    needed = found.rows * (width * (1.0 + float(ndtri(_POWER)) / level) / distance) ** 2
    return None if needed > _ROWS_MAX else max(found.rows + 1, ceil(needed))


def two_sided_p(z: float) -> float:
    """The chance that a standard normal value is at least as far from zero."""
    return float(2.0 * ndtr(-abs(z)))
