"""How much a pinned cut-off loses against the best one, and how surely.

The best cut-off on a few hundred rows is the best on these rows: it profits from their chance, and a cut-off that was
pinned before cannot. So its lead is not taken as it stands:

value   the lead less its optimism: by how much the best cut-off of a resample does better on it than on all rows
        (Efron, "Estimating the error rate of a prediction rule", Journal of the American Statistical Association 78,
        1983)
high    for each other cut-off the upper bound of its own lead, and the largest of these: the loss is above it only
        if that of the truly best one is above its own bound, so no adjustment is needed (Berger, "Multiparameter
        hypothesis testing and acceptance sampling", Technometrics 24, 1982: intersection-union)
low     for each other cut-off a lower bound that holds for all of them at once, and the largest of these
        (Chernozhukov, Lee and Rosen, "Intersection bounds", Econometrica 81, 2013; by the bootstrap of the greatest
        deviation)

Each row falls between two cut-offs, so that to draw rows anew is to draw how many fall into each place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from holdfast.statistics.estimate import Estimate

__all__ = ["METRICS", "CutLoss", "cut_loss", "of_costs", "value_at"]

_Array = NDArray[np.float64]

_CUTS_MAX = 200
"""Cut-offs that are looked at: between two neighbours lies half a per cent of the rows."""

_RESAMPLES = 2_000
"""The bound at 95 % then moves by a few hundredths of its width from one seed to another."""

_DIFFERING_MIN = 10
"""Rows that a cut-off must answer otherwise before its lead speaks: below, the count is nothing like normal."""

_AT_ONCE = 4_000_000
"""Numbers drawn at a time: 32 MB."""

_ROWS_A_CELL = 10
"""A number of rows drawn at once takes as long as some ten of them drawn singly."""

_METHOD = "{cuts} cut-offs, bootstrap, {resamples} resamples, seed {seed}; Berger 1982, Chernozhukov et al. 2013"

Metric = Callable[[_Array, _Array, _Array, _Array], _Array]
"""From rows rightly and wrongly said to be positive, and all positive and other rows, to a number; higher is better."""


def _ratio(above: _Array, below: _Array) -> _Array:
    found: _Array = np.divide(
        above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0
    )
    return found


def _accuracy(right: _Array, wrong: _Array, positive: _Array, others: _Array) -> _Array:
    return (right + others - wrong) / (positive + others)


def _balanced_accuracy(right: _Array, wrong: _Array, positive: _Array, others: _Array) -> _Array:
    kinds = (positive > 0).astype(float) + (others > 0)
    found: _Array = (_ratio(right, positive) + _ratio(others - wrong, others)) / kinds
    return found


def _f1(right: _Array, wrong: _Array, positive: _Array, others: _Array) -> _Array:
    del others
    return _ratio(2.0 * right, right + wrong + positive)


def of_costs(false_positive: float, false_negative: float, unit: float = 1.0) -> Metric:
    """What mistakes cost a row, in this unit, less than nothing: so that higher is better."""

    def of(right: _Array, wrong: _Array, positive: _Array, others: _Array) -> _Array:
        found: _Array = -(false_positive * wrong + false_negative * (positive - right)) / (positive + others) / unit
        return found

    return of


METRICS: dict[str, Metric] = {"accuracy": _accuracy, "balanced_accuracy": _balanced_accuracy, "f1": _f1}
"""The metrics that have a best cut-off, by scikit-learn's names."""


@dataclass(frozen=True, slots=True)
class CutLoss:
    """What a cut-off loses against the best one.

    Attributes:
        estimate: the loss, 0 or more, and its interval.
        value: the metric at the cut-off, on these rows.
        best_cut: the best cut-off on these rows; infinite when no row is best said to be positive.
        best_value: the metric there, with the profit from these rows' chance.
        optimism: how large that profit is.
    """

    estimate: Estimate
    value: float
    best_cut: float
    best_value: float
    optimism: float


