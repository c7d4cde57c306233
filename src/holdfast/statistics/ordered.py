"""Is a version slower, or are its scores elsewhere? Evidence from histograms that may be looked at after every request.

    slower([Histograms(candidate=[0, 3, 9], other=[40, 61, 7], share=0.1)]).evidence >= 1 / alpha

At each edge between two buckets a request lies above or not, and it is the candidate's or not: a table of two by two.
Bets on how often either version lies above are laid against the nearest pair of shares that is allowed. Such a ratio of
likelihoods is at most 1 in the mean whatever allowed pair is true: Grünwald, de Heide and Koolen, "Safe testing",
Journal of the Royal Statistical Society B 86 (2024); for tables: Turner, Ly and Grünwald, "Generic e-variables for
exact sequential k-sample tests that allow for optional stopping", Journal of Statistical Planning and Inference 230
(2024). The product over all requests is evidence as
`holdfast.statistics.sequential` has it, and so is the mean over bets and edges.

Bands around two distribution functions that hold at all times would do it, too, and need three times the requests; and
they ask that nothing changes with the hour of day, which this does not: each request is compared with what the other
version would have done with it at that moment. As there, the share is the chance with which requests are assigned,
steps are not added up, and one request of each key is counted where all requests of a key go the same way. The edges
are fixed before anything is counted. Pure arithmetic, without numpy.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import log

from holdfast.statistics.sequential import mixture

__all__ = ["TOLERATED", "Apart", "Bets", "Histograms", "moved", "score_bets", "slow_bets", "slower"]

TOLERATED = 0.05
"""By how much the share of scores above an edge may differ: a version that was trained anew never says quite the same,
and with enough requests every difference could be seen."""

_SLOW_SHARES = (0.01, 0.05, 0.2, 0.5, 0.8)
"""Bets on how many of the other version's requests lie above the edge."""

_SLOW_ODDS = (1.6, 4.0, 20.0)
"""Bets on how many times higher the odds to lie above it are for the candidate."""

_SCORE_SHARES = (0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)

_SCORE_ODDS = (1.25, 1.6, 3.0, 10.0)

_HALVINGS = 60
"""Steps of a bisection to the last digit."""


@dataclass(frozen=True, slots=True)
class Histograms:
    """What was counted at one step of a rollout, over all replicas, in the same buckets for both versions.

    Attributes:
        candidate: requests in each bucket, from low to high, of the version that is tried.
        other: of the version that it is compared with.
        share: the chance with which a request was assigned to the candidate at this step.
    """

    candidate: Sequence[int]
    other: Sequence[int]
    share: float

    def __post_init__(self) -> None:
        if len(self.candidate) != len(self.other) or len(self.other) < 1:
            raise ValueError(f"{len(self.candidate)} and {len(self.other)} buckets are not the same ones")
        if min(*self.candidate, *self.other) < 0:
            raise ValueError("nothing is counted below zero")
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"a share of {self.share} is none")


@dataclass(frozen=True, slots=True)
class Apart:
    """How sure it is that two distributions are apart, and where.

    Attributes:
        evidence: as `holdfast.statistics.sequential` has it.
        bucket: the first bucket above the edge that speaks loudest; 0 when there is no edge.
        candidate_above, other_above: the shares of requests at and above it; 0 where there are no requests.
    """

    evidence: float
    bucket: int
    candidate_above: float
    other_above: float


def slower(steps: Iterable[Histograms], *, tolerated_buckets: int = 0) -> Apart:
    """Evidence against "at no edge does the candidate lie above it more often than the other version".

    Args:
        steps: the latencies of each step.
        tolerated_buckets: how many buckets a candidate may be slower by. With buckets that are each wider than the one
            below by the same ratio, it is the ratio to this power that is tolerated.
    """
    tables, buckets = _tables(steps, tolerated_buckets)
    return _apart(tables, [slow_bets(share) for share in tables], buckets, tolerated_buckets)


def moved(steps: Iterable[Histograms], *, tolerated: float = TOLERATED) -> Apart:
    """Evidence against "at every edge the two shares above it differ by no more than is tolerated".

    Args:
        steps: the scores of each step.
        tolerated: the difference of two shares that is none.
    """
    tables, buckets = _tables(steps, 0)
    return _apart(tables, [score_bets(share, tolerated) for share in tables], buckets, 0)


_Table = list[tuple[int, int, int, int]]
"""For each edge the requests of the candidate above it and not, and of the other version."""

Bets = tuple[tuple[float, float, float, float], ...]
"""For each bet what one request of each of the four kinds adds to the logarithm of the evidence."""


