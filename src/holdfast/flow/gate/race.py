"""How long single rows take: versions take turns, so that a busy machine is unfair to both alike."""

import time
from collections.abc import Sequence

from holdfast.errors import HoldfastError
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table

__all__ = ["Racer", "race"]

_WARM_UP_CALLS = 20
"""Calls before any is timed: the first ones import, allocate and fill caches."""

_WARM_UP_SECONDS_MAX = 10.0
"""A model that is still cold after ten seconds of calls is simply slow."""

_TIMED_CALLS = 200
"""Single rows timed: enough for a 95th percentile with an interval, and about a second for a model of 5 ms."""

_TIMED_SECONDS_MAX = 60.0
"""A slow model is timed with fewer calls, whose interval is wider, and nobody waits a quarter of an hour."""


class Racer:
    """One version on the track.

    Attributes:
        times_ms: milliseconds of each timed call, in order.
        trouble: why it gave up; None while it runs.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.times_ms: list[float] = []
        self.trouble: HoldfastError | None = None
        self._predictor = predictor

    def lap(self, row: Table) -> None:
        """Answer one row, and note the time; after an error never again."""
        if self.trouble is not None:
            return
        begun = time.perf_counter()
        try:
            self._predictor.predict(row)
        except HoldfastError as error:
            self.trouble = error
        else:
            self.times_ms.append((time.perf_counter() - begun) * 1000.0)


def race(racers: Sequence[Racer], table: Table) -> None:
    """Time the racers on single rows of `table`, which has at least one; the first racer's trouble ends the race."""
    _laps(racers, table, _WARM_UP_CALLS, _WARM_UP_SECONDS_MAX)
    for racer in racers:
        racer.times_ms.clear()
    _laps(racers, table, _TIMED_CALLS, _TIMED_SECONDS_MAX)


def _laps(racers: Sequence[Racer], table: Table, calls: int, seconds_max: float) -> None:
    begun = time.perf_counter()
    for lap in range(calls):
        if racers[0].trouble is not None or time.perf_counter() - begun > seconds_max:
            return
        for racer in racers:
            racer.lap(table.row(lap % table.count))
