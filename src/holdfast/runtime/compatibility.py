"""What changed for those who send rows and read answers, from one version to another, and whether it breaks them.

    changes(old, new)           column by column: what rows may hold
    answer_changes(old, new)    what is answered: labels or numbers, which ones, and the scores beside them

Law: where `changes` names nothing that breaks, every row that the old schema accepts the new one accepts; a row being
one of columns that the old schema knows, by name. For `numpy`, whose rows have no names, it holds of those too. Two
steps that break nobody break nobody together, but for a column that the first takes away and the second brings back as
something else.

The two sides of a column are compared as sets of values: a list, when there are few enough to write down, or else
numbers between two bounds, texts of a kind, and flags. Nothing here reads or writes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.canonical import Json, encode
from holdfast.evidence import Column, FeatureSchema
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import ARGMAX, IDENTITY
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.schema import accepts, family, has_zone, limits

__all__ = ["Change", "answer_changes", "changes"]

_SHOWN_MAX = 5
"""Values named in one sentence; a schema may list a thousand categories."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference that a client could meet.

    Attributes:
        sentence: what it is.
        breaks: whether what a client did until now may be refused, or be answered in another shape.
        column: the column it is about; None for answers, and for rows as a whole.
    """

    sentence: str
    breaks: bool
    column: str | None = None


def changes(old: FeatureSchema, new: FeatureSchema) -> tuple[Change, ...]:
    """What rows may hold now and could not before, and the other way round; the old columns first."""
    return (*_columns(old, new), *_places(old, new))


def _columns(old: FeatureSchema, new: FeatureSchema) -> Iterator[Change]:
    before, now = ({column.name: column for column in schema.columns} for schema in (old, new))
    for name, column in before.items():
        if name in now:
            yield from _values(column, now[name])
        else:
            yield Change(f"column {name!r} is gone; rows that send it are taken without it", breaks=False, column=name)
    for name, column in now.items():
        if name in before:
            continue
        if column.nullable:
            yield Change(f"column {name!r} ({column.dtype}) may be sent now", breaks=False, column=name)
        else:
            yield Change(f"column {name!r} ({column.dtype}) must be sent now", breaks=True, column=name)


def _values(old: Column, new: Column) -> Iterator[Change]:
    name, before, now = f"column {old.name!r}", _domain_of(old), _domain_of(new)
    narrower, wider = not before.within(new, now), not now.within(old, before)
    if narrower:
        yield Change(f"{name} {_narrower(old, new, before)}", breaks=True, column=old.name)
    elif wider:
        told = f" ({new.dtype}, and {old.dtype} before)" if new.dtype != old.dtype else ""
        yield Change(f"{name} takes more values now{told}", breaks=False, column=old.name)
    if old.nullable and not new.nullable:
        yield Change(f"{name} must have a value in each row now", breaks=True, column=old.name)
    if new.nullable and not old.nullable:
        yield Change(f"{name} may be left out now", breaks=False, column=old.name)
    unknown = _unknown(old, new) if not narrower else []
    if unknown:
        yield Change(f"{name}: {_some(unknown)} counts as missing now", breaks=False, column=old.name)


def _places(old: FeatureSchema, new: FeatureSchema) -> Iterator[Change]:
    """Rows without names are taken by position, so there the order of the columns is what they mean."""
    before, now = ([column.name for column in schema.columns] for schema in (old, new))
    if before == now:
        return
    why = f"{len(before)} columns before, {len(now)} now" if len(before) != len(now) else "in another order now"
    yield Change(f"rows sent without names do not fit: {why}", breaks=old.container == "numpy")


def _narrower(old: Column, new: Column, before: "_Domain") -> str:
    if family(old.dtype) != family(new.dtype):
        return f"takes {new.dtype} now, and took {old.dtype}"
    if before.listed is not None:
        return f"refuses {_some([value for value in before.listed if not accepts(new, value)])} now"
    if new.enforce and new.categories:
        refused = [value for value in old.categories if not accepts(new, value)]
        return f"refuses {_some(refused)} now" if refused else f"refuses all but {_some(new.categories)} now"
    if new.enforce and (new.minimum is not None or new.maximum is not None):
        return f"refuses values outside {_bounds(new)} now"
    return f"takes {_kind(new)} now, and took {_kind(old)}"


def _kind(column: Column) -> str:
    if family(column.dtype) != "time" or column.native is None:
        return column.dtype
    return "times with a zone" if has_zone(column.native) else "times without a zone"


def _bounds(column: Column) -> str:
    low = "any" if column.minimum is None else f"{column.minimum:g}"
    high = "any" if column.maximum is None else f"{column.maximum:g}"
    return f"{low} to {high}"


def _some(values: Sequence[Json]) -> str:
    more = f" and {len(values) - _SHOWN_MAX} more" if len(values) > _SHOWN_MAX else ""
    return ", ".join(f"{value!r:.40}" for value in values[:_SHOWN_MAX]) + more


def _unknown(old: Column, new: Column) -> list[Json]:
    """Categories that the old version knew, and that the new one's code is handed as missing."""
    if new.dtype != "category" or not old.categories:
        return []
    return [value for value in old.categories if value not in new.categories]


