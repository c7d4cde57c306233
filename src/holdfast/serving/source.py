"""Where a replica learns what to serve, and where it says what it serves: a small view of the registry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.digest import Digest
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Registry, Replica
from holdfast.registry.events import REASON_CHARACTERS_MAX
from holdfast.registry.rollouts import Rollout, RolloutKind, RolloutState, RouteMark, Truth, Turn

__all__ = [
    "PATIENCE_SECONDS",
    "SERVICE",
    "WITH_A_SHARE",
    "Pointer",
    "Pointers",
    "RegistrySource",
    "StageSource",
    "as_reason",
]


PATIENCE_SECONDS = 1.0
"""How long a question may wait for news: one request a second over a network, and a replica that is told to stop does
not keep anybody waiting."""

SERVICE = "service:replica"
"""Who turns a rollout in an embedded registry when no person does."""

WITH_A_SHARE = frozenset({RolloutState.RUNNING, RolloutState.HELD, RolloutState.PASSED})
"""In which states a canary has its share, while its stage has not moved."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """One version: its number in the model, and the digest that it must have."""

    number: VersionNumber
    digest: Digest


@dataclass(frozen=True, slots=True)
class Pointers:
    """What a stage says at one moment.

    Attributes:
        epoch: how often the stage has moved.
        current: the version that holds it; None while nothing does.
        last_known_good: where a rollback would go; None when there is nowhere.
        canary: the rollout whose version gets a share of the requests; None while there is none.
    """

    epoch: int
    current: Pointer | None
    last_known_good: Pointer | None
    canary: Rollout | None = None


def as_reason(sentence: str) -> str:
    """A sentence as a registry takes it for a reason, which it might refuse: a bundle's own error may be in it."""
    said = sentence.encode("utf-8", "replace").decode()
    return said if len(said) <= REASON_CHARACTERS_MAX else f"{said[: REASON_CHARACTERS_MAX - 2]} …"


class StageSource(Protocol):
    """One stage of one model, as a replica sees it. Called from threads, one call at a time."""

    def mark(self, known: RouteMark | None) -> RouteMark:
        """What changes with the stage and its rollouts; MUST be cheap: it is asked many times a second.

        An answer that is `known` MAY be kept back for up to `PATIENCE_SECONDS`, until something changes.
        """
        ...

    def read(self) -> Pointers:
        """The stage and its rollouts as they stand; at least as new as the last mark."""
        ...

    def turn(self, turn: Turn) -> None:
        """Changes how a rollout stands, as `Rollouts.turn_rollout` does."""
        ...

    def learn(self, truths: Sequence[Truth]) -> int:
        """Passes on what turned out to be right; the index of the last truth, as `Rollouts.put_truths` gives it."""
        ...

    def report(self, replica: Replica) -> None:
        """Passes on what the replica says of itself."""
        ...


class RegistrySource:
    """The stage as the registry has it."""

    def __init__(self, registry: Registry, model: ModelName, stage: StageName, actor: str = SERVICE) -> None:
        """Args: actor: in whose name rollouts are turned; a server writes whose token it is instead."""
        self._registry = registry
        self._model = model
        self._stage = stage
        self._actor = actor

    def mark(self, known: RouteMark | None) -> RouteMark:
        """What changes with the stage and its rollouts."""
        return self._registry.route_mark(self._model, self._stage, known=known, wait_seconds=PATIENCE_SECONDS)

    def read(self) -> Pointers:
        """The stage as it stands; a version's digest never changes, so looking it up afterwards is safe."""
        stage = self._registry.stage(self._model, self._stage)
        current = None
        if stage.number is not None and stage.digest is not None:
            current = Pointer(stage.number, stage.digest)
        good = None
        if stage.last_known_good is not None:
            found = self._registry.resolve(Reference(self._model, ByNumber(stage.last_known_good)))
            good = Pointer(found.number, found.digest)
        return Pointers(stage.epoch, current, good, self._canary(stage.epoch))

    def _canary(self, epoch: int) -> Rollout | None:
        """The canary that has a share at this epoch. One that has passed keeps it until the stage moves."""
        newest = self._registry.rollouts(self._model, self._stage, kind=RolloutKind.CANARY, limit=1)
        return next((one for one in newest if one.epoch == epoch and one.state in WITH_A_SHARE), None)

    def turn(self, turn: Turn) -> None:
        """Changes how a rollout stands."""
        self._registry.turn_rollout(turn, self._actor)

    def learn(self, truths: Sequence[Truth]) -> int:
        """Passes on what turned out to be right."""
        return self._registry.put_truths(self._model, truths, self._actor)

    def report(self, replica: Replica) -> None:
        """Passes on what the replica says of itself."""
        self._registry.report(replica)
