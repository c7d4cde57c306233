"""The FastAPI application of a server: its routes, its errors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from holdfast.canonical import JsonObject
from holdfast.config import VERSION
from holdfast.errors import HoldfastError
from holdfast.registry.provable import ProvableRegistry
from holdfast.service.line import API, REQUEST_HEADER
from holdfast.tracking import Tracking
from holdfast.web.answers import answer
from holdfast.web.api import (
    evidence,
    files,
    health,
    keeping,
    lines,
    metering,
    people,
    policies,
    proving,
    questions,
    rehearsals,
    rollouts,
    runs,
    signatures,
    stream,
    webhooks,
)
from holdfast.web.api.at_hand import AtHand
from holdfast.web.api.bounds import Bounded
from holdfast.web.api.depot import Depot
from holdfast.web.api.desk import Around, Desk
from holdfast.web.api.metering import OwnPort
from holdfast.web.api.needs import admit
from holdfast.web.api.observed import REFUSED, REQUEST, Observed
from holdfast.web.auth import CHALLENGE, Known
from holdfast.web.mlflow.app import Mlflow
from holdfast.web.mlflow.paths import concerns
from holdfast.web.problems import UNEXPECTED, problem, status_of
from holdfast.webhooks.delivering import Deliverer

__all__ = ["api_app"]

_LOG = logging.getLogger("holdfast.server")

_RETRY_SECONDS = "1"
"""When a client that was turned away may come again: a database that restarts is back in about that."""

_MAY_SPEAK = {"unavailable", "not_confirmed", "no_space"}
"""Codes from 500 on whose sentences say nothing of the machine; the others may quote a path."""

_BESIDE = {"unavailable": {"retry-after": _RETRY_SECONDS}, "unauthenticated": {"www-authenticate": CHALLENGE}}
"""The headers that belong to an error."""

_CODES = {404: "not_found", 405: "usage", 413: "too_large"}


def api_app(
    registry: ProvableRegistry, tracking: Tracking, depot: Depot | None = None, around: Around | None = None
) -> FastAPI:
    """The application that gives `registry`, `tracking` and `depot` to others.

    With a depot, a version gets its number only when all its bytes are there. While the application runs, webhooks are
    told of events, if there is `around` it what tells them; and if there is who knows people, nobody else is answered.

    Raises:
        LookupError: a route does not say who may ask it.
    """
    around = around or Around()
    app = _Described(
        title="Holdfast",
        version=VERSION,
        summary="Model version control: models, versions, stages, runs and the log of all that happened.",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
        lifespan=partial(_delivering, around.deliverer),
    )
    app.state.desk = Desk(registry, tracking, depot, around)
    modules = (
        *(lines, stream, evidence, rehearsals, rollouts, questions, proving, keeping, runs),
        *(files, webhooks, people, policies, signatures),
    )
    admit(app, [*(module.routes for module in modules), health.routes, metering.routes])
    # The last that is added is the first that a request meets: who may not ask is turned away before it is answered.
    app.add_middleware(AtHand, registry=registry)
    app.add_middleware(Bounded)
    if around.shelf is not None:
        app.add_middleware(Mlflow, desk=app.state.desk, shelf=around.shelf)
    if around.access is not None:
        sign_in = None if around.provider is None else around.provider.to_json()
        app.add_middleware(Known, doors=around.access, sign_in=sign_in, open_metrics=around.metrics_port is not None)
    app.add_middleware(OwnPort, around.metrics_port)
    app.add_middleware(Observed, around.meters)
    app.add_exception_handler(HoldfastError, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(Exception, _unexpected)
    return app


class _Described(FastAPI):
    """With the one way to show who one is in its document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer", "description": "A token of `holdfast token create`"}
        return document


@asynccontextmanager
async def _delivering(deliverer: Deliverer | None, _: FastAPI) -> AsyncIterator[None]:
    if deliverer is None:
        yield
        return
    at_work = asyncio.create_task(deliverer.run())
    at_work.add_done_callback(_told_of_its_end)
    try:
        yield
    finally:
        deliverer.stop()
        await at_work


def _told_of_its_end(at_work: asyncio.Task[None]) -> None:
    """A deliverer that fails leaves its webhooks to other processes; nobody shall have to find that out."""
    if not at_work.cancelled() and (error := at_work.exception()) is not None:
        _LOG.error("webhooks are served by this process no more", exc_info=error)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)  # noqa: S101 - it was registered for this class, for the type checker
    status = status_of(error)
    said = problem(error)
    if status >= UNEXPECTED and error.code not in _MAY_SPEAK:
        said = _silent(request, error.code, error)
    return _told(request, said, status, _BESIDE.get(error.code))


async def _misunderstood(request: Request, error: Exception) -> Response:
    """What the description of the request refused, in the shape of every error."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - likewise
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    said = _said("usage", f"{place}: {first['msg']}", "/api/v1/openapi.json says what it must look like.")
    return _told(request, said, 400)


async def _unrouted(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", UNEXPECTED))
    message = f"{request.method} {request.url.path[:200]} is not a route of this server"
    headers = dict(getattr(error, "headers", None) or {})
    said = _said(_CODES.get(status, "usage"), message, f"GET {API}/openapi.json lists them.")
    return _told(request, said, status, headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    # It is answered outside of every layer, so that the id is put on it here.
    headers = {REQUEST_HEADER: request.scope[REQUEST]} if REQUEST in request.scope else None
    if concerns(request.url.path):
        incident = _silent(request, "unexpected", error)["error"]
        said = {"error_code": "INTERNAL_ERROR", "message": f"{incident['message']}. {incident['hint']}"}
        return answer(said, UNEXPECTED, headers)
    return _told(request, _silent(request, "unexpected", error), UNEXPECTED, headers)


def _told(request: Request, said: JsonObject, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error, which knows its request, and whose code is counted."""
    error = dict(said["error"])
    request.scope[REFUSED] = error["code"]
    if REQUEST in request.scope:
        error["request"] = request.scope[REQUEST]
    return answer({"error": error}, status, headers)


def _silent(request: Request, code: str, error: Exception) -> JsonObject:
    """An error that says its kind and a number; path, query or stack stay in the log, under the same number."""
    number = uuid4().hex[:12]
    said = {"event": "incident", "incident": number, "code": code, "request": request.scope.get(REQUEST)}
    _LOG.error(
        "%s %s: %s, incident %s",
        *(request.method, request.url.path, code, number),
        exc_info=error,
        extra={"said": said},
    )
    hint = f"The server's log says why, at incident {number}."
    return {"error": {"code": code, "message": "the server could not answer", "hint": hint, "incident": number}}


def _said(code: str, message: str, hint: str) -> JsonObject:
    return {"error": {"code": code, "message": message, "hint": hint}}
