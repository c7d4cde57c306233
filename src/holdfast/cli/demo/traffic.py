"""A steady stream of requests from several connections, every answer looked at."""

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["Traffic", "ask"]

_CONNECTIONS = 4
"""Clients that keep their connection, as a service's own pool does."""

_PAUSE_SECONDS = 0.005
"""Between two requests of one client: several hundred a second in all, and a processor left for the promotion."""

_REQUEST_SECONDS_MAX = 10.0
"""An answer that takes longer counts as failed."""


def ask(url: str, rows: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """One request: the answer's body and its headers."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_REQUEST_SECONDS_MAX)
    try:
        return _send(connection, json.dumps({"dataframe_records": list(rows)}).encode())
    finally:
        connection.close()


def _send(connection: HTTPConnection, body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:  # noqa: PLR2004 - HTTP's word for success
        raise HTTPException(f"status {response.status}")
    return answer, dict(response.headers)


@dataclass(slots=True)
class Traffic:
    """Requests that go on from `__enter__` to `__exit__`.

    Attributes:
        url: the server.
        rows: what is sent, in turns.
        answers: how many each version gave.
        failed: how many got no answer, or not a prediction.
        mixed: how many named one version in the body and another in the header.
    """

    url: str
    rows: Sequence[dict[str, Any]]
    answers: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    mixed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(_CONNECTIONS):
            thread = threading.Thread(target=self._client, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def sent(self) -> int:
        """How many requests were made."""
        return sum(self.answers.values()) + self.failed

    def _client(self, number: int) -> None:
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_REQUEST_SECONDS_MAX)
        bodies = [json.dumps({"dataframe_records": [row]}).encode() for row in self.rows]
        turn = number
        while not self._stop.is_set():
            turn += 1
            try:
                answer, headers = _send(connection, bodies[turn % len(bodies)])
            except (OSError, HTTPException, ValueError):
                connection.close()
                with self._lock:
                    self.failed += 1
                continue
            said = (str(answer["version"]), answer["digest"])
            with self._lock:
                self.answers[said[0]] += 1
                self.mixed += said != (headers.get("x-model-version"), headers.get("x-model-digest"))
            time.sleep(_PAUSE_SECONDS)
        connection.close()
