"""Holds, archives, and the stages that versions held: what says which bytes must be at hand."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from holdfast.access import Role
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.names import Reference
from holdfast.registry import NewArchive
from holdfast.service.line import API
from holdfast.web.api import schemas_of_keeping as schemas
from holdfast.web.api.desk import Actor, Here, Key, Who, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

routes = APIRouter(prefix=API, tags=["keeping"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/holds", response_model=schemas.Holds, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def holds(desk: Here, who: Who) -> Response:
    """The holds that stand."""
    found = await desk.ask(desk.registry.holds)
    return answer({"holds": [one.to_json() for one in found if who.sees(one.model)]})


@routes.post(
    "/holds", response_model=schemas.Hold, status_code=201, dependencies=[needs(Role.CONTRIBUTOR, Concern.VERSION_SAID)]
)
async def hold(desk: Here, actor: Actor, new: schemas.NewHold, key: Key = None) -> Response:
    """Keep a version or a snapshot, with all that it needs, until the hold is lifted."""
    what = _named(new.what)
    return answer((await desk.ask(lambda: desk.registry.hold(what, new.reason, actor, key=key))).to_json(), 201)


@routes.post("/holds/{hold}/lift", response_model=schemas.Hold, dependencies=[needs(Role.CONTRIBUTOR, Concern.PROJECT)])
async def lift(
    desk: Here, actor: Actor, hold: Annotated[int, Path(ge=0, le=2**53 - 1)], why: schemas.Why, key: Key = None
) -> Response:
    """Take a hold back."""
    return answer((await desk.ask(lambda: desk.registry.lift(hold, why.reason, actor, key=key))).to_json())


@routes.get("/archives", response_model=schemas.Archives, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def archives(desk: Here, who: Who) -> Response:
    """The archives that stand."""
    found = await desk.ask(desk.registry.archives)
    return answer({"archives": [one.to_json() for one in found if who.sees(one.model)]})


@routes.post(
    "/archives",
    response_model=schemas.Archive,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.PROJECT)],
)
async def archive(desk: Here, actor: Actor, new: schemas.NewArchive, key: Key = None) -> Response:
    """Write down that a remote holds all of a version or a snapshot, so that its bytes need not be at hand."""
    asked = NewArchive(
        what=_named(new.what),
        remote=new.remote,
        url=new.url,
        blobs=new.blobs,
        bytes=new.bytes,
        reason=new.reason,
        expect=new.expect,
    )
    return answer((await desk.ask(lambda: desk.registry.archive(asked, actor, key=key))).to_json(), 201)


@routes.get("/restores", response_model=schemas.Restores, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def restores(desk: Here) -> Response:
    """When each of the things that ever were restored was so last."""
    found = await desk.ask(desk.registry.restores)
    return answer({"restores": [{"digest": str(digest), "at": to_text(at)} for digest, at in found.items()]})


@routes.post(
    "/restores",
    response_model=schemas.Archives,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.PROJECT)],
)
async def restore(desk: Here, actor: Actor, new: schemas.NewRestore, key: Key = None) -> Response:
    """Write down that the bytes of what was archived are at hand again; the archives that this ends."""
    digest = Digest.parse(new.digest)
    ended = await desk.ask(lambda: desk.registry.restore(digest, new.remote, actor, new.reason, key=key))
    return answer({"archives": [one.to_json() for one in ended]}, 201)


@routes.get("/tenures", response_model=schemas.Tenures, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def tenures(desk: Here, who: Who) -> Response:
    """Each time that a version held a stage."""
    found = await desk.ask(desk.registry.tenures)
    return answer({"tenures": [one.to_json() for one in found if who.sees(one.model)]})


def _named(what: str) -> Digest | Reference:
    return Digest.parse(what) if what.startswith("sha256:") else Reference.parse(what)
