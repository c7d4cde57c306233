"""Signatures of versions. A server looks at their form, and trusts no key: that is for those who ask."""

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import Reader
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import NewSignature
from holdfast.registry.vouching import file_in
from holdfast.service.line import API
from holdfast.web.api import schemas_of_signatures as schemas
from holdfast.web.api.desk import Actor, Here, Key, answer, refusals
from holdfast.web.api.evidence import NumberPath
from holdfast.web.api.lines import ModelText
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

routes = APIRouter(prefix=API, tags=["signatures"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""

_PATH = "/models/{model}/versions/{number}/signatures"


@routes.post(
    _PATH,
    response_model=schemas.Signature,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def put_signature(
    desk: Here, actor: Actor, model: ModelText, *, number: NumberPath, new: schemas.NewSignature, key: Key = None
) -> Response:
    """Keep a signature of a version."""
    body = file_in(Reader(new.model_dump(), "signature"))
    asked = NewSignature(ModelName(model), VersionNumber(number), body, new.public_key)
    kept = await desk.ask(lambda: desk.registry.put_signature(asked, actor, new.reason, key=key))
    return answer(kept.to_json(), 201)


@routes.get(_PATH, response_model=schemas.Signatures, dependencies=[needs(Role.VIEWER, Concern.MODEL)])
async def signatures(desk: Here, model: ModelText, number: NumberPath) -> Response:
    """The signatures of a version, oldest first."""
    found = await desk.ask(lambda: desk.registry.signatures(ModelName(model), VersionNumber(number)))
    return answer({"signatures": [one.to_json() for one in found]})
