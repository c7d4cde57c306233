"""`GET /metrics`: what the server counts, for Prometheus."""

import logging

from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.errors import HoldfastError, NotFound
from holdfast.registry.census import Census
from holdfast.web.api.desk import Desk, Here, answer
from holdfast.web.api.meters import MEDIA_TYPE
from holdfast.web.problems import problem, status_of

__all__ = ["PATH", "OwnPort", "routes"]

_LOG = logging.getLogger("holdfast.server")

PATH = "/metrics"

_ON_ITS_PORT = frozenset({PATH, "/healthz", "/readyz"})

routes = APIRouter(tags=["health"])
"""Whoever may ask the port may read it: a server beyond loopback gives it a port of its own, or asks for a viewer."""


@routes.get(PATH, response_class=Response, responses={200: {"content": {MEDIA_TYPE: {}}}})
async def metrics(desk: Here) -> Response:
    """Counters of all processes of this server, and what its database holds now."""
    census = await desk.ask(lambda: _census(desk))
    text = await desk.ask(lambda: desk.meters.text(census))
    return Response(text, media_type=MEDIA_TYPE)


def _census(desk: Desk) -> Census | None:
    try:
        return None if desk.census is None else desk.census()
    except HoldfastError as error:
        _LOG.warning("the database did not say what is in it: %s", error.code)
        return None


class OwnPort:
    """Keeps metrics on a port of their own, and everything else off it.

    Args:
        app: what answers.
        port: where metrics are read; None: where everything else is asked, too.
    """

    def __init__(self, app: ASGIApp, port: int | None) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and self._port is not None:
            is_there = (scope.get("server") or ("", None))[1] == self._port
            if is_there != (scope["path"] == PATH) and not (is_there and scope["path"] in _ON_ITS_PORT):
                elsewhere = NotFound("this port does not answer that", hint="Metrics have a port of their own here.")
                await answer(problem(elsewhere), status_of(elsewhere))(scope, receive, send)
                return
        await self._app(scope, receive, send)
