"""What travels of rollouts, of what replicas count of them, and of what turned out to be right."""

from typing import Any

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from holdfast.registry import RolloutKind, RolloutState
from holdfast.web.api.schemas import Asked, DigestText, Index, Moment, Number, Said

__all__ = [
    "Mark",
    "NewRollout",
    "NewTally",
    "NewTruths",
    "NewTurn",
    "Rollout",
    "Rollouts",
    "Tallies",
    "TallyTaken",
    "Truths",
    "TruthsTaken",
]

Value = StrictBool | StrictInt | StrictFloat | StrictStr
"""A class or a number."""


class NewRollout(Asked):
    """A version that is to be tried beside the one that holds the stage, provided that this is the one expected."""

    kind: RolloutKind
    version: Number
    expect: Number
    plan: dict[str, Any]
    reason: str = ""
    verdict: DigestText | None = None


class NewTurn(Asked):
    """A change of a rollout, provided that its newest event is the one expected."""

    expect: Index
    state: RolloutState
    step: Index
    reason: str = ""
    figures: dict[str, Any] = Field(default_factory=dict)


class Rollout(Said):
    """A rollout as it stands."""

    rollout: Index
    kind: RolloutKind
    model: str
    stage: str
    epoch: Index
    version: Number
    digest: DigestText
    against: Number
    against_digest: DigestText
    plan: dict[str, Any]
    state: RolloutState
    step: Index
    reason: str
    figures: dict[str, Any]
    verdict: DigestText | None
    event: Index
    began_at: Moment
    changed_at: Moment
    changed_by: str


class Rollouts(Said):
    """Rollouts of a stage, newest first."""

    rollouts: list[Rollout]


class Mark(Said):
    """What changes whenever a replica has to look again: the stage's epoch, and the newest event of its rollouts."""

    epoch: Index
    rollout: Index


class NewTally(Asked):
    """What a replica has counted at a step of the rollout since that step began."""

    step: Index
    replica: str
    counts: dict[str, Any]


class TallyTaken(Said):
    """That the server has it; what is counted of a rollout that is over is not kept."""

    rollout: Index


class Tally(Said):
    """What one replica has counted at one step."""

    rollout: Index
    step: Index
    replica: str
    counts: dict[str, Any]


class Tallies(Said):
    """All counts of a rollout, by step and replica."""

    tallies: list[Tally]


class NewTruth(Asked):
    """What turned out to be right for a row of a request."""

    request: str
    value: Value
    place: Index = 0


class NewTruths(Asked):
    """What turned out to be right; the first word about a row of a request stands."""

    truths: list[NewTruth]


class TruthsTaken(Said):
    """The index of the last truth that is known of the model."""

    index: Index


class Truth(Said):
    """What is right for a row of a request, and when it was learned among the others."""

    request: str
    place: Index
    value: Value
    index: Index


class Truths(Said):
    """Truths behind an index, in order."""

    truths: list[Truth]
