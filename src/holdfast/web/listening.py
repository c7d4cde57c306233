"""A process that answers HTTP: one event loop on uvloop and httptools, one listening socket."""

import asyncio
import logging
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingExtra, Unavailable, UsageError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

__all__ = ["Tls", "address_of", "listen", "listen_apart", "reserved", "serve", "serving"]

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

_OTHER_FILES = 256
"""What a process has open beside its connections: libraries, databases, packs of a store."""

_LOOK_SECONDS = 0.005
"""How often a thread that starts to serve is looked at."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What a server speaks TLS with: PEM files of a certificate, with those that lead to it, and of its key."""

    certificate: Path
    key: Path

    def require_usable(self) -> None:
        """Go on only where a server can speak with them.

        Raises:
            UsageError: they cannot be read, or do not belong together.
        """
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise UsageError(
                f"no TLS with {self.certificate} and {self.key}: {error}",
                hint="Both are PEM files; the key must be that of the certificate, and have no password.",
            ) from error


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


def reserved(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen: it keeps the port for those of this user that listen on it together.

    A server in a C library opens its own sockets and cannot be handed one; with this, a port that is taken is an error
    at once, and port 0 is a number before anything listens.

    Raises:
        Unavailable: the address is taken or does not exist.
    """
    with listen(host, port) as alone:
        # Found free, and not just willing to share with somebody else's sockets.
        family, kind, address = alone.family, alone.type, alone.getsockname()
    held = socket.socket(family, kind)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as error:
        held.close()
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}", hint="Choose another port.") from error
    return held


def listen_apart(host: str, port: int, count: int) -> list[socket.socket]:
    """As many bound sockets at one address; the kernel deals new connections out to them, each to one.

    A socket that several processes share goes to whoever is awake, which is the busiest: of sixteen connections it gets
    fifteen or all. And whoever holds one of these open keeps the connections that wait in it, while its process is
    replaced by another.

    Raises:
        Unavailable: the address is taken or does not exist, or this system cannot deal out.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise Unavailable(
            "this system has one process for a port", hint="Start one process, or several on other ports."
        )
    with listen(host, port) as alone:
        # Found free, and not just willing to share with somebody else's sockets.
        family, kind, address = alone.family, alone.type, alone.getsockname()
    found: list[socket.socket] = []
    try:
        found.extend(_bound(family, kind, address) for _ in range(count))
    except OSError as error:
        for one in found:
            one.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="Choose another port, or 0 for a free one."
        ) from error
    return found


def _bound(family: int, kind: int, address: Any) -> socket.socket:
    listening = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket, tls: Tls | None = None) -> str:
    """The URL at which the socket is reached."""
    host, port = listening.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def serve(
    app: "FastAPI",
    *listening: socket.socket,
    before_the_end: Callable[[], object] = lambda: None,
    drain_seconds: float = 0.0,
    tls: Tls | None = None,
    connections_max: int | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM: stop accepting, finish what is in flight, end the application.

    Args:
        app: what answers.
        listening: bound sockets.
        before_the_end: called when the signal has come, before anything stops: to send away those who wait, and to say
            that others should be asked from now on.
        drain_seconds: how long to go on answering after that. A second signal ends it.
        tls: what to speak TLS with; None for none.
        connections_max: how many connections there may be; whoever comes then is told 503. None: as many as come.

    Raises:
        MissingExtra: uvicorn, uvloop or httptools is not installed.
    """
    config = _config(app, tls)
    if connections_max is not None:
        config.limit_concurrency = connections_max
        _allow_files(connections_max)
    import uvicorn

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
    Draining(config).run(sockets=list(listening))


def _allow_files(connections: int) -> None:
    """Let this process open a file for each connection, and some more, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextmanager
def serving(app: "FastAPI", listening: socket.socket) -> Iterator[None]:
    """Inside, the application answers on the socket, in a thread of this process.

    Raises:
        MissingExtra: as `serve`.
        Unavailable: the application did not start.
    """
    config = _config(app, None)
    import uvicorn

    server, before = uvicorn.Server(config), sys.getswitchinterval()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    sys.setswitchinterval(_SWITCH_SECONDS)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise Unavailable("the application did not start", hint="What is above this line says why.")
            time.sleep(_LOOK_SECONDS)
        yield
    finally:
        server.should_exit = True
        thread.join()
        sys.setswitchinterval(before)


def _config(app: "FastAPI", tls: Tls | None) -> "uvicorn.Config":
    try:
        import httptools  # noqa: F401 - asked for by name below
        import uvicorn
        import uvloop  # noqa: F401 - asked for by name below
    except ImportError as error:
        raise MissingExtra(
            "serving needs uvicorn, uvloop and httptools", hint="Install them: pip install 'holdfast[serve]'"
        ) from error
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return uvicorn.Config(
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
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )
