"""Step 7: on copies of real requests the candidate answers as policy asks, beside the version that holds the stage.

What counts is the newest shadow of exactly the candidate against exactly that version. How it stood is kept with the
finding, since replicas go on counting.
"""

from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.registry.rollouts import RolloutState
from holdfast.statistics.shift import agreement

__all__ = ["shadowed"]

_METHOD = "Wilson 1927"


def shadowed(case: Case) -> Finding:
    """Look at the newest shadow of the candidate."""
    if case.baseline is None:
        sentence = "no other version holds the stage, so there is none to be in the shadow of"
        return Finding("shadow", Outcome.PASS, sentence)
    candidate, found = f"{case.candidate.model}@{case.candidate.number}", case.shadow
    least = case.policy.shadow_requests_min
    hint = f"holdfast shadow {candidate} --stage {case.stage} --requests {least}"
    if found is None:
        sentence = f"{candidate} was never in the shadow of @{case.baseline.number}, which holds the stage"
        return Finding("shadow", Outcome.INCONCLUSIVE, sentence, f"Begin with it: {hint}", {"requests_min": least})
    failing = _Judged.of(
        "fail in the shadow alone", found.failed, found.pairs, case, most=case.policy.shadow_errors_max
    )
    agreeing = _Judged.of("agree", found.agreed, found.requests, case, least=case.policy.shadow_agreement_min)
    values = {
        **found.to_json(),
        "requests_min": least,
        "alpha": case.policy.alpha,
        "agreement": agreeing.values,
        "errors": failing.values,
    }
    if found.state is RolloutState.ABORTED:
        sentence = f"the shadow of {candidate} was aborted: {found.reason}"
        return Finding("shadow", Outcome.FAIL, sentence, f"Mend that, and begin again: {hint}", values)
    said = f"of {found.pairs} requests {agreeing.sentence}, {failing.sentence}"
    if Outcome.FAIL in {agreeing.outcome, failing.outcome}:
        return Finding("shadow", Outcome.FAIL, said, "The report says what flips: holdfast shadow", values)
    more = max(least - found.pairs, agreeing.more, failing.more)
    if more > 0:
        said = f"{said}; about {more} more are needed to decide"
        return Finding("shadow", Outcome.INCONCLUSIVE, said, f"Let it go on, or begin again: {hint}", values)
    return Finding("shadow", Outcome.PASS, said, "", values)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A share beside its bound."""

    outcome: Outcome
    sentence: str
    more: int
    values: JsonObject

    @classmethod
    def of(cls, what: str, count: int, of: int, case: Case, *, least: float = 0.0, most: float = 1.0) -> "_Judged":
        """Judge a share by its interval: each bound holds with all but `alpha`."""
        from holdfast.statistics.estimate import Estimate, rows_needed

        confidence = 1.0 - 2.0 * case.policy.alpha
        found = agreement(count, of, confidence=confidence)
        bound, sound = (least, found.low >= least) if least > 0.0 else (most, found.high <= most)
        broken = found.high < least or found.low > most
        if most == 0.0:
            # That nothing ever fails no number of requests shows; what is asked is that nothing has.
            sound, broken = count == 0, count > 0
        outcome = Outcome.PASS if sound else Outcome.FAIL if broken else Outcome.INCONCLUSIVE
        more = 0
        if outcome is Outcome.INCONCLUSIVE:
            value = found.value if of else 0.0
            needed = rows_needed(Estimate(value, found.low, found.high, confidence, _METHOD, of), bound)
            more = max(1, (needed or 0) - of)
        asked = f"at least {least:.2%}" if least > 0.0 else f"at most {most:.2%}"
        share = f"{found.value:.2%} ({found.low:.2%} to {found.high:.2%})" if of else "none is known to"
        values: JsonObject = {
            "value": found.value if of else None,
            "low": found.low,
            "high": found.high,
            "bound": bound,
            "method": _METHOD,
        }
        return cls(outcome, f"{share} {what}, {asked} asked", more, values)
