"""Policies that the registry keeps: who may set one, and what is in force."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.flow.gate.precedence import require_own_waivers, require_settable
from holdfast.names import ModelName
from holdfast.registry.governing import NewPolicy
from holdfast.service.line import API
from holdfast.web.api import schemas_of_policies as schemas
from holdfast.web.api.desk import Here, Key, Who, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

ModelQuery = Annotated[str | None, Query(max_length=256, description="Of one model; otherwise for all")]

routes = APIRouter(prefix=API, tags=["policies"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.post(
    "/policies",
    response_model=schemas.Policy,
    status_code=201,
    dependencies=[needs(Role.ADMIN, Concern.MODEL_SAID)],
)
async def set_policy(desk: Here, who: Who, new: schemas.NewPolicy, key: Key = None) -> Response:
    """Set a policy, provided that the one that is expected is in its place.

    A waiver that was not there before is given by whoever sets the policy, and names them.
    """
    model = None if new.model is None else ModelName(new.model)
    asked = NewPolicy(new.text, model, new.reason, new.expect)
    policy = require_settable(asked.text, "the policy", datetime.now(UTC).date(), model)
    if who.identity is not None:
        there = await desk.ask(lambda: desk.registry.policies(model))
        require_own_waivers(policy, next((one for one in there if one.number == new.expect), None), who.name)
    return answer((await desk.ask(lambda: desk.registry.set_policy(asked, who.name, key=key))).to_json(), 201)


@routes.get("/policies", response_model=schemas.Policies, dependencies=[needs(Role.VIEWER, Concern.MODEL_ASKED)])
async def policies(desk: Here, model: ModelQuery = None) -> Response:
    """Every policy that was set for a model, or for all, oldest first."""
    name = None if model is None else ModelName(model)
    return answer({"policies": [one.to_json() for one in await desk.ask(lambda: desk.registry.policies(name))]})


@routes.get(
    "/policies/in-force", response_model=schemas.MaybePolicy, dependencies=[needs(Role.VIEWER, Concern.MODEL_ASKED)]
)
async def policy(desk: Here, model: ModelQuery = None) -> Response:
    """The policy in force for a model, its own or that of all; null where there is none."""
    name = None if model is None else ModelName(model)
    found = await desk.ask(lambda: desk.registry.policy(name))
    return answer({"policy": None if found is None else found.to_json()})
