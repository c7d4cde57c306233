"""A server of the API in this process, on a real socket: for tests that ask it as everybody does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn

from holdfast.registry import Registry
from holdfast.tracking import Tracking
from holdfast.web.api.app import api_app
from holdfast.web.api.depot import Depot
from holdfast.web.inference.server import address_of, listen

_END_SECONDS_MAX = 30.0


@contextmanager
def api_server(
    registry: Registry | None = None, tracking: Tracking | None = None, depot: Depot | None = None
) -> Iterator[str]:
    """The URL of a server, while this lasts; what it has not is not asked for."""
    listening = listen()
    app = api_app(cast("Registry", registry), cast("Tracking", tracking), depot)
    config = uvicorn.Config(app, loop="asyncio", http="httptools", ws="none", lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield address_of(listening)  # what is sent before it accepts waits in the socket
    finally:
        server.should_exit = True
        thread.join(_END_SECONDS_MAX)
        assert not thread.is_alive()
