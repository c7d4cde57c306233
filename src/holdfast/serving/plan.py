"""The plan of a canary: its steps, the key of requests, its guards and the level at which they speak.

    {"steps": [{"share": 100, "seconds": 600.0, "requests": 1000}, {"share": 1000, …}],
     "key": "header:x-user", "guards": ["errors", "latency"], "alpha": 0.01, "patience_seconds": 86400.0,
     "latency_ratio_max": 1.5, "score_shift_max": 0.2, "score_edges": [0.1, 0.4], "truth_effect": null}

It is written into the rollout when it begins and never changed; a replica reads it strictly, since a guard that it did
not understand would be a guard that nobody keeps. Law: `CanaryPlan.from_json(plan.to_json()) == plan`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from math import isfinite

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.errors import UnsupportedFormat, UsageError
from holdfast.serving.bucketing import WHOLE
from holdfast.serving.keys import KeySource

__all__ = ["ALPHA", "GUARDS", "CanaryPlan", "Guard", "Step"]

ALPHA = 0.01
"""One canary in a hundred that is as good as what it is tried against is aborted in vain, however often it is looked
at."""

_STEPS_MAX = 50
"""A plan that a person wrote; each step is an event in the log."""

_EDGES_MAX = 64
"""Edges of the score histogram: twenty quantiles say all that a comparison of this size can see."""

_SECONDS_MAX = 366 * 86400.0
"""A step that takes longer than a year is a mistake in the unit."""


class Guard(StrEnum):
    """What is compared between the version that is tried and the one beside it."""

    ERRORS = "errors"
    LATENCY = "latency"
    SCORES = "scores"
    TRUTH = "truth"


GUARDS = tuple(Guard)
"""All of them, which is what a plan has unless it says otherwise: one with nothing to look at says nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        share: of the keys, in ten-thousandths.
        seconds: how long it lasts at least.
        requests: how many the version that is tried must have been given at least.
    """

    share: int
    seconds: float
    requests: int

    def to_json(self) -> JsonObject:
        """As the plan keeps it."""
        return {"share": self.share, "seconds": self.seconds, "requests": self.requests}


@dataclass(frozen=True, slots=True)
class CanaryPlan:
    """What a canary does, and what ends it.

    Attributes:
        steps: one after the other, each with a larger share than the one before.
        key: by what a request is assigned.
        guards: what is compared.
        alpha: how often a version that is no worse may be aborted, over all guards, steps and looks together.
        patience_seconds: a step that could not be decided for so long is held, for a person.
        latency_ratio_max: how many times slower than the other one the version may be.
        score_shift_max: by how much of the requests its scores may lie elsewhere: the distance of Kolmogorov and
            Smirnov.
        score_edges: between which scores are counted, in order; empty: scores are not compared.
        truth_effect: by how much farther from the truth a number may not be, in the unit of the answers; None: numbers
            are not compared with the truth, only classes are.
    """

    steps: tuple[Step, ...]
    key: KeySource = field(default_factory=KeySource)
    guards: tuple[Guard, ...] = GUARDS
    alpha: float = ALPHA
    patience_seconds: float = 86400.0
    latency_ratio_max: float = 1.5
    score_shift_max: float = 0.2
    score_edges: tuple[float, ...] = ()
    truth_effect: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be followed.

        Raises:
            UsageError: a value is out of its range.
        """
        shares = [step.share for step in self.steps]
        rising = all(before < after for before, after in pairwise(shares))
        if not shares or len(shares) > _STEPS_MAX or not rising or not all(0 < share < WHOLE for share in shares):
            raise _wrong("the steps are not rising shares above 0 % and below 100 %", "For instance --steps 1,5,25,50.")
        if not all(0 <= step.seconds <= _SECONDS_MAX and step.requests >= 0 for step in self.steps):
            raise _wrong("a step's seconds or requests are out of range", "Give each step minutes, hours or days.")
        if not 0 < self.alpha < 0.5:  # noqa: PLR2004 - above it, a coin would do
            raise _wrong("alpha is not between 0 and 0.5", "For instance --alpha 0.01.")
        if not self.guards or len(set(self.guards)) != len(self.guards):
            raise _wrong("no guard, or one twice", f"Name some of {','.join(GUARDS)}.")
        if not 0 < self.patience_seconds <= _SECONDS_MAX:
            raise _wrong("the patience is out of range", "Give it hours or days.")
        if not (isfinite(self.latency_ratio_max) and self.latency_ratio_max >= 1.0):
            raise _wrong("the latency's ratio is below 1", "1.5: half as slow again is let pass.")
        if not 0 <= self.score_shift_max < 1:
            raise _wrong("the shift of scores is not within 0 and 1", "0.2: a fifth may lie elsewhere.")
        edges = self.score_edges
        if len(edges) > _EDGES_MAX or not all(map(isfinite, edges)) or any(a >= b for a, b in pairwise(edges)):
            raise _wrong("the edges of scores do not rise", "They are quantiles of recorded scores, each once.")
        if self.truth_effect is not None and not (isfinite(self.truth_effect) and self.truth_effect > 0):
            raise _wrong("the effect on distances from the truth is not above 0", "Give it in the answers' unit.")

    def step(self, number: int) -> Step:
        """The step with this number from 0; behind the last one, the last."""
        return self.steps[min(number, len(self.steps) - 1)]

    def is_last(self, number: int) -> bool:
        """Whether no step follows."""
        return number >= len(self.steps) - 1

    def to_json(self) -> JsonObject:
        """As the rollout keeps it."""
        return {
            "steps": [step.to_json() for step in self.steps],
            "key": str(self.key),
            "guards": [str(guard) for guard in self.guards],
            "alpha": self.alpha,
            "patience_seconds": self.patience_seconds,
            "latency_ratio_max": self.latency_ratio_max,
            "score_shift_max": self.score_shift_max,
            "score_edges": list(self.score_edges),
            "truth_effect": self.truth_effect,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> "CanaryPlan":
        """Read a plan.

        Raises:
            UnsupportedFormat: it has keys that this Holdfast does not know, or lacks some, or they have other types.
            UsageError: a value is out of its range.
        """
        reader = Reader(value, "the plan of a canary")
        guards = reader.texts("guards")
        if unknown := sorted({*guards} - {*GUARDS}):
            raise UnsupportedFormat(
                f"the plan of a canary has a guard that is not known here: {unknown[0]!r}",
                hint="Serve it with the Holdfast that began it, or a newer one.",
            )
        plan = cls(
            steps=tuple(_step(one) for one in reader.items("steps")),
            key=KeySource.parse(reader.text("key")),
            guards=tuple(Guard(guard) for guard in guards),
            alpha=reader.number("alpha"),
            patience_seconds=reader.number("patience_seconds"),
            latency_ratio_max=reader.number("latency_ratio_max"),
            score_shift_max=reader.number("score_shift_max"),
            score_edges=_edges(reader),
            truth_effect=reader.maybe_number("truth_effect"),
        )
        _require_known(reader, "the plan of a canary")
        return plan


def _step(value: Json) -> Step:
    reader = Reader(value, "a step of a canary")
    step = Step(reader.integer("share"), reader.number("seconds"), reader.integer("requests"))
    _require_known(reader, "a step of a canary")
    return step


def _edges(reader: Reader) -> tuple[float, ...]:
    edges = reader.items("score_edges")
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in edges):
        raise UnsupportedFormat("an edge of the plan's scores is not a number", hint="Begin the canary again.")
    return tuple(float(edge) for edge in edges if isinstance(edge, int | float))


def _require_known(reader: Reader, what: str) -> None:
    if rest := sorted(reader.rest()):
        raise UnsupportedFormat(
            f"{what} has a key that is not known here: {rest[0]!r}",
            hint="Serve it with the Holdfast that began it, or a newer one.",
        )


def _wrong(message: str, hint: str) -> UsageError:
    return UsageError(f"this is no plan: {message}", hint=hint)
