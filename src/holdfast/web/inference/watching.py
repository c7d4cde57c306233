"""The routes of a replica that show what it watches: `/metrics`, `/watch` and `/alerts`."""

from typing import TYPE_CHECKING

from holdfast.serving.replica import Replica
from holdfast.serving.watch import Watch

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["watch_routes"]

_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The text format that every version of Prometheus reads."""


def watch_routes(replica: Replica) -> "APIRouter":
    """What the replica's watch shows; no routes where nobody watches.

    Whoever may ask the port may read them: they hold counts, and the names of columns and classes, and no row.
    """
    from fastapi import APIRouter
    from fastapi.responses import JSONResponse, Response

    routes = APIRouter(tags=["watch"])
    watch = next((one for one in replica.observers if isinstance(one, Watch)), None)
    if watch is None:
        return routes

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {_MEDIA_TYPE: {}}}})
    async def metrics() -> Response:
        """Counters and gauges by model, version and role, for Prometheus."""
        return Response(watch.shown.metrics(), media_type=_MEDIA_TYPE)

    @routes.get("/watch")
    async def lately() -> Response:
        """What each version did in the last minute, five minutes and hour, and how far it is from what is known."""
        return JSONResponse(watch.shown.watch())

    @routes.get("/alerts")
    async def alerts() -> Response:
        """What is wrong now, and what was."""
        return JSONResponse(watch.shown.alerted())

    return routes
