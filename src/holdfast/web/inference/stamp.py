"""Who answers a request: the route is taken once, when the request arrives, and every answer says which it was."""

import secrets
import time
from typing import TYPE_CHECKING

from holdfast.serving.live import Live
from holdfast.serving.replica import Replica
from holdfast.serving.route import PRIMARY, Route

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SCOPE_KEY", "Spoken", "Stamp", "request_id", "traceparent"]

_ID, _TRACE = b"x-request-id", b"traceparent"

SCOPE_KEY = "holdfast.spoken"
"""Where the `Spoken` of a request lies in its ASGI scope."""


_ID_BYTES_MAX = 128
"""Ids of other systems are traces of 55 characters at most, or words of people; longer ones are no ids."""


class Spoken:
    """The route that one request took, and which of its versions speaks.

    Attributes:
        route: taken once; None before the first version is open.
        live: the version that answers; the primary unless the request named another one that is held.
        reason: why that one.
        key: what the request was assigned by; None where nothing is assigned.
        request_id: the caller's own, where it sent a short plain one; else made here.
        began: when the request arrived, in seconds of `time.perf_counter`.
        asked: when the version's process was asked.
        answered: when it had answered.
        traceparent: the caller's place in a trace; None where it sent none.
    """

    __slots__ = ("answered", "asked", "began", "key", "live", "reason", "request_id", "route", "traceparent")

    def __init__(self, route: Route | None, request_id: str, traceparent: str | None = None) -> None:
        self.began = self.asked = self.answered = time.perf_counter()
        self.traceparent = traceparent
        self.route = route
        self.request_id = request_id
        self.key: str | None = None
        self.live: Live | None = None if route is None else route.primary
        self.reason = PRIMARY

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the answer; while nothing is served, only the request's id."""
        if self.route is None or self.live is None:
            return [(b"x-request-id", self.request_id.encode())]
        return [
            (b"x-request-id", self.request_id.encode()),
            (b"x-model-version", str(self.live.number).encode()),
            (b"x-model-digest", str(self.live.digest).encode()),
            (b"x-route-epoch", str(self.route.epoch).encode()),
            (b"x-route-reason", self.reason.encode()),
        ]


class Stamp:
    """ASGI middleware around everything: takes the route, stamps the answer, gives the route back."""

    def __init__(self, app: "ASGIApp", replica: Replica) -> None:
        self._app = app
        self._replica = replica

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = self._replica.take()
        said = scope["headers"]
        spoken = scope[SCOPE_KEY] = Spoken(route, request_id(_first(said, _ID)), traceparent(_first(said, _TRACE)))

        async def stamped(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *spoken.headers()]
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        finally:
            self._replica.leave(route)


def _first(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


def request_id(value: bytes | None) -> str:
    """The id of a request: the caller's, where it is short and plain; else one made here."""
    if value is not None and 0 < len(value) <= _ID_BYTES_MAX and value.isascii():
        said = value.decode("ascii")
        if said.isprintable():
            return said
    return secrets.token_hex(16)


def traceparent(value: bytes | None) -> str | None:
    """The caller's place in a trace; None where it sent none, or nothing that could be one."""
    if value is None or len(value) > _ID_BYTES_MAX or not value.isascii():
        return None
    return value.decode("ascii")
