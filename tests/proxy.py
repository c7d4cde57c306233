"""Ways to a server that are cut: when a commit is on its way, when its answer is, or at any time."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

_READ_BYTES = 1 << 16


class CuttingProxy:
    """Passes bytes on between clients and one port of this machine; nothing may be encrypted.

    Attributes:
        port: where it listens.
        cut: what becomes of the next commit: the question never reaches the server, or the answer never reaches the
            client. The connection is gone in both cases, and it is None again.
        gone: whoever comes now finds nobody.
    """

    def __init__(self, server_port: int) -> None:
        self.cut: Literal["question", "answer"] | None = None
        self.gone = False
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.gone:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._open += [client, server]
            self._threads.append(threading.Thread(target=self._pass_on, args=(client, server)))
            self._threads[-1].start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._answer, args=(client, server))
        back.start()
        with suppress(OSError):
            while asked := client.recv(_READ_BYTES):
                if self.cut is not None and b"COMMIT\0" in asked:
                    if self.cut == "answer":
                        self._swallowing = client
                        server.sendall(asked)
                        back.join()  # it reads the answer, and ends both
                    self.cut = None
                    break
                server.sendall(asked)
        _end(client, server)
        back.join()

    _swallowing: socket.socket | None = None

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(_READ_BYTES):
                if self._swallowing is client:
                    assert b"COMMIT\0" in said
                    break
                client.sendall(said)
        _end(client, server)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        _end(*self._open)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()


LOST_IN_A_ROW_MAX = 4
"""One less than would make a patient client give up."""


class LosingProxy:
    """Passes bytes on between clients and one port of this machine, and loses questions and answers.

    The connection is gone with what is lost. What becomes of the next question or answer is drawn from the seed; on one
    connection they take turns.

    Attributes:
        port: where it listens.
        lost: how many answers never came back, though what they answer was done.
    """

    def __init__(self, server_port: int, seed: int, share: float = 0.3) -> None:
        self.lost = 0
        self._server_port = server_port
        self._draw = random.Random(seed)
        self._share = share
        self._in_a_row = 0
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._open += [client, server]
            spoke: list[socket.socket] = [server]
            for one, other in ((client, server), (server, client)):
                self._threads.append(threading.Thread(target=self._pass_on, args=(one, other, spoke, one is server)))
                self._threads[-1].start()

    def _pass_on(self, one: socket.socket, other: socket.socket, spoke: list[socket.socket], is_answer: bool) -> None:
        with suppress(OSError):
            while said := one.recv(_READ_BYTES):
                if spoke[-1] is not one and self._loses(is_answer):
                    break
                spoke[:] = [one]
                other.sendall(said)
        _end(one, other)
        one.close()  # whoever is still sending learns of it only now

    def _loses(self, is_answer: bool) -> bool:
        with self._turn:
            lost = self._draw.random() < self._share and self._in_a_row < LOST_IN_A_ROW_MAX
            if lost:
                self._in_a_row += 1
                self.lost += is_answer
            elif is_answer:
                self._in_a_row = 0
            return lost

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        _end(*self._open)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()


@contextmanager
def losing_way_to(url: str, seed: int = 7) -> Iterator[str]:
    """The URL of a proxy on the way to a server, while this lasts."""
    proxy = LosingProxy(urlsplit(url).port or 80, seed)
    try:
        yield f"http://127.0.0.1:{proxy.port}"
    finally:
        proxy.close()


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(server_port: int) -> Iterator[CuttingProxy]:
    """The proxy while this lasts."""
    proxy = CuttingProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
