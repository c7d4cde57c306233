"""Step 7: no metric that policy guards is worse than that of the version that holds the stage.

Each guard is compared as the primary metric is, by the interval that fits it, and all of them have to pass. This is an
intersection-union test: a version that is worse in any one guard passes that one in at most `alpha` of all cases, and
so passes all of them in at most `alpha`, however many there are. Nothing has to be adjusted for their number (Berger,
"Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982).

To say that a guard *was* harmed is the other question: of many guards one comes out badly by chance. So a guard fails
only by a bound that holds for all of them at once (Bonferroni); what is short of that is inconclusive.
"""

from holdfast.canonical import Json
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome, overall
from holdfast.flow.gate.not_worse import Asked, compared

__all__ = ["guards"]

_RULE = "guards"


def guards(case: Case) -> Finding:
    """Compare the two versions by every metric that policy guards."""
    policy = case.policy
    if not policy.guards:
        return Finding(
            _RULE,
            Outcome.INCONCLUSIVE,
            "policy asks for guards and names none",
            "Name the metrics, such as guards = { recall = 0.02 }, or leave the rule out.",
        )
    if case.baseline is None:
        return Finding(_RULE, Outcome.PASS, f"no other version holds {case.stage}; no guard can be harmed")
    found = [
        compared(
            case,
            Asked(
                _RULE,
                metric,
                one.get("margin", policy.margin),
                one.get("harm_margin", policy.harm_margin),
                among=len(policy.guards),
            ),
        )
        for metric, one in policy.guards.items()
    ]
    outcome = overall(found)
    told = [one for one in found if one.outcome is outcome]
    values: dict[str, Json] = {
        "guards": [{**one.values, "outcome": str(one.outcome), "sentence": one.sentence} for one in found]
    }
    said = "; ".join(dict.fromkeys(one.sentence for one in told))
    counted = "" if len(found) == 1 else f"{len(told)} of {len(found)} guards {_HOW[outcome]}: "
    return Finding(_RULE, outcome, f"{counted}{said}", " ".join(dict.fromkeys(one.hint for one in told)), values)


_HOW = {Outcome.PASS: "hold", Outcome.FAIL: "are harmed", Outcome.INCONCLUSIVE: "are open"}
