"""Two answers to one request, read and counted: what the shadow's process does with each pair, off every path."""

from dataclasses import dataclass

from holdfast.canonical import Json
from holdfast.errors import HoldfastError
from holdfast.flow.shadow.counts import BOTH, ONLY_PRIMARY, ONLY_SHADOW, Counts, Pair
from holdfast.flow.shadow.plan import Plan
from holdfast.runtime.sent import READ_ANYWHERE, Sent
from holdfast.runtime.shapes import table_in
from holdfast.serving.reading import Scored, read_answer

__all__ = ["NONSENSE", "Mirrored", "Said", "count"]

_AS_JSON = Sent()

NONSENSE = "nonsense"
"""Counted as the code of an answer that is none, or has another number of rows than the other one."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One request that the primary has answered.

    Attributes:
        shape: of request and answers.
        request: its bytes.
        answer: the primary's bytes; empty where it gave none.
        error: the code of the primary's error; None for an answer.
        seconds: how long the caller waited.
        sent: what the request's bytes are, and the answer's.
    """

    shape: str
    request: bytes
    answer: bytes
    error: str | None
    seconds: float
    sent: Sent = _AS_JSON


@dataclass(frozen=True, slots=True)
class Said:
    """What the version in the shadow said to the same request.

    Attributes:
        answer: its bytes; empty where it gave none.
        error: the code of its error; None for an answer.
        seconds: how long it took.
    """

    answer: bytes
    error: str | None
    seconds: float


def count(counts: Counts, plan: Plan, mirrored: Mirrored, said: Said) -> None:
    """Add one pair to the counts."""
    if mirrored.error is not None:
        counts.refused(ONLY_PRIMARY if said.error is None else BOTH, mirrored.error)
        return
    if said.error is not None:
        # Whatever the primary said and in whichever form, it did say something.
        counts.refused(ONLY_SHADOW, said.error)
        return
    primary = read_answer(mirrored.shape, mirrored.answer)
    if primary is None:
        counts.unread += 1
        return
    shadow = read_answer(mirrored.shape, said.answer)
    if shadow is None or len(shadow.predictions) != len(primary.predictions):
        counts.refused(ONLY_SHADOW, NONSENSE)
        return
    counts.compared(
        Pair(
            primary.predictions,
            shadow.predictions,
            scores=_scores(primary, shadow),
            primary_seconds=mirrored.seconds,
            shadow_seconds=said.seconds,
            groups=_groups(mirrored, plan),
        ),
        plan,
    )


def _scores(primary: Scored, shadow: Scored) -> list[tuple[float, float]]:
    """One number of each a row, where both have scores, or predictions that measure something."""
    if not all(one.scores or any(isinstance(said, float) for said in one.predictions) for one in (primary, shadow)):
        return []
    mine, theirs = primary.numbers, shadow.numbers
    return list(zip(mine, theirs, strict=True)) if len(mine) == len(theirs) else []


def _groups(mirrored: Mirrored, plan: Plan) -> list[tuple[str, list[Json]]]:
    if not plan.by or mirrored.sent.kind not in READ_ANYWHERE:
        return []
    try:
        table, _ = table_in(mirrored.shape, mirrored.request, mirrored.sent)
    except HoldfastError:
        return []
    return [(name, list(table.column(name))) for name in plan.by if name in (table.names or ())]
