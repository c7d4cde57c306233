"""Who answers now: one immutable value. A swap replaces it in one assignment; a request takes it once and keeps it."""

from dataclasses import dataclass

from holdfast.serving.live import Live

__all__ = ["OVERRIDE", "PRIMARY", "Route"]

PRIMARY = "primary"
"""Why a version answered: it holds the stage."""

OVERRIDE = "override"
"""Why a version answered: the caller named its number, and it does not hold the stage."""


@dataclass(frozen=True, slots=True)
class Route:
    """The versions that a replica holds open at one epoch of its stage.

    Attributes:
        epoch: the stage's epoch that this route follows.
        primary: the version that holds the stage; it answers unless the caller names another.
        standby: last-known-good, open and warm, so that a rollback loads nothing; None when there is none, or not yet.
    """

    epoch: int
    primary: Live
    standby: Live | None = None

    @property
    def lives(self) -> tuple[Live, ...]:
        """Every open version of the route."""
        return (self.primary,) if self.standby is None else (self.primary, self.standby)

    def held(self, number: str) -> Live | None:
        """The open version with this number, as a caller wrote it; None when it is not held."""
        return next((live for live in self.lives if str(live.number) == number), None)
