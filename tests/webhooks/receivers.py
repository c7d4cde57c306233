"""A receiver of webhooks: a real HTTP server on this machine that answers as it is told to, and remembers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from holdfast.canonical import JsonObject
from holdfast.webhooks import verify
from tests.patience import PATIENCE_SECONDS


@dataclass
class Received:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def said(self, secret: str | list[str]) -> JsonObject:
        return verify(secret, self.headers, self.body)


@dataclass
class Receiver:
    """What came in, and what to answer: a status, or (status, headers); called with the number of the request."""

    url: str
    answer: Callable[[int], int | tuple[int, dict[str, str]]] = lambda _: 204
    received: list[Received] = field(default_factory=list)
    _grown: threading.Condition = field(default_factory=threading.Condition)

    def take(self, one: Received) -> int:
        with self._grown:
            self.received.append(one)
            self._grown.notify_all()
            return len(self.received)

    def wait(self, count: int) -> list[Received]:
        """What came in, once it is so many."""
        with self._grown:
            assert self._grown.wait_for(lambda: len(self.received) >= count, PATIENCE_SECONDS), self.received
            return list(self.received)

    def indexes(self) -> list[int]:
        return [int(one.id.split("_")[2]) for one in self.received]


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told = found.answer(found.take(Received(self.path, headers, body)))
            status, more = told if isinstance(told, tuple) else (told, {})
            try:
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                return  # the sender has lost its patience, as some of these tests want it to

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    found = Receiver(f"http://localhost:{server.server_address[1]}/hooks")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
