"""Certificates of rehearsed rollbacks."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import REHEARSALS_MAX, NewRehearsal
from holdfast.service.line import API
from holdfast.web.api import schemas_of_rehearsals as schemas
from holdfast.web.api.desk import Actor, Here, Key, answer, refusals
from holdfast.web.api.lines import ModelText, StageText
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

routes = APIRouter(prefix=API, tags=["evidence"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.post(
    "/models/{model}/stages/{stage}/rehearsals",
    response_model=schemas.Rehearsal,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def put_rehearsal(
    desk: Here, actor: Actor, model: ModelText, *, stage: StageText, new: schemas.NewRehearsal, key: Key = None
) -> Response:
    """Keep the certificate of a rehearsed rollback, with its event."""
    said = NewRehearsal.of(new.certificate)
    if (said.model, said.stage) != (ModelName(model), StageName(stage)):
        raise UsageError(
            f"the certificate is of {said.stage} of {said.model}, and was put under {stage} of {model}",
            hint="Put it under the stage that it speaks of.",
        )
    kept = await desk.ask(lambda: desk.registry.put_rehearsal(new.certificate, actor, key=key))
    return answer(kept.to_json(), 201)


@routes.get(
    "/models/{model}/stages/{stage}/rehearsals",
    response_model=schemas.Rehearsals,
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def rehearsals(
    desk: Here,
    model: ModelText,
    *,
    stage: StageText,
    to: Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Only those that went back to this one")] = None,
    limit: Annotated[int, Query(ge=1, le=REHEARSALS_MAX)] = 100,
) -> Response:
    """The certificates of a stage, newest first."""
    name, pointer, back = ModelName(model), StageName(stage), None if to is None else VersionNumber(to)
    found = await desk.ask(lambda: desk.registry.rehearsals(name, pointer, to=back, limit=limit))
    return answer({"rehearsals": [one.to_json() for one in found]})
