"""By how much do the means of two versions differ? An interval that holds at all times, and the evidence beside it.

For numbers that have no bounds: how far answers lie from the truth that arrived later, what an answer cost. Mixture of
normal distributions over the difference: Robbins, "Statistical methods related to the law of the iterated logarithm",
Annals of Mathematical Statistics 41 (1970); as mSPRT in Johari, Koomen, Pekelis and Walsh, "Always valid inference",
Operations Research 70 (2022). **It is asymptotic**: variances are estimated, and the means taken for normal, so that
the level holds for a few hundred numbers on each side and more (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024). Below
`NUMBERS_MIN` nothing is said. Mistakes that are counted are exact: `holdfast.statistics.sequential`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import erfc, exp, inf, log, sqrt

from holdfast.statistics.sequential import EVIDENCE_MAX

__all__ = ["NUMBERS_MIN", "Difference", "Means", "Sums", "mean_difference"]

NUMBERS_MIN = 100
"""Numbers on each side below which a step says nothing: normality is not to be had for less."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What is kept of some numbers; adding three of them to three others adds the numbers.

    Attributes:
        count: how many.
        total: their sum.
        squares: the sum of their squares.
    """

    count: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Of the numbers."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Of the numbers, around their mean."""
        return max(0.0, self.squares - self.total * self.mean) / (self.count - 1)


@dataclass(frozen=True, slots=True)
class Means:
    """Both versions' numbers at one step of a rollout."""

    candidate: Sums
    other: Sums


@dataclass(frozen=True, slots=True)
class Difference:
    """The candidate's mean less the other's.

    Attributes:
        value: the estimate; 0 while there is none.
        low, high: the bounds, which hold at all times at once; infinite while there are none.
        evidence: against "the candidate's mean is not higher".
    """

    value: float
    low: float
    high: float
    evidence: float


def mean_difference(steps: Iterable[Means], *, alpha: float, effect: float) -> Difference:
    """By how much the candidate's mean is higher. Of numbers of which more is better, give the negative ones.

    Each step is compared within itself, so that nothing is made of a mean that moves while the share does. What the
    steps say is weighted by how much each knows.

    Args:
        steps: the sums of each step.
        alpha: the chance that the interval ever leaves the truth out.
        effect: the difference that one would like to see; it costs a little to be wrong about it, and no more.
    """
    known = weighted = 0.0
    for step in steps:
        if min(step.candidate.count, step.other.count) >= NUMBERS_MIN:
            variance = step.candidate.variance / step.candidate.count + step.other.variance / step.other.count
            if variance > 0.0:
                known += 1.0 / variance
                weighted += (step.candidate.mean - step.other.mean) / variance
    if known == 0.0:
        return Difference(0.0, -inf, inf, 1.0)
    prior = 1.0 / effect**2
    value, spread = weighted / known, sqrt(known + prior)
    width = spread * sqrt(log((known + prior) / (prior * alpha**2))) / known
    far = weighted / spread
    # The half of the mixture that lies above zero: twice the mixture, times the chance that it does. Far below zero
    # the first factor overflows where the second one vanishes, and together they are next to nothing.
    square = far * far / 2.0
    if square < _SQUARE_MAX:
        found = sqrt(prior) / spread * exp(square) * erfc(-far / sqrt(2.0))
    else:
        found = EVIDENCE_MAX if far > 0.0 else 0.0
    return Difference(value, value - width, value + width, min(EVIDENCE_MAX, found))


_SQUARE_MAX = 680.0
