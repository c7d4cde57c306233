"""Step 7: the version's process needs no more memory than is allowed.

What is compared is the most resident memory that the process had needed when it had answered all frozen rows at once,
as the operating system counted it: weights, libraries and the largest request together. Such a peak is the same within
a percent or two from one time to the next, so it has no interval; a bound wants that much air.
"""

from collections.abc import Mapping

from holdfast.canonical import Json
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome

__all__ = ["memory"]

_MEGABYTE = 1_000_000


def memory(case: Case) -> Finding:
    """Compare the peak of the candidate's memory with the bound, and with that of the version that holds the stage."""
    mine = None if case.measured is None else case.measured.memory_bytes
    theirs = None if case.against is None else case.against.memory_bytes
    bytes_max, ratio_max = case.policy.memory_bytes_max, case.policy.memory_ratio_max
    if mine is None:
        return Finding(
            "memory",
            Outcome.INCONCLUSIVE,
            "not decided: the memory of the bundle's process was not measured",
            "Mend what the other findings name first.",
        )
    ratio = None if not theirs else mine / theirs
    values: Mapping[str, Json] = {
        "memory_bytes": mine,
        "memory_bytes_max": bytes_max,
        "baseline_memory_bytes": theirs,
        "memory_ratio": ratio,
        "memory_ratio_max": ratio_max,
    }
    bound = "" if bytes_max is None else f", {_megabytes(bytes_max)} allowed"
    said = [f"its process needed {_megabytes(mine)}{bound}"]
    outcomes = [Outcome.PASS if bytes_max is None or mine <= bytes_max else Outcome.FAIL]
    if ratio is not None and theirs is not None:
        allowed = "" if ratio_max is None else f", {ratio_max:g} times allowed"
        said.append(f"{ratio:.2f} times the {_megabytes(theirs)} of the version that holds the stage{allowed}")
        outcomes.append(Outcome.PASS if ratio_max is None or ratio <= ratio_max else Outcome.FAIL)
    elif ratio_max is not None and case.baseline is not None:
        said.append("not compared: the version that holds the stage was not measured")
        outcomes.append(Outcome.INCONCLUSIVE)
    sentence = "; ".join(said)
    if Outcome.FAIL in outcomes:
        return Finding("memory", Outcome.FAIL, sentence, "Make the weights or the imports smaller.", values)
    if Outcome.INCONCLUSIVE in outcomes:
        return Finding("memory", Outcome.INCONCLUSIVE, sentence, _why(case), values)
    return Finding("memory", Outcome.PASS, sentence, "", values)


def _why(case: Case) -> str:
    if case.against_trouble is not None:
        return f"See why it does not answer: {case.against_trouble.message}"
    return "See why it does not answer."


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.0f} MB"
