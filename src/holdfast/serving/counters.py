"""What one process has answered since it started, as numbers that can be added to those of others.

Lines are few: one for each version that is held, in each role that it has. A version that is let go of takes its lines
with it.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.canonical import JsonObject

__all__ = ["LATENCY_SECONDS", "Line", "LineName", "Lines"]

LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets of the histogram: from a small model's answer to the longest that one may take."""

SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Upper ends of the buckets of scores between 0 and 1; numbers outside stand in the last one, which has no end."""

_CLASSES_MAX = 20
"""Classes of predictions that have a line of their own; the rest are `others`."""

_CODES_MAX = 20
"""Codes of errors that have a line of their own; there are fewer, but a worker may say what it likes."""

LineName = tuple[str, str]
"""A version by its number, and its role."""


@dataclass(slots=True)
class Line:
    """One version in one role.

    Attributes:
        answered: requests with an answer.
        errors: requests without one, by the error's code.
        buckets: how many requests took how long, by bucket of `LATENCY_SECONDS`; the last one is for longer.
        seconds: how long they took in all.
        worker_seconds: how long the worker had them, waiting for their turn included.
        rows: rows of the answers that were read.
        unread: answers that were too long, or too many, to be read.
        predictions: rows by what was predicted.
        scores: rows by bucket of `SCORES`.
        score_sum: of all scores.
    """

    answered: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_SECONDS) + 1))
    seconds: float = 0.0
    worker_seconds: float = 0.0
    rows: int = 0
    unread: int = 0
    predictions: dict[str, int] = field(default_factory=dict)
    scores: list[int] = field(default_factory=lambda: [0] * (len(SCORES) + 1))
    score_sum: float = 0.0

    def took(self, seconds: float, worker_seconds: float) -> None:
        """One request took this long, and so long of it with the worker."""
        self.buckets[bisect_left(LATENCY_SECONDS, seconds)] += 1
        self.seconds += seconds
        self.worker_seconds += worker_seconds

    def erred(self, code: str) -> None:
        """One request got no answer."""
        _count(self.errors, code, _CODES_MAX)

    def predicted(self, word: str) -> None:
        """One row was given this class."""
        _count(self.predictions, word, _CLASSES_MAX)

    def scored(self, score: float) -> None:
        """One row was given this score."""
        self.scores[bisect_left(SCORES, score)] += 1
        self.score_sum += score

    def add(self, other: "Line") -> None:
        """What the other one counted, too."""
        for name in ("answered", "seconds", "worker_seconds", "rows", "unread", "score_sum"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.buckets = [one + more for one, more in zip(self.buckets, other.buckets, strict=True)]
        self.scores = [one + more for one, more in zip(self.scores, other.scores, strict=True)]
        for word, count in other.predictions.items():
            _count(self.predictions, word, _CLASSES_MAX, count)
        for code, count in other.errors.items():
            _count(self.errors, code, _CODES_MAX, count)

    def to_json(self) -> JsonObject:
        """For another process of the same port."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(cls, written: Any) -> "Line":
        """The line that `to_json` wrote."""
        return cls(**{name: written[name] for name in _FIELDS})


_FIELDS = tuple(Line.__dataclass_fields__)


def _count(counts: dict[str, int], name: str, most: int, by: int = 1) -> None:
    if name not in counts and len(counts) >= most:
        name = "others"
    counts[name] = counts.get(name, 0) + by


class Lines:
    """All lines of one process."""

    def __init__(self) -> None:
        self._lines: dict[LineName, Line] = {}

    def of(self, version: str, role: str) -> Line:
        """The line of a version in a role."""
        line = self._lines.get((version, role))
        if line is None:
            line = self._lines[version, role] = Line()
        return line

    def __iter__(self) -> Iterator[tuple[LineName, Line]]:
        return iter(sorted(self._lines.items()))

    def keep(self, versions: Collection[str]) -> None:
        """Drop the lines of all other versions."""
        self._lines = {name: line for name, line in self._lines.items() if name[0] in versions}

    def add(self, other: "Lines") -> None:
        """What the other process counted, too."""
        for (version, role), line in other:
            self.of(version, role).add(line)

    def to_json(self) -> list[JsonObject]:
        """For another process of the same port."""
        return [{"version": version, "role": role, **line.to_json()} for (version, role), line in self]

    @classmethod
    def from_json(cls, written: Any) -> "Lines":
        """The lines that `to_json` wrote."""
        found = cls()
        for one in written:
            found.of(one["version"], one["role"]).add(Line.from_json(one))
        return found
