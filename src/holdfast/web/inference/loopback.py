"""A replica on the loopback interface and clients that ask it steadily, all in this process: what a rehearsal needs.

If this process is killed, the socket, the clients and the replica end with it, and its workers when their own sockets
close.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from holdfast.canonical import JsonObject
from holdfast.serving.answers import Answer, Answers
from holdfast.serving.replica import Replica
from holdfast.serving.switch import Hosting
from holdfast.web.inference.app import replica_app
from holdfast.web.listening import address_of, listen, serving

__all__ = ["LOOPBACK", "host", "load"]

_CONNECTIONS = 4
"""Clients that keep their connection, as a service's own pool does."""

_PAUSE_SECONDS = 0.005
"""Between two requests of one client: a few hundred a second in all, and a processor left for the move."""

_REQUEST_SECONDS_MAX = 30.0
"""As long as a replica gives a request; an answer that takes longer counts as failed."""

_QUOTED_CHARACTERS = 200
"""Of an answer that is no prediction: where its error says what is wrong."""


@contextmanager
def host(replica: Replica) -> Iterator[str]:
    """Inside, the replica runs in a thread of this process, and answers at the URL.

    Raises:
        MissingExtra: what serves is not installed.
        Unavailable: there is no free port.
    """
    listening = listen()
    with listening, serving(replica_app(replica), listening):
        yield address_of(listening)


@contextmanager
def load(url: str, requests: Sequence[JsonObject], answers: Answers) -> Iterator[None]:
    """Inside, clients send the requests in turns, one after the other each, and add what becomes of them."""
    stop = threading.Event()
    bodies = [json.dumps(request).encode() for request in requests]
    clients = [
        threading.Thread(target=_client, args=(url, bodies, place, answers, stop), daemon=True)
        for place in range(_CONNECTIONS)
    ]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        stop.set()
        for client in clients:
            client.join()


def _client(url: str, bodies: Sequence[bytes], turn: int, answers: Answers, stop: threading.Event) -> None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_REQUEST_SECONDS_MAX)
    try:
        while not stop.is_set():
            begun = time.monotonic()
            version, why = _ask(connection, bodies[turn % len(bodies)])
            answers.add(Answer(begun, time.monotonic(), version, why))
            turn += 1
            stop.wait(_PAUSE_SECONDS)
    finally:
        connection.close()


def _ask(connection: HTTPConnection, body: bytes) -> tuple[int | None, str]:
    """The version that answered, and what is wrong with the answer."""
    try:
        connection.request("POST", "/invocations", body, {"content-type": "application/json"})
        response = connection.getresponse()
        found = response.read()
        if response.status != HTTPStatus.OK:
            return None, f"status {response.status}: {found.decode(errors='replace')[:_QUOTED_CHARACTERS]}"
        said = json.loads(found)
        inside = (int(said["version"]), str(said["digest"]))
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        with suppress(OSError):
            connection.close()
        return None, f"{type(error).__name__}: {error}"
    outside = (response.headers.get("x-model-version"), response.headers.get("x-model-digest"))
    if outside != (str(inside[0]), inside[1]):
        return inside[0], f"the head of an answer names version {outside[0]}, its body version {inside[0]}"
    return inside[0], ""


LOOPBACK = Hosting(host, load, _CONNECTIONS)
"""What a rehearsal is given."""
