"""Whether the server lives, and whether it can answer: for what restarts it, and for what sends it requests."""

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.errors import HoldfastError
from holdfast.web.api import schemas
from holdfast.web.api.desk import Here, answer
from holdfast.web.problems import status_of

__all__ = ["routes"]

routes = APIRouter(tags=["health"])
"""Open to everybody: they say nothing that a failing request would not."""


@routes.get("/healthz", response_model=schemas.Health)
async def healthz() -> Response:
    """The process lives."""
    return answer({"status": "ok"})


@routes.get("/readyz", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
async def readyz(desk: Here) -> Response:
    """The database answers, the store does, and the process is not about to end."""
    if desk.watch.ended:
        return answer({"status": "draining"}, 503)
    try:
        await desk.ask(desk.look)
    except HoldfastError as error:
        return answer({"status": "unavailable", "code": error.code}, max(status_of(error), 503))
    return answer({"status": "ok"})