def _tables(steps: Iterable[Histograms], shift: int) -> tuple[dict[float, _Table], int]:
    """By share: steps with the same one are added up, which changes no product of bets."""
    sums: dict[float, tuple[list[int], list[int]]] = {}
    buckets = 0
    for step in steps:
        if buckets not in {0, len(step.other)}:
            raise ValueError("the buckets of two steps are not the same ones")
        buckets = len(step.other)
        mine, theirs = sums.setdefault(step.share, ([0] * buckets, [0] * buckets))
        mine[:] = map(int.__add__, mine, step.candidate)
        theirs[:] = map(int.__add__, theirs, step.other)
    tables = {}
    for share, (mine, theirs) in sums.items():
        below_mine, below_theirs = list(accumulate(mine)), list(accumulate(theirs))
        tables[share] = [
            (
                below_mine[-1] - below_mine[edge + shift],
                below_mine[edge + shift],
                below_theirs[-1] - below_theirs[edge],
                below_theirs[edge],
            )
            for edge in range(buckets - 1 - shift)
        ]
    return tables, buckets


def _apart(tables: dict[float, _Table], bets: list[Bets], buckets: int, shift: int) -> Apart:
    edges = range(max(0, buckets - 1 - shift))
    compared = [(table, laid) for (share, table), laid in zip(tables.items(), bets, strict=True) if share < 1.0]
    if not edges or not compared:
        return Apart(1.0, 0, 0.0, 0.0)
    logs: list[float] = []
    loudest, where = float("-inf"), 0
    for edge in edges:
        found = [0.0] * len(compared[0][1])
        for table, laid in compared:
            a, b, c, d = table[edge]
            for place, (w, x, y, z) in enumerate(laid):
                found[place] += a * w + b * x + c * y + d * z
        logs += found
        if max(found) > loudest:
            loudest, where = max(found), edge
    sums = [sum(column) for column in zip(*(table[where] for table, _ in compared), strict=True)]
    return Apart(mixture(logs), where + 1, _ratio(sums[0], sums[1]), _ratio(sums[2], sums[3]))


def _ratio(above: int, below: int) -> float:
    return above / (above + below) if above + below else 0.0


@lru_cache(maxsize=256)
def slow_bets(share: float) -> Bets:
    """What `slower` bets at each edge."""
    return tuple(
        _bet(share, _raised(other, odds), other, 0.0) for other in _SLOW_SHARES for odds in _SLOW_ODDS if share < 1.0
    )


@lru_cache(maxsize=256)
def score_bets(share: float, tolerated: float) -> Bets:
    """What `moved` bets at each edge, on both sides; on a difference that is tolerated nothing is laid."""
    laid = []
    for other in _SCORE_SHARES if share < 1.0 else ():
        for odds in _SCORE_ODDS:
            for up in (True, False):
                # A bet on fewer above an edge is one on more below it, with the kinds of requests changed about.
                base = other if up else 1.0 - other
                mine = _raised(base, odds)
                if mine - base > tolerated:
                    w, x, y, z = _bet(share, mine, base, tolerated)
                    laid.append((w, x, y, z) if up else (x, w, z, y))
    return tuple(laid) or ((0.0, 0.0, 0.0, 0.0),)


def _raised(share: float, odds: float) -> float:
    return share * odds / (share * odds + 1.0 - share)


def _bet(share: float, mine: float, theirs: float, tolerated: float) -> tuple[float, float, float, float]:
    """What the four kinds of requests add, when `mine` and `theirs` are bet on against the nearest allowed pair."""
    base = _nearest(share, mine, theirs, tolerated)
    allowed = base + tolerated
    return (
        log(mine / allowed),
        log((1.0 - mine) / (1.0 - allowed)),
        log(theirs / base),
        log((1.0 - theirs) / (1.0 - base)),
    )


def _nearest(share: float, mine: float, theirs: float, tolerated: float) -> float:
    """The other version's share in the pair, `tolerated` apart, from which the bet is hardest to tell."""
    low, high = 0.0, 1.0 - tolerated
    for _ in range(_HALVINGS):
        base = (low + high) / 2.0
        allowed = base + tolerated
        # The slope of the divergence of Kullback and Leibler, which is convex.
        slope = share * ((1.0 - mine) / (1.0 - allowed) - mine / allowed)
        slope += (1.0 - share) * ((1.0 - theirs) / (1.0 - base) - theirs / base)
        low, high = (low, base) if slope > 0.0 else (base, high)
    return (low + high) / 2.0
