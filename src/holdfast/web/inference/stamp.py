"""Who answers a request: the route is taken once, when the request arrives, and every answer says which it was."""

from typing import TYPE_CHECKING

from holdfast.serving.live import Live
from holdfast.serving.replica import Replica
from holdfast.serving.route import PRIMARY, Route

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SCOPE_KEY", "Spoken", "Stamp"]

SCOPE_KEY = "holdfast.spoken"
"""Where the `Spoken` of a request lies in its ASGI scope."""


class Spoken:
    """The route that one request took, and which of its versions speaks.

    Attributes:
        route: taken once; None before the first version is open.
        live: the version that answers; the primary unless the request named another one that is held.
        reason: why that one.
    """

    __slots__ = ("live", "reason", "route")

    def __init__(self, route: Route | None) -> None:
        self.route = route
        self.live: Live | None = None if route is None else route.primary
        self.reason = PRIMARY

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the answer; none while nothing is served."""
        if self.route is None or self.live is None:
            return []
        return [
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
        spoken = scope[SCOPE_KEY] = Spoken(route)

        async def stamped(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *spoken.headers()]
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        finally:
            self._replica.leave(route)