@dataclass(frozen=True, slots=True)
class _Domain:
    """The values that a column accepts, null aside.

    Attributes:
        listed: all of them, when they can be listed; None: they are what the other attributes say.
        whole: whether numbers must be whole.
        low, high: the least and greatest number; `low` above `high` when there is none.
        texts: the kinds of text: of a time with a zone, of one without, of anything else.
        flags: true and false, as far as they are accepted.
    """

    listed: tuple[Json, ...] | None = None
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    texts: frozenset[str] = frozenset()
    flags: frozenset[bool] = frozenset()

    def within(self, column: Column, other: "_Domain") -> bool:
        """Whether `column`, whose domain is the other one, accepts all of these."""
        if self.listed is not None:
            return all(accepts(column, value) for value in self.listed)
        if other.listed is not None:
            return False
        no_number = self.low > self.high
        within = other.low <= self.low and self.high <= other.high and (self.whole or not other.whole)
        return (no_number or within) and self.texts <= other.texts and self.flags <= other.flags


_ZONED, _UNZONED, _OTHER = "zoned", "unzoned", "other"


def _domain_of(column: Column) -> _Domain:
    kind = family(column.dtype)
    if kind == "boolean":
        return _Domain(listed=_accepted(column, (False, True, 0, 1)))
    if column.enforce and column.categories:
        return _Domain(listed=_accepted(column, [same for value in column.categories for same in _written(value)]))
    if kind == "text":
        return _Domain(texts=frozenset({_ZONED, _UNZONED, _OTHER}))
    if kind == "time":
        if column.native is None:
            return _Domain(texts=frozenset({_ZONED, _UNZONED}))
        return _Domain(texts=frozenset({_ZONED if has_zone(column.native) else _UNZONED}))
    low, high = limits(column.dtype) if kind != "any" else (-math.inf, math.inf)
    if column.enforce:
        low = low if column.minimum is None else max(low, column.minimum)
        high = high if column.maximum is None else min(high, column.maximum)
    if kind == "number":
        return _Domain(whole=False, low=low, high=high)
    if kind == "integer":
        return _Domain(low=math.ceil(low), high=math.floor(high))
    flags = frozenset(flag for flag in (False, True) if low <= flag <= high)
    return _Domain(None, whole=False, low=low, high=high, texts=frozenset({_ZONED, _UNZONED, _OTHER}), flags=flags)


def _accepted(column: Column, values: Sequence[Json]) -> tuple[Json, ...]:
    return tuple(value for value in values if value is not None and accepts(column, value))


