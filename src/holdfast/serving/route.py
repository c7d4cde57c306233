"""Who answers now: one immutable value. A swap replaces it in one assignment; a request takes it once and keeps it."""

from dataclasses import dataclass, field

from holdfast.serving.bucketing import taken
from holdfast.serving.keys import KeySource
from holdfast.serving.live import Live

__all__ = ["CANARY", "OVERRIDE", "PRIMARY", "Canary", "Route"]

PRIMARY = "primary"
"""Why a version answered: it holds the stage."""

OVERRIDE = "override"
"""Why a version answered: the caller named its number, and it does not hold the stage."""

CANARY = "canary"
"""Why a version answered: a canary gives it a share of the keys, and the request's key is among them."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A version beside the stage that answers a share of the keys.

    Attributes:
        live: the version, open and smoked.
        share: of the keys, in ten-thousandths.
        salt: what keys are mixed with, so that each rollout takes others.
        key: where the key of a request is found.
        rollout: the rollout's id.
        step: the step of its plan.
    """

    live: Live
    share: int
    salt: str
    key: KeySource
    rollout: int
    step: int

    def takes(self, key: str) -> bool:
        """Whether a key is among those of the canary."""
        return taken(self.salt, key, self.share)


@dataclass(frozen=True, slots=True)
class Route:
    """The versions that a replica holds open at one epoch of its stage.

    Attributes:
        epoch: the stage's epoch that this route follows.
        primary: the version that holds the stage; it answers unless the caller names another.
        standby: last-known-good, open and warm, so that a rollback loads nothing; None when there is none, or not yet.
        canary: the version that answers a share of the keys instead; None while there is none.
        lives: every open version of the route, each once.
    """

    epoch: int
    primary: Live
    standby: Live | None = None
    canary: Canary | None = None
    lives: tuple[Live, ...] = field(init=False)

    def __post_init__(self) -> None:
        named = (self.primary, self.standby, None if self.canary is None else self.canary.live)
        object.__setattr__(self, "lives", tuple(dict.fromkeys(live for live in named if live is not None)))

    def held(self, number: str) -> Live | None:
        """The open version with this number, as a caller wrote it; None when it is not held."""
        return next((live for live in self.lives if str(live.number) == number), None)
