"""A process that answers HTTP: one event loop on uvloop and httptools, one listening socket."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtra, Unavailable

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["address_of", "listen", "serve"]

_BACKLOG = 2048
"""Connections that wait to be accepted: a burst of clients that all reconnect at once after a restart."""

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which common load balancers drop an idle connection, so that never a request is sent into
a connection that this side has just closed."""

_FINISH_SECONDS = 30
"""What requests in flight get to finish when the process is told to stop: as long as one request may take."""


_SWITCH_SECONDS = 0.0005
"""How long the event loop may keep Python's lock while the thread that watches the stage waits for it. That thread
takes it a dozen times to read the registry; at Python's own 5 ms a busy replica would see a rollback 100 ms late."""


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A bound socket, loopback by default; port 0 takes a free one, which `address_of` tells.

    Raises:
        Unavailable: the address is taken or does not exist.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # The protocol is named so that the event loop knows TCP when it sees it, and turns Nagle's algorithm off:
        # with it an answer on a kept connection waits 40 ms for the client's delayed acknowledgement.
        listening = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="Choose another port, or 0 for a free one."
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """The URL at which the socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: "FastAPI",
    *listening: socket.socket,
    before_the_end: Callable[[], object] = lambda: None,
    drain_seconds: float = 0.0,
) -> None:
    """Serve until SIGINT or SIGTERM: stop accepting, finish what is in flight, end the application.

    Args:
        app: what answers.
        listening: bound sockets.
        before_the_end: called when the signal has come, before anything stops: to send away those who wait, and to say
            that others should be asked from now on.
        drain_seconds: how long to go on answering after that. A second signal ends it.

    Raises:
        MissingExtra: uvicorn, uvloop or httptools is not installed.
    """
    try:
        import httptools  # noqa: F401 - asked for by name below
        import uvicorn
        import uvloop  # noqa: F401 - asked for by name below
    except ImportError as error:
        raise MissingExtra(
            "serving needs uvicorn, uvloop and httptools", hint="Install them: pip install 'holdfast[serve]'"
        ) from error

    told = False

    class Draining(uvicorn.Server):
        """Hears the first signal as a wish to end soon, and the second as one to end now."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            nonlocal told
            if told or not self.started:
                super().handle_exit(sig, frame)
                return
            told = True
            loop = asyncio.get_running_loop()  # a signal is heard in the thread of the loop, between two of its steps
            loop.call_soon_threadsafe(before_the_end)
            loop.call_soon_threadsafe(loop.call_later, drain_seconds, super().handle_exit, sig, frame)

    sys.setswitchinterval(_SWITCH_SECONDS)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_FINISH_SECONDS,
    )
    Draining(config).run(sockets=list(listening))
