"""One line to a Holdfast server: requests out, values and errors back."""

import json
import random
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from holdfast.canonical import Json, decode
from holdfast.config import VERSION
from holdfast.errors import HoldfastError, TooLarge, Unavailable, UsageError, from_json
from holdfast.service.stream import messages

if TYPE_CHECKING:
    import httpx

__all__ = ["ACTOR_HEADER", "API", "ATTEMPTS_MAX", "KEY_HEADER", "REQUEST_HEADER", "Line", "keep_hidden", "quoted"]

API = "/api/v1"
"""Where the routes of the server begin."""

ACTOR_HEADER = "holdfast-actor"
"""Who asks, percent-encoded, where the server asks nobody for an identity."""

KEY_HEADER = "idempotency-key"
"""The same key again is the same request; draft-ietf-httpapi-idempotency-key-header."""

ATTEMPTS_MAX = 6
"""With the pauses between them about six seconds: a server that restarts is met again, one that is gone is told of."""

REQUEST_HEADER = "x-request-id"
"""What both sides call a request in their logs; the same for each time that it is sent."""

_FIRST_PAUSE_SECONDS = 0.2
_GROWTH = 2.0

_CONNECT_SECONDS = 10.0
"""A server that does not accept a connection by then is not there."""

_ANSWER_SECONDS = 120.0
"""The slowest question, an audit of a million events, is answered in half of this."""

_ANSWER_BYTES_MAX = 256 << 20
"""Ten thousand runs with all their params; what is longer was not sent by a Holdfast server."""

_CONNECTIONS_MAX = 64
"""As many as threads that ask at once; each costs a file handle."""

_SILENCE_SECONDS = 45.0
"""A stream says something every 15 seconds, if only that it is there; after three times that it is not."""

_BUSY = frozenset({429, 502, 503, 504})
"""The server, or what stands in front of it, says: later."""

_UNDONE = frozenset({429, 503})
"""Of those, the ones that say that nothing was done."""

