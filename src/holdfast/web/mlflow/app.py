"""One ASGI layer inside the server's own: requests of MLflow's protocol are answered here, all others go on.

It stands behind what finds out who asks, and before the routes of the API. Whoever may ask nothing at all is turned
away here; what concerns one model, its endpoint asks.
"""

import logging
from collections.abc import Iterable
from types import SimpleNamespace
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError, NotFound, TooLarge
from holdfast.web.api.caller import NOBODY, caller_of
from holdfast.web.api.desk import Desk
from holdfast.web.api.observed import REFUSED
from holdfast.web.mlflow import (
    about,
    aliases,
    assessments,
    experiments,
    files,
    inputs,
    logged_models,
    metrics,
    model_versions,
    older_traces,
    parts,
    registered_models,
    runs,
    traces,
    webhooks,
)
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import Endpoint, Found, Table
from holdfast.web.mlflow.links import origin_of
from holdfast.web.mlflow.paths import concerns
from holdfast.web.mlflow.refusing import refusal, refused
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import tell
from holdfast.web.problems import UNEXPECTED
from holdfast.wire.mlflow import Shelf

__all__ = ["BODY_BYTES_MAX", "ENDPOINTS", "Mlflow"]

_LOG = logging.getLogger("holdfast.server")

BODY_BYTES_MAX = 32 << 20
"""MLflow's clients send a megabyte at most in words; traces and signatures of wide tables are longer."""

_MODULES = (
    about,
    experiments,
    runs,
    metrics,
    inputs,
    files,
    parts,
    logged_models,
    registered_models,
    model_versions,
    aliases,
    traces,
    older_traces,
    assessments,
    webhooks,
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(one for module in _MODULES for one in module.ENDPOINTS)
"""All of them; each module names its own."""

_MAY_SPEAK = frozenset({"INVALID_STATE", "DATA_LOSS", "NOT_IMPLEMENTED", "TEMPORARILY_UNAVAILABLE"})


class Mlflow:
    """Answers what is MLflow's.

    Args:
        app: answers everything else.
        desk: the server's registry, runs and bytes.
        shelf: what MLflow's clients keep beside them.
        endpoints: which there are.
    """

    def __init__(self, app: ASGIApp, desk: Desk, shelf: Shelf, endpoints: Iterable[Endpoint] = ENDPOINTS) -> None:
        self._app = app
        self._desk = desk
        self._shelf = shelf
        self._table = Table(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not concerns(scope["path"]):
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        try:
            found = self._table.find(scope["method"], scope["path"])
            if found is None:
                # What is asked for stands where a metric's label would: the path of a stranger is no name of ours.
                raise NotFound(
                    f"{scope['method']} {scope['path'][:200]} is not offered here: docs/mlflow.md lists what is.",
                    hint="Use another server for it.",
                    mlflow="ENDPOINT_NOT_FOUND",
                )
            scope["route"] = SimpleNamespace(path=found.endpoint.path)
            scope["path_params"] = found.words
            return await self._asked(found, Request(scope, receive))
        except HoldfastError as error:
            return _refused(scope, error)

    async def _asked(self, found: Found, request: Request) -> Response:
        endpoint = found.endpoint
        if endpoint.role is None:
            caller = NOBODY
        else:
            caller = caller_of(request)
            caller.require_somewhere(endpoint.role)
        here = Here(caller, self._desk, self._shelf, self._shelf.public_url or origin_of(request))
        if endpoint.streams is not None:
            return await endpoint.streams(request, here)
        asked = await _read(found, request)
        answers = endpoint.answers
        assert answers is not None  # noqa: S101 - an endpoint has the one or the other, for the type checker
        return await run_in_threadpool(lambda: tell(answers(asked, here)))


async def _read(found: Found, request: Request) -> Asked:
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await _body(request)
    if request.method == "GET" or (request.method == "DELETE" and not body):
        return Asked.of_query(request.url.query, found.words, headers)
    return Asked.of_body(body, found.words, headers)


async def _body(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise TooLarge(
                f"Batched logging API requests must be at most {BODY_BYTES_MAX} bytes",
                hint="Send it in several requests.",
                limit=BODY_BYTES_MAX,
            )
        pieces.append(piece)
    return b"".join(pieces)


def _refused(scope: Scope, error: HoldfastError) -> Response:
    status, said = refusal(error)
    scope[REFUSED] = error.code
    if status >= UNEXPECTED and said["error_code"] not in _MAY_SPEAK and error.code != "no_space":
        said = _silent(scope, error, said)
    return refused(status, said)


def _silent(scope: Scope, error: HoldfastError, said: JsonObject) -> JsonObject:
    """An error that says a number, under which the server's log has the rest."""
    number = uuid4().hex[:12]
    _LOG.error("%s %s: %s, incident %s", scope["method"], scope["path"], error.code, number, exc_info=error)
    return {**said, "message": f"The server could not answer; its log says why, at incident {number}."}
