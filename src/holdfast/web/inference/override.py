"""Who may name the version that answers, where it is not the one that the route gives: a version that holds no stage.

An override is for looking into a fault, so it asks for a role: a canary's candidate or last-known-good is not
everybody's to ask. So does saying what turned out to be right, which decides over canaries. Who may is one of:

    nobody          what an embedded registry gives, unless it is told otherwise
    anybody         `serve --allow-override`
    Secret(…)       who shows the token that a file holds: `serve --override-token-file FILE`
    AskedServer(…)  who the registry's server knows as a contributor of the model, at least

Each raises where the caller may not, and returns where it may.
"""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from holdfast.access import Role
from holdfast.access.documents import grant
from holdfast.errors import HoldfastError, NotFound, PermissionRefused, Unauthenticated, Unavailable, UsageError
from holdfast.names import ModelName
from holdfast.service.line import Line
from holdfast.web.bearer import bearer

__all__ = ["AskedServer", "Overriding", "Secret", "anybody", "nobody"]

Overriding: TypeAlias = Callable[[Mapping[bytes, bytes]], Awaitable[None]]
"""Called with the headers of a request that names a version; raises where its caller may not."""

_KEEP_SECONDS = 5.0
"""How long a server's answer about one token is believed: a role that is taken away is gone after that."""

_KEPT_MAX = 1024
"""Tokens whose answers are kept; made-up ones push out each other, and cost a question each."""

_ASKED_AT_ONCE_MAX = 4
"""Questions to the server at the same time: somebody who tries tokens at a replica keeps the registry from nothing."""

_SECRET_BYTES_MAX = 4096
_SECRET_BYTES_MIN = 16
"""Fewer can be guessed."""


async def nobody(headers: Mapping[bytes, bytes]) -> None:
    """No caller may.

    Raises:
        PermissionRefused: always.
    """
    del headers
    raise PermissionRefused(
        "this replica lets no caller choose another version than its route gives, nor say what was right",
        hint="Start it with --override-token-file FILE, or with --allow-override where only trusted callers reach it.",
    )


async def anybody(headers: Mapping[bytes, bytes]) -> None:
    """Every caller may."""
    del headers


class Secret:
    """Who shows one token may."""

    def __init__(self, token: bytes) -> None:
        self._known = sha256(token).digest()

    @classmethod
    def of(cls, place: Path) -> "Secret":
        """The token in a file, without the white space around it.

        Raises:
            NotFound: the file cannot be read.
            UsageError: it holds no token, or one that can be guessed.
        """
        try:
            with place.open("rb") as stream:
                token = stream.read(_SECRET_BYTES_MAX + 1).strip()
        except OSError as error:
            raise NotFound(f"{place} cannot be read: {error.strerror}", hint="Write a token into it.") from error
        if not _SECRET_BYTES_MIN <= len(token) <= _SECRET_BYTES_MAX or not token.isascii():
            raise UsageError(
                f"{place} holds no token: {_SECRET_BYTES_MIN} to {_SECRET_BYTES_MAX} ASCII characters are one",
                hint="For instance: openssl rand -hex 32",
            )
        return cls(token)

    async def __call__(self, headers: Mapping[bytes, bytes]) -> None:
        """Go on only with the token, compared in a time that tells nothing about it.

        Raises:
            Unauthenticated: the request carries no token.
            PermissionRefused: it carries another one.
        """
        if not hmac.compare_digest(sha256(_token(headers).encode()).digest(), self._known):
            raise PermissionRefused(
                "the token allows neither to choose the version nor to say what was right",
                hint="Show the one that the replica was started with.",
            )


class AskedServer:
    """Whoever the registry's server says is a contributor of the model, or more."""

    def __init__(self, url: str, model: ModelName) -> None:
        self._url = url
        self._model = model
        self._kept: OrderedDict[bytes, tuple[float, HoldfastError | None]] = OrderedDict()
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE_MAX)

    async def __call__(self, headers: Mapping[bytes, bytes]) -> None:
        """Go on only for whom the server allows it.

        Raises:
            Unauthenticated: no token, or one that the server does not know.
            PermissionRefused: the role is too low.
            Unavailable: the server does not answer, or too many ask at once.
        """
        token = _token(headers)
        name = sha256(token.encode()).digest()
        kept = self._kept.get(name)
        if kept is None or kept[0] <= time.monotonic():
            refusal = await self._asked(token)
            self._kept[name] = kept = (time.monotonic() + _KEEP_SECONDS, refusal)
            self._kept.move_to_end(name)
            if len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        if kept[1] is not None:
            raise type(kept[1])(kept[1].message, hint=kept[1].hint, **kept[1].details)

    async def _asked(self, token: str) -> HoldfastError | None:
        """Why not; None where they may."""
        if self._asking.locked():
            raise Unavailable("too many ask to choose the version", hint="Try again in a second.")
        async with self._asking:
            try:
                return await asyncio.to_thread(self._refusal, token)
            except Unavailable:
                raise
            except HoldfastError as error:
                return error

    def _refusal(self, token: str) -> HoldfastError | None:
        with closing(Line(self._url, token=token)) as line:
            said = line.exchange("GET", "/whoami", again=False).json()
        grants = said.get("grants") if isinstance(said, dict) and said.get("user") else None
        if not isinstance(grants, list):
            return PermissionRefused(
                "the registry's server asks nobody who they are, so nobody may choose the version or tell truths",
                hint="Start the replica with --override-token-file FILE.",
            )
        if any(grant(one).gives(Role.CONTRIBUTOR, self._model, None) for one in grants):
            return None
        return PermissionRefused(
            f"to choose the version of {self._model} that answers, or say what was right, takes a {Role.CONTRIBUTOR}",
            hint="Ask an admin for the role, or leave the version out.",
            role=str(Role.CONTRIBUTOR),
            concerns=str(self._model),
        )


def _token(headers: Mapping[bytes, bytes]) -> str:
    """What a request shows.

    Raises:
        Unauthenticated: nothing, or something else; said for whoever sends a request, and not for a command line.
    """
    try:
        return bearer([(b"authorization", headers[b"authorization"])] if b"authorization" in headers else [])
    except Unauthenticated as error:
        raise Unauthenticated(
            "who names another version than the one in the stage has to show a token, and this request shows none",
            hint="Send it as a header: Authorization: Bearer TOKEN. Or leave the version out.",
        ) from error
