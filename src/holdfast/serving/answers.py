"""Answers of a replica under load, one by one: what failed, what was mixed, and when a version spoke last."""

import threading
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from holdfast.canonical import JsonObject

__all__ = ["Answer", "Answers"]

_TOLD_MAX = 3
"""Reasons of failures that are told; a thousand requests that fail alike need saying once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and what became of it.

    Attributes:
        begun: when it was sent, in seconds of the monotonic clock.
        ended: when it was answered, or given up.
        version: the number that the answer names; None when it failed.
        why: why it failed, or how head and body differ; empty for a good answer.
    """

    begun: float
    ended: float
    version: int | None
    why: str = ""


class Answers:
    """What the clients of a rehearsal have seen so far; any thread may add to it and look at it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Answer] = []

    def add(self, answer: Answer) -> None:
        """One more."""
        with self._lock:
            self._all.append(answer)

    def taken(self) -> tuple[Answer, ...]:
        """All that there are by now, in the order in which they were finished."""
        with self._lock:
            return tuple(self._all)

    def good(self, version: int, since: float = 0.0) -> int:
        """How many the version gave to requests that were sent at this moment or later."""
        return sum(one.version == version and not one.why and one.begun >= since for one in self.taken())

    def last_of(self, version: int, moved: float) -> float:
        """Milliseconds from a move to the last answer of the version that was left; 0 when it said nothing any more."""
        late = [one.ended - moved for one in self.taken() if one.version == version and one.ended > moved]
        return round(max(late, default=0.0) * 1000.0, 3)

    @property
    def failed(self) -> tuple[Answer, ...]:
        """Those that got no answer, or not a prediction."""
        return tuple(one for one in self.taken() if one.version is None)

    @property
    def mixed(self) -> tuple[Answer, ...]:
        """Those whose head names another version than their body."""
        return tuple(one for one in self.taken() if one.version is not None and one.why)

    def to_json(self) -> JsonObject:
        """What a certificate says of the load."""
        every, failed, mixed = self.taken(), self.failed, self.mixed
        counted = Counter(one.version for one in every if one.version is not None)
        return {
            "requests": len(every),
            "failed": len(failed),
            "mixed": len(mixed),
            "answers": {str(version): count for version, count in sorted(counted.items())},
            "why": list(islice(dict.fromkeys(one.why for one in (*failed, *mixed)), _TOLD_MAX)),
        }
