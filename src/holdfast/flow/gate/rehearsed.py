"""Step 7: the way back from this promotion has been tried.

Once the candidate is promoted, last-known-good is the version that holds the stage now. So what must have been
rehearsed is going back to that version, in this stage; which version was left then does not matter, for nothing of it
is needed on the way back. The last such rehearsal counts: a failure is not outweighed by an older success.
"""

from collections.abc import Mapping
from datetime import timedelta

from holdfast.canonical import Json
from holdfast.database.times import to_text
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome

__all__ = ["rehearsed"]

_DAY = timedelta(days=1)


def rehearsed(case: Case) -> Finding:
    """Look at the last rehearsal of going back to the version that holds the stage."""
    if case.baseline is None:
        sentence = "no other version holds the stage, so there is no way back to rehearse"
        return Finding("rehearsed", Outcome.PASS, sentence)
    to, days_max = f"{case.baseline.model}@{case.baseline.number}", case.policy.rehearsal_days_max
    candidate = f"{case.candidate.model}@{case.candidate.number}"
    hint = f"holdfast rehearse {case.candidate.model} --stage {case.stage} --from {candidate}"
    found = case.rehearsal
    if found is None or found.said.to_digest != case.baseline.digest:
        sentence = f"going back to {to}, which holds the stage, was never rehearsed"
        return Finding("rehearsed", Outcome.FAIL, sentence, f"Rehearse it: {hint}", {"rehearsal_days_max": days_max})
    age = max(case.at - found.created_at, timedelta())
    values: Mapping[str, Json] = {
        "certificate": str(found.digest),
        "rehearsed_at": to_text(found.created_at),
        "rehearsed_by": found.created_by,
        "from": found.said.from_number,
        "to": found.said.to_number,
        "outcome": found.said.outcome,
        "days": round(age / _DAY, 3),
        "rehearsal_days_max": days_max,
        "switch_ms": found.said.body.get("switch_ms"),
    }
    when = f"{age.days} days ago" if age.days != 1 else "a day ago"
    when = when if age.days else "today"
    if found.said.outcome != Outcome.PASS:
        sentence = f"the last rehearsal of going back to {to}, {when}, failed at {found.failure}"
        return Finding("rehearsed", Outcome.FAIL, sentence, f"Mend that, and rehearse it again: {hint}", values)
    if age > days_max * _DAY:
        sentence = f"going back to {to} was rehearsed {when}, and {days_max} days are allowed"
        return Finding("rehearsed", Outcome.FAIL, sentence, f"Rehearse it again: {hint}", values)
    took = values["switch_ms"]
    quick = f", {took:.0f} ms from the move to the last old answer" if isinstance(took, int | float) else ""
    sentence = f"going back to {to} was rehearsed {when} by {found.created_by}{quick}"
    return Finding("rehearsed", Outcome.PASS, sentence, "", values)
