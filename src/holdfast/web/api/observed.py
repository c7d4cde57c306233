"""What is known of every request: its id, what it was, how it ended, how long it took; counted, and written down."""

import logging
import re
import time
from urllib.parse import unquote
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.service.line import ACTOR_HEADER, REQUEST_HEADER
from holdfast.web.api.meters import UNMATCHED, Meters
from holdfast.web.logs import printable

__all__ = ["ACTOR", "REFUSED", "REQUEST", "Observed"]

_LOG = logging.getLogger("holdfast.requests")

REQUEST = "holdfast.request"
"""Where a request's scope holds its id."""

ACTOR = "holdfast.actor"
"""Where it holds who asks, once that is known; what the client says of itself counts until then."""

REFUSED = "holdfast.refused"
"""Where it holds the code of the error that it was answered with."""

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
"""An id that a client may choose: it goes into logs and headers as it is."""

_UNEXPECTED = 500


class Observed:
    """Stands around all other layers of the application.

    Args:
        app: what it stands around.
        meters: where requests are counted.
    """

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value for name, value in scope["headers"] if name in _READ}
        scope[REQUEST] = _id(headers.get(_REQUEST, b""))
        status, size = _UNEXPECTED, 0

        async def noted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_REQUEST, scope[REQUEST].encode())]
            else:
                size += len(message.get("body", b""))
            await send(message)

        self._meters.began()
        begun = time.perf_counter()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._ended(scope, headers, status, size, time.perf_counter() - begun)

    def _ended(self, scope: Scope, headers: dict[bytes, bytes], status: int, size: int, seconds: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        held_open = route.endswith("/stream") or b"wait_seconds" in scope["query_string"]
        self._meters.ended(route, method, status, seconds, held_open=held_open)
        code = scope.get(REFUSED)
        if code is not None or status >= _UNEXPECTED:
            self._meters.refused(code or "unexpected", failed=status >= _UNEXPECTED)
        if not _LOG.isEnabledFor(logging.INFO):
            return
        said_of_itself = headers.get(_ACTOR)
        actor = scope.get(ACTOR) or (unquote(said_of_itself.decode("latin-1")) if said_of_itself else "")
        actor = printable(actor)
        said = {
            "event": "request",
            "request": scope[REQUEST],
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 3),
            "bytes": size,
            "actor": actor or None,
            "code": code,
        }
        # Made by hand: the usual way looks for the line of code that it is called from, which is always this one.
        record = {
            "name": _LOG.name,
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": "%s %s %d in %.1f ms, %d bytes, request %s by %s",
            "args": (method, route, status, seconds * 1000, size, scope[REQUEST], actor or "nobody"),
            "said": said,
        }
        _LOG.handle(logging.makeLogRecord(record))


_REQUEST, _ACTOR = REQUEST_HEADER.encode(), ACTOR_HEADER.encode()
_READ = frozenset({_REQUEST, _ACTOR})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


def _template(scope: Scope) -> str:
    """The route's path, with the names of what stands in it."""
    template: str = getattr(scope.get("route"), "path", UNMATCHED)
    return template


def _id(said: bytes) -> str:
    text = said.decode("latin-1")
    return text if _ID.match(text) else uuid4().hex
