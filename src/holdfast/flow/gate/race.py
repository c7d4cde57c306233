"""How long single rows take, and batches: versions take turns, so that a busy machine is unfair to both alike."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table

__all__ = ["Racer", "Times", "batches", "race", "times_of"]

_WARM_UP_CALLS = 20
"""Calls before any is timed: the first ones import, allocate and fill caches."""

_WARM_UP_BATCHES = 3
"""The process is warm by then; only its buffers grow."""

_WARM_UP_SECONDS_MAX = 10.0
"""A model that is still cold after ten seconds of calls is simply slow."""

_TIMED_CALLS = 200
"""Single rows timed: enough for a 95th percentile with an interval, and about a second for a model of 5 ms."""

_TIMED_CALLS_P99 = 500
"""What a 99th percentile takes to have an upper bound, which begins at 368 calls, with some air."""

_BATCH_CALLS, _BATCH_CALLS_P95 = 30, 100
"""Batches timed: enough for a median; and for a 95th percentile, whose upper bound begins at 72, with some air."""

_TIMED_SECONDS_MAX = 60.0
"""A slow model is timed with fewer calls, whose interval is wider, and nobody waits a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long one version took.

    Attributes:
        singles_ms: for each single row, in milliseconds and in order.
        batches_ms: for each batch.
        trouble: why it gave up; None when it did not.
    """

    singles_ms: tuple[float, ...]
    batches_ms: tuple[float, ...]
    trouble: HoldfastError | None


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
        """Answer one table, and note the time; after an error never again."""
        if self.trouble is not None:
            return
        begun = time.perf_counter()
        try:
            self._predictor.predict(row)
        except HoldfastError as error:
            self.trouble = error
        else:
            self.times_ms.append((time.perf_counter() - begun) * 1000.0)


def times_of(predictors: Sequence[Predictor], table: Table, policy: StagePolicy) -> list[Times]:
    """Time versions beside each other, as far as the budgets of a policy need it; the first is the candidate."""
    racers = [Racer(predictor) for predictor in predictors]
    race(racers, table, p99=policy.latency_ms_p99_max is not None)
    singles = [tuple(racer.times_ms) for racer in racers]
    for racer in racers:
        racer.times_ms.clear()
    batches(racers, table, policy.latency_batch_rows, p95=policy.latency_ms_batch_p95_max is not None)
    return [Times(one, tuple(racer.times_ms), racer.trouble) for one, racer in zip(singles, racers, strict=True)]


def race(racers: Sequence[Racer], table: Table, *, p99: bool = False) -> None:
    """Time the racers on single rows of `table`, which has at least one; the first racer's trouble ends the race.

    Args:
        racers: the candidate, and whom it runs against.
        table: its rows, in turns.
        p99: whether the 99th percentile is to have bounds.
    """
    rows = [table.row(place) for place in range(min(table.count, _TIMED_CALLS_P99))]
    _run(racers, rows, _TIMED_CALLS_P99 if p99 else _TIMED_CALLS, _WARM_UP_CALLS)


def batches(racers: Sequence[Racer], table: Table, rows: int, *, p95: bool = False) -> None:
    """The same for batches of so many rows, which begin anew with the first row where the table ends.

    Args:
        racers: the candidate, and whom it runs against.
        table: where the rows are from.
        rows: of a batch.
        p95: whether the 95th percentile is to have bounds.
    """
    places = [place % table.count for place in range(rows)]
    batch = Table(table.names, tuple([column[place] for place in places] for column in table.columns), rows)
    _run(racers, [batch], _BATCH_CALLS_P95 if p95 else _BATCH_CALLS, _WARM_UP_BATCHES)


def _run(racers: Sequence[Racer], tables: Sequence[Table], calls: int, warm_up: int) -> None:
    _laps(racers, tables, warm_up, _WARM_UP_SECONDS_MAX)
    for racer in racers:
        racer.times_ms.clear()
    _laps(racers, tables, calls, _TIMED_SECONDS_MAX)


def _laps(racers: Sequence[Racer], tables: Sequence[Table], calls: int, seconds_max: float) -> None:
    begun = time.perf_counter()
    for lap in range(calls):
        if racers[0].trouble is not None or time.perf_counter() - begun > seconds_max:
            return
        # Who comes second finds the row in the caches, and so they take turns in that as well.
        for racer in racers if lap % 2 == 0 else reversed(racers):
            racer.lap(tables[lap % len(tables)])
