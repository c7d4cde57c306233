"""Step 7: no rows of the holdout are among what the model was trained on.

A metric on rows that the model has seen says how well it remembers. So the frozen rows are looked for in every table
that the version was trained on: the same rows, and near ones, whose numbers were rounded or moved a little.

Tables repeat by chance, the more so the fewer values their columns have. How often is known from the rows themselves:
dealt at random into a holdout and a training table, some rows that repeat come to lie in both. The rule fails when
improbably many do, and when the holdout has twins more often than the training data have among each other, by more than
`leakage_share_max`.

What nobody said was trained on, but the run opened, is held to the same, with one difference: where it holds the whole
holdout it is either the holdout itself, which is no leak, or the table from which both were cut, and then nobody
knows what was trained on. That a part of it was named, or was seen in a call of `fit`, does not help: a last fit to all
rows, after the one that was measured, leaves the same traces.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.canonical import Json
from holdfast.evidence import Holdout
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.stage_policy import STRICT
from holdfast.flow.gate.training import Looked
from holdfast.parts.data_slice import TRAIN

if TYPE_CHECKING:
    from holdfast.statistics.twins import Alike

__all__ = ["leakage"]

_RULE = "leakage"

_SHOWN_MAX = 3
"""Snapshots named in one sentence; the finding's values hold them all."""

_NEAR_SHARE = 0.25
"""Of `alpha`, what is spent on near rows: the same rows are what leaks most often, and are asked about first."""

_SAY_WHAT = (
    "Freeze exactly what is trained on, such as run.snapshot(train), and give the holdout rows that are not among it."
)

_SAY_WHAT_IN_MLFLOW = (
    "Log the rows that were kept back before the model: mlflow.log_input(mlflow.data.from_pandas(test, targets=…), "
    "context='eval'), with Holdfast's plugin beside mlflow."
)


_CUT_APART = (
    "Cut the table in a script of its own, into a file to train on and one for the holdout, and have the training open "
    "only these: what a run has opened, it may have been trained on."
)


@dataclass(frozen=True, slots=True)
class _Share:
    """How many rows, or files, of the holdout were found in one snapshot.

    Attributes:
        where: the snapshot.
        what: `rows`, `near rows` or `files`.
        alike: the numbers.
        p: how often chance alone gives as many, after Bonferroni for all that is asked.
    """

    where: Looked
    what: str
    alike: "Alike"
    p: float

    @property
    def excess(self) -> float:
        """The share found beyond that by which the training data repeat themselves."""
        return self.alike.found / self.alike.sought - self.alike.repeated / self.alike.rows

    def is_leak(self, alpha: float, share_max: float) -> bool:
        return self.p <= alpha and self.excess > share_max

    def told(self) -> str:
        of, found = self.alike.sought, self.alike.found
        name = "of the holdout's files" if self.what == "files" else "holdout rows"
        said = f"{found} of {of} {name} ({found / of:.1%}) {'is' if found == 1 else 'are'} in {self.where.name} too"
        twins = self.where.twins
        if self.what == "near rows":
            return f"{said}, or rows whose numbers are all but the same"
        if self.what == "rows" and twins is not None and twins.with_target is not None:
            return f"{said}, {twins.with_target} with the same answer"
        return said

    def by_chance(self) -> str:
        what = "files" if self.what == "files" else "rows"
        return f"{self.alike.repeated / self.alike.rows:.1%} of its own {what} repeat one another"

    def to_json(self) -> Mapping[str, Json]:
        alike = self.alike
        return {
            "what": self.what,
            "found": alike.found,
            "of": alike.sought,
            "repeated": alike.repeated,
            "rows": alike.rows,
            "excess": self.excess,
            "p": self.p,
        }


def leakage(case: Case) -> Finding:
    """Look for the holdout in the training data."""
    training = case.training
    if training is None or case.rows is None:
        return _open("the holdout and the training data could not be looked at", "Mend what the other findings name.")
    if training.trouble is not None:
        return _open(training.trouble.message, training.trouble.hint)
    inputs = tuple(one for one in training.inputs if not _is_holdout(one))
    shares = _shares(inputs)
    values: dict[str, Json] = {
        "holdout_rows": case.rows.count,
        "alpha": case.policy.alpha,
        "share_max": case.policy.leakage_share_max,
        "looked_at": [_input_json(one, [share for share in shares if share.where is one]) for one in inputs],
    }
    same = _the_same(case, inputs)
    if same is not None:
        return Finding(
            _RULE,
            Outcome.FAIL,
            f"the holdout was taken from {same.name}, which the model was trained on: on rows that it was trained "
            "on, a model seems better than it is",
            _say_what(case),
            values,
        )
    leaks = [one for one in shares if one.is_leak(case.policy.alpha, case.policy.leakage_share_max)]
    unclear = [one for one in leaks if one.where.role != TRAIN and one.alike.found == one.alike.sought]
    leaks = [one for one in leaks if one not in unclear and not _is_near_of(one, leaks)]
    if leaks:
        return Finding(
            _RULE,
            Outcome.FAIL,
            f"{'; '.join(f'{one.told()}, and {one.by_chance()}' for one in leaks[:_SHOWN_MAX])}: "
            "on rows that it was trained on, a model seems better than it is",
            f"{_say_what(case)} If the table was cut only after it was frozen, freeze the part that is trained on.",
            values,
        )
    for one in inputs:
        if one.trouble is not None:
            return _open(f"{one.name} could not be looked at: {one.trouble.message}", one.trouble.hint, values)
    if unclear:
        whole, named = unclear[0], [one.name for one in inputs if one.role == TRAIN]
        why = f"nothing shows that it was trained on {', '.join(named[:_SHOWN_MAX])} alone"
        return _open(
            f"the run opened {whole.where.name}, which holds all {whole.alike.sought} rows of the holdout among its "
            f"{whole.alike.rows}, and {why if named else 'nobody said which of them were trained on'}",
            _CUT_APART,
            values,
        )
    return _not_shown(case, inputs, shares, values)


