"""The questions that everybody asks all the time, answered at once: what holds a stage, and which version that is.

The routes in `lines` describe these questions and answer every form of them. Here the plainest form alone is answered:
without a query, of a registry whose reads wait for nobody. Such a read takes less time than handing it to a thread
does, and far less than a framework needs for a request. Whatever is not plain, or not there, or not a name, goes on to
the route that describes it, so that every other answer and every refusal is made in one place.
"""

import re
from collections.abc import Callable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.errors import HoldfastError
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.provable import ProvableRegistry
from holdfast.service.line import API
from holdfast.web.api import lines
from holdfast.web.api.desk import answer

__all__ = ["AtHand"]

_PATH = re.compile(rf"{API}/models/([^/]+)/(stages|versions)/([^/]+)")

_NAMED = {"stages": "stage", "versions": "choice"}
"""What the routes call the last part of the path."""


class AtHand:
    """ASGI middleware in front of the routes, and behind everything that may refuse a request before them.

    What a route declares as its dependencies is asked here as well, with the request: what they refuse is not answered.
    """

    def __init__(self, app: ASGIApp, registry: ProvableRegistry) -> None:
        self._app = app
        self._looks = {"stages": (_stage, _route(lines.stage)), "versions": (_version, _route(lines.version))}
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = None
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            asked = _PATH.fullmatch(scope["path"])
            if asked is not None:
                found = await self._answer(scope, *asked.groups())
        await (found or self._app)(scope, receive, send)

    async def _answer(self, scope: Scope, model: str, what: str, which: str) -> Response | None:
        look, route = self._looks[what]
        scope["route"] = route
        try:
            if route.dependencies:
                request = Request({**scope, "path_params": {"model": model, _NAMED[what]: which}})
                for one in route.dependencies:
                    await one.dependency(request)  # type: ignore[misc]  # what is no check of a request fails loudly
            return look(self._registry, ModelName(model), which, _known(scope))
        except HoldfastError:
            return None  # the route behind says the same, as every route says it


def _stage(registry: ProvableRegistry, model: ModelName, which: str, known: str | None) -> Response | None:
    found = registry.stage_at_hand(model, StageName(which))
    return None if found is None else lines.said(found, known)


def _version(registry: ProvableRegistry, model: ModelName, which: str, _: str | None) -> Response | None:
    found = registry.version_at_hand(Reference.parse(f"{model}@{which}"))
    return None if found is None else answer(found.to_json())


def _known(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"), None)


def _route(endpoint: Callable[..., object]) -> APIRoute:
    """The route that describes what an endpoint answers; an answer from here is held to it as well."""
    return next(one for one in lines.routes.routes if isinstance(one, APIRoute) and one.endpoint is endpoint)
