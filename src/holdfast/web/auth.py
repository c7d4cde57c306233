"""Who asks: every request proves it with a token before anything else of it is looked at.

    Authorization: Bearer holdfast_…

or with a ticket, which the server wrote for this very request. Without one of the two that is good the answer is 401,
whatever was asked for: only the paths of `PUBLIC` are answered to everybody, and of those the metrics only on a port of
their own. What somebody may do once they are known, each route declares: `holdfast.web.api.needs`.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.access import Doors, Identity
from holdfast.access.secret import fingerprint
from holdfast.errors import HoldfastError, Unauthenticated, Unavailable
from holdfast.service.line import API
from holdfast.web.answers import answer
from holdfast.web.api.observed import ACTOR
from holdfast.web.bearer import bearer, ticket, unauthenticated
from holdfast.web.mlflow.paths import OPEN, concerns, is_linked
from holdfast.web.mlflow.refusing import refusal, refused
from holdfast.web.problems import problem, status_of

__all__ = ["CHALLENGE", "IDENTITY", "METRICS", "PUBLIC", "SIGN_IN", "Known"]

METRICS = "/metrics"
"""What a server counts, with names of models in it: on a port of its own for everybody, else for who has a token."""

PUBLIC = frozenset({"/healthz", "/readyz", METRICS, f"{API}/openapi.json"})
"""What needs no role: that the server lives, what can be asked of it, and what it counts."""

SIGN_IN = f"{API}/sign-in"
"""Where the token is a provider's and not ours: this route looks at it itself."""

CHALLENGE = 'Bearer realm="holdfast"'
"""How a 401 says what to show (RFC 6750, section 3)."""

IDENTITY = "holdfast.identity"
"""Where a request's scope holds who asks."""

REMEMBERED_SECONDS = 0.5
"""How long an identity is believed without asking again. A token that is revoked, and a grant that is taken back, count
within a second everywhere."""

_REMEMBERED_MAX = 4_096
"""Identities remembered at once: a few megabytes; past it all are forgotten, and asked for again."""

_NOBODY = "nobody"


class Known:
    """Lets in who shows a good token, and tells the application who that is.

    Args:
        app: what answers.
        doors: say who stands behind a token.
        sign_in: where people without a token may get one, as 401 tells them; None where tokens are given out by hand.
        open_metrics: whether metrics are read where nothing else is, so that who reaches them may have them.
    """

    def __init__(
        self, app: ASGIApp, doors: Doors, sign_in: Mapping[str, str] | None = None, *, open_metrics: bool = False
    ) -> None:
        self._app = app
        self._doors = doors
        self._sign_in = sign_in
        self._open = (PUBLIC | {SIGN_IN} | OPEN) - (frozenset() if open_metrics else {METRICS})
        # By what was shown, and as what: the same text shown as a token is another question than as a ticket.
        self._remembered: dict[tuple[str, str], tuple[float, Identity]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "lifespan":
            scope[ACTOR] = _NOBODY  # whatever the request says of itself: only a token says who asks
        if scope["type"] == "lifespan" or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        try:
            identity = await self._identity(scope)
        except (Unauthenticated, Unavailable) as error:
            await _refuse(error, self._sign_in, scope["path"])(scope, receive, send)
            return
        # Into the scope itself: what is outside of this writes down who it was, and which route answered.
        scope[IDENTITY], scope[ACTOR] = identity, identity.user
        await self._app(scope, receive, send)

    async def _identity(self, scope: Scope) -> Identity:
        shown = ticket(scope["headers"])
        if shown is None:
            secret = bearer(scope["headers"])
            return await self._known(secret, partial(self._doors.identify, secret), "token")
        if not is_linked(scope.get("method", ""), scope["path"]):
            raise unauthenticated("a ticket is good for a part or a range of a file, and for nothing else")
        what = f"{scope['method']} {scope['path']}"
        return await self._known(f"{shown}\n{what}", partial(self._doors.admitted, shown, what), "ticket")

    async def _known(self, secret: str, ask: Callable[[], Identity | None], kind: str) -> Identity:
        key, now = (kind, fingerprint(secret)), time.monotonic()
        known = self._remembered.get(key)
        if known is not None and now < known[0]:
            return known[1]
        found = await run_in_threadpool(ask)
        if found is None:
            self._remembered.pop(key, None)
            raise unauthenticated(f"this {kind} is not good: it was never issued, or has expired, or was revoked")
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        # What is remembered was true when it was asked for, and not when the answer came.
        self._remembered[key] = (now + REMEMBERED_SECONDS, found)
        return found


def _refuse(error: HoldfastError, sign_in: Mapping[str, str] | None, path: str) -> Any:
    if concerns(path):
        return refused(*refusal(error))
    said = problem(error)
    if isinstance(error, Unavailable):
        return answer(said, status_of(error), {"retry-after": "1"})
    if sign_in is not None:
        said["error"]["sign_in"] = dict(sign_in)
    return answer(said, status_of(error), {"www-authenticate": CHALLENGE, "connection": "close"})
