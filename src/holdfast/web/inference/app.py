"""The FastAPI application of one replica: its routes, its errors, its start and its end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError, MissingExtra
from holdfast.serving.pipe import RETRY_SECONDS
from holdfast.serving.replica import Replica
from holdfast.web.inference.answering import Answering
from holdfast.web.inference.endpoints import health_routes, v2_routes
from holdfast.web.inference.override import Overriding, nobody
from holdfast.web.inference.refusals import silent, told
from holdfast.web.inference.scoring import SCORING, Score, described
from holdfast.web.inference.stamp import SCOPE_KEY, Stamp
from holdfast.web.inference.truths import truth_routes
from holdfast.web.inference.watching import watch_routes
from holdfast.web.problems import UNEXPECTED, status_of

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

__all__ = ["Door", "replica_app"]

Door: TypeAlias = Callable[[Answering], AbstractAsyncContextManager[None]]
"""Another way in beside HTTP."""

_LOG = logging.getLogger("holdfast.serving")

_COME_BACK = {"unavailable", "busy"}
"""Codes of what is over after a short while; the answer says after how long."""

_THREADS = 32
"""For what waits: a registry that is silent holds one for minutes, and half a dozen parts of a replica ask it. Python's
own number, four more than there are processors, would be used up by them, and a worker that has died could not be
started again, nor a long request be read."""

_CODES = {404: "not_found", 405: "usage", 413: "too_large"}


def replica_app(replica: Replica, *, overriding: Overriding = nobody, doors: Sequence[Door] = ()) -> "FastAPI":
    """The application that serves `replica`; it starts it and stops it.

    Args:
        replica: what answers.
        overriding: who may choose another version than the route's, and say what was right.
        doors: other ways in, open as long as the application is: each is given what scores requests.

    Raises:
        MissingExtra: FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI
        from starlette.exceptions import HTTPException
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtra("serving needs FastAPI", hint="Install it: pip install 'holdfast[serve]'") from error

    answering = Answering(replica, overriding)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # It is the loop's from here on, which shuts it down at its end.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "holdfast-waiting"))
        await replica.start()
        try:
            async with AsyncExitStack() as open_doors:
                for door in doors:
                    await open_doors.enter_async_context(door(answering))
                yield
        finally:
            await replica.stop()

    app = FastAPI(
        title=f"Holdfast replica of {replica.model}@{replica.stage}",
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        docs_url=None,
    )
    for path, (shape, _) in SCORING.items():
        app.router.routes.append(Route(path, Score(answering, shape), methods=["POST"]))
    for routes in (
        v2_routes(replica),
        health_routes(replica),
        truth_routes(replica, overriding),
        watch_routes(replica),
    ):
        app.include_router(routes)

    def openapi() -> JsonObject:
        document = FastAPI.openapi(app)
        document["paths"].update(described())
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI's documentation says to extend the document
    app.add_middleware(Stamp, replica=replica)
    app.add_exception_handler(HoldfastError, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(Exception, _unexpected)
    return app


async def _refused(request: "Request", error: Exception) -> "JSONResponse":
    assert isinstance(error, HoldfastError)  # noqa: S101 - it was registered for this class, for the type checker
    status = status_of(error)
    said = told(error, f"{request.method} {request.url.path}", request.scope.get(SCOPE_KEY))
    headers = {}
    if error.code in _COME_BACK:
        headers["retry-after"] = str(RETRY_SECONDS)
    if error.code == "too_large":
        headers["connection"] = "close"
    return _answer(request, status, said, headers)


async def _unrouted(request: "Request", error: Exception) -> "JSONResponse":
    status = int(getattr(error, "status_code", UNEXPECTED))
    said = {
        "code": _CODES.get(status, "usage"),
        "message": f"{request.method} {request.url.path[:200]} is not a route of this replica",
        "hint": "Score with POST /invocations, /predict or /v2/models/{model}/infer; GET /openapi.json lists the rest.",
    }
    return _answer(request, status, said, dict(getattr(error, "headers", None) or {}))


async def _unexpected(request: "Request", error: Exception) -> "JSONResponse":
    _LOG.critical("%s %s: an unexpected error", request.method, request.url.path, exc_info=error)
    # This answer is made outside the middleware that stamps all others, from the same route.
    spoken = request.scope.get(SCOPE_KEY)
    stamp = {} if spoken is None else {name.decode(): value.decode() for name, value in spoken.headers()}
    return _answer(request, UNEXPECTED, silent("unexpected"), stamp)


def _answer(request: "Request", status: int, said: JsonObject, headers: dict[str, str]) -> "JSONResponse":
    """The V2 protocol wants a string under `error`; everywhere else it is the object of every Holdfast error."""
    from fastapi.responses import JSONResponse

    body: JsonObject = {"error": said}
    if request.url.path.startswith("/v2"):
        body = {**said, "error": said["message"]}
    return JSONResponse(body, status, headers)
