"""What one version did in the last minute, five minutes and hour: slices of ten seconds, and their sums.

Nothing here reads a clock: whoever counts says when.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import ceil, log
from typing import Any

from holdfast.canonical import JsonObject

__all__ = ["SLICE_SECONDS", "Slice", "Windows"]

SLICE_SECONDS = 10
"""How finely time is cut: a window of a minute is never off by more than a sixth of itself."""

_SLICES_MAX = 360
"""An hour."""

_FASTEST_SECONDS = 0.0001
_STEP = 2 ** (1 / 8)
_STEPS_MAX = 160
"""Latencies from 0.1 ms to 100 s, in steps of 9 percent: no percentile is farther off than half of that."""

_OUTSIDE_MIN = 20
"""Fewer values of a column than this have no share that would mean anything."""


@dataclass(slots=True)
class Slice:
    """Counts of some seconds.

    Attributes:
        requests: how many came.
        faults: how many of them got no answer because of the version or the replica.
        refused: how many got none because of what was sent.
        rows: rows of the answers that were read.
        latency: how many took how long, by step.
        predictions: how often each bin was predicted.
        columns: how often each bin occurred in the rows that were read, by column.
        outside: values outside of what was seen in training, by column.
        values: values that were held against it, by column.
    """

    requests: int = 0
    faults: int = 0
    refused: int = 0
    rows: int = 0
    latency: dict[int, int] = field(default_factory=dict)
    predictions: dict[int, int] = field(default_factory=dict)
    columns: dict[str, dict[int, int]] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)

    def took(self, seconds: float) -> None:
        """One request took this long."""
        step = 0 if seconds <= _FASTEST_SECONDS else min(ceil(log(seconds / _FASTEST_SECONDS, _STEP)), _STEPS_MAX)
        self.latency[step] = self.latency.get(step, 0) + 1

    def add(self, other: "Slice") -> None:
        """What the other one counted, too."""
        self.requests += other.requests
        self.faults += other.faults
        self.refused += other.refused
        self.rows += other.rows
        for mine, theirs in (
            (self.latency, other.latency),
            (self.predictions, other.predictions),
            *((self.columns.setdefault(name, {}), counts) for name, counts in other.columns.items()),
        ):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
        for own, its in ((self.outside, other.outside), (self.values, other.values)):
            for name, count in its.items():
                own[name] = own.get(name, 0) + count

    def latency_ms(self, share: float) -> float | None:
        """The latency that this share of the requests stays within, in milliseconds; None when there were none."""
        steps = sorted(self.latency)
        if not steps:
            return None
        sums = list(_sums(self.latency[step] for step in steps))
        step = steps[bisect_left(sums, share * sums[-1])]
        # The middle of the step: half of a step off at most, either way.
        return float(1000.0 * _FASTEST_SECONDS * _STEP ** (step - 0.5))

    def to_json(self) -> JsonObject:
        """For another process of the same port."""
        return asdict(self)

    @classmethod
    def from_json(cls, written: Any) -> "Slice":
        """The slice that `to_json` wrote; JSON has made texts of the numbers of bins."""
        return cls(
            **{name: written[name] for name in ("requests", "faults", "refused", "rows", "outside", "values")},
            latency=_by_number(written["latency"]),
            predictions=_by_number(written["predictions"]),
            columns={name: _by_number(counts) for name, counts in written["columns"].items()},
        )

    @property
    def error_share(self) -> float | None:
        """Which share of the requests got no answer because of the version or the replica."""
        return self.faults / self.requests if self.requests else None

    @property
    def outside_share(self) -> float | None:
        """The share of values outside of what was seen in training, in the worst column."""
        shares = [self.outside.get(name, 0) / count for name, count in self.values.items() if count >= _OUTSIDE_MIN]
        return max(shares, default=None)


def _by_number(written: Any) -> dict[int, int]:
    return {int(key): int(count) for key, count in written.items()}


def _sums(counts: Iterator[int]) -> Iterator[int]:
    total = 0
    for count in counts:
        total += count
        yield total


class Windows:
    """One version's last hour."""

    def __init__(self) -> None:
        self._slices: deque[tuple[int, Slice]] = deque(maxlen=_SLICES_MAX)
        self._closed: dict[int, tuple[int, Slice]] = {}

    def at(self, now: float) -> Slice:
        """The slice that counts at this moment, in seconds of a clock that never goes back."""
        slot = int(now // SLICE_SECONDS)
        if not self._slices or self._slices[-1][0] < slot:
            self._slices.append((slot, Slice()))
        return self._slices[-1][1]

    def over(self, minutes: int, now: float) -> Slice:
        """The last minutes, together."""
        slot = int(now // SLICE_SECONDS)
        first = slot - minutes * 60 // SLICE_SECONDS + 1
        kept = self._closed.get(minutes)
        if kept is None or kept[0] != slot:
            # Slices that are over do not change: they are added up once in ten seconds, and not at every look.
            kept = self._closed[minutes] = (slot, Slice())
            for at, one in self._slices:
                if first <= at < slot:
                    kept[1].add(one)
        whole = Slice()
        whole.add(kept[1])
        if self._slices and self._slices[-1][0] == slot:
            whole.add(self._slices[-1][1])
        return whole
