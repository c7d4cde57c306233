"""Step 7: scores are probabilities: of the rows that score 0.8, eight of ten come true.

Of several classes each is judged by itself, the others being "no"; so many questions are adjusted after Holm before one
of them can fail the gate, and all of them have to pass. An error is never below nothing: whoever stays within the limit
is not worse than the version that holds the stage by more than the limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.canonical import Json, JsonObject
from holdfast.flow.bundle.metrics import positive_scores
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import ROUNDING, Finding, Outcome
from holdfast.flow.gate.gain import clusters_of, estimate_json, require_statistics
from holdfast.flow.gate.stage_policy import STRICT, StagePolicy
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import ARGMAX, CUT_OFF, IDENTITY

if TYPE_CHECKING:
    from holdfast.statistics.calibration import Calibration, Recalibration

__all__ = ["calibration"]

_RULE = "calibration"

_SUM_TOLERANCE = 0.01
"""A softmax in half precision adds up to 1 within that."""

_TWO = 2

_HINT = (
    "Calibrate it on rows of their own (scikit-learn: CalibratedClassifierCV), and register again; or leave "
    "calibration out of the rules, if nobody reads the scores as probabilities."
)


@dataclass(frozen=True, slots=True)
class _Class:
    """One label: what was said about it, and what happened."""

    label: Json
    happened: Sequence[bool]
    said: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One label, and how far its scores are from probabilities.

    Attributes:
        one: the label and its rows.
        found: the error.
        cox: intercept and slope, where there are any.
        baseline: the error of the version that holds the stage on the same rows; None when it has no such scores.
    """

    one: _Class
    found: "Calibration"
    cox: "Recalibration | None"
    baseline: float | None

    def to_json(self) -> JsonObject:
        cox = self.cox
        return {
            "label": self.one.label,
            "error": estimate_json(self.found.estimate),
            "said": _mean(self.one.said),
            "true": _mean(self.one.happened),
            "intercept": None if cox is None else cox.intercept,
            "slope": None if cox is None else cox.slope,
            "baseline_error": self.baseline,
        }

    def __str__(self) -> str:
        estimate, cox, p = self.found.estimate, self.cox, self.found.estimate.p
        slope = "" if cox is None else f", slope {cox.slope:.2f}{_shape(cox)}"
        level = round(100 * estimate.confidence)
        return (
            f"scores of {self.one.label!r:.40} are off by {estimate.value:.4f}, {level} % interval {estimate.low:.4f} "
            f"to {estimate.high:.4f}; {_mean(self.one.said):.4f} said and {_mean(self.one.happened):.4f} true in all"
            f"{slope}" + ("" if p is None else f"; that all are right has p {p:.2g}")
        )


def calibration(case: Case) -> Finding:
    """Compare the scores of the frozen rows with what came true."""
    rule = case.manifest.parts.eval_threshold if case.manifest is not None else None
    if isinstance(rule, EvalThreshold) and rule.rule == IDENTITY:
        return Finding(_RULE, Outcome.PASS, "the version answers numbers: it has no scores that are probabilities")
    if not isinstance(rule, EvalThreshold) or case.measured is None or not case.targets:
        return _undecided("not decided: the version could not be measured", "Mend what the other findings name first.")
    mine = _classes(case.measured, rule, case.targets)
    if mine is None:
        return _undecided(
            "the version gives no score for its labels", "Use a model that scores, or leave this rule out."
        )
    wrong = _why_no_probabilities(mine, case.measured, rule)
    if wrong is not None:
        return Finding(_RULE, Outcome.FAIL, f"{wrong}, so they are no probabilities", _HINT)
    if len(case.targets) < max(case.policy.rows_min, _TWO):
        return _undecided(f"{len(case.targets)} rows are too few to judge scores by", "Register with a larger holdout.")
    return _decided(case, _judged(case, mine, _of_baseline(case, rule)))


def _classes(said: Measured, rule: EvalThreshold, targets: Sequence[Json]) -> list[_Class] | None:
    if rule.rule == CUT_OFF:
        scores = positive_scores(said.answer, rule)
        if scores is None:
            return None
        return [_Class(rule.positive, [target == rule.positive for target in targets], scores)]
    classes = said.answer.classes
    if rule.rule != ARGMAX or classes is None:
        return None
    # Of two classes one says what the other says.
    chosen = list(enumerate(classes))[1:] if len(classes) == _TWO else list(enumerate(classes))
    return [
        _Class(label, [target == label for target in targets], [row[place] for row in said.answer.scores])
        for place, label in chosen
    ]