def _written(value: Json) -> list[Json]:
    """The ways to send a value: 1, 1.0 and true are equal, and a list of categories does not tell them apart."""
    if not isinstance(value, int | float):
        return [value]
    ways: list[Json] = [value]
    if math.isfinite(value):
        ways += [same for same in (_as_float(value), int(value)) if same == value]
    return ways + [flag for flag in (False, True) if flag == value]


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def answer_changes(
    old: EvalThreshold, new: EvalThreshold, said_before: Answer | None, said_now: Answer | None
) -> tuple[Change, ...]:
    """What is answered in another way; every one of these breaks a client that reads answers.

    Args:
        old: the decision rule of the version before.
        new: that of the new one.
        said_before: what the version before says about some rows; None where nobody could ask it.
        said_now: what the new one says about the same.
    """
    if (old.rule == IDENTITY) != (new.rule == IDENTITY):
        kind, other = ("numbers", "labels") if new.rule == IDENTITY else ("labels", "numbers")
        return (Change(f"answers are {kind} now, and were {other}", breaks=True),)
    asked = said_before is not None and said_now is not None
    sentences: list[str] = []
    if new.rule == IDENTITY:
        sentences += _of_numbers(said_before, said_now) if asked else []
    else:
        sentences += _of_labels(_labels(old, said_before), _labels(new, said_now))
        sentences += _of_scores(said_before, said_now) if asked else []
    return tuple(Change(sentence, breaks=True) for sentence in sentences)


def _labels(rule: EvalThreshold, said: Answer | None) -> list[Json] | None:
    """All labels that can be answered; None where only the model could say."""
    if rule.rule != ARGMAX:
        return [rule.positive, rule.negative]
    if said is None or said.classes is None:
        return None
    return [*said.classes, *([rule.negative] if rule.value is not None else [])]


def _of_labels(before: list[Json] | None, now: list[Json] | None) -> Iterator[str]:
    if before is None or now is None:
        return
    held, holds = ({encode(label): label for label in labels} for labels in (before, now))
    added = [label for key, label in holds.items() if key not in held]
    gone = [label for key, label in held.items() if key not in holds]
    if added:
        yield f"{_some(added)} is answered now, which it never was"
    if gone:
        yield f"{_some(gone)} is never answered now"


def _of_numbers(before: Answer | None, now: Answer | None) -> Iterator[str]:
    old, new = (_numbers(said.predictions if said is not None else []) for said in (before, now))
    if old.width != new.width:
        yield f"each answer is {new.shape} now, and was {old.shape}"
    elif old.whole and not new.whole:
        yield "answers have fractions now, and were whole numbers"


def _of_scores(before: Answer | None, now: Answer | None) -> Iterator[str]:
    if before is None or now is None:
        return
    old, new = _numbers(before.scores), _numbers(now.scores)
    if old.width != new.width:
        yield f"the scores of a row are {new.shape} now, and were {old.shape}"
    elif before.classes is not None and now.classes is not None:
        order, other = ([encode(label) for label in said.classes or []] for said in (before, now))
        if order != other and sorted(order) == sorted(other):
            yield f"the scores of a row stand in the order {_some(now.classes)} now, and before {_some(before.classes)}"
    if old.shares != new.shares:
        kinds = {True: "between 0 and 1", False: "numbers of any size"}
        yield f"scores are {kinds[new.shares]} now, and were {kinds[old.shares]}"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What numbers of answers look like: how many a row, all whole, all between 0 and 1."""

    width: int | None
    whole: bool
    shares: bool

    @property
    def shape(self) -> str:
        return "one number" if self.width is None else f"a list of {self.width}"


def _numbers(rows: Sequence[Json]) -> _Numbers:
    width = len(rows[0]) if rows and isinstance(rows[0], list) else None
    values = [number for row in rows for number in (row if isinstance(row, list) else [row])]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return _Numbers(
        width, whole=all(value.is_integer() for value in known), shares=all(0 <= value <= 1 for value in known)
    )