_QUESTIONS = frozenset({"GET", "HEAD"})
"""Methods that change nothing, so that nobody need know whether they arrived."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


Content = bytes | Callable[[], Iterator[bytes]] | None


class Line:
    """Asks the server at `url`. It may be used by several threads.

    Args:
        url: of the server, such as `https://registry.example.org`.
        token: the identity shown to it.
        sleep: waits so many seconds.

    Raises:
        UsageError: `url` is none of a server, or would carry the token unencrypted over a network.
    """

    def __init__(self, url: str, *, token: str | None = None, sleep: Callable[[float], object] = time.sleep) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
            raise UsageError(
                "HOLDFAST_URL is not the address of a server", hint="Write it like https://registry.example.org"
            )
        if token:
            keep_hidden(parts.scheme, parts.hostname)
        self.url = url.rstrip("/")
        self._token = token
        self._sleep = sleep
        self._client: httpx.Client | None = None
        self._letting_go: Callable[[], object] = lambda: None
        self._opening = Lock()

    def get(self, path: str, /, **query: object) -> Json:
        """What the server answers to a question; it may be asked several times.

        Args:
            path: below the API's root, with every name in it quoted by `quoted`.
            query: what is None is left out.

        Raises:
            HoldfastError: what the server answered, or Unavailable when it did not.
        """
        return self._value(self._ask("GET", path, query=query, again=True))

    def known_as(self) -> str | None:
        """Who the server says one is, by the line's token; None without one, and where the server asks nobody.

        Raises:
            Unauthenticated: the token is not good.
            Unavailable: the server does not answer.
        """
        said = self.get("/whoami") if self._token else None
        return str(said["user"]) if isinstance(said, dict) and said.get("user") else None

    def send(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        actor: str | None = None,
        key: str | None = None,
        again: bool = False,
    ) -> Json:
        """What the server answers to a change.

        Args:
            method: of HTTP.
            path: as for `get`.
            body: sent as JSON.
            actor: who asks; counts where the server asks nobody for an identity.
            key: makes the request one that may be sent again, because the server knows it by this.
            again: the request may be sent again anyway: twice is the same as once.

        Raises:
            HoldfastError: what the server answered. Unavailable when it did not; where the request may have reached it
                all the same, the details say that its outcome is `unknown`.
        """
        headers = {} if actor is None else {ACTOR_HEADER: quote(actor)}
        return self._value(self._ask(method, path, body=body, headers=headers, key=key, again=again or key is not None))

    def exchange(
        self,
        method: str,
        path: str,
        *,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
        again: bool = True,
        **query: object,
    ) -> "httpx.Response":
        """The whole answer, where its headers or its raw bytes matter.

        Args:
            method: of HTTP.
            path: as for `get`.
            content: raw bytes to send, or what gives them in pieces, from the start each time it is called.
            headers: beside those of every request.
            accept: statuses besides the 200s that are answers, and no errors.
            again: whether it may be sent again.
            query: as for `get`.

        Raises:
            As `send`.
        """
        return self._ask(method, path, content=content, headers=headers, accept=accept, again=again, query=query)

    def messages(self, path: str, /, *, last: str, **query: object) -> Iterator[str]:
        """What a stream of the server says, message by message, without an end; one that breaks off is taken up again.

        Args:
            path: as for `get`.
            last: the id of the last message that the caller has.
            query: as for `get`.

        Raises:
            HoldfastError: what the server answered, or Unavailable when it stayed away.
        """
        import httpx

        asked = {name: _text(value) for name, value in query.items() if value is not None}
        failed, pause = 0, _FIRST_PAUSE_SECONDS
        while True:
            headers = {"accept": "text/event-stream", "last-event-id": last, REQUEST_HEADER: uuid4().hex}
            waiting = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
            failure: HoldfastError | None = None
            try:
                with self._http().stream("GET", API + path, params=asked, headers=headers, timeout=waiting) as answer:
                    if not answer.is_success:
                        answer.read()
                        failure = self._refusal(answer)
                        if answer.status_code not in _BUSY:
                            raise failure
                    else:
                        for message in messages(answer.iter_lines()):
                            failed, pause = 0, _FIRST_PAUSE_SECONDS
                            if message is not None:
                                last = message.id
                                yield message.data
            except httpx.TransportError as error:
                failure = self._silent(error)
            failed += failure is not None
            if failure is not None and failed >= ATTEMPTS_MAX:
                raise failure
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = pause * _GROWTH if failed else pause

    def close(self) -> None:
        """Let go of the connections; the line may be used again afterwards."""
        with self._opening:
            self._client = None
            self._letting_go()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Json = None,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
        key: str | None = None,
        again: bool,
    ) -> "httpx.Response":
        import httpx

        said = {REQUEST_HEADER: uuid4().hex, **(headers or {})}
        if body is not None:
            content = _written(body)
            said["content-type"] = "application/json"
        if key is not None:
            said[KEY_HEADER] = key
        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        pause, left = _FIRST_PAUSE_SECONDS, ATTEMPTS_MAX
        in_doubt = False
        while True:
            left -= 1
            try:
                sent = content() if callable(content) else content
                answer = self._http().request(method, API + path, params=asked, content=sent, headers=said)
            except httpx.TransportError as error:
                unsent = isinstance(error, httpx.ConnectError)
                in_doubt |= not unsent and method not in _QUESTIONS
                failure: HoldfastError = self._silent(error)
                may = again or unsent
            except (httpx.InvalidURL, UnicodeEncodeError) as error:
                raise UsageError(
                    "that is no name that a server could know", hint="Check what was asked for."
                ) from error
            else:
                if answer.is_success or answer.status_code in accept:
                    return answer
                failure = self._refusal(answer)
                # A server that is busy has done nothing, unless it says that it does not know; one that failed has, or
                # has not.
                unknown = answer.status_code not in _UNDONE or failure.details.get("outcome") == "unknown"
                in_doubt |= unknown and answer.status_code in _BUSY and method not in _QUESTIONS
                may = answer.status_code in _BUSY and (again or not in_doubt)
            if not may or left == 0:
                raise _doubtful(failure) if in_doubt and isinstance(failure, Unavailable) else failure
            # Chance keeps many who were turned away together from coming back together.
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause *= _GROWTH

    def _http(self) -> "httpx.Client":
        import httpx

        with self._opening:
            if self._client is not None:
                return self._client
            headers = {"user-agent": f"holdfast/{VERSION}", "accept": "application/json"}
            if self._token:
                headers["authorization"] = f"Bearer {self._token}"
            self._client = httpx.Client(
                base_url=self.url,
                headers=headers,
                # Without TLS nobody is verified, and to read the list of authorities takes longer than an answer.
                verify=urlsplit(self.url).scheme == "https",
                follow_redirects=False,  # a token goes to the server that was named, and nowhere else
                timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX),
            )
            # Whoever forgets the line lets go of its connections too.
            self._letting_go = weakref.finalize(self, self._client.close)
            return self._client

    def _value(self, answer: "httpx.Response") -> Json:
        if len(answer.content) > _ANSWER_BYTES_MAX:
            raise TooLarge(
                f"{self.url} answered {len(answer.content)} bytes", hint="Ask for less.", limit=_ANSWER_BYTES_MAX
            )
        return decode(answer.content, what=f"the answer of {self.url}", exact=True) if answer.content else None

    def _refusal(self, answer: "httpx.Response") -> HoldfastError:
        """The error that the server sent; something in front of it may have answered in its place."""
        try:
            value = decode(answer.content, what="an error")
        except HoldfastError:
            value = None
        said: Any = value.get("error") if isinstance(value, dict) else None
        if isinstance(said, dict) and "code" in said:
            # What was refused is told as it is embedded; what failed, with the request that the server's log knows.
            left_out = {"request"} if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else set()
            return from_json({name: value for name, value in said.items() if name not in left_out})
        return Unavailable(
            f"{self.url} answered {answer.status_code} and not as a Holdfast server does",
            hint="Check HOLDFAST_URL, and what stands between here and there.",
            status=answer.status_code,
        )

    def _silent(self, error: Exception) -> Unavailable:
        said = str(error) or type(error).__name__
        return Unavailable(f"{self.url} did not answer: {said}", hint="Check that it runs, and HOLDFAST_URL.")


def keep_hidden(scheme: str, host: str) -> None:
    """Keep a token from going to another machine in a way that whoever is in between can read.

    Args:
        scheme: of the address that it would be sent to.
        host: of the same.

    Raises:
        UsageError: it would go so.
    """
    if scheme == "http" and host not in _LOCAL:
        raise UsageError(
            f"a token would travel to {host} unencrypted",
            hint="Name the server with https://, or leave the token out on a machine of your own.",
        )


def quoted(name: object) -> str:
    """A name as one segment of a path.

    Raises:
        UsageError: it is not Unicode.
    """
    try:
        return quote(str(name), safe="")
    except UnicodeEncodeError as error:
        raise _no_name() from error


def _doubtful(failure: Unavailable) -> Unavailable:
    """The same where an attempt may have reached the server."""
    hint = "What was asked for may have been done: look before you repeat it."
    return Unavailable(failure.message, hint=hint, **{**failure.details, "outcome": "unknown"})


def _no_name() -> UsageError:
    return UsageError("that is no name that a server could know", hint="Check what was asked for.")


def _written(body: Json) -> bytes:
    """JSON, and not the canonical kind: sizes of 64 bits stay what they are."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise UsageError(
            f"this cannot be sent as JSON: {error}", hint="Use finite numbers and Unicode text."
        ) from error


def _text(value: object) -> str | list[str]:
    return [str(one) for one in value] if isinstance(value, list) else str(value)
