"""Step 7: the frozen rows are those of the version that holds the stage, or it is known what became of them.

Both versions are measured on the candidate's rows, so other rows than before are no unfair comparison. But rows can be
left out until a candidate looks good. So the candidate answers the rows that were left out as well, and where it is
shown to be worse there than the version that holds the stage, somebody has to look.

The same rows wear out, too: of many candidates that are judged by them, the one that fits them best is chosen in the
end, and not the best one. Dwork et al., "The reusable holdout", Science 349 (2015), show how fast. So versions that
were judged on these rows before are counted, each once, however often its gate was asked.
"""

from collections.abc import Mapping

from holdfast.canonical import Json
from holdfast.errors import HoldfastError
from holdfast.flow.bundle.metrics import row_scores
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.former import Former
from holdfast.flow.gate.gain import estimate_json, of_rows
from holdfast.parts import EvalThreshold
from holdfast.parts.eval_threshold import IDENTITY

__all__ = ["holdout"]

_RULE = "holdout"


def holdout(case: Case) -> Finding:
    """Compare the two holdouts, and count how often this one was used."""
    if case.rows is None:
        return Finding(_RULE, Outcome.INCONCLUSIVE, "the frozen rows could not be read", "Mend what the others name.")
    used, most = len(case.judged_before), case.policy.holdout_uses_max
    values: dict[str, Json] = {
        "used_by": list(case.judged_before),
        "uses": used + 1,
        "uses_max": most,
        "chance_of_a_lucky_one": 1.0 - (1.0 - case.policy.alpha) ** (used + 1),
    }
    if used + 1 > most:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"{used} other versions were judged on these rows before, and {most} may be in all: the one that fits them "
            "best is no longer the best one",
            "Register with freshly drawn rows that nobody has judged by yet.",
            values,
        )
    told = f"{used} other version{'' if used == 1 else 's'} judged on these rows before, of {most}"
    if case.baseline is None:
        return Finding(_RULE, Outcome.PASS, f"no other version holds {case.stage}; {told}", "", values)
    found = case.former
    if found is None or isinstance(found, HoldfastError):
        why = "" if found is None else f": {found.message}"
        outcome = Outcome.PASS if not case.baseline.complete else Outcome.INCONCLUSIVE
        return Finding(
            _RULE,
            outcome,
            f"the rows of version {case.baseline.number} could not be compared{why}; {told}",
            "" if outcome is Outcome.PASS else "Mend what the other findings name first.",
            values,
        )
    return _changed(case, found, told, values)


def _changed(case: Case, found: Former, told: str, values: dict[str, Json]) -> Finding:
    number = case.baseline.number if case.baseline is not None else 0
    values |= {
        "baseline_holdout": str(found.digest),
        "rows": 0 if case.rows is None else case.rows.count,
        "gone": found.gone,
        "new": found.new,
        "columns_gone": list(found.columns_gone),
        "columns_new": list(found.columns_new),
    }
    if not (found.gone or found.new or found.columns_gone or found.columns_new):
        return Finding(
            _RULE, Outcome.PASS, f"the same {found.count} rows as those of version {number}; {told}", "", values
        )
    changed = f"of the {found.count} rows of version {number}, {found.gone} are gone, and {found.new} are new"
    for name, columns in (("gone", found.columns_gone), ("new", found.columns_new)):
        changed += f"; columns {name}: {', '.join(columns)}" if columns else ""
    if case.policy.holdout == "same":
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"{changed}, and policy asks for the same",
            f"Register with the holdout of version {number}.",
            values,
        )
    return _left_out(case, found, f"{changed}; {told}", values)


def _left_out(case: Case, found: Former, told: str, values: Mapping[str, Json]) -> Finding:
    """What the candidate says about the rows that its holdout lacks."""
    threshold = case.manifest.parts.eval_threshold if case.manifest is not None else None
    if not found.gone or found.targets is None or found.theirs is None or not isinstance(threshold, EvalThreshold):
        return Finding(_RULE, Outcome.PASS, told, "", values)
    if found.mine is None or not _numbers_where_asked(found, threshold):
        why = found.trouble.message if found.trouble is not None else "its answers are of another kind"
        return Finding(_RULE, Outcome.PASS, f"{told}; on those that are gone it could not be asked: {why}", "", values)
    mine, theirs = (row_scores(found.targets, answer, threshold) for answer in (found.mine, found.theirs))
    ours, other = (sum(one.values) / len(one.values) for one in (mine, theirs))
    sign = 1.0 if mine.higher_is_better else -1.0
    margin = case.policy.group_margin * (1.0 if mine.higher_is_better else other)
    estimate, p = of_rows(
        [sign * value for value in mine.values],
        [sign * value for value in theirs.values],
        1.0 - 2.0 * case.policy.alpha,
        -margin,
    )
    said = {**values, "on_gone": {"measure": mine.name, "value": ours, "baseline": other, "p_harm": p}}
    said |= {"gain_on_gone": estimate_json(estimate), "margin": margin}
    sentence = f"{told}; on the {found.gone} that are gone {mine.name} is {ours:.4f} against {other:.4f}"
    if p <= case.policy.alpha:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            f"{sentence}: rows were left out on which the candidate is worse, and {margin:g} is allowed",
            "Look at these rows: if they were wrong, say so and let a person decide; if not, put them back.",
            said,
        )
    return Finding(_RULE, Outcome.PASS, sentence, "", said)


def _numbers_where_asked(found: Former, threshold: EvalThreshold) -> bool:
    """Whether errors can be taken of the answers; labels can always be compared."""
    if threshold.rule != IDENTITY:
        return True
    answers = [*(found.targets or ()), *(found.theirs.predictions if found.theirs is not None else ())]
    answers += found.mine.predictions if found.mine is not None else ()
    return all(type(value) in {int, float} for value in answers)
