"""What is counted of pairs of answers: one of the version that holds the stage, one of the version in its shadow.

    counts = Counts()
    counts.compared(Pair(…), plan)          one pair more
    counts.refused("primary", …)            one side had no answer
    Counts.of(tallies)                      those of several replicas, added

Laws: adding does not care for the order; `Counts.from_json(counts.to_json()) == counts`. Everything is bounded, since
labels and groups come from a bundle's code and from callers.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import floor, inf, log2

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.errors import UnsupportedFormat
from holdfast.flow.shadow.plan import Plan

__all__ = [
    "BOTH",
    "ONLY_PRIMARY",
    "ONLY_SHADOW",
    "OTHER",
    "Counts",
    "Pair",
    "Prediction",
    "binned",
    "edge_above",
]

Prediction = bool | int | float | str

ONLY_SHADOW, ONLY_PRIMARY, BOTH = "only_shadow", "only_primary", "both"
"""Who gave no answer."""

CLASSES_MAX = 20
"""Labels that are told apart; a table of flips with more than this nobody reads."""

GROUPS_MAX = 50
"""Values of one column that are told apart; what has more of them is no column of groups."""

CODES_MAX = 20
"""Codes of errors that are told apart; Holdfast has some thirty, and a version gives few of them."""

NAME_BYTES_MAX = 40
"""Of a label's UTF-8 as much as tells labels apart; with it all counts of a replica stay below 64 KiB."""

OTHER = "(other)"
"""Where labels, groups and codes are counted that are past their bound."""

STEPS = 4
"""Bins of ratios and differences for each doubling: a quantile is known to within 19 %."""

_BIN_MAX = 200
"""2^50 either way: what is further is counted as being there."""


def binned(value: float) -> int:
    """The bin of a positive number: the fourths of its binary logarithm; what is not positive is in the lowest."""
    if not value > 0.0:
        return -_BIN_MAX
    return _BIN_MAX if value == inf else max(-_BIN_MAX, min(_BIN_MAX, floor(STEPS * log2(value))))


