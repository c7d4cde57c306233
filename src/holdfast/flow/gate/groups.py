"""Step 7: no group of rows is answered worse than by the version that holds the stage.

Each group is compared by itself, row by row, and among so many comparisons one comes out badly by chance: harm counts
as shown when it is still improbable after Holm's adjustment, and the least well off group is reported with a bound that
holds for all groups at once.

Groups are the values of the columns that the version or the policy names, and besides, always, the true answers
themselves: the rows of each class, or of each quarter of a numeric target. A group with too few rows is reported as
untestable and never as passed; when nothing could be tested, or nothing of a column that the policy names, the rule is
inconclusive.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from holdfast.canonical import Json, JsonObject
from holdfast.evidence import Holdout
from holdfast.flow.bundle.metrics import RowScores, row_scores
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.flow.gate.gain import estimate_json, of_rows
from holdfast.flow.gate.stage_policy import STRICT
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import IDENTITY

if TYPE_CHECKING:
    from holdfast.statistics.estimate import Estimate

__all__ = ["groups", "why_incomparable"]

_QUARTERS = 4

_SHOWN_MAX = 5
"""Groups named in one sentence; the finding's values hold them all."""


@dataclass(frozen=True, slots=True)
class _Group:
    """One group: its column and name, its rows, and the mean of each version on them.

    Attributes:
        column, name: what its rows have in common.
        places: its rows.
        mine, theirs: the mean of each version on them.
        gain: by how much the candidate's is better; None where there are too few rows.
        chance: the p of "it loses no more than the margin", adjusted for all groups that were tested.
    """

    column: str
    name: str
    places: tuple[int, ...]
    mine: float
    theirs: float
    worse_by: float
    gain: "Estimate | None" = None
    chance: float | None = None

    @property
    def rows(self) -> int:
        return len(self.places)

    @property
    def least_gain(self) -> float:
        return -inf if self.gain is None else self.gain.low

    def to_json(self) -> JsonObject:
        return {
            "group": self.name,
            "rows": self.rows,
            "value": self.mine,
            "baseline": self.theirs,
            "worse_by": self.worse_by,
            "gain": None if self.gain is None else estimate_json(self.gain),
            "p_harm": self.chance,
        }


def groups(case: Case) -> Finding:
    """Compare the two versions group by group, on the same rows."""
    if case.baseline is None:
        return Finding("groups", Outcome.PASS, f"no other version holds {case.stage}; no group can lose to it")
    threshold = case.manifest.parts.eval_threshold if case.manifest is not None else None
    if (
        case.measured is None
        or case.measured.metrics is None
        or case.against is None
        or case.against.metrics is None
        or case.targets is None
        or not isinstance(threshold, EvalThreshold)
    ):
        return Finding(
            "groups",
            Outcome.INCONCLUSIVE,
            f"the groups cannot be compared with those of version {case.baseline.number}: {why_incomparable(case)}",
            "Mend what the other findings name first.",
        )
    mine, theirs = _scores(case, case.measured, threshold), _scores(case, case.against, threshold)
    margin = case.policy.group_margin * (1.0 if mine.higher_is_better else sum(theirs.values) / len(theirs.values))
    found = list(_compared(case, mine, theirs, numeric=threshold.rule == IDENTITY))
    enough = [group for group in found if group.rows >= case.policy.group_rows_min]
    tested = _tested(enough, mine, theirs, margin, case.policy.alpha)
    values: Mapping[str, Json] = {
        "measure": mine.name,
        "policy": case.policy.policy,
        "alpha": case.policy.alpha,
        "margin": margin,
        "groups": [group.to_json() for group in tested],
        "untestable": [group.to_json() for group in found if group not in enough],
    }
    if not tested:
        return Finding(
            "groups",
            Outcome.INCONCLUSIVE,
            f"none of {len(found)} groups has the {case.policy.group_rows_min} rows that a comparison needs",
            "Register with a larger holdout.",
            values,
        )
    return _decided(case, tested, _beyond([group for group in found if group not in enough]), mine.name, values)


def _decided(case: Case, tested: Sequence[_Group], beyond: str, measure: str, values: Mapping[str, Json]) -> Finding:
    margin, allowed = values["margin"], f"{values['margin']:g} is allowed"
    harmed = [group for group in tested if group.chance is not None and group.chance <= case.policy.alpha]
    if harmed:
        return Finding(
            "groups",
            Outcome.FAIL,
            f"{_told(harmed, measure)}; {allowed}",
            "Look at these rows in the training data; a better mean does not make up for them.",
            values,
        )
    blind = [name for name in case.policy.groups if not any(group.column == name for group in tested)]
    if blind:
        return Finding(
            "groups",
            Outcome.INCONCLUSIVE,
            f"policy watches the groups of {', '.join(blind)}, and none of them could be tested on these rows",
            _how_to_see(case, blind),
            values,
        )
    strict = case.policy.policy == STRICT
    open_ones = [group for group in tested if (group.least_gain if strict else -group.worse_by) < -margin - ROUNDING]
    if open_ones:
        why = "harm cannot be ruled out" if strict else "it may be chance"
        return Finding(
            "groups",
            Outcome.INCONCLUSIVE,
            f"{_told(open_ones, measure)}; {allowed}, but {why}",
            f"{_rows_wanted(open_ones, margin)}Look at these rows, and register with a larger holdout.",
            values,
        )
    worst = min(tested, key=lambda group: group.least_gain)
    return Finding(
        "groups",
        Outcome.PASS,
        f"{len(tested)} groups compared{beyond}; the least well off is {worst.name}: "
        f"{measure} {worst.mine:.4f} against {worst.theirs:.4f}, at worst {worst.least_gain:+.4f}",
        "",
        values,
    )


