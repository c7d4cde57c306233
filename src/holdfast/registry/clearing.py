"""Emptying a stage: what asks for it, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action

__all__ = ["ClearStage", "Cleared"]


@dataclass(frozen=True, slots=True)
class ClearStage:
    """A stage about to be emptied, and the requirement: it holds `expect` now.

    Attributes:
        model: whose stage.
        stage: which one.
        expect: the version that must hold it now.
        reason: why; never empty.
        idempotency_key: the same key again gives the same answer, and changes nothing.
        details: whatever else the event should keep.
    """

    model: ModelName
    stage: StageName
    expect: VersionNumber
    reason: str
    idempotency_key: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleared:
    """A stage that was emptied.

    Attributes:
        model: whose stage.
        stage: which one.
        number: the version that held it; its last-known-good afterwards.
        digest: of that version.
        epoch: the stage's epoch afterwards.
        event: the index of its event.
        time: when.
    """

    model: ModelName
    stage: StageName
    number: VersionNumber
    digest: Digest
    epoch: int
    event: int
    time: datetime

    def to_json(self) -> JsonObject:
        """What `clear` prints: as a move prints itself, to nothing."""
        return {
            "model": str(self.model),
            "stage": str(self.stage),
            "action": str(Action.STAGE_CLEAR),
            "from": self.number,
            "from_digest": str(self.digest),
            "to": None,
            "epoch": self.epoch,
            "last_known_good": self.number,
            "event": self.event,
            "time": to_text(self.time),
        }
