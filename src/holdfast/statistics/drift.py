"""Is this the same distribution as that, how sure is it, and how large is the difference?

The population stability index (PSI) of two samples of the same distribution is, divided by one over the one size plus
one over the other, chi-squared with one degree of freedom less than there are bins: Yurdakul, "Statistical properties
of population stability index" (2018). So 0.1 or 0.25 mean nothing without the sizes, and each index is given with the
value that chance alone stays below. A tiny p with a tiny distance is a difference that can be seen and does not
matter: look at both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

__all__ = ["Drift", "categorical", "numeric", "psi"]

BINS = 10
"""Tenths of the reference, as the rules of thumb assume."""

_LEAST = 1e-4
"""What an empty bin counts as: an index of infinity says no more than a large one."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one sample is from another.

    Attributes:
        psi: the population stability index.
        psi_by_chance: what it stays below in 95 of 100 cases when nothing has drifted, at these sizes.
        psi_p: how often chance alone gives as much.
        p: of the two-sample test: Kolmogorov and Smirnov for numbers, chi-squared for categories.
        distance: Wasserstein's, in the unit of the numbers; for categories the share that would have to change.
        test: its name.
        rows, reference_rows: the sizes.
    """

    psi: float
    psi_by_chance: float
    psi_p: float
    p: float
    distance: float
    test: str
    rows: int
    reference_rows: int


def numeric(reference: ArrayLike, now: ArrayLike) -> Drift:
    """Numbers against numbers; what is not finite is left out of both.

    Raises:
        ValueError: no numbers on one side.
    """
    before, after = _finite(reference), _finite(now)
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, one, "right"), minlength=edges.size + 1) for one in (before, after)]
    return _drift(
        counts[0],
        counts[1],
        float(ks_2samp(before, after).pvalue),
        float(wasserstein_distance(before, after)),
        "Kolmogorov-Smirnov",
    )


def categorical(reference: ArrayLike, now: ArrayLike) -> Drift:
    """Categories against categories; each that occurs on either side is a bin.

    Raises:
        ValueError: nothing on one side.
    """
    before, after = np.asarray(reference, str), np.asarray(now, str)
    if not before.size or not after.size:
        raise ValueError("there is nothing to compare")
    names = np.unique(np.concatenate([before, after]))
    counts = [np.bincount(np.searchsorted(names, one), minlength=names.size) for one in (before, after)]
    p = float(chi2_contingency(np.stack(counts), correction=False).pvalue) if names.size > 1 else 1.0
    shares = [one / one.sum() for one in counts]
    return _drift(counts[0], counts[1], p, float(np.abs(shares[0] - shares[1]).sum() / 2), "chi-squared")


def psi(reference: ArrayLike, now: ArrayLike) -> float:
    """The index of two samples that were counted into the same bins."""
    shares = [np.maximum(np.asarray(one, float) / np.sum(one), _LEAST) for one in (reference, now)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def _drift(before: NDArray[np.int64], after: NDArray[np.int64], p: float, distance: float, test: str) -> Drift:
    rows, reference_rows = int(after.sum()), int(before.sum())
    freedom, scale = len(before) - 1, 1.0 / rows + 1.0 / reference_rows
    index = psi(before, after)
    return Drift(
        psi=index,
        psi_by_chance=float(chdtri(freedom, 0.05)) * scale if freedom else 0.0,
        psi_p=float(chdtrc(freedom, index / scale)) if freedom else 1.0,
        p=p,
        distance=distance,
        test=test,
        rows=rows,
        reference_rows=reference_rows,
    )


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(values, float)
    kept: NDArray[np.float64] = given[np.isfinite(given)]
    if not kept.size:
        raise ValueError("there are no numbers to compare")
    return kept
