"""Who asks, as a route sees them; where the server asks nobody for an identity, they may do everything."""

from dataclasses import dataclass
from urllib.parse import unquote

from fastapi import Request

from holdfast.access import EVERYTHING, Identity, Kind, Pattern, Role
from holdfast.errors import PermissionRefused
from holdfast.names import ModelName, StageName
from holdfast.service.line import ACTOR_HEADER
from holdfast.web.auth import IDENTITY
from holdfast.web.bearer import named, unauthenticated

__all__ = ["NOBODY", "Caller", "caller_of"]

_ANONYMOUS = "anonymous"
"""Who asks without saying so, where the server asks nobody for an identity."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: the actor of what they do.
        identity: as their token proves it; None where the server asks nobody.
    """

    name: str
    identity: Identity | None = None

    @property
    def is_service(self) -> bool:
        """Whether a machine asks."""
        return self.identity is not None and self.identity.kind is Kind.SERVICE

    def may(self, role: Role, model: ModelName | Pattern = EVERYTHING, stage: StageName | None = None) -> bool:
        """Whether they may act in a role on a model."""
        return self.identity is None or self.identity.may(role, model, stage)

    def sees(self, model: ModelName | str | None) -> bool:
        """Whether they may read what concerns a model; what concerns none is for all who may read anything."""
        if self.identity is None or model is None:
            return True
        return self.identity.may(Role.VIEWER, ModelName(str(model)))

    def require(self, role: Role, model: ModelName | Pattern = EVERYTHING, stage: StageName | None = None) -> None:
        """Go on only where they may.

        Raises:
            PermissionRefused: they may not.
        """
        if not self.may(role, model, stage):
            raise self.refused(role, f"{model}" + ("" if stage is None else f", stage {stage}"))

    def require_somewhere(self, role: Role) -> None:
        """Go on only where they have the role for any model at all.

        Raises:
            PermissionRefused: they have it for none.
        """
        if self.identity is not None and not self.identity.may_somewhere(role):
            raise self.refused(role, "any model")

    def refused(self, role: Role, what: str) -> PermissionRefused:
        """The error for who lacks a role."""
        return PermissionRefused(
            f"{self.name} is no {role} of {what}",
            hint=f"Ask an admin: holdfast user grant {self.name} {role} --model NAME",
            user=self.name,
            role=str(role),
            concerns=what,
        )


NOBODY = Caller(_ANONYMOUS)
"""Who asks what everybody may ask."""


def caller_of(request: Request) -> Caller:
    """Who asks this request.

    Raises:
        Unauthenticated: the server asks for identities, and there is none.
    """
    identity: Identity | None = request.scope.get(IDENTITY)
    if identity is not None:
        return Caller(identity.user, identity)
    if request.app.state.desk.access is not None:
        raise unauthenticated("nobody has shown who they are")
    said = request.headers.get(ACTOR_HEADER)
    return Caller(unquote(said) if said is not None else named(request.headers.get("authorization", "")) or _ANONYMOUS)