def _told(found: Sequence[_Group], measure: str) -> str:
    more = f"; and {len(found) - _SHOWN_MAX} more" if len(found) > _SHOWN_MAX else ""
    return (
        "; ".join(
            f"{group.name} ({group.rows} rows): {measure} {group.mine:.4f} against {group.theirs:.4f}"
            for group in found[:_SHOWN_MAX]
        )
        + more
    )


def _rows_wanted(found: Sequence[_Group], margin: float) -> str:
    from holdfast.statistics.estimate import rows_needed

    wanted = [(group, rows_needed(group.gain, -margin)) for group in found[:_SHOWN_MAX] if group.gain is not None]
    said = [f"{rows} rows of {group.name}" for group, rows in wanted if rows is not None]
    return f"About {', '.join(said)} would tell. " if said else ""


def _tested(found: Sequence[_Group], mine: RowScores, theirs: RowScores, margin: float, alpha: float) -> list[_Group]:
    """The groups with their gains between bounds that hold together, and with what speaks against harm."""
    from holdfast.statistics.several import confidence_of_each, holm

    sign = 1.0 if mine.higher_is_better else -1.0
    gains, chances = [], []
    for group in found:
        gain, chance = of_rows(
            [sign * mine.values[place] for place in group.places],
            [sign * theirs.values[place] for place in group.places],
            confidence_of_each(1.0 - 2.0 * alpha, len(found)),
            -margin,
        )
        gains.append(gain)
        chances.append(chance)
    adjusted = holm(chances)
    return [
        replace(group, gain=gain, chance=chance) for group, gain, chance in zip(found, gains, adjusted, strict=True)
    ]


def why_incomparable(case: Case) -> str:
    """Why the version that holds the stage cannot be measured beside the candidate."""
    troubles = [case.trouble, case.against_trouble]
    troubles += [said.metrics_trouble for said in (case.measured, case.against) if said is not None]
    return next((trouble.message for trouble in troubles if trouble is not None), "it could not be measured")


def _beyond(untestable: Sequence[_Group]) -> str:
    names = [group.name for group in untestable]
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN_MAX} more" if len(names) > _SHOWN_MAX else ""
    return f", {', '.join(names[:_SHOWN_MAX])}{more} untestable"


def _scores(case: Case, measured: Measured, threshold: EvalThreshold) -> RowScores:
    return row_scores(case.targets or (), measured.answer, threshold)


def _compared(case: Case, mine: RowScores, theirs: RowScores, *, numeric: bool) -> Iterator[_Group]:
    sign = 1.0 if mine.higher_is_better else -1.0
    for name, labels in _labels(case, numeric=numeric):
        places: dict[str, list[int]] = {}
        for place, label in enumerate(labels):
            places.setdefault(str(label), []).append(place)
        for label, rows in sorted(places.items()):
            ours = sum(mine.values[place] for place in rows) / len(rows)
            other = sum(theirs.values[place] for place in rows) / len(rows)
            yield _Group(name, f"{name}={label}", tuple(rows), ours, other, sign * (other - ours))


def _labels(case: Case, *, numeric: bool) -> Iterator[tuple[str, Sequence[Json]]]:
    holdout = case.manifest.evidence.holdout if case.manifest is not None else None
    targets = case.targets or ()
    if not isinstance(holdout, Holdout) or case.rows is None:
        return
    for name in case.policy.groups or holdout.groups:
        if case.rows.names is not None and name in case.rows.names:
            yield name, case.rows.column(name)
    yield holdout.target or "target", _quarters(targets) if numeric else targets


def _how_to_see(case: Case, blind: Sequence[str]) -> str:
    columns = () if case.rows is None or case.rows.names is None else case.rows.names
    absent = [name for name in blind if name not in columns]
    if absent:
        return (
            f"The holdout has no column {', '.join(absent)}: name another in groups, or register with one that has it."
        )
    return f"Register with a holdout that has {case.policy.group_rows_min} rows of each group."


def _quarters(targets: Sequence[Json]) -> list[str]:
    order = sorted(range(len(targets)), key=lambda place: targets[place])
    labels = [""] * len(targets)
    for rank, place in enumerate(order):
        labels[place] = f"quarter {rank * _QUARTERS // len(targets) + 1}"
    return labels