def _say_what(case: Case) -> str:
    return _SAY_WHAT_IN_MLFLOW if case.manifest is not None and case.manifest.logged_elsewhere else _SAY_WHAT


def _the_same(case: Case, inputs: tuple[Looked, ...]) -> Looked | None:
    """The training data that the holdout itself was taken from, which arrays of few files are too few to show."""
    holdout = None if case.manifest is None else case.manifest.evidence.holdout
    if not isinstance(holdout, Holdout) or holdout.snapshot is None:
        return None
    return next((one for one in inputs if one.role == TRAIN and one.digest == holdout.snapshot), None)


def _is_holdout(one: Looked) -> bool:
    """Whether it is the holdout itself, which the run opened to measure."""
    if one.role == TRAIN or one.twins is None:
        return False
    return one.twins.exact.found == one.twins.exact.sought >= one.rows


def _not_shown(case: Case, inputs: tuple[Looked, ...], shares: list[_Share], values: Mapping[str, Json]) -> Finding:
    seen = [one for one in inputs if one.twins is not None or one.files is not None]
    passed_over = [note for one in inputs for note in one.passed_over]
    if not seen:
        why = "; ".join(passed_over[:_SHOWN_MAX]) or "the version names no data that it was trained on"
        told = f"no table that the model was trained on could be compared with the holdout: {why}"
        if case.policy.leakage_unread == "pass":
            return Finding(_RULE, Outcome.PASS, f"{told}; nothing is known of leaks", "", values)
        return _open(told, "Freeze the table that is trained on, with the columns that the holdout has.", values)
    found = [one for one in shares if one.alike.found]
    if not found:
        told = f"none of {_count(case)} is among the {sum(one.rows for one in seen)} rows that were trained on"
        return Finding(_RULE, Outcome.PASS, told, "", values)
    most = max(found, key=lambda one: (one.excess, one.what == "rows"))
    told = f"{most.told()}, which chance explains (p {most.p:.2g}): {most.by_chance()}"
    if case.policy.policy == STRICT and most.alike.found > case.policy.leakage_share_max * most.alike.sought:
        return _open(told, "Give a holdout whose rows are not among the training data, by chance or otherwise.", values)
    return Finding(_RULE, Outcome.PASS, told, "", values)


def _count(case: Case) -> str:
    return "the holdout rows" if case.rows is None else f"{case.rows.count} holdout rows"


def _shares(inputs: tuple[Looked, ...]) -> list[_Share]:
    asked = list(_asked(inputs))
    near = sum(what == "near rows" for _, what, _ in asked)
    of_near, of_others = (near / _NEAR_SHARE, (len(asked) - near) / (1.0 - _NEAR_SHARE)) if near else (0.0, len(asked))
    return [
        _Share(where, what, alike, min(1.0, alike.p * (of_near if what == "near rows" else of_others)))
        for where, what, alike in asked
    ]


def _asked(inputs: tuple[Looked, ...]) -> "Iterator[tuple[Looked, str, Alike]]":
    for one in inputs:
        if one.twins is not None:
            yield one, "rows", one.twins.exact
            if one.twins.near is not None:
                yield one, "near rows", one.twins.near
        if one.files is not None:
            yield one, "files", one.files


def _is_near_of(one: _Share, leaks: list[_Share]) -> bool:
    """Whether it says again what the same rows of the same snapshot say: rows that are the same are near, too."""
    return one.what == "near rows" and any(
        other.where is one.where and other.what == "rows" and other.alike.found >= one.alike.found for other in leaks
    )


def _input_json(one: Looked, shares: list[_Share]) -> dict[str, Json]:
    twins = one.twins
    return {
        "name": one.name,
        "role": one.role,
        "digest": str(one.digest),
        "rows": one.rows,
        "passed_over": list(one.passed_over),
        "found": [dict(share.to_json()) for share in shares],
        "with_target": None if twins is None else twins.with_target,
        "near_in_any_grid": None if twins is None else twins.near_found,
        "all_read": twins is None or twins.all_read,
    }


def _open(sentence: str, hint: str, values: Mapping[str, Json] | None = None) -> Finding:
    return Finding(_RULE, Outcome.INCONCLUSIVE, sentence, hint, values or {})
