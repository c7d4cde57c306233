"""What each route needs of who asks: the least role, and what it concerns. What declares nothing is not served.

    @routes.post("/models", dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL_SAID)])

The declaration is a dependency that FastAPI runs before the route, and a line in the OpenAPI document (`x-needs`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from holdfast.access import EVERYTHING, Pattern, Role
from holdfast.names import ModelName, Reference, StageName
from holdfast.web.api.caller import Caller, caller_of
from holdfast.web.auth import PUBLIC, SIGN_IN

__all__ = ["Concern", "Needs", "admit", "needs"]

_INDEX_DIGITS_MAX = 16
"""No index of an event has more: 2^53 - 1 is the last that JSON carries."""


class Concern(StrEnum):
    """What a route is about; the role must be held for that."""

    PROJECT = "the whole project"
    SOMEWHERE = "any model"
    SELF = "who asks"
    MODEL = "the model in the path"
    STAGE = "the model and the stage in the path"
    JUDGED = "the model in the path and the stage in the body"
    MODEL_SAID = "the model in the body, or the whole project where it names none"
    MODEL_ASKED = "the model in the query, or the whole project where it names none"
    VERSION_SAID = "the model of the version in the body, or the whole project where that is a digest"
    VERSION_ASKED = "the model of the version in the query, or the whole project where it is something else"
    PATTERN_SAID = "every model that the pattern in the body names"
    ROLLOUT = "the model of the rollout in the path"
    RUN = "the model of the run in the path, or who started it where it has none"
    RUN_SAID = "the model in the body, or any model where it names none"


@dataclass(frozen=True)
class Needs:
    """A route's declaration; called for each request to it.

    Attributes:
        role: the least role.
        of: what the route concerns.
    """

    role: Role
    of: Concern

    async def __call__(self, request: Request) -> None:
        """Let the request through, or not.

        Raises:
            PermissionRefused: who asks has no such role for what is concerned.
        """
        caller = caller_of(request)
        if caller.identity is None or self.of is Concern.SELF:
            return
        if self.of is Concern.SOMEWHERE:
            caller.require_somewhere(self.role)
        elif self.of is Concern.RUN:
            await self._require_run(request, caller)
        elif self.of is Concern.ROLLOUT:
            await _require_rollout(request, caller, self.role)
        elif self.of is Concern.RUN_SAID and (await _said(request, "model")) is None:
            caller.require_somewhere(self.role)
        else:
            what, stage = await self._concerned(request)
            caller.require(self.role, what, stage)

    async def _concerned(self, request: Request) -> tuple[ModelName | Pattern, StageName | None]:
        path, query = request.path_params, request.query_params
        match self.of:
            case Concern.MODEL:
                return ModelName(path["model"]), None
            case Concern.STAGE:
                return ModelName(path["model"]), StageName(path["stage"])
            case Concern.JUDGED:
                return ModelName(path["model"]), StageName(await _said(request, "stage") or "")
            case Concern.MODEL_SAID | Concern.RUN_SAID:
                return _model(await _said(request, "model")), None
            case Concern.MODEL_ASKED:
                return _model(_only(query.getlist("model"))), None
            case Concern.VERSION_SAID:
                return _of_version(await _said(request, "what")), None
            case Concern.VERSION_ASKED:
                is_version = query.getlist("kind") == ["version"]
                return _of_version(_only(query.getlist("name")) if is_version else None), None
            case Concern.PATTERN_SAID:
                return Pattern(await _said(request, "pattern") or "*"), None
        return EVERYTHING, None

    async def _require_run(self, request: Request, caller: Caller) -> None:
        model, actor = await request.app.state.desk.owner_of(request.path_params["run"])
        if model is not None:
            caller.require(self.role, model)
        elif actor != caller.name or not caller.identity or not caller.identity.may_somewhere(self.role):
            caller.require(self.role, EVERYTHING)


async def _require_rollout(request: Request, caller: Caller, role: Role) -> None:
    rollout = request.path_params["rollout"]
    if not rollout.isdecimal() or len(rollout) > _INDEX_DIGITS_MAX:
        caller.require_somewhere(role)  # the route says what is wrong with it
    else:
        caller.require(role, await request.app.state.desk.model_of_rollout(int(rollout)))


def needs(role: Role, of: Concern) -> Any:
    """The declaration of a route, for its `dependencies`."""
    return Depends(Needs(role, of))


def admit(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Give the application its routes, each with what it declares.

    They are put in as they are, so that a process builds each of them once, and not for each application, at the first
    question to it, again.

    Raises:
        LookupError: one declares nothing, or more than one thing, or is public and not listed so.
    """
    for route in app.routes:
        if getattr(route, "path", None) not in PUBLIC:
            _describe(route)
    for router in routers:
        for route in router.routes:
            _describe(route)
            app.router.routes.append(route)


def _describe(route: BaseRoute) -> None:
    if not isinstance(route, APIRoute):
        raise LookupError(f"{route} does not say who may ask it")  # noqa: TRY004 - one error for all that is undeclared
    found, path = _declared(route), route.path
    if path in PUBLIC or path == SIGN_IN:
        if found is not None:
            raise LookupError(f"{path} is public, and asks for {found.role}")
        if path == SIGN_IN:
            route.openapi_extra = {**(route.openapi_extra or {}), "security": [{"token": []}]}
        return
    if found is None:
        raise LookupError(f"{path} does not say who may ask it")
    extra = {"x-needs": {"role": str(found.role), "of": found.of.name.lower(), "meaning": str(found.of)}}
    route.openapi_extra = {**(route.openapi_extra or {}), **extra, "security": [{"token": []}]}


def _declared(route: APIRoute) -> Needs | None:
    """The one declaration of a route.

    Raises:
        LookupError: there are several.
    """
    found = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
    if len(found) > 1:
        raise LookupError(f"{route.path} says more than once who may ask it")
    return found[0] if found else None


async def _said(request: Request, name: str) -> str | None:
    """A field of the body, as the route will read it; None where there is no text."""
    try:
        body = await request.json()
    except ValueError:
        return None  # the route refuses it
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None


def _model(name: str | None) -> ModelName | Pattern:
    return EVERYTHING if name is None else ModelName(name)


def _only(values: list[str]) -> str | None:
    return values[0] if len(values) == 1 else None


def _of_version(text: str | None) -> ModelName | Pattern:
    if text is None or text.startswith("sha256:"):
        return EVERYTHING
    return Reference.parse(text).model
