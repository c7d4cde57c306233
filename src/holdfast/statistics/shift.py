"""Figures of two distributions from counts alone, as replicas keep them and reports show them.

    shift([400, 350, 250], [31, 38, 52])         has it moved, how sure is it
    agreement(969, 1000)                         how often two versions say the same, with an interval
    quantile(edges, counts, 0.95)                a percentile, as exactly as the buckets allow

What `holdfast.statistics.drift` says of rows, this says of counts: in pure arithmetic, without numpy. A p here is for
one look. Who looks every minute takes windows that do not overlap and asks for a chance so much smaller; who wants to
stop a rollout asks `holdfast.statistics.ordered`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import fsum, inf, isfinite, log, nan, sqrt

from holdfast.statistics.chances import chi_squared_beyond, chi_squared_tail, kolmogorov_tail, normal_beyond

__all__ = [
    "OTHERS",
    "Between",
    "Flips",
    "Shift",
    "Stability",
    "agreement",
    "distance",
    "flips",
    "quantile",
    "quantile_ratio",
    "shift",
    "stability",
]

CONFIDENCE = 0.95
"""Of intervals in reports, when nothing else is asked for."""

_HALF = 0.5
"""Rows that are added to each bucket: an empty one says something, and not infinitely much. So the index passes its
scale as often as chance should, from some three rows for each bucket on; a fixed least share, which is what the rule
`drift` takes for large tables, makes a hundred rows in twenty buckets pass it in one case of six."""

ANSWERS_MAX = 20
"""Answers with a row of their own in a table of flips; 20 rows can be read."""

OTHERS = "(others)"
"""The row of all answers that have none."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far counts are from a reference's, in the same buckets.

    Attributes:
        psi: the population stability index.
        psi_by_chance: what it stays below in 95 of 100 cases when nothing has moved, at these sizes.
        psi_p: how often chance alone gives as much.
        ks: the largest difference of the shares below an edge: Kolmogorov's and Smirnov's, seen at the edges alone.
        ks_p: how often chance alone gives as much, at most: between the edges the difference may be larger.
        rows, reference_rows: the sizes.
    """

    psi: float
    psi_by_chance: float
    psi_p: float
    ks: float
    ks_p: float
    rows: int
    reference_rows: int


@dataclass(frozen=True, slots=True)
class Between:
    """A value between two bounds.

    Attributes:
        value: the estimate; not a number where there is none.
        low, high: the bounds; infinite where there are none.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Flips:
    """What one version said against what the other said of the same rows.

    Attributes:
        answers: the names of rows and columns, the most frequent first; `OTHERS` last, if there are others.
        table: how often; a row for what the primary said, a column for what the candidate said.
        same, rows: how often they agreed, and of how many. Two different answers among the others are no agreement,
            though they stand on the diagonal.
    """

    answers: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    same: int
    rows: int


@dataclass(frozen=True, slots=True)
class Stability:
    """The population stability index of two counts, and how far chance takes it.

    Attributes:
        index: the index.
        freedom: buckets that are not empty on both sides, but one.
        scale: what a chi-squared number of so many degrees of freedom is multiplied by.
    """

    index: float
    freedom: int
    scale: float


def stability(reference: Sequence[int], now: Sequence[int]) -> Stability:
    """The index, with half a row more in each bucket: an empty one says something, and not infinitely much.

    Its scale is that of `holdfast.statistics.drift`. Buckets that are empty on both sides are none.

    Raises:
        ValueError: other buckets, or nothing on one side.
    """
    before, after = sum(reference), sum(now)
    if len(reference) != len(now) or before <= 0 or after <= 0:
        raise ValueError("there is nothing to compare")
    pairs = [(one, other) for one, other in zip(reference, now, strict=True) if one or other]
    added = _HALF * len(pairs)
    shares = [((a + _HALF) / (before + added), (b + _HALF) / (after + added)) for a, b in pairs]
    index = fsum((b - a) * log(b / a) for a, b in shares)
    return Stability(index, len(pairs) - 1, 1.0 / before + 1.0 / after)


def shift(reference: Sequence[int], now: Sequence[int]) -> Shift:
    """Compare counts in the same buckets; of numbers from low to high, since `ks` depends on the order.

    Raises:
        ValueError: other buckets, or nothing on one side.
    """
    found, before, after = stability(reference, now), sum(reference), sum(now)
    far = max(abs(a / before - b / after) for a, b in zip(accumulate(reference), accumulate(now), strict=True))
    return Shift(
        psi=found.index,
        psi_by_chance=chi_squared_beyond(0.05, found.freedom) * found.scale,
        psi_p=chi_squared_tail(found.index / found.scale, found.freedom),
        ks=far,
        ks_p=kolmogorov_tail(far / sqrt(found.scale)),
        rows=after,
        reference_rows=before,
    )


