"""What one replica counts at one step of a canary, for both versions; what replicas tell each other of it.

    counts = Counted(buckets=3)
    counts.arm(candidate=True).requests += 1
    Counted.from_json(counts.to_json()) == counts

**One count for one key.** All requests of a key go to one version, so a user whose requests always fail is one failure,
however often they come again. Errors are kept by key in `Firsts`, which can be merged over replicas. Latencies, scores
and truths are of each key's first request at a replica alone. Where every request has a key of its own, they are all
counted.
"""

from collections import Counter
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.errors import UnsupportedFormat
from holdfast.serving.reading import Prediction
from holdfast.statistics.firsts import Firsts
from holdfast.statistics.means import Sums

__all__ = ["LATENCY_EDGES_SECONDS", "REFUSALS", "Arm", "Counted"]

LATENCY_EDGES_SECONDS = tuple(5e-5 * 10 ** (step / 10) for step in range(61))
"""From 50 microseconds to 50 seconds, each bucket a quarter wider than the one below."""

REFUSALS = frozenset({"invalid_input", "not_found", "too_large", "unsupported_media", "usage"})
"""Codes that speak of the caller's rows. They are compared apart from failures: where callers err often, a version that
fails would be lost among them; and one that refuses what the other one takes is worse, too."""

_CODES_MAX = 16
"""Different codes that are counted by name; there are hardly more, and the rest is `other`."""

_COUNT_MAX = 1 << 53
"""What JSON carries exactly."""

_DISTANCE_MAX = 1e100
"""What a distance is cut off at: the sum of a million squares of larger ones is more than JSON carries, and one truth
that is nonsense would keep the counts of a whole replica from the others."""


@dataclass(slots=True)
class Arm:
    """One of the two versions.

    Attributes:
        requests: that were assigned to it.
        counted: of these, the first of their keys; all, where every request has a key of its own.
        failed: keys or requests that failed.
        refused: likewise, with a code of `REFUSALS`.
        codes: how often each error was answered.
        latencies: of good answers, between `LATENCY_EDGES_SECONDS`.
        scores: of good answers, between the plan's edges.
        truths: answers whose truth has become known, where it is a class.
        mistakes: of these, the wrong ones.
        distances: how far answers were from a true number.
    """

    requests: int = 0
    counted: int = 0
    failed: int = 0
    refused: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_EDGES_SECONDS) + 1))
    scores: list[int] = field(default_factory=list)
    truths: int = 0
    mistakes: int = 0
    distances: Sums = field(default_factory=lambda: Sums(0, 0.0, 0.0))

    @property
    def errors(self) -> int:
        """Answers that were errors, of whatever kind."""
        return self.codes.total()

    def name(self, code: str) -> None:
        """Count an error under its code."""
        self.codes[code if code in self.codes or len(self.codes) < _CODES_MAX else "other"] += 1

    def add_distance(self, distance: float) -> None:
        """Take how far one answer was from the truth."""
        known, distance = self.distances, min(distance, _DISTANCE_MAX)
        self.distances = Sums(known.count + 1, known.total + distance, known.squares + distance * distance)

    def compare(self, said: Prediction, right: Prediction) -> None:
        """A number that is not whole is compared by its distance; everything else is the class, or is not."""
        numbers = isinstance(said, int | float) and isinstance(right, int | float)
        if numbers and (isinstance(said, float) or isinstance(right, float)):
            self.add_distance(abs(float(said) - float(right)))
            return
        self.truths += 1
        self.mistakes += said != right

    def to_json(self) -> JsonObject:
        """As the tally keeps it."""
        return {
            "requests": self.requests,
            "counted": self.counted,
            "failed": self.failed,
            "refused": self.refused,
            "codes": dict(self.codes),
            "latencies": list[Json](self.latencies),
            "scores": list[Json](self.scores),
            "truths": self.truths,
            "mistakes": self.mistakes,
            "distances": [self.distances.count, self.distances.total, self.distances.squares],
        }

    @classmethod
    def from_json(cls, reader: Reader, buckets: int) -> "Arm":
        """Read what another replica has counted."""
        count, total, squares = _distances(reader.items("distances"))
        return cls(
            requests=_whole(reader.integer("requests")),
            counted=_whole(reader.integer("counted")),
            failed=_whole(reader.integer("failed")),
            refused=_whole(reader.integer("refused")),
            codes=Counter({code: _whole(int(times)) for code, times in reader.numbers("codes").items()}),
            latencies=_histogram(reader.items("latencies"), len(LATENCY_EDGES_SECONDS) + 1),
            scores=_histogram(reader.items("scores"), buckets),
            truths=_whole(reader.integer("truths")),
            mistakes=_whole(reader.integer("mistakes")),
            distances=Sums(count, total, squares),
        )


class Counted:
    """Both versions at one step, as one replica saw them.

    Attributes:
        candidate, other: the two versions.
        failed, refused: the first errors of keys, of the whole rollout so far; empty where requests are their own keys.
        without_key: requests that had no key, and were assigned by their id.
    """

    def __init__(self, buckets: int = 0, failed: Firsts | None = None, refused: Firsts | None = None) -> None:
        """Args: buckets: of scores. failed, refused: those of the step before."""
        self.candidate = Arm(scores=[0] * buckets)
        self.other = Arm(scores=[0] * buckets)
        self.failed = Firsts() if failed is None else failed
        self.refused = Firsts() if refused is None else refused
        self.without_key = 0

    def arm(self, *, candidate: bool) -> Arm:
        """One of the two versions."""
        return self.candidate if candidate else self.other

    def to_json(self) -> JsonObject:
        """As the tally keeps it."""
        return {
            "candidate": self.candidate.to_json(),
            "other": self.other.to_json(),
            "failed_keys": self.failed.to_text(),
            "refused_keys": self.refused.to_text(),
            "without_key": self.without_key,
        }

    @classmethod
    def from_json(cls, value: JsonObject, buckets: int) -> "Counted":
        """Read what another replica has counted.

        Raises:
            UnsupportedFormat: it is no such tally, or one with other buckets.
        """
        reader = Reader(value, "a tally")
        found = cls(buckets)
        found.candidate = Arm.from_json(reader.reader("candidate"), buckets)
        found.other = Arm.from_json(reader.reader("other"), buckets)
        found.failed = _firsts(reader.text("failed_keys"))
        found.refused = _firsts(reader.text("refused_keys"))
        found.without_key = _whole(reader.integer("without_key"))
        return found


def _whole(value: int) -> int:
    if not 0 <= value <= _COUNT_MAX:
        raise _no_tally("a count is below zero or too large")
    return value


def _histogram(items: list[Json], buckets: int) -> list[int]:
    counts = [item for item in items if isinstance(item, int) and not isinstance(item, bool)]
    if len(items) != buckets or len(counts) != buckets:
        raise _no_tally(f"a histogram has not the {buckets} buckets of the plan")
    return [_whole(count) for count in counts]


def _distances(items: list[Json]) -> tuple[int, float, float]:
    match items:
        case [int(count), int() | float() as total, int() | float() as squares] if not isinstance(count, bool):
            return _whole(count), float(total), float(squares)
    raise _no_tally("the distances are not three numbers")


def _firsts(text: str) -> Firsts:
    try:
        return Firsts.from_text(text)
    except ValueError as error:
        raise _no_tally(str(error)) from error


def _no_tally(what: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"this is no tally of a canary: {what}", hint="Serve with one Holdfast everywhere.")
