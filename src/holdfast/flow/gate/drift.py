"""Step 7: what the candidate was trained on is distributed as what the version that holds the stage was trained on.

Column by column: are they different at all (Kolmogorov and Smirnov for numbers, chi-squared for categories and for
what is missing; Holm's adjustment over all of them), and how much (the population stability index, and Wasserstein's
distance in the column's own unit). The rule fails only for columns that are both: with a million rows everything is
different, and with fifty nothing is. A normal distribution that moves by half its standard deviation has an index of
0.25, which is what `drift_psi_max` allows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.canonical import Json
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.training import Looked, Training

if TYPE_CHECKING:
    from holdfast.statistics.drift import Drift
    from holdfast.statistics.sampling import Sample

__all__ = ["drift"]

_RULE = "drift"

_SHOWN_MAX = 5
"""Columns named in one sentence; the finding's values hold them all."""

_CATEGORIES_MAX = 1_000
"""A column with more texts than this names things and has no distribution that could be compared."""

_LEAST_EXPECTED = 5
"""Rows that a category must have for chi-squared to hold; rarer ones are taken together, as Cochran advises."""

_OTHERS = "\0others"


@dataclass(frozen=True, slots=True)
class _Moved:
    """One column, or what is missing of it, beside what it was.

    Attributes:
        table, column: where it stands.
        is_missing: whether the share of missing values is what is compared.
        drift: how far it is.
        chance: its p, adjusted for all that is compared.
        new_categories: how many there are that were not.
    """

    table: str
    column: str
    is_missing: bool
    drift: "Drift"
    chance: float = 1.0
    new_categories: int = 0

    def told(self) -> str:
        found, name = self.drift, f"{'missing ' if self.is_missing else ''}{self.column}"
        share = self.is_missing or found.test == "chi-squared"
        far = f"{found.distance:.1%} of the rows" if share else f"by {found.distance:.4g}"
        return f"{name} moved {far} (PSI {found.psi:.2f}, by chance below {found.psi_by_chance:.2g})"

    def to_json(self) -> Mapping[str, Json]:
        found = self.drift
        return {
            "table": self.table,
            "column": self.column,
            "of": "missing" if self.is_missing else "values",
            "psi": found.psi,
            "psi_by_chance": found.psi_by_chance,
            "psi_p": found.psi_p,
            "p": found.p,
            "p_adjusted": self.chance,
            "distance": found.distance,
            "test": found.test,
            "rows": found.rows,
            "baseline_rows": found.reference_rows,
            "new_categories": self.new_categories,
        }


def drift(case: Case) -> Finding:
    """Compare the training data of the two versions."""
    if case.baseline is None:
        return Finding(
            _RULE, Outcome.PASS, f"no other version holds {case.stage}; there is nothing to have drifted from"
        )
    before, now = case.earlier, case.training
    for found in (now, before):
        trouble = _trouble(found)
        if trouble is not None:
            return Finding(_RULE, Outcome.INCONCLUSIVE, f"the training data could not be compared: {trouble}", _MEND)
    pairs = list(_pairs(before, now))
    if not pairs:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"version {case.baseline.number} and this one were trained on no tables that could be compared",
            "Freeze the tables that are trained on, under the same names.",
        )
    columns: list[_Moved] = []
    changed: list[str] = []
    beyond: list[str] = []
    for name, old, new in pairs:
        changed += [f"{name} has the new column {column}" for column in new if column not in old]
        changed += [f"{name} lacks the column {column}" for column in old if column not in new]
        for column in (column for column in old if column in new):
            moved = list(_moved(name, column, old[column], new[column]))
            columns += moved
            beyond += [] if any(not one.is_missing for one in moved) else [column]
    return _decided(case, _adjusted(columns), changed, beyond)


_MEND = "Bring back what is lost, or leave drift out of the policy for this one promotion."


