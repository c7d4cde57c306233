"""How many requests until a canary's errors are found? Calculated before it begins, not simulated.

The evidence of `holdfast.statistics.sequential` changes with errors alone, and of so many errors the candidate's must
be so many at least. So the number of errors at which it stops is that of a walk over a line that is known, and its
distribution is computed step by step, without approximation. How many requests so many errors take is a negative
binomial number, whose distribution is taken for a gamma one of the same mean and variance, by the cube root of Wilson
and Hilferty, "The distribution of chi-square", Proceedings of the National Academy of Sciences 17 (1931): right within
a few hundredths.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from math import ceil, sqrt
from statistics import NormalDist

from holdfast.statistics.sequential import Counts, error_evidence

__all__ = ["ERRORS_MAX", "requests_to_detect", "stopping_line"]

ERRORS_MAX = 20_000
"""Errors after which the walk is given up: a second or two of calculation. What has not been found by then is hardly
worse than the smallest of the bets, and will hardly be found."""

_FORGOTTEN = 1e-12
"""A chance that is left out of the walk."""

_WALK_ENOUGH = 1.0 - 1e-6
"""Of the chance to have stopped: the rest changes no quantile that anybody asks for."""

_PRECISE = 1.001
"""A number of requests is looked for until it is known so well."""


def requests_to_detect(p0: float, p1: float, share: float, alpha: float, quantile: float = 0.5) -> int | None:
    """How many requests, to both versions together, until the evidence reaches 1 / alpha.

    Args:
        p0: the chance that the other version fails a request.
        p1: the chance that the candidate does.
        share: of the requests that go to the candidate.
        alpha: the level at which errors are judged: a guard's part of it, if there are several.
        quantile: the part of all such rollouts in which so many requests are enough.

    Returns:
        None when `ERRORS_MAX` errors are not enough in so many rollouts: nobody should wait for it.

    Raises:
        ValueError: a chance that is none, or no errors at all.
    """
    if not (0.0 <= p0 <= 1.0 and 0.0 < p1 <= 1.0 and 0.0 < share < 1.0 and 0.0 < alpha < 1.0 and 0.0 < quantile < 1.0):
        raise ValueError(f"{p0}, {p1}, {share}, {alpha} and {quantile} are no chances")
    failing = share * p1 + (1.0 - share) * p0
    stops = _stops(share * p1 / failing, share, alpha)
    if sum(stops) < quantile:
        return None
    low, high = 1.0, 1.0
    while _found_by(high, stops, failing) < quantile:
        low, high = high, 2.0 * high
    while high / low > _PRECISE:
        middle = sqrt(low * high)
        low, high = (low, middle) if _found_by(middle, stops, failing) >= quantile else (middle, high)
    return ceil(high)


def stopping_line(share: float, alpha: float) -> Iterator[int]:
    """How many of 1, 2, 3 and so on errors have to be the candidate's for the evidence to reach 1 / alpha.

    More than there are, while no number would do. Without an end.
    """
    line = 1
    for errors in count(1):
        # One more error moves the line by one at most: for a candidate's it does not, for another it may.
        while line <= errors and error_evidence([Counts(line, errors - line, share)]) < 1.0 / alpha:
            line += 1
        yield line


@lru_cache(maxsize=256)
def _stops(mine: float, share: float, alpha: float) -> tuple[float, ...]:
    """The chance that the evidence is first enough at the first error, at the second, and so on.

    Args:
        mine: the chance that an error is the candidate's.
        share: of the requests that go to the candidate.
        alpha: the level.
    """
    # How many of the errors so far are the candidate's: `walk[k]` is the chance of `first + k`, not stopped yet.
    walk, first, line = [1.0], 0, stopping_line(share, alpha)
    stops: list[float] = []
    stopped = 0.0
    for _ in range(ERRORS_MAX):
        walk = [stay * (1.0 - mine) + come * mine for stay, come in zip([*walk, 0.0], [0.0, *walk], strict=True)]
        over = max(0, next(line) - first)
        stops.append(sum(walk[over:]))
        stopped += stops[-1]
        del walk[over:]
        while walk and walk[0] < _FORGOTTEN:
            del walk[0]
            first += 1
        if not walk or stopped > _WALK_ENOUGH:
            break
    return tuple(stops)


def _found_by(requests: float, stops: tuple[float, ...], failing: float) -> float:
    """The chance to have stopped by so many requests, each of which fails with the chance `failing`."""
    found = 0.0
    for errors, chance in enumerate(stops, start=1):
        if chance > _FORGOTTEN and errors <= requests:
            shape = errors / max(1.0 - failing, _FORGOTTEN)
            root = (requests * failing / errors) ** (1.0 / 3.0)
            found += chance * _NORMAL.cdf((root - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * sqrt(shape))
    return found


_NORMAL = NormalDist()
