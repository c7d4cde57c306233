"""Signing a person in at a provider of identities, from the command line.

By the browser: an authorization code for a listener on this machine (RFC 8252), which only who asked can exchange,
since only they know the verifier (PKCE, RFC 7636). Where there is no browser: a code that the person types elsewhere
(RFC 8628). What comes of it is the provider's token; the server is shown it once, and gives its own.
"""

import base64
import hashlib
import json
import secrets
import time
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from holdfast.errors import PermissionRefused, Unavailable, UsageError

__all__ = ["Asked", "by_browser", "by_device"]

_SCOPE = "openid email profile"

_PATIENCE_SECONDS = 300.0
"""What a person needs to find a second factor; after that nobody is at the other end."""

_ANSWER_SECONDS = 30.0

_INTERVAL_SECONDS = 5.0
"""Between two questions, where the provider names no other (RFC 8628, section 3.5)."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

_PAGE = b"<!doctype html><title>Holdfast</title><p>You are signed in, or were refused: the terminal says which.</p>"


@dataclass(frozen=True, slots=True)
class Asked:
    """Where to sign in, as the server said.

    Attributes:
        issuer: the provider.
        client_id: as what it knows the server.
    """

    issuer: str
    client_id: str


def by_browser(asked: Asked, say: Callable[[str], object]) -> str:
    """The provider's token for whoever signs in with the browser that this opens.

    Raises:
        PermissionRefused: the person or the provider said no.
        Unavailable: nobody signed in in time, or the provider does not answer.
    """
    known = _discovered(asked.issuer)
    verifier, state, nonce = (secrets.token_urlsafe(48) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with closing(_Listener()) as listener:
        query = {
            "response_type": "code",
            "client_id": asked.client_id,
            "redirect_uri": listener.url,
            "scope": _SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        place = f"{_place(known, 'authorization_endpoint')}?{urlencode(query)}"
        say(f"sign in here: {place}")
        webbrowser.open(place)
        came = listener.wait(state)
        if "code" not in came:
            raise PermissionRefused(
                f"the provider refused: {came.get('error_description') or came.get('error')}", hint="Sign in again."
            )
        form = {
            "grant_type": "authorization_code",
            "code": came["code"],
            "redirect_uri": listener.url,
            "client_id": asked.client_id,
            "code_verifier": verifier,
        }
    token = _id_token(_posted(_place(known, "token_endpoint"), form))
    if _claims(token).get("nonce") != nonce:
        raise PermissionRefused("the provider's token answers another sign-in", hint="Sign in again.")
    return token


def by_device(asked: Asked, say: Callable[[str], object], sleep: Callable[[float], object] = time.sleep) -> str:
    """The provider's token for whoever types a code into a browser anywhere.

    Raises:
        UsageError: the provider has no such way.
        PermissionRefused, Unavailable: as `by_browser`.
    """
    known = _discovered(asked.issuer)
    if "device_authorization_endpoint" not in known:
        raise UsageError(f"{asked.issuer} knows no codes for devices", hint="Sign in where there is a browser.")
    begun = _posted(_place(known, "device_authorization_endpoint"), {"client_id": asked.client_id, "scope": _SCOPE})
    say(f"open {begun.get('verification_uri_complete') or begun.get('verification_uri')}")
    say(f"and type {begun.get('user_code')}")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": str(begun.get("device_code")),
        "client_id": asked.client_id,
    }
    pause = _seconds(begun.get("interval"), _INTERVAL_SECONDS)
    end = time.monotonic() + min(_PATIENCE_SECONDS, _seconds(begun.get("expires_in"), _PATIENCE_SECONDS))
    while time.monotonic() < end:
        sleep(pause)
        said = _posted(_place(known, "token_endpoint"), form, refusals={"authorization_pending", "slow_down"})
        if said.get("error") == "slow_down":
            pause += _INTERVAL_SECONDS
        elif "error" not in said:
            return _id_token(said)
    raise Unavailable("nobody signed in in time", hint="Begin again: holdfast login --device")


class _Listener:
    """Hears, on this machine alone, where the provider sends the browser."""

    def __init__(self) -> None:
        came: list[dict[str, str]] = []
        self._came = came

        class Hearing(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != "/callback":
                    self.send_error(404)
                    return
                came.append({name: values[0] for name, values in parse_qs(parts.query).items()})
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(_PAGE)))
                self.end_headers()
                self.wfile.write(_PAGE)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
                """Say nothing: the query holds the code."""

        self._server = HTTPServer(("127.0.0.1", 0), Hearing)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/callback"

    def close(self) -> None:
        """Hear no more."""
        self._server.server_close()

    def wait(self, state: str) -> Mapping[str, str]:
        """What came with this state; what came with another is somebody else's, and passed over."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while (left := end - time.monotonic()) > 0:
            self._server.timeout = left
            self._server.handle_request()
            for one in self._came:
                if secrets.compare_digest(one.get("state", "").encode(), state.encode()):
                    return one
            self._came.clear()
        raise Unavailable("nobody signed in in time", hint="Begin again, or: holdfast login --device")


def _discovered(issuer: str) -> Mapping[str, Any]:
    import httpx

    url = f"{_safe(issuer).rstrip('/')}/.well-known/openid-configuration"
    try:
        answer = httpx.get(url, timeout=_ANSWER_SECONDS)
        value = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"{url} does not answer: {error}", hint="Ask who runs the provider.") from error
    if not isinstance(value, dict) or value.get("issuer") != issuer:
        raise Unavailable(f"{url} is not the document of {issuer}", hint="Ask who runs the server.")
    return value


def _posted(url: str, form: Mapping[str, str], refusals: set[str] | None = None) -> Mapping[str, Any]:
    import httpx

    try:
        answer = httpx.post(url, data=dict(form), timeout=_ANSWER_SECONDS)
        value = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"{url} does not answer: {error}", hint="Ask who runs the provider.") from error
    if not isinstance(value, dict):
        raise Unavailable(f"{url} answered no document", hint="Ask who runs the provider.")
    if not answer.is_success and value.get("error") not in (refusals or set()):
        why = value.get("error_description") or value.get("error")
        raise PermissionRefused(f"the provider refused: {why}", hint="Sign in again.")
    return value


def _place(known: Mapping[str, Any], name: str) -> str:
    return _safe(str(known.get(name)))


def _safe(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise UsageError(f"{url[:200]} is no address to sign in at", hint="It begins with https://.")
    return url


def _id_token(said: Mapping[str, Any]) -> str:
    token = said.get("id_token")
    if not isinstance(token, str):
        raise Unavailable("the provider gave no token that says who signed in", hint="Ask who runs the provider.")
    return token


def _claims(token: str) -> Mapping[str, Any]:
    """What the token says; the server holds it to its signature."""
    try:
        body = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError) as error:
        raise Unavailable("the provider's token cannot be read", hint="Ask who runs the provider.") from error
    return value if isinstance(value, dict) else {}


def _seconds(value: Any, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else default
