"""As what a version is held, and as what it answered: words that measures and alerts are labelled with."""

from typing import NamedTuple

from holdfast.serving.observing import Observed
from holdfast.serving.route import PRIMARY, Route

__all__ = ["CANARY", "STANDBY", "Stay", "role_of", "roles_of", "stay_of", "stays_of"]

STANDBY = "standby"
"""Last-known-good, open and warm; it answers who names it."""

CANARY = "canary"
"""Neither of the two: held for a share of the requests, or for a copy of them."""


def roles_of(route: Route | None) -> dict[int, str]:
    """The versions that are held, and what they are."""
    if route is None:
        return {}
    roles = {int(live.number): CANARY for live in route.lives}
    if route.standby is not None:
        roles[int(route.standby.number)] = STANDBY
    roles[int(route.primary.number)] = PRIMARY
    return roles


class Stay(NamedTuple):
    """How long a version has one role: what it did in another, or before the stage moved, says nothing of this one.

    Attributes:
        epoch: of the stage.
        role: of the version.
    """

    epoch: int
    role: str


def stays_of(route: Route | None) -> dict[int, Stay]:
    """The versions that are held, and what they are since when."""
    return {} if route is None else {version: Stay(route.epoch, role) for version, role in roles_of(route).items()}


def stay_of(observed: Observed) -> Stay:
    """As what the version was held when the request came; `stays_of` its route says the same of all versions."""
    live, route = observed.live, observed.route
    role = PRIMARY if live is route.primary else STANDBY if live is route.standby else CANARY
    return Stay(route.epoch, role)


def role_of(observed: Observed) -> str:
    """As what the version answered."""
    if observed.live is observed.route.primary:
        return PRIMARY
    return STANDBY if observed.live is observed.route.standby else observed.reason
