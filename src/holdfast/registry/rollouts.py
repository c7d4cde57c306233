"""Rollouts: a version beside the one that holds a stage, with a share of its requests or a copy of them. All frozen.

A rollout is a chain of rows that are never changed: what began it, and each turn that it took since, every one with its
event. It concerns one version against one other at one epoch of the stage: when the stage moves, it is over, without
anybody writing so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber

__all__ = [
    "ROLLOUTS_MAX",
    "STEPS_MAX",
    "TRUTHS_AT_ONCE_MAX",
    "TRUTHS_MAX",
    "NewRollout",
    "Rollout",
    "RolloutKind",
    "RolloutState",
    "Rollouts",
    "RouteMark",
    "Tally",
    "Truth",
    "Turn",
]

ROLLOUTS_MAX = 1_000
"""Rollouts in one answer: each may have a plan and figures of some kilobytes."""

STEPS_MAX = 100
"""Steps of a rollout: the longest plans have some dozen, and whoever counts keeps something for each."""

TRUTHS_AT_ONCE_MAX = 1_000
"""Truths in one request: the log waits while they are written, for some milliseconds."""

TRUTHS_MAX = 10_000
"""Truths in one answer: a megabyte of JSON; more is read in pages."""


class RolloutKind(StrEnum):
    """What the version beside the stage gets."""

    CANARY = "canary"
    SHADOW = "shadow"


class RolloutState(StrEnum):
    """How a rollout stands. The first two are going on; a stage that moved has made of either `superseded`.

    A canary that has passed keeps its share until the stage moves or somebody turns it; a shadow that has passed is
    over.
    """

    RUNNING = "running"
    HELD = "held"
    PASSED = "passed"
    ABORTED = "aborted"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"

    @property
    def going_on(self) -> bool:
        """Whether it may yet pass."""
        return self in {RolloutState.RUNNING, RolloutState.HELD}


@dataclass(frozen=True, slots=True)
class NewRollout:
    """A rollout that is to begin.

    Attributes:
        kind: a share of the requests, or a copy of them.
        model: whose stage.
        stage: which stage.
        number: the version that is tried.
        expect: the version that must hold the stage; the other one is compared with it.
        plan: steps, guards and limits, as whoever serves reads them; canonical JSON.
        reason: why it is begun.
        verdict: the gate's verdict that let it begin; None where none was asked for.
    """

    kind: RolloutKind
    model: ModelName
    stage: StageName
    number: VersionNumber
    expect: VersionNumber
    plan: JsonObject
    reason: str
    verdict: Digest | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of a rollout, with its requirement.

    Attributes:
        rollout: which one.
        expect: the newest event of it that the caller knows; another one by now refuses the turn.
        state: how it stands from here on; never `superseded`.
        step: which step of its plan it is at from here on, from 0.
        reason: why, in a sentence: what was found, with numbers.
        figures: what the sentence rests on: counts, estimates, the level; kept with the event.
    """

    rollout: int
    expect: int
    state: RolloutState
    step: int
    reason: str
    figures: JsonObject


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout as it stands.

    Attributes:
        id: the index of the event that began it.
        kind: canary or shadow.
        model: whose stage.
        stage: which stage.
        epoch: the stage's epoch when it began; at any other one it is superseded.
        number: the version that is tried.
        digest: of it.
        against: the version that held the stage.
        against_digest: of it.
        plan: as it was begun with.
        state: how it stands.
        step: the step of the plan that it is at.
        reason: of the newest turn.
        figures: of the newest turn.
        verdict: that let it begin.
        event: the index of its newest event.
        began_at: when it began.
        changed_at: when it took its newest turn.
        changed_by: who took it.
    """

    id: int
    kind: RolloutKind
    model: ModelName
    stage: StageName
    epoch: int
    number: VersionNumber
    digest: Digest
    against: VersionNumber
    against_digest: Digest
    plan: JsonObject
    state: RolloutState
    step: int
    reason: str
    figures: JsonObject
    verdict: Digest | None
    event: int
    began_at: datetime
    changed_at: datetime
    changed_by: str

    def to_json(self) -> JsonObject:
        """What the commands print and the server sends."""
        return {
            "rollout": self.id,
            "kind": str(self.kind),
            "model": str(self.model),
            "stage": str(self.stage),
            "epoch": self.epoch,
            "version": self.number,
            "digest": str(self.digest),
            "against": self.against,
            "against_digest": str(self.against_digest),
            "plan": self.plan,
            "state": str(self.state),
            "step": self.step,
            "reason": self.reason,
            "figures": self.figures,
            "verdict": None if self.verdict is None else str(self.verdict),
            "event": self.event,
            "began_at": to_text(self.began_at),
            "changed_at": to_text(self.changed_at),
            "changed_by": self.changed_by,
        }


@dataclass(frozen=True, slots=True)
class RouteMark:
    """What changes whenever a replica has to look again.

    Attributes:
        epoch: how often the stage has moved.
        rollout: the newest event of a rollout of this stage; 0 while there was none.
    """

    epoch: int
    rollout: int

    @property
    def tag(self) -> str:
        """How it travels over HTTP, as the ETag of an answer."""
        return f'"{self.epoch}.{self.rollout}"'


@dataclass(frozen=True, slots=True)
class Tally:
    """What one replica has counted at one step of a rollout, since that step began. Mutable, and no part of the log.

    Attributes:
        rollout: which one.
        step: of its plan.
        replica: who counted.
        counts: counts and histograms that can be added to those of other replicas; canonical JSON.
    """

    rollout: int
    step: int
    replica: str
    counts: JsonObject

    def to_json(self) -> JsonObject:
        """What the commands print and the server sends."""
        return {"rollout": self.rollout, "step": self.step, "replica": self.replica, "counts": self.counts}


@dataclass(frozen=True, slots=True)
class Truth:
    """What turned out to be right for one request that was answered earlier.

    Attributes:
        request: the id of the request.
        value: the true class or number.
        place: of the row in the request, from 0.
        index: its place in the order in which the registry learned of them; 0 before it did.
    """

    request: str
    value: bool | int | float | str
    place: int = 0
    index: int = 0

    def to_json(self) -> JsonObject:
        """What the commands print and the server sends."""
        return {"request": self.request, "place": self.place, "value": self.value, "index": self.index}


class Rollouts(Protocol):
    """What a registry does for rollouts; a part of `Registry`."""

    def begin_rollout(self, new: NewRollout, actor: str, *, key: str | None = None) -> Rollout:
        """Begins a rollout, with its event.

        Raises:
            AlreadyExists: one of the kind is going on at this stage, or a canary has passed and keeps its share.
            StageMoved: another version holds the stage than was expected.
            NotFound: there is no such model, stage, version or verdict.
            Incomplete: the version lacks a part.
            GateRefused: a canary on a verdict that does not name the policy in force, where the registry has one, or
                that a server's own policy does not take for a pass; approvals may be yet to come.
            ApprovalRequired: on a server that knows people, somebody has rejected the version for the stage.
            Archived: its bytes need not be here.
            UsageError: the version holds the stage already, or the verdict is another version's.
            TooLarge: the plan is.
        """
        ...

    def turn_rollout(self, turn: Turn, actor: str, *, key: str | None = None) -> Rollout:
        """Changes how a rollout stands, with an event.

        Raises:
            NotFound: there is none.
            StageMoved: it has taken another turn than the caller knows, is over, or the stage has moved; the details
                say `expected` and `found`, the indexes of events, `state`, `changed_by` and `changed_at`.
            UsageError: nobody writes `superseded`, and no step lies before the first.
            TooLarge: the figures are.
        """
        ...

    def rollout(self, rollout: int) -> Rollout:
        """One rollout.

        Raises:
            NotFound: there is none.
        """
        ...

    def rollouts(
        self, model: ModelName, stage: StageName, *, kind: RolloutKind | None = None, limit: int = 100
    ) -> tuple[Rollout, ...]:
        """The rollouts of a stage, the newest first.

        Raises:
            NotFound: no such model or stage.
            UsageError: the limit is not 1 to `ROLLOUTS_MAX`.
        """
        ...

    def route_mark(
        self, model: ModelName, stage: StageName, *, known: RouteMark | None = None, wait_seconds: float = 0.0
    ) -> RouteMark:
        """The cheap question of replicas; an answer that is `known` may be kept back, as `stage_epoch` does.

        Raises:
            NotFound: no such model or stage.
        """
        ...

    def tally(self, tally: Tally) -> None:
        """Takes a replica's counts in place of its earlier ones.

        Those of a rollout that is over, or of a step that it has not come to, are dropped.

        Raises:
            TooLarge: the counts or the replica's name are, or more replicas count than may.
        """
        ...

    def tallies(self, rollout: int) -> tuple[Tally, ...]:
        """All counts of a rollout, by step and replica; kept for 30 days behind its end.

        Raises:
            NotFound: there is no such rollout.
        """
        ...

    def put_truths(self, model: ModelName, truths: Sequence[Truth], actor: str) -> int:
        """Takes what turned out to be right, and gives the index of the last truth that is known of the model.

        The first word about a row of a request stands; whatever is said of it later is passed over.

        Raises:
            NotFound: no such model.
            UsageError: a value is no class and no finite number, or a row has a negative place.
            TooLarge: more at once than `TRUTHS_AT_ONCE_MAX`, or a value or a request's id is.
        """
        ...

    def truths(self, model: ModelName, *, after: int = 0, limit: int = 1000) -> tuple[Truth, ...]:
        """What came after an index, in order; whoever goes on behind the last of a page misses none.

        Raises:
            NotFound: no such model.
            UsageError: the limit is not 1 to `TRUTHS_MAX`.
        """
        ...
