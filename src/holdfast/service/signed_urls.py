"""Bytes of a server's store by signed URLs, past the server: for stores in a bucket that its clients reach too.

The server signs a URL of one file, for minutes. What comes by it is believed no more than what comes any other way:
whoever reads hashes it. Where there are no signed URLs, or one leads nowhere, the server is asked for the bytes itself.
"""

import time
import weakref
from collections.abc import Callable
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.canonical import Reader
from holdfast.errors import HoldfastError
from holdfast.service.line import Line, quoted

if TYPE_CHECKING:
    import httpx

__all__ = ["SIGNED_SECONDS", "SignedUrls"]

SIGNED_SECONDS = 300
"""How long a signed URL holds: a pack over a slow line, and not a secret that is worth keeping."""

_SPARE_SECONDS = 60
"""So long before its end a signed URL is not used any more: what is begun with it ends in time."""

_LENGTH_MIN = 256 << 10
"""Less than this comes sooner with the answer of the server than by a signed URL that has to be asked for."""

_SECONDS_MAX = 60.0
_KNOWN_MAX = 10_000
"""URLs remembered at once; past it all are forgotten, and asked for again."""


class SignedUrls:
    """The signed URLs that one server gives out, each used until shortly before its end.

    Args:
        line: to the server.
        clock: gives seconds that only grow.
    """

    def __init__(self, line: Line, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}
        self._are_given = True
        self._client: httpx.Client | None = None
        self._opening = Lock()

    def read(self, key: str, offset: int, length: int) -> bytes | None:
        """So many bytes of a file, or as many as there are; None where the server has to be asked."""
        if not self._are_given or length < _LENGTH_MIN:
            return None
        url = self._signed(key)
        return None if url is None else self._fetched(url, offset, length)

    def _signed(self, key: str) -> str | None:
        url, until = self._known.get(key, ("", 0.0))
        now = self._clock()
        if now < until:
            return url
        try:
            said = Reader(self._line.get(f"/store/signed/{'/'.join(map(quoted, key.split('/')))}"), "signed")
        except HoldfastError:
            return None  # the question for the bytes says what is wrong
        given, seconds = said.maybe_text("url"), said.integer("seconds")
        if given is None or not _may_be_asked(given):
            self._are_given = False
            return None
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[key] = given, now + seconds - _SPARE_SECONDS
        return given

    def _fetched(self, url: str, offset: int, length: int) -> bytes | None:
        import httpx

        wanted, got = {"range": f"bytes={offset}-{offset + length - 1}"}, bytearray()
        try:
            with self._http().stream("GET", url, headers=wanted) as answer:
                if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return b""  # nothing lies behind its end
                is_part = answer.status_code == HTTPStatus.PARTIAL_CONTENT
                for piece in answer.iter_bytes() if is_part else ():
                    got += piece
                    if len(got) > length:
                        break
        except httpx.HTTPError:
            is_part = False
        if not is_part or len(got) > length:
            # Where one of them leads nowhere the others lead no further: a bucket that only the server reaches.
            self._are_given = False
            return None
        return bytes(got)

    def _http(self) -> "httpx.Client":
        import httpx

        with self._opening:
            if self._client is None:
                # No token, and no redirects: the URL alone says where, and lets in.
                self._client = httpx.Client(timeout=_SECONDS_MAX, follow_redirects=False)
                weakref.finalize(self, self._client.close)
            return self._client


def _may_be_asked(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
