"""A line to an MLflow server: what is asked of it over its REST protocol, whether it is read or written to."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    NotFound,
    PermissionRefused,
    Unauthenticated,
    Unavailable,
    UsageError,
)
from holdfast.service.line import keep_hidden

if TYPE_CHECKING:
    import httpx

__all__ = ["PROXIED", "MlflowLine"]

PROXIED = "mlflow-artifacts"
"""The scheme of places whose files a server gives and takes itself."""

_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"

_SECONDS_MAX = 120.0
"""A search of a full server takes seconds, and a large file is answered when all of it is written. One that says
nothing for so long has stopped."""

_ANSWER_BYTES_MAX = 256 * 2**20
"""A page of a thousand runs with a hundred params and metrics each is 20 MB; what never ends would fill the memory."""

_MESSAGE_CHARACTERS = 300
"""Of what a server says against a request: some send a whole traceback."""

_KINDS: Mapping[int, type[HoldfastError]] = {
    400: UsageError,
    401: Unauthenticated,
    403: PermissionRefused,
    404: NotFound,
}


class MlflowLine:
    """One server, asked by one thread at a time. What is asked and said are the fields that the protocol names.

    Each method raises UsageError, Unauthenticated, PermissionRefused or NotFound where the server refuses,
    Unavailable where it does not answer or fails, and IntegrityError where what it answers is none of MLflow's.

    Args:
        url: of the server.
        token: shown to it, where it asks who somebody is.

    Raises:
        UsageError: the URL is none of a server, or would carry the token, or the password in it, unencrypted over a
            network.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                f"{url[:200]} is no server", hint="Start `mlflow server` over what you have, and name its URL."
            )
        import httpx

        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        try:
            self._client = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=_SECONDS_MAX)
        except httpx.InvalidURL as error:
            raise UsageError(f"that is no URL of a server: {error}", hint="Write it as http://host:port.") from error
        there = self._client.base_url
        if token or there.userinfo:
            keep_hidden(there.scheme, there.host)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def get(self, path: str, /, **asked: object) -> dict[str, Any]:
        """What an endpoint answers to a query."""
        return self._json("GET", f"{_API}/{path}", params=asked)

    def post(self, path: str, /, **said: object) -> dict[str, Any]:
        """What an endpoint answers to what it is told; nothing, where it answers nothing."""
        return self._json("POST", f"{_API}/{path}", json=said)

    def patch(self, path: str, /, **said: object) -> dict[str, Any]:
        """What an endpoint answers to what it is told to change."""
        return self._json("PATCH", f"{_API}/{path}", json=said)

    def listed(self, folder: str) -> list[dict[str, Any]]:
        """The files and folders right below a folder of the server's own place of files."""
        return list(self._json("GET", _FILES, params={"path": folder}).get("files", ()))

    def pieces(self, path: str) -> Iterator[bytes]:
        """The bytes of a file there."""
        with self._answered("GET", f"{_FILES}/{quote(path)}") as answer:
            yield from answer.iter_bytes()

    def put(self, path: str, pieces: Iterator[bytes]) -> None:
        """Write a file there."""
        with self._answered("PUT", f"{_FILES}/{quote(path)}", content=pieces):
            pass

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with self._answered(method, path, **more) as answer:
            body = _whole(answer)
        if not body:
            return {}
        try:
            said = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f"{_told(answer.url)} answered no JSON", hint="Is it an MLflow server?") from error
        if not isinstance(said, dict):
            raise IntegrityError(f"{_told(answer.url)} answered no object", hint="Is it an MLflow server?")
        return said

    @contextmanager
    def _answered(self, method: str, path: str, **more: Any) -> Iterator["httpx.Response"]:
        import httpx

        try:
            with self._client.stream(method, path, **more) as answer:
                if not answer.is_success:
                    raise _refusal(answer)
                yield answer
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{_told(self._client.base_url)} did not answer {path}: {error}",
                hint="Does the server run? Then do it again.",
            ) from error


def _told(url: "httpx.URL") -> str:
    """A URL for people, without the name and the password that may stand in it, and what was asked."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path.rstrip('/')}"


def _whole(answer: "httpx.Response") -> bytes:
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > _ANSWER_BYTES_MAX:
            raise IntegrityError(
                f"{_told(answer.url)} answered more than {_ANSWER_BYTES_MAX >> 20} MiB", hint="Is it an MLflow server?"
            )
    return bytes(body)


def _refusal(answer: "httpx.Response") -> HoldfastError:
    if answer.is_redirect:  # not followed: the token would go along, and an empty answer is no file
        where = answer.headers.get("location", "")[:_MESSAGE_CHARACTERS]
        return UsageError(f"{_told(answer.url)} sends elsewhere, to {where}", hint="Name the URL where it leads to.")
    try:
        message = str(json.loads(_whole(answer))["message"])[:_MESSAGE_CHARACTERS]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = f"status {answer.status_code}"
    kind = _KINDS.get(answer.status_code, Unavailable)
    return kind(f"{answer.url.path}: {message}", hint=f"The server at {answer.url.host} said so.")
