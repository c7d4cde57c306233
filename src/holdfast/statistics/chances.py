"""Tails of a few distributions in pure arithmetic, for processes that answer requests and load neither numpy nor scipy.

Each is right to ten digits; tests hold them to scipy's.
"""

from math import erfc, exp, fsum, inf, lgamma, log, pi, sqrt
from statistics import NormalDist

__all__ = ["chi_squared_beyond", "chi_squared_tail", "kolmogorov_tail", "normal_beyond"]

_HALVINGS = 200
"""Steps of a bisection to the last digit, from a span of any size."""

_TERMS = 20
"""Of Kolmogorov's series, either of which has converged long before."""


def normal_beyond(confidence: float) -> float:
    """How far from its mean a normal value stays, in standard deviations, in so many cases; on both sides."""
    return NormalDist().inv_cdf((1.0 + confidence) / 2.0)


def chi_squared_tail(value: float, freedom: int) -> float:
    """The chance of more than `value`, with so many degrees of freedom; 1 of anything when there are none."""
    if value <= 0.0 or freedom < 1:
        return 1.0
    half = value / 2.0
    # A finite sum for whole degrees of freedom: DiDonato and Morris, ACM Transactions on Mathematical Software 12.
    powers = range(freedom // 2) if freedom % 2 == 0 else [n + 0.5 for n in range(freedom // 2)]
    found = fsum(exp(power * log(half) - half - lgamma(power + 1.0)) for power in powers)
    return min(1.0, found + (erfc(sqrt(half)) if freedom % 2 else 0.0))


def chi_squared_beyond(chance: float, freedom: int) -> float:
    """The value that is passed with this chance; 0 where there is no freedom."""
    if freedom < 1 or chance >= 1.0:
        return 0.0
    if chance <= 0.0:
        return inf
    low, high = 0.0, 1.0
    while chi_squared_tail(high, freedom) > chance:
        high *= 2.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if chi_squared_tail(middle, freedom) > chance else (low, middle)
    return high


def kolmogorov_tail(value: float) -> float:
    """The chance that two large samples of one distribution are further apart, by Kolmogorov's limit.

    Args:
        value: the largest difference of the two shares below an edge, times the root of n m / (n + m).
    """
    if value <= 0.0:
        return 1.0
    if value < 1.0:  # the two series say the same; this one converges where the other does not
        sums = fsum(exp(-(((2 * n - 1) * pi / value) ** 2) / 8.0) for n in range(1, _TERMS))
        return 1.0 - sqrt(2.0 * pi) / value * sums
    return min(1.0, 2.0 * fsum((-1) ** (n - 1) * exp(-2.0 * (n * value) ** 2) for n in range(1, _TERMS)))
