"""How a shadow stands at one moment: what a gate looks at, and keeps.

Law: `Standing.from_json(standing.to_json()) == standing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.canonical import Json, Reader
from holdfast.flow.shadow.counts import ONLY_SHADOW, Counts
from holdfast.registry.rollouts import Rollout, RolloutState

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A shadow at one moment.

    Attributes:
        rollout: which one.
        state: running, or how it ended.
        reason: of its newest turn.
        requests: that both answered.
        agreed: those with the same answer.
        failed: requests that the shadow alone did not answer.
    """

    rollout: int
    state: RolloutState
    reason: str
    requests: int
    agreed: int
    failed: int

    @classmethod
    def of(cls, rollout: Rollout, counts: Counts) -> "Standing":
        """As it stands now."""
        failed = counts.errors[ONLY_SHADOW]
        return cls(rollout.id, rollout.state, rollout.reason, counts.requests, counts.agreed, failed)

    @property
    def pairs(self) -> int:
        """Requests that the shadow was asked and the primary answered."""
        return self.requests + self.failed

    def to_json(self) -> dict[str, Json]:
        """As a finding keeps it."""
        return {
            "rollout": self.rollout,
            "state": str(self.state),
            "reason": self.reason,
            "requests": self.requests,
            "agreed": self.agreed,
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Standing":
        """As a finding kept it.

        Raises:
            UnsupportedFormat: it kept something else.
        """
        reader = Reader(dict(values), "the shadow's standing")
        counts = (reader.integer(name) for name in ("requests", "agreed", "failed"))
        return cls(reader.integer("rollout"), RolloutState(reader.text("state")), reader.text("reason"), *counts)