def _why_no_probabilities(mine: Sequence[_Class], said: Measured, rule: EvalThreshold) -> str | None:
    low, high = min(min(one.said) for one in mine), max(max(one.said) for one in mine)
    if low < 0.0 or high > 1.0:
        return f"scores go from {low:.4g} to {high:.4g}"
    if rule.rule == ARGMAX:
        far = max(abs(sum(row) - 1.0) for row in said.answer.scores)
        if far > _SUM_TOLERANCE:
            return f"the scores of a row differ from 1 by up to {far:.4g} together"
    return None


def _of_baseline(case: Case, rule: EvalThreshold) -> dict[str, Sequence[float]]:
    """The other version's scores, by label, if they are probabilities too."""
    if case.against is None or not case.targets:
        return {}
    theirs = _classes(case.against, rule, case.targets)
    if theirs is None or _why_no_probabilities(theirs, case.against, rule) is not None:
        return {}
    return {repr(one.label): one.said for one in theirs}


def _judged(case: Case, mine: Sequence[_Class], theirs: Mapping[str, Sequence[float]]) -> list[_Judged]:
    require_statistics()
    from holdfast.statistics.calibration import calibration_error, recalibration

    confidence, clusters = 1.0 - 2.0 * case.policy.alpha, clusters_of(case)
    judged = []
    for one in mine:
        found = calibration_error(one.happened, one.said, confidence=confidence, clusters=clusters)
        other = theirs.get(repr(one.label))
        baseline = (
            None
            if other is None
            else calibration_error(one.happened, other, confidence=confidence, clusters=clusters).estimate.value
        )
        judged.append(_Judged(one, found, recalibration(one.happened, one.said), baseline))
    return judged


def _decided(case: Case, judged: Sequence[_Judged]) -> Finding:
    from holdfast.statistics.several import holm

    policy, allowed = case.policy, case.policy.calibration_error_max
    chances = holm([one.found.chance_of_at_most(allowed) for one in judged])
    values: Mapping[str, Json] = {
        "error_max": allowed,
        "policy": policy.policy,
        "alpha": policy.alpha,
        "classes": [{**one.to_json(), "p_harm": chance} for one, chance in zip(judged, chances, strict=True)],
        "rows": len(case.targets or ()),
    }
    beyond = [one for one, chance in zip(judged, chances, strict=True) if chance <= policy.alpha]
    if beyond:
        return Finding(_RULE, Outcome.FAIL, _told(case, beyond, allowed), _HINT, values)
    unsure = [one for one in judged if not _passes(one, policy)]
    if not unsure:
        return Finding(_RULE, Outcome.PASS, _told(case, judged, allowed), "", values)
    needed = [one.found.rows_needed(_asked(one, policy)) for one in unsure]
    most = None if None in needed else max(rows for rows in needed if rows is not None)
    hint = f"About {most} rows would tell." if most is not None else "No number of such rows would tell."
    return _undecided(
        f"{_told(case, unsure, allowed)}: whether it is more cannot be told",
        f"{hint} Register with a larger holdout.",
        {**values, "rows_needed": most},
    )


def _passes(one: _Judged, policy: StagePolicy) -> bool:
    estimate, allowed = one.found.estimate, policy.calibration_error_max
    if policy.policy == STRICT:
        return estimate.high <= allowed + ROUNDING
    return estimate.value <= allowed + ROUNDING and estimate.high <= allowed + policy.harm_margin + ROUNDING


def _asked(one: _Judged, policy: StagePolicy) -> float:
    """The bound on whose side the error has to be shown to lie."""
    allowed = policy.calibration_error_max
    lenient = policy.policy != STRICT and one.found.estimate.value <= allowed
    return allowed + policy.harm_margin if lenient else allowed


def _told(case: Case, judged: Sequence[_Judged], allowed: float) -> str:
    worst = max(judged, key=lambda one: one.found.estimate.value)
    more = f" (the worst of {len(judged)} classes)" if len(judged) > 1 else ""
    other = ""
    if case.baseline is not None and worst.baseline is not None:
        other = f"; those of version {case.baseline.number} by {worst.baseline:.4f}"
    return f"{worst}{more}{other}; {allowed:g} is allowed"


def _shape(cox: "Recalibration") -> str:
    """What a slope means, where it is not 1 by chance: two standard errors."""
    if abs(cox.slope - 1.0) <= _TWO * cox.slope_error:
        return ""
    return " (too extreme)" if cox.slope < 1.0 else " (too timid)"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _undecided(sentence: str, hint: str, values: Mapping[str, Json] | None = None) -> Finding:
    return Finding(_RULE, Outcome.INCONCLUSIVE, sentence, hint, values or {})