def distance(places: Sequence[float], reference: Sequence[int], now: Sequence[int]) -> float:
    """Wasserstein's distance in the unit of the numbers, as if each lay at its bucket's place.

    Args:
        places: of each bucket, rising: its middle, or for an open one where its numbers are likely to be. What is
            found differs from the distance of the numbers by no more than they lie from their places, on both sides.
        reference: counts.
        now: counts.

    Raises:
        ValueError: other buckets, or nothing on one side.
    """
    before, after = sum(reference), sum(now)
    if not len(places) == len(reference) == len(now) or before <= 0 or after <= 0:
        raise ValueError("there is nothing to compare")
    apart = [a / before - b / after for a, b in zip(accumulate(reference), accumulate(now), strict=True)]
    return fsum(abs(gap) * (right - left) for gap, (left, right) in zip(apart, pairwise(places), strict=False))


def agreement(same: int, rows: int, *, confidence: float = CONFIDENCE) -> Between:
    """A share with Wilson's interval: Journal of the American Statistical Association 22 (1927).

    Args:
        same: rows of which it is true.
        rows: all rows; of 0 nothing is known.
        confidence: of the interval.
    """
    if not 0 <= same <= rows:
        raise ValueError(f"{same} of {rows} rows")
    if rows == 0:
        return Between(nan, 0.0, 1.0)
    share, far = same / rows, normal_beyond(confidence)
    square = far * far / rows
    middle = (share + square / 2.0) / (1.0 + square)
    half = far * sqrt(share * (1.0 - share) / rows + square / (4.0 * rows)) / (1.0 + square)
    return Between(share, 0.0 if same == 0 else middle - half, 1.0 if same == rows else middle + half)


def flips(pairs: Mapping[tuple[str, str], int]) -> Flips:
    """The table of what the primary and the candidate said of the same rows.

    Args:
        pairs: how often, by the primary's answer and the candidate's.
    """
    seen: Counter[str] = Counter()
    for pair, count in pairs.items():
        for answer in set(pair):
            seen[answer] += count
    ordered = sorted(seen, key=lambda answer: (-seen[answer], answer))
    answers = (*ordered[:ANSWERS_MAX], *([OTHERS] if len(ordered) > ANSWERS_MAX else []))
    place = {answer: min(at, ANSWERS_MAX) for at, answer in enumerate(ordered)}
    table = [[0] * len(answers) for _ in answers]
    for (primary, candidate), count in pairs.items():
        table[place[primary]][place[candidate]] += count
    same = sum(count for (primary, candidate), count in pairs.items() if primary == candidate)
    return Flips(answers, tuple(map(tuple, table)), same, sum(pairs.values()))


def quantile(edges: Sequence[float], counts: Sequence[int], part: float, *, confidence: float = CONFIDENCE) -> Between:
    """The value that this part of the numbers stays below, as exactly as buckets allow.

    The bounds are the edges of buckets, so they hold what is not known for the buckets' width as well as what chance
    leaves open (Wilson's interval for the part of the numbers below an edge). Between edges the estimate is linear.

    Args:
        edges: one more than there are buckets, rising; the outer ones may be infinite.
        counts: how many numbers lie in each bucket.
        part: 0.95 for the 95th percentile.
        confidence: of the bounds.
    """
    if len(edges) != len(counts) + 1:
        raise ValueError(f"{len(edges)} edges do not bound {len(counts)} buckets")
    rows = sum(counts)
    if rows == 0:
        return Between(nan, -inf, inf)
    below = list(accumulate(counts, initial=0))
    known = [agreement(count, rows, confidence=confidence) for count in below]
    at = max(1, next((place for place, one in enumerate(known) if one.value >= part), len(counts)))
    # The quantile is no lower than any edge below which there are surely too few numbers, nor higher than one below
    # which there are surely enough.
    low = max((edge for edge, one in zip(edges, known, strict=True) if one.high < part), default=edges[0])
    high = min((edge for edge, one in zip(edges, known, strict=True) if one.low >= part), default=edges[-1])
    left, right = edges[at - 1], edges[at]
    if isfinite(left) and isfinite(right) and counts[at - 1]:
        value = left + (right - left) * (part * rows - below[at - 1]) / counts[at - 1]
    else:
        value = left if isfinite(left) else right
    return Between(value, low, high)


def quantile_ratio(
    edges: Sequence[float],
    candidate: Sequence[int],
    other: Sequence[int],
    parts: Iterable[float],
    *,
    confidence: float = CONFIDENCE,
) -> dict[float, Between]:
    """How many times the other version's latency the candidate's is, at some percentiles.

    Both quantiles are asked for at half of what confidence leaves open, so that the ratio's bounds hold with it.

    Args:
        edges: of the buckets; latencies, so none below zero.
        candidate: counts.
        other: counts.
        parts: 0.5 for the median, 0.95, 0.99.
        confidence: of each ratio's bounds.
    """
    each, found = (1.0 + confidence) / 2.0, {}
    for part in parts:
        mine, theirs = (quantile(edges, counts, part, confidence=each) for counts in (candidate, other))
        found[part] = Between(
            mine.value / theirs.value if theirs.value > 0 else nan,
            max(0.0, mine.low) / theirs.high if theirs.high > 0 else 0.0,
            mine.high / theirs.low if theirs.low > 0 else inf,
        )
    return found
