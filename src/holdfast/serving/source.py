"""Where a replica learns what to serve, and where it says what it serves: a small view of the registry."""

from dataclasses import dataclass
from typing import Protocol

from holdfast.digest import Digest
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Registry, Replica

__all__ = ["PATIENCE_SECONDS", "Pointer", "Pointers", "RegistrySource", "StageSource"]


PATIENCE_SECONDS = 1.0
"""How long a question may wait for news: one request a second over a network, and a replica that is told to stop does
not keep anybody waiting."""


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
    """

    epoch: int
    current: Pointer | None
    last_known_good: Pointer | None


class StageSource(Protocol):
    """One stage of one model, as a replica sees it. Called from threads, one call at a time."""

    def epoch(self, known: int | None) -> int:
        """How often the stage has moved; MUST be cheap: it is asked many times a second.

        An answer that is `known` MAY be kept back for up to `PATIENCE_SECONDS`, until the stage moves.
        """
        ...

    def read(self) -> Pointers:
        """The stage as it stands."""
        ...

    def report(self, replica: Replica) -> None:
        """Passes on what the replica says of itself."""
        ...


class RegistrySource:
    """The stage as the registry has it."""

    def __init__(self, registry: Registry, model: ModelName, stage: StageName) -> None:
        self._registry = registry
        self._model = model
        self._stage = stage

    def epoch(self, known: int | None) -> int:
        """How often the stage has moved."""
        return self._registry.stage_epoch(self._model, self._stage, known=known, wait_seconds=PATIENCE_SECONDS)

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
        return Pointers(stage.epoch, current, good)

    def report(self, replica: Replica) -> None:
        """Passes on what the replica says of itself."""
        self._registry.report(replica)
