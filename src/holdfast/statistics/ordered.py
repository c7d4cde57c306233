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
steps are not added up, and one request of each key is counted where all requests of a key go the same way. All that
were assigned are counted, and those that failed as such: were they left out, the version that fails less would have
more requests than its share. They are taken to lie above every edge, and below, and the lesser evidence counts: a
version is neither slower nor elsewhere because it answers what the other one does not, or the other way round. The
edges are fixed before anything is counted. Pure arithmetic, without numpy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import log

from holdfast.statistics.sequential import log_mixture, mixture

__all__ = ["TOLERATED", "Apart", "Bets", "Histograms", "moved", "score_bets", "slow_bets", "slower"]

TOLERATED = 0.05
"""By how much the share of scores above an edge may differ: a version that was trained anew never says quite the same,
and with enough requests every difference could be seen."""

_SLOW_SHARES = (0.01, 0.05, 0.2, 0.5, 0.8)
"""Bets on how many of the other version's requests lie above the edge."""

_SLOW_ODDS = (1.6, 4.0, 20.0)
"""Bets on how many times higher the odds to lie above it are for the candidate."""

_SCORE_SHARES = (0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
"""Bets on how many of the other version's scores lie on one side of an edge; the same for both sides."""

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
        candidate_without: requests to the candidate that have no number, since they failed.
        other_without: requests to the other version that have none.
    """

    candidate: Sequence[int]
    other: Sequence[int]
    share: float
    candidate_without: int = 0
    other_without: int = 0

    def __post_init__(self) -> None:
        if len(self.candidate) != len(self.other) or len(self.other) < 1:
            raise ValueError(f"{len(self.candidate)} and {len(self.other)} buckets are not the same ones")
        if min(*self.candidate, *self.other, self.candidate_without, self.other_without) < 0:
            raise ValueError("nothing is counted below zero")
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"a share of {self.share} is none")


@dataclass(frozen=True, slots=True)
class Apart:
    """How sure it is that two distributions are apart, and where.

    Attributes:
        evidence: as `holdfast.statistics.sequential` has it.
        bucket: the first bucket above the edge that speaks loudest; 0 when there is no edge.
        candidate_above, other_above: the shares of numbers in it and above, in the candidate's case as many buckets
            higher as are tolerated; 0 where there are no numbers.
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
    sums = _sums(steps)
    tables = {share: _above(one, tolerated_buckets) for share, one in sums.items()}
    return _apart(sums, _evidence(tables, slow_bets), tolerated_buckets)


def moved(steps: Iterable[Histograms], *, tolerated: float = TOLERATED) -> Apart:
    """Evidence against "at each edge the two shares above it differ by no more than is tolerated".

    Args:
        steps: the scores of each step.
        tolerated: the difference of two shares that is none.
    """
    sums = _sums(steps)
    tables = {}
    for share, one in sums.items():
        up = _above(one, 0)
        tables[share] = up + [((b, a, d, c), (f, e, h, g)) for (a, b, c, d), (e, f, g, h) in up]
    return _apart(sums, _evidence(tables, lambda share: score_bets(share, tolerated)), 0)


_Row = tuple[int, int, int, int]
"""Requests to the candidate on the one side of an edge and not, and to the other version."""

Bets = tuple[tuple[float, float, float, float], ...]
"""For each bet what one request of each of these four kinds adds to the logarithm of the evidence."""


@dataclass(slots=True)
class _Sums:
    """Of all steps with one share."""

    candidate: list[int] = field(default_factory=list)
    other: list[int] = field(default_factory=list)
    candidate_without: int = 0
    other_without: int = 0


def _sums(steps: Iterable[Histograms]) -> dict[float, _Sums]:
    """By share: steps with the same one are added up, which changes no product of bets."""
    sums: dict[float, _Sums] = {}
    buckets = 0
    for step in steps:
        if buckets not in {0, len(step.other)}:
            raise ValueError("the buckets of two steps are not the same ones")
        buckets = len(step.other)
        known = sums.setdefault(step.share, _Sums([0] * buckets, [0] * buckets))
        known.candidate = [*map(int.__add__, known.candidate, step.candidate)]
        known.other = [*map(int.__add__, known.other, step.other)]
        known.candidate_without += step.candidate_without
        known.other_without += step.other_without
    return sums


def _above(one: _Sums, tolerated: int) -> list[tuple[_Row, _Row]]:
    """At each edge who is above it, if what failed is not, and if it is."""
    rows = []
    for edge in range(len(one.other) - 1 - tolerated):
        (a, b), (c, d) = _parted(one.candidate, edge + tolerated), _parted(one.other, edge)
        rows.append(
            (
                (a, b + one.candidate_without, c, d + one.other_without),
                (a + one.candidate_without, b, c + one.other_without, d),
            )
        )
    return rows


def _parted(counts: Sequence[int], edge: int) -> tuple[int, int]:
    """How many are above an edge, and how many are not."""
    return sum(counts[edge + 1 :]), sum(counts[: edge + 1])


def _evidence(tables: Mapping[float, list[tuple[_Row, _Row]]], bets: Callable[[float], Bets]) -> list[float]:
    """The logarithm of the evidence at each edge, over all shares that leave something to compare with.

    The lesser of both ways to take what failed: evidence against either is evidence that it does not matter.
    """
    laid = [bets(share) for share in tables if share < 1.0]
    # Between edges that no request parts nothing changes: most of a histogram of latencies is empty.
    known: dict[tuple[_Row, ...], float] = {}

    def told(seen: tuple[_Row, ...]) -> float:
        if seen not in known:
            known[seen] = log_mixture(_bet_on(seen, laid))
        return known[seen]

    pairs = zip(*(rows for share, rows in tables.items() if share < 1.0), strict=True)
    return [min(told(tuple(low for low, _ in pair)), told(tuple(high for _, high in pair))) for pair in pairs]


def _bet_on(seen: Sequence[_Row], bets: Sequence[Bets]) -> list[float]:
    """What has become of each bet at one edge, over all shares."""
    logs = [0.0] * len(bets[0])
    for (a, b, c, d), laid in zip(seen, bets, strict=True):
        logs = [one + a * w + b * x + c * y + d * z for one, (w, x, y, z) in zip(logs, laid, strict=True)]
    return logs


def _apart(sums: Mapping[float, _Sums], logs: Sequence[float], tolerated: int) -> Apart:
    if not logs:
        return Apart(1.0, 0, 0.0, 0.0)
    compared = [one for share, one in sums.items() if share < 1.0]
    edges = len(compared[0].other) - 1 - tolerated
    edge = max(range(len(logs)), key=logs.__getitem__) % edges
    mine = [sum(column) for column in zip(*(one.candidate for one in compared), strict=True)]
    theirs = [sum(column) for column in zip(*(one.other for one in compared), strict=True)]
    return Apart(mixture(logs), edge + 1, _ratio(*_parted(mine, edge + tolerated)), _ratio(*_parted(theirs, edge)))


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
    """What `moved` bets on either side of each edge; on a difference that is tolerated nothing is laid."""
    laid = [
        _bet(share, _raised(other, odds), other, tolerated)
        for other in _SCORE_SHARES
        for odds in _SCORE_ODDS
        if share < 1.0 and _raised(other, odds) - other > tolerated
    ]
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
