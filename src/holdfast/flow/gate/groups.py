"""Step 7: no group of rows is answered worse than by the version that holds the stage.

Groups are the values of the columns that the version or the policy names, and besides, always, the true answers
themselves: the rows of each class, or of each quarter of a numeric target. A group with too few rows is reported as
untestable and never as passed; when nothing could be tested, or nothing of a column that the policy names, the rule is
inconclusive.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.canonical import Json, JsonObject
from holdfast.evidence import Holdout
from holdfast.flow.bundle.metrics import RowScores, row_scores
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import IDENTITY

__all__ = ["groups", "why_incomparable"]

_QUARTERS = 4

_SHOWN_MAX = 5
"""Groups named in one sentence; the finding's values hold them all."""


@dataclass(frozen=True, slots=True)
class _Group:
    """One group: its column and name, its rows, and the mean of each version on them."""

    column: str
    name: str
    rows: int
    mine: float
    theirs: float
    worse_by: float

    def to_json(self) -> JsonObject:
        return {
            "group": self.name,
            "rows": self.rows,
            "value": self.mine,
            "baseline": self.theirs,
            "worse_by": self.worse_by,
        }


def groups(case: Case) -> Finding:
    """Compare the two versions group by group, on the same rows."""
    if case.baseline is None:
        return Finding("groups", Outcome.PASS, f"nothing holds {case.stage} yet; no group can lose to it")
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
    found = list(_compared(case, mine, theirs, numeric=threshold.rule == IDENTITY))
    tested = [group for group in found if group.rows >= case.policy.group_rows_min]
    values: Mapping[str, Json] = {
        "measure": mine.name,
        "margin": case.policy.group_margin,
        "groups": [group.to_json() for group in tested],
        "untestable": [group.to_json() for group in found if group not in tested],
    }
    if not tested:
        return Finding(
            "groups",
            Outcome.INCONCLUSIVE,
            f"none of {len(found)} groups has the {case.policy.group_rows_min} rows that a comparison needs",
            "Register with a larger holdout.",
            values,
        )
    harmed = [group for group in tested if group.worse_by > case.policy.group_margin + ROUNDING]
    if harmed:
        said = "; ".join(
            f"{group.name} ({group.rows} rows): {mine.name} {group.mine:.4f} against {group.theirs:.4f}"
            for group in harmed
        )
        return Finding(
            "groups",
            Outcome.FAIL,
            f"{said}; {case.policy.group_margin:g} is allowed",
            "Look at these rows in the training data; a better mean does not make up for them.",
            values,
        )
    blind = [name for name in case.policy.groups if not any(group.column == name for group in tested)]
    if blind:
        return Finding(
            "groups",
            Outcome.INCONCLUSIVE,
            f"policy watches the groups of {', '.join(blind)}, and none of them could be tested on these rows",
            f"Register with a holdout that has {case.policy.group_rows_min} rows of each group.",
            values,
        )
    worst = max(tested, key=lambda group: group.worse_by)
    return Finding(
        "groups",
        Outcome.PASS,
        f"{len(tested)} groups compared{_beyond(found, tested)}; the least well off is {worst.name}: "
        f"{mine.name} {worst.mine:.4f} against {worst.theirs:.4f}",
        "",
        values,
    )


def why_incomparable(case: Case) -> str:
    """Why the version that holds the stage cannot be measured beside the candidate."""
    troubles = [case.trouble, case.against_trouble]
    troubles += [said.metrics_trouble for said in (case.measured, case.against) if said is not None]
    return next((trouble.message for trouble in troubles if trouble is not None), "it could not be measured")


def _beyond(found: Sequence[_Group], tested: Sequence[_Group]) -> str:
    names = [group.name for group in found if group not in tested]
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
            yield _Group(name, f"{name}={label}", len(rows), ours, other, sign * (other - ours))


def _labels(case: Case, *, numeric: bool) -> Iterator[tuple[str, Sequence[Json]]]:
    holdout = case.manifest.evidence.holdout if case.manifest is not None else None
    targets = case.targets or ()
    if not isinstance(holdout, Holdout) or case.rows is None:
        return
    for name in case.policy.groups or holdout.groups:
        if case.rows.names is not None and name in case.rows.names:
            yield name, case.rows.column(name)
    yield holdout.target or "target", _quarters(targets) if numeric else targets


def _quarters(targets: Sequence[Json]) -> list[str]:
    order = sorted(range(len(targets)), key=lambda place: targets[place])
    labels = [""] * len(targets)
    for rank, place in enumerate(order):
        labels[place] = f"quarter {rank * _QUARTERS // len(targets) + 1}"
    return labels