def cut_loss(
    positive: ArrayLike,
    scores: ArrayLike,
    cut: float,
    metric: Metric,
    *,
    confidence: float,
    seed: int,
    clusters: ArrayLike | None = None,
) -> CutLoss:
    """What is lost by cutting at `cut`, and not where it would be best.

    Args:
        positive: for each row whether it is one.
        scores: of each row; it is said to be positive when its score reaches the cut-off.
        cut: the one that was pinned.
        metric: one of `METRICS`, or any other.
        confidence: of the interval, two-sided.
        seed: the same one gives the same interval.
        clusters: which rows belong together, and are drawn together; None: none do.

    Raises:
        ValueError: no rows.
    """
    chosen, given = np.asarray(positive, bool), np.asarray(scores, float)
    if given.size == 0:
        raise ValueError("a cut-off is not judged on no rows")
    cuts = _cuts(given, cut)
    pinned = int(np.searchsorted(cuts, cut))
    cells = (np.searchsorted(cuts, given, "right") * 2 + chosen).astype(np.int64)
    width = 2 * (cuts.size + 1)
    counts = np.bincount(cells, minlength=width).astype(float)
    at = _at_each(counts[None], metric)[0]
    lead = at - at[pinned]
    resampled = [_at_each(drawn, metric) for drawn in _drawn(counts, cells, clusters, np.random.default_rng(seed))]
    values = np.concatenate(resampled)
    leads = values - values[:, [pinned]]
    optimism = float(np.mean(leads.max(axis=1) - lead[leads.argmax(axis=1)]))
    best = int(lead.argmax())
    estimate_value = max(0.0, float(lead[best]) - optimism)
    low, high = _bounds(lead, leads, _differing(counts, pinned), (1.0 - confidence) / 2.0)
    rows = given.size if clusters is None else int(np.unique(np.asarray(clusters)).size)
    method = _METHOD.format(cuts=cuts.size, resamples=_RESAMPLES, seed=seed)
    found = Estimate(estimate_value, min(low, estimate_value), max(high, estimate_value), confidence, method, rows)
    return CutLoss(found, float(at[pinned]), float(cuts[best]), float(at[best]), optimism)


def value_at(positive: ArrayLike, scores: ArrayLike, cut: float, metric: Metric) -> float:
    """The metric on these rows, when they are cut at `cut`."""
    chosen, said = np.asarray(positive, bool), np.asarray(scores, float) >= cut
    counted = (chosen & said, ~chosen & said, chosen, ~chosen)
    return float(metric(*(np.asarray([rows.sum()], float) for rows in counted))[0])


def _cuts(scores: _Array, cut: float) -> _Array:
    """The cut-offs that are looked at, ascending: scores that rows have, the pinned one, and one above all."""
    kinds = np.unique(scores)
    if kinds.size > _CUTS_MAX:
        kinds = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, _CUTS_MAX), method="inverted_cdf"))
    return np.unique(np.concatenate([kinds, [cut, inf]]))


def _at_each(counts: _Array, metric: Metric) -> _Array:
    """The metric at each cut-off, from the rows in each cell: of shape (…, cut-offs)."""
    others, positive = counts[..., 0::2], counts[..., 1::2]
    right = np.cumsum(positive[..., ::-1], axis=-1)[..., -2::-1]
    wrong = np.cumsum(others[..., ::-1], axis=-1)[..., -2::-1]
    return metric(right, wrong, positive.sum(axis=-1, keepdims=True), others.sum(axis=-1, keepdims=True))


def _differing(counts: _Array, pinned: int) -> _Array:
    """How many rows each cut-off answers otherwise than the pinned one."""
    above = np.cumsum((counts[0::2] + counts[1::2])[::-1])[-2::-1]
    differing: _Array = np.abs(above - above[pinned])
    return differing


def _drawn(
    counts: _Array, cells: NDArray[np.int64], clusters: ArrayLike | None, chance: np.random.Generator
) -> list[_Array]:
    rows, width = cells.size, counts.size
    if clusters is None and rows > _ROWS_A_CELL * width:
        step = max(1, _AT_ONCE // width)
        return [chance.multinomial(rows, counts / rows, size=count).astype(float) for count in _steps(step)]
    if clusters is None:  # few rows: to draw them is quicker than to draw how often each cell counts
        step = max(1, _AT_ONCE // rows)
        return [
            np.bincount(
                (cells[chance.integers(0, rows, (count, rows))] + np.arange(count)[:, None] * width).ravel(),
                minlength=count * width,
            )
            .reshape(count, width)
            .astype(float)
            for count in _steps(step)
        ]
    _, members = np.unique(np.asarray(clusters), return_inverse=True)
    units = int(members.max()) + 1
    found = np.empty((_RESAMPLES, counts.size))
    for place in range(_RESAMPLES):
        weights = np.bincount(chance.integers(0, units, units), minlength=units).astype(float)
        found[place] = np.bincount(cells, weights[members.reshape(cells.size)], minlength=counts.size)
    return [found]


def _steps(step: int) -> list[int]:
    return [min(step, _RESAMPLES - begin) for begin in range(0, _RESAMPLES, step)]


def _bounds(lead: _Array, leads: _Array, differing: _Array, tail: float) -> tuple[float, float]:
    spread = leads.std(axis=0)
    high = float((lead + float(ndtri(1.0 - tail)) * spread).max())
    speaking = (differing >= _DIFFERING_MIN) & (spread > 0)
    if not speaking.any():
        return 0.0, high
    deviations = ((leads - lead)[:, speaking] / spread[speaking]).max(axis=1)
    limit = float(np.quantile(deviations, 1.0 - tail))
    return max(0.0, float((lead - limit * spread)[speaking].max())), high
