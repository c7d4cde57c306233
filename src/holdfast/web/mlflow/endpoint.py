"""What an endpoint of MLflow's protocol is, and which one a request means."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import Written

__all__ = ["V2", "V3", "Answers", "Endpoint", "Found", "Streams", "Table"]

Answers = Callable[[Asked, Here], JsonObject | Written]
"""Answers a request in words. It is called in a thread, for it may wait for the database."""

Streams = Callable[[Request, Here], Awaitable[Response]]
"""Answers a request in bytes, or takes some; its `path_params` are those of the endpoint's path."""

V2 = "/api/2.0/mlflow"
V3 = "/api/3.0/mlflow"

_MIRROR = "/ajax-api/"
"""What MLflow's own pages ask instead of `/api/`."""

_WORD = re.compile(r"\{([a-z_]+)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path.

    Attributes:
        method: of HTTP.
        path: from the root, such as `/api/2.0/mlflow/runs/get`; `{name}` stands for one part of it, and `{name:path}`
            for all that follows.
        role: what the caller must be for some model at least; None: anybody is answered. What concerns one model the
            endpoint asks itself.
        answers: answers in words; or
        streams: in bytes.
    """

    method: str
    path: str
    role: Role | None
    answers: Answers | None = None
    streams: Streams | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The endpoint of a request, and what stands in its path."""

    endpoint: Endpoint
    words: dict[str, str]


class Table:
    """All endpoints, found by method and path.

    Raises:
        LookupError: two endpoints of one method have one path.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._plain: dict[tuple[str, str], Endpoint] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Endpoint]] = []
        for one in self.endpoints:
            if (one.method, one.path) in self._plain or any(one.path == found.path for _, _, found in self._of(one)):
                raise LookupError(f"{one.method} {one.path} is there twice")
            if "{" in one.path:
                self._patterns.append((one.method, _pattern(one.path), one))
            else:
                self._plain[one.method, one.path] = one

    def _of(self, wanted: Endpoint) -> Iterable[tuple[str, re.Pattern[str], Endpoint]]:
        return (one for one in self._patterns if one[0] == wanted.method)

    def find(self, method: str, path: str) -> Found | None:
        """The endpoint that a request means, by its own path or the one that mirrors it."""
        path = f"/api/{path.removeprefix(_MIRROR)}" if path.startswith(_MIRROR) else path
        plain = self._plain.get((method, path))
        if plain is not None:
            return Found(plain, {})
        for known, pattern, endpoint in self._patterns:
            if known == method and (found := pattern.fullmatch(path)) is not None:
                return Found(endpoint, found.groupdict())
        return None


def _pattern(path: str) -> re.Pattern[str]:
    pieces, end = [], 0
    for word in _WORD.finditer(path):
        pieces += [re.escape(path[end : word.start()]), f"(?P<{word[1]}>{'.*' if word[2] else '[^/]+'})"]
        end = word.end()
    return re.compile("".join([*pieces, re.escape(path[end:])]), re.DOTALL)