def _decided(case: Case, columns: list[_Moved], changed: list[str], beyond: list[str]) -> Finding:
    policy = case.policy
    seen = [one for one in columns if one.chance <= policy.alpha]
    large = [one for one in seen if one.drift.psi > max(policy.drift_psi_max, one.drift.psi_by_chance)]
    values: Mapping[str, Json] = {
        "alpha": policy.alpha,
        "psi_max": policy.drift_psi_max,
        "columns": [dict(one.to_json()) for one in columns],
        "changed": list(changed),
        "beyond": list(beyond),
    }
    also = f"; {'; '.join(changed[:_SHOWN_MAX])}" if changed else ""
    also += f"; {', '.join(beyond[:_SHOWN_MAX])} could not be compared" if beyond else ""
    if not columns:
        return Finding(
            _RULE, Outcome.INCONCLUSIVE, f"no column could be compared{also}", "Freeze tables with columns.", values
        )
    if large:
        return Finding(
            _RULE,
            Outcome.FAIL,
            f"{_listed(large)}: more than the PSI of {policy.drift_psi_max:g} that is allowed, and not by chance{also}",
            "Look at where the data come from; if the world has changed, say so by raising drift_psi_max.",
            values,
        )
    count = len({(one.table, one.column) for one in columns})
    if seen:
        return Finding(
            _RULE, Outcome.PASS, f"{count} columns compared; detectable, not large: {_listed(seen)}{also}", "", values
        )
    return Finding(_RULE, Outcome.PASS, f"{count} columns compared; no drift can be detected{also}", "", values)


def _listed(found: list[_Moved]) -> str:
    shown = sorted(found, key=lambda one: -one.drift.psi)[:_SHOWN_MAX]
    more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    return "; ".join(one.told() for one in shown) + more


def _trouble(found: Training | None) -> str | None:
    if found is None:
        return "it was not looked at"
    troubles = [found.trouble, *(one.trouble for one in found.inputs)]
    return next((one.message for one in troubles if one is not None), None)


def _pairs(before: Training | None, now: Training | None) -> "Iterator[tuple[str, Sample, Sample]]":
    """The tables of both versions by name; where each has one, whatever its name."""
    old, new = (_tables(one) for one in (before, now))
    if len(old) == len(new) == 1:
        (name, mine), (other,) = next(iter(new.items())), old.values()
        yield name, other, mine
        return
    for name in new:
        if name in old:
            yield name, old[name], new[name]


def _tables(found: Training | None) -> "dict[str, Sample]":
    inputs: tuple[Looked, ...] = found.inputs if found is not None else ()
    return {one.name: one.sample for one in inputs if one.sample is not None}


def _moved(table: str, column: str, before: Any, now: Any) -> Iterator[_Moved]:
    import numpy as np

    from holdfast.statistics import drift as measures
    from holdfast.statistics.cells import cells

    old, new = cells(before), cells(now)
    if old.missing.any() or new.missing.any():
        words = [np.where(one.missing, "missing", "there") for one in (old, new)]
        yield _Moved(table, column, is_missing=True, drift=measures.categorical(words[0], words[1]))
    there = [~old.missing, ~new.missing]
    if not (there[0].any() and there[1].any()):
        return
    numbers = [~np.isnan(one.numbers) for one in (old, new)]
    distinct = np.unique(np.concatenate([old.marks[there[0]], new.marks[there[1]]]))
    if (numbers[0] == there[0]).all() and (numbers[1] == there[1]).all() and distinct.size > measures.BINS:
        found = measures.numeric(old.numbers[numbers[0]], new.numbers[numbers[1]])
        yield _Moved(table, column, is_missing=False, drift=found)
    elif distinct.size <= _CATEGORIES_MAX:
        known = np.unique(old.marks[there[0]])
        fresh = int((~np.isin(np.unique(new.marks[there[1]]), known)).sum())
        texts = _gathered(old.marks[there[0]], new.marks[there[1]])
        yield _Moved(table, column, is_missing=False, drift=measures.categorical(*texts), new_categories=fresh)


def _gathered(before: Any, now: Any) -> tuple[Any, Any]:
    """Categories as texts, the rare ones taken together."""
    import numpy as np

    names, counts = np.unique(np.concatenate([before, now]), return_counts=True)
    least = min(before.size, now.size) / (before.size + now.size)
    rare = names[counts * least < _LEAST_EXPECTED]
    before, now = (np.where(np.isin(one, rare), _OTHERS, one.astype(str)) for one in (before, now))
    return before, now


def _adjusted(columns: list[_Moved]) -> list[_Moved]:
    from holdfast.statistics.several import holm

    chances = holm([one.drift.p for one in columns])
    return [replace(one, chance=chance) for one, chance in zip(columns, chances, strict=True)]
