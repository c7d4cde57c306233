"""A way to a server that can be cut at the worst moment: when a commit is on its way, or when its answer is."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

_READ_BYTES = 1 << 16


class CuttingProxy:
    """Passes bytes on between clients and one port of this machine; nothing may be encrypted.

    Attributes:
        port: where it listens.
        cut: what becomes of the next commit: the question never reaches the server, or the answer never reaches the
            client. The connection is gone in both cases, and it is None again.
    """

    def __init__(self, server_port: int) -> None:
        self.cut: Literal["question", "answer"] | None = None
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
