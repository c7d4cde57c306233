"""What a version's answers and rows are compared with: counts in bins, known before the first request comes.

    reference = reference_of(files)                     from the bundle: its holdout's rows and recorded outputs
    bins = reference.columns["age"]
    now = bins.empty(); now[bins.place(41)] += 1
    shift(bins.counts, now)                             Shift(psi=…, by_chance=…, …)

The population stability index of two samples of one distribution is, divided by one over the one size plus one over the
other, chi-squared with one degree of freedom less than there are bins: Yurdakul, "Statistical properties of population
stability index" (2018). So each index stands beside the value that chance alone stays below at these sizes, and only
what lies beyond counts as a shift. It is computed here without numpy, which a machine that serves need not have.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import isfinite
from statistics import quantiles
from typing import TypeAlias

from holdfast.canonical import Json, JsonObject
from holdfast.evidence import FeatureSchema, Holdout
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.rows import Table, read_table
from holdfast.runtime.smoke import read_outputs
from holdfast.statistics.chances import chi_squared_beyond
from holdfast.statistics.shift import stability

__all__ = ["Bins", "Reference", "Shift", "bins_of", "reference_of", "shift", "with_training", "word_of"]

_TENTHS = 10
"""Tenths of the reference, as the rules of thumb for this index assume."""

_NAMES_MAX = 30
"""Categories that are counted one by one; rarer ones are taken together."""

_CLASSES_MAX = 20
"""Classes of predictions that are counted one by one."""

_COLUMNS_MAX = 200
"""Columns that are compared; the first ones of the schema."""

_UNIQUE_SHARE = 0.5
"""A column of texts of which more than this share differ names things, and has no distribution to compare."""

_CHANCE = 0.001
"""How rarely chance alone passes what is said to be by chance; it is looked at again and again."""

OTHERS, MISSING = "others", "missing"

Counts: TypeAlias = list[int]


@dataclass(frozen=True, slots=True)
class Bins:
    """One variable, as it was counted in the reference.

    Attributes:
        names: of the bins, for people; the last one is of what is missing.
        edges: between the bins of a number; empty for categories.
        counts: how often each occurred in the reference.
    """

    names: tuple[str, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def place(self, value: Json) -> int:
        """The bin of a value."""
        if value is None or value == "":
            return len(self.names) - 1
        if not self.edges:
            return self._known().get(word_of(value), len(self.names) - 2)
        number = _number(value)
        return len(self.names) - 1 if number is None else bisect_right(self.edges, number)

    def empty(self) -> Counts:
        """A count of nothing."""
        return [0] * len(self.names)

    def _known(self) -> Mapping[str, int]:
        found = _PLACES.get(self.names)
        if found is None:
            if len(_PLACES) >= _PLACES_MAX:
                _PLACES.clear()
            found = _PLACES[self.names] = {name: place for place, name in enumerate(self.names[:-2])}
        return found


_PLACES: dict[tuple[str, ...], Mapping[str, int]] = {}
_PLACES_MAX = 2_000
"""Places of categories by name, made once for each variable: more than the columns of any versions that are held."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far some counts are from the reference's.

    Attributes:
        psi: the population stability index.
        by_chance: what it stays below in 999 of 1,000 cases when nothing has shifted, at these sizes.
        count: how many values were counted.
        reference_count: how many the reference has.
    """

    psi: float
    by_chance: float
    count: int
    reference_count: int

    @property
    def beyond_chance(self) -> float:
        """The index where it is more than chance gives; else 0."""
        return self.psi if self.psi > self.by_chance else 0.0

    def to_json(self) -> JsonObject:
        """What `/watch` says."""
        return {
            "psi": round(self.psi, 4),
            "psi_by_chance": round(self.by_chance, 4),
            "count": self.count,
            "reference_count": self.reference_count,
        }


@dataclass(frozen=True, slots=True)
class Reference:
    """What a version is compared with.

    Attributes:
        rows_of: where the columns' counts are from, for people; empty where there are none.
        predictions: what it predicted on its holdout; None where there is none.
        columns: the raw features, by name.
        schema: what was seen in training; None where the version does not say.
    """

    rows_of: str = ""
    predictions: Bins | None = None
    columns: Mapping[str, Bins] = field(default_factory=dict)
    schema: FeatureSchema | None = None


def reference_of(files: BundleFiles) -> Reference:
    """What the bundle itself says: its holdout's rows, what it answered on them, and its schema.

    Raises:
        HoldfastError: a file of the bundle is damaged, or not what it should be.
    """
    evidence = files.manifest.evidence
    schema = evidence.schema if isinstance(evidence.schema, FeatureSchema) else None
    holdout = evidence.holdout
    if not isinstance(holdout, Holdout):
        return Reference(schema=schema)
    rows = read_table(files.read(holdout.rows)).without(holdout.target)
    recorded = read_outputs(files.read(holdout.outputs)).predictions
    return Reference(
        rows_of=f"the {holdout.count} rows of its holdout",
        predictions=bins_of([one for one in recorded if not isinstance(one, list)], classes=True),
        columns=_columns(rows, schema),
        schema=schema,
    )


def with_training(reference: Reference, told: str, columns: Mapping[str, Sequence[Json]]) -> Reference:
    """The reference with the columns of what the version was trained on in place of its holdout's."""
    names = [column.name for column in reference.schema.columns] if reference.schema is not None else list(columns)
    found = {name: bins_of(columns[name]) for name in names[:_COLUMNS_MAX] if name in columns}
    kept = {name: bins for name, bins in found.items() if bins is not None}
    return replace(reference, rows_of=told, columns=kept) if kept else reference


