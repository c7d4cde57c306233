"""Rows that repeat were dealt into two heaps: do more of them lie in both than dealing at random would put there?

Rows that are the same make a group. Were each row of a group of size s dealt into the first heap with the chance f,
whatever it holds, then h of them would lie there, binomially; and as long as not all do, each of the h has a twin in
the other heap. The sum over all groups is what is compared. Up to `EXACT_ROWS_MAX` rows that repeat, its distribution
is computed exactly, by multiplying generating functions; beyond, it is close to a normal one, whose variance is taken
for the sizes that the heaps have.

Counting the repeated rows of each heap and comparing the two shares, as Fisher's test would, takes rows for independent
that come in pairs, and finds an excess by chance too often.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr

__all__ = ["EXACT_ROWS_MAX", "straddling"]

EXACT_ROWS_MAX = 1 << 14
"""Rows whose distribution is multiplied out: a millisecond for each size of group. Past it the error of the normal
distribution is below a hundredth."""

_HALF = 0.5


def straddling(found: int, sizes: NDArray[np.int64], groups: NDArray[np.int64], first: int, second: int) -> float:
    """The one-sided p of "they were dealt at random": small where more rows of the first heap have twins in the second.

    Args:
        found: rows of the first heap that have.
        sizes: the sizes of groups of equal rows, both heaps together; each once.
        groups: how many groups of each size there are.
        first: rows of the one heap.
        second: rows of the other.
    """
    share = first / (first + second)
    if int((sizes * groups).sum()) > EXACT_ROWS_MAX:
        return _by_normal(found, sizes.astype(float), groups.astype(float), share, first + second)
    length = int(((sizes - 1) * groups).sum()) + 1
    if found >= length:
        return 0.0
    product = np.ones(length // 2 + 1, complex)
    for size, count in zip(sizes.tolist(), groups.tolist(), strict=True):
        product *= np.fft.rfft(_of_group(size, share), length) ** count
    return float(np.clip(np.fft.irfft(product, length)[found:].sum(), 0.0, 1.0))


def _of_group(size: int, share: float) -> NDArray[np.float64]:
    """How likely it is that 0, 1, 2 … rows of one group lie in the first heap and have a twin in the second."""
    rows = np.arange(size + 1.0)
    ways = gammaln(size + 1.0) - gammaln(rows + 1.0) - gammaln(size - rows + 1.0)
    chances: NDArray[np.float64] = np.exp(ways + rows * np.log(share) + (size - rows) * np.log1p(-share))
    chances[0] += chances[-1]
    return chances[:-1]


def _by_normal(found: int, sizes: NDArray[np.float64], groups: NDArray[np.float64], share: float, rows: int) -> float:
    all_there = share**sizes
    mean_rows, mean = sizes * share, sizes * share - sizes * all_there
    square = sizes * share * (1 - share) + mean_rows**2 - sizes**2 * all_there
    variance = float((groups * (square - mean**2)).sum())
    # The heaps have the sizes that they have: what goes up and down with them is no chance.
    with_heap = float((groups * (square - mean * mean_rows)).sum())
    variance -= with_heap**2 / (rows * share * (1 - share))
    far = found - _HALF - float((groups * mean).sum())
    return float(ndtr(-far / sqrt(variance))) if variance > _HALF else float(far < _HALF)
