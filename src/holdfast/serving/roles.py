"""As what a version is held, and as what it answered: words that measures and alerts are labelled with."""

from holdfast.serving.observing import Observed
from holdfast.serving.route import PRIMARY, Route

__all__ = ["CANARY", "STANDBY", "role_of", "roles_of"]

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


def role_of(observed: Observed) -> str:
    """As what the version answered."""
    if observed.live is observed.route.primary:
        return PRIMARY
    return STANDBY if observed.live is observed.route.standby else observed.reason