def _columns(rows: Table, schema: FeatureSchema | None) -> dict[str, Bins]:
    names = rows.names
    if names is None and schema is not None and len(schema.columns) == len(rows.columns):
        names = tuple(column.name for column in schema.columns)
    named = zip(names or rows.named().names or (), rows.columns, strict=True)
    found = {name: bins_of(values) for name, values in list(named)[:_COLUMNS_MAX]}
    return {name: bins for name, bins in found.items() if bins is not None}


def bins_of(values: Sequence[Json], *, classes: bool = False) -> Bins | None:
    """The bins of a variable, with its own counts; None where it has no distribution that could be compared.

    Args:
        values: JSON values; None is missing.
        classes: whether few different numbers are names of classes, as a classifier's predictions are.
    """
    there = [value for value in values if value is not None and value != ""]
    if not there or any(isinstance(value, list | dict) for value in there):
        return None
    numbers = [_number(value) for value in there]
    is_number = all(not isinstance(value, str) for value in there) and None not in numbers
    words = Counter(map(word_of, there))
    if is_number and not (classes and len(words) <= _CLASSES_MAX):
        edges = _edges([number for number in numbers if number is not None])
        bounds = [f"below {edges[0]:g}", *(f"from {edge:g}" for edge in edges)]
        empty = Bins((*bounds, MISSING), edges, ())
    elif len(words) > max(_NAMES_MAX, _UNIQUE_SHARE * len(there)):
        return None
    else:
        names = [name for name, _ in words.most_common(_NAMES_MAX)]
        empty = Bins((*names, OTHERS, MISSING), (), ())
    counted = Counter(map(empty.place, values))
    return replace(empty, counts=tuple(counted[place] for place in range(len(empty.names))))


def _edges(numbers: Sequence[float]) -> tuple[float, ...]:
    if len(set(numbers)) == 1:
        return (numbers[0],)
    return tuple(sorted(set(quantiles(numbers, n=_TENTHS, method="inclusive"))))


def word_of(value: Json) -> str:
    """A class or a category as a word; 1, 1.0 and true are different words for nobody."""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _number(value: Json) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def shift(reference: Sequence[int], now: Sequence[int], *, looks: int = 1) -> Shift:
    """How far these counts are from the reference's, which has the same bins.

    Args:
        reference: the reference's counts.
        now: the counts that are compared with them.
        looks: how many variables are compared at once; chance has as many occasions.
    """
    before, after = sum(reference), sum(now)
    if not before or not after or sum(1 for one, other in zip(reference, now, strict=True) if one or other) == 1:
        return Shift(0.0, 0.0, after, before)
    found = stability(reference, now)
    return Shift(found.index, _by_chance(found.freedom, max(looks, 1)) * found.scale, after, before)


@lru_cache(maxsize=1_000)
def _by_chance(freedom: int, looks: int) -> float:
    return chi_squared_beyond(_CHANCE / looks, freedom)
