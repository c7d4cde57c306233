"""A sample of the rows of a table that comes in pieces: each row with the same chance, in memory that does not grow.

Every row draws a number, and those with the smallest are kept: Vitter, "Random sampling with a reservoir", ACM
Transactions on Mathematical Software 11 (1985), says why that is a fair sample at any moment.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROWS_KEPT_MAX", "Sample", "Sampler"]

ROWS_KEPT_MAX = 50_000
"""Rows of a sample: two of them tell distributions apart that are a hundredth apart, by Kolmogorov and Smirnov."""

_CELLS_KEPT_MAX = 1 << 23
"""Cells of a sample, however many columns there are: 64 MB of numbers."""

Sample = Mapping[str, NDArray[Any]]
"""By column, numbers as floats and everything else as JSON values; rows where a piece lacked the column hold None."""


class Sampler:
    """Takes pieces and keeps a sample; the same pieces in the same order give the same one.

    Attributes:
        rows: how many rows there were.
    """

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._drawn = np.zeros(0)
        self._kept: dict[str, NDArray[Any]] = {}
        self.rows = 0

    def add(self, columns: Mapping[str, Any]) -> None:
        """Draw from some more rows."""
        count = max((len(values) for values in columns.values()), default=0)
        if not count:
            return
        self.rows += count
        room = min(ROWS_KEPT_MAX, max(1, _CELLS_KEPT_MAX // len({*self._kept, *columns})))
        drawn = np.concatenate([self._drawn, self._chance.random(count)])
        chosen = np.sort(np.argpartition(drawn, room - 1)[:room]) if drawn.size > room else np.arange(drawn.size)
        before = self._drawn.size
        old, new = chosen[chosen < before], chosen[chosen >= before] - before
        self._kept = {
            name: np.concatenate([_cells(self._kept, name, before)[old], _cells(columns, name, count)[new]])
            for name in {**self._kept, **columns}
        }
        self._drawn = drawn[chosen]

    def sample(self) -> Sample:
        """The rows that were kept."""
        return self._kept


def _cells(columns: Mapping[str, Any], name: str, count: int) -> NDArray[Any]:
    values = columns.get(name)
    if isinstance(values, np.ndarray):
        return values.astype(float) if values.dtype.kind in "fiub" else values
    held = np.empty(count, object)
    if values is not None:
        held[:] = values
    return held