def edge_above(place: int) -> float:
    """What every number of this bin lies below; 0 for the lowest, where what has no logarithm is."""
    return 0.0 if place <= -_BIN_MAX else float(2.0 ** ((place + 1) / STEPS))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one request, row by row.

    Attributes:
        primary: the predictions of the version that holds the stage.
        shadow: those of the other one; as many.
        scores: the scores of both, where both have them and they are numbers.
        primary_seconds: how long the first took, as its caller saw it.
        shadow_seconds: how long the second took.
        groups: by column, the value of each row.
    """

    primary: Sequence[Prediction]
    shadow: Sequence[Prediction]
    scores: Sequence[tuple[float, float]] = ()
    primary_seconds: float = 0.0
    shadow_seconds: float = 0.0
    groups: Sequence[tuple[str, Sequence[Json]]] = ()


@dataclass(slots=True)
class Counts:
    """What was counted. Not safe for several threads at once.

    Attributes:
        requests: pairs of which both sides gave an answer.
        agreed: those of them in which all rows have the same answer.
        rows: their rows.
        rows_agreed: those with the same answer.
        errors: by who gave none, how many requests.
        codes: by the error's code, how many requests only the shadow failed.
        drops: requests that were chosen and not mirrored: `busy`, the version that answers had much to do; `full`, the
            queue was; `large`, the request was; `away`, the shadow's process was being started again.
        unread: answers of the primary that are no answer to compare with.
        flips: by the label of the primary and that of the shadow, rows; of labels only.
        differences: by bin, rows with that absolute difference of scores.
        scores: by bin of the plan, rows of the primary and of the shadow.
        ratios: by bin, requests whose answer took the shadow so many times as long.
        primary_ms, shadow_ms: by bin, requests with that latency in milliseconds.
        groups: by column and value, requests that had such a row, and those of them whose rows of it all agree.
    """

    requests: int = 0
    agreed: int = 0
    rows: int = 0
    rows_agreed: int = 0
    unread: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)
    flips: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: Counter[int] = field(default_factory=Counter)
    primary_scores: Counter[int] = field(default_factory=Counter)
    shadow_scores: Counter[int] = field(default_factory=Counter)
    ratios: Counter[int] = field(default_factory=Counter)
    primary_ms: Counter[int] = field(default_factory=Counter)
    shadow_ms: Counter[int] = field(default_factory=Counter)
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    groups_agreed: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def pairs(self) -> int:
        """Requests that the primary answered and the shadow was asked: what shares of agreement and errors are of."""
        return self.requests + self.errors[ONLY_SHADOW]

    def refused(self, who: str, code: str) -> None:
        """One side, or both, gave no answer."""
        self.errors[who] += 1
        if who == ONLY_SHADOW:
            self.codes[_within(code, self.codes, CODES_MAX)] += 1

    def compared(self, pair: Pair, plan: Plan) -> None:
        """Both sides gave an answer."""
        same = [agree(one, other, plan.tolerance) for one, other in zip(pair.primary, pair.shadow, strict=True)]
        self.requests += 1
        self.agreed += all(same)
        self.rows += len(same)
        self.rows_agreed += sum(same)
        for one, other in zip(pair.primary, pair.shadow, strict=True):
            if _is_class(one) and _is_class(other):
                self._flip(_text(one), _text(other))
        for one, other in pair.scores:
            self.differences[binned(abs(one - other))] += 1
            self.primary_scores[_place(one, plan.edges)] += 1
            self.shadow_scores[_place(other, plan.edges)] += 1
        if pair.primary_seconds > 0.0:
            self.ratios[binned(pair.shadow_seconds / pair.primary_seconds)] += 1
            self.primary_ms[binned(pair.primary_seconds * 1000.0)] += 1
            self.shadow_ms[binned(pair.shadow_seconds * 1000.0)] += 1
        for column, values in pair.groups:
            self._group(column, values, same)

    def _flip(self, one: str, other: str) -> None:
        if (one, other) not in self.flips:
            known = {label for pair in self.flips for label in pair}
            one = _within(one, known, CLASSES_MAX)
            other = _within(other, known | {one}, CLASSES_MAX)
        self.flips[one, other] += 1

    def _group(self, column: str, values: Sequence[Json], same: Sequence[bool]) -> None:
        found: dict[str, bool] = {}
        known = {value for name, value in self.groups if name == column}
        for value, agrees in zip(values, same, strict=False):
            name = _within(_text(value), known | set(found), GROUPS_MAX)
            found[name] = found.get(name, True) and agrees
        for name, agrees in found.items():
            self.groups[column, name] += 1
            self.groups_agreed[column, name] += agrees

    def to_json(self) -> JsonObject:
        """The counts as a tally carries them."""
        return {
            "requests": self.requests,
            "agreed": self.agreed,
            "rows": self.rows,
            "rows_agreed": self.rows_agreed,
            "unread": self.unread,
            **{name: dict(getattr(self, name)) for name in _BY_NAME},
            **{name: {str(key): count for key, count in getattr(self, name).items()} for name in _BY_BIN},
            **{name: _nested(getattr(self, name)) for name in _BY_PAIR},
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> "Counts":
        """The counts that `to_json` wrote.

        Raises:
            UnsupportedFormat: they are none.
        """
        reader, found = Reader(value, "the counts of a shadow"), cls()
        for name in ("requests", "agreed", "rows", "rows_agreed", "unread"):
            setattr(found, name, _count(reader.integer(name)))
        for name in _BY_NAME:
            getattr(found, name).update({key: _count(count) for key, count in reader.mapping(name).items()})
        for name in _BY_BIN:
            getattr(found, name).update({_bin(key): _count(count) for key, count in reader.mapping(name).items()})
        for name in _BY_PAIR:
            for one, others in reader.mapping(name).items():
                counts = Reader(others, name).rest()
                getattr(found, name).update({(one, other): _count(count) for other, count in counts.items()})
        return found

    @classmethod
    def of(cls, tallies: Iterable[JsonObject]) -> "Counts":
        """The counts of several replicas, added.

        Raises:
            UnsupportedFormat: one of them is no counts of a shadow.
        """
        found = cls()
        for tally in tallies:
            found.add(cls.from_json(tally))
        return found

    def add(self, other: "Counts") -> None:
        """Takes in the counts of another replica."""
        for name in ("requests", "agreed", "rows", "rows_agreed", "unread"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in (*_BY_NAME, *_BY_BIN, *_BY_PAIR):
            getattr(self, name).update(getattr(other, name))


_BY_NAME = ("errors", "codes", "drops")
_BY_BIN = ("differences", "primary_scores", "shadow_scores", "ratios", "primary_ms", "shadow_ms")
_BY_PAIR = ("flips", "groups", "groups_agreed")


def agree(one: Prediction, other: Prediction, tolerance: float) -> bool:
    """Whether two predictions are the same answer: equal, or numbers within the tolerance."""
    if isinstance(one, str | bool) or isinstance(other, str | bool):
        return one == other
    return abs(one - other) <= tolerance * max(1.0, abs(one), abs(other))


def _is_class(value: Prediction) -> bool:
    """Whether it names a class; a number that is not whole measures something."""
    return not isinstance(value, float) or value.is_integer()


def _place(score: float, edges: Sequence[float]) -> int:
    return bisect_right(edges, score)


def _text(value: Json) -> str:
    """A label or a group as it is told apart: a text is itself, and everything else as JSON writes it."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "null"}[value]
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)[:NAME_BYTES_MAX]
    return text.encode("utf-8", "replace")[:NAME_BYTES_MAX].decode("utf-8", "ignore")


def _within(name: str, known: Iterable[str], most: int) -> str:
    held = set(known) - {OTHER}
    return name if name in held or len(held) < most else OTHER


def _count(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _unsound("a count is no number from 0")
    return value


def _bin(key: str) -> int:
    if not key.lstrip("-").isdecimal() or not -_BIN_MAX <= int(key) <= _BIN_MAX:
        raise _unsound("a bin is none")
    return int(key)


def _nested(found: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """By the first of two names, the counts by the second; each first name is written once."""
    nested: dict[str, dict[str, int]] = {}
    for (one, other), count in found.items():
        nested.setdefault(one, {})[other] = count
    return nested


def _unsound(why: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"the counts of a shadow cannot be read: {why}", hint="Another Holdfast counted them.")
