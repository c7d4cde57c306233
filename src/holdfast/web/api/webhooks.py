"""Webhooks, for administrators: the one place where a client names an address that the server itself asks."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from holdfast.access import Role
from holdfast.errors import NotFound, UsageError
from holdfast.registry.webhooks import NewWebhook, Webhooks, Wish
from holdfast.service.line import API
from holdfast.web.api import schemas_of_webhooks as schemas
from holdfast.web.api.desk import Actor, Here, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

routes = APIRouter(prefix=API, tags=["webhooks"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents. All of them are an administrator's."""

_DAY_SECONDS = 86_400.0
_OVERLAP_SECONDS_MAX = 366 * _DAY_SECONDS
"""What can be written as a span at all; how long one may be, the registry says."""


async def _webhooks(desk: Here) -> Webhooks:
    if desk.webhooks is None:
        raise NotFound("this server has no webhooks", hint="Ask the one that does.")
    return desk.webhooks


Held = Annotated[Webhooks, Depends(_webhooks)]
Name = Annotated[str, Path(max_length=64, examples=["wh_0123456789abcdef0123"])]


@routes.get("/webhooks", response_model=schemas.Webhooks, dependencies=[needs(Role.ADMIN, Concern.PROJECT)])
async def webhooks(desk: Here, held: Held) -> Response:
    """Every webhook, with how far it is."""
    return answer({"webhooks": [one.to_json() for one in await desk.ask(held.webhooks)]})


@routes.post(
    "/webhooks", response_model=schemas.GivenWebhook, status_code=201, dependencies=[needs(Role.ADMIN, Concern.PROJECT)]
)
async def add(desk: Here, held: Held, actor: Actor, new: schemas.NewWebhook) -> Response:
    """Have an address told of every event from here on; its secret is told this once."""
    asked = NewWebhook(new.url, Wish.of(new.actions, new.models))
    return answer((await desk.ask(lambda: held.add(asked, actor))).to_json(), 201)


@routes.post(
    "/webhooks/{webhook}/rotate", response_model=schemas.GivenWebhook, dependencies=[needs(Role.ADMIN, Concern.PROJECT)]
)
async def rotate(desk: Here, held: Held, actor: Actor, webhook: Name, how: schemas.Rotation) -> Response:
    """Another secret; both sign until the overlap is over."""
    if how.overlap_seconds > _OVERLAP_SECONDS_MAX:
        raise UsageError("an overlap cannot be so long", hint="30 days are the most.")
    overlap = timedelta(seconds=how.overlap_seconds)
    return answer((await desk.ask(lambda: held.rotate(webhook, actor, overlap))).to_json())


@routes.post(
    "/webhooks/{webhook}/resume", response_model=schemas.Webhook, dependencies=[needs(Role.ADMIN, Concern.PROJECT)]
)
async def resume(desk: Here, held: Held, actor: Actor, webhook: Name, how: schemas.Resumption) -> Response:
    """Try again at once; a webhook that has stopped goes on."""
    return answer((await desk.ask(lambda: held.resume(webhook, actor, skip=how.skip))).to_json())


@routes.post(
    "/webhooks/{webhook}/test", response_model=schemas.Trial, dependencies=[needs(Role.ADMIN, Concern.PROJECT)]
)
async def test(desk: Here, held: Held, webhook: Name, _: schemas.Nothing) -> Response:
    """Send one message that says nothing, now."""
    return answer((await desk.ask(lambda: held.test(webhook))).to_json())


@routes.delete("/webhooks/{webhook}", response_model=schemas.Webhook, dependencies=[needs(Role.ADMIN, Concern.PROJECT)])
async def remove(desk: Here, held: Held, actor: Actor, webhook: Name) -> Response:
    """Tell the address nothing more; what it was."""
    return answer((await desk.ask(lambda: held.remove(webhook, actor))).to_json())
