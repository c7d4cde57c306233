"""A server of the API in this process, on a real socket: for tests that ask it as everybody does.

Every answer is held to what the OpenAPI document says of it, whatever the test looks at.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.registry.provable import ProvableRegistry
from holdfast.tracking import Tracking
from holdfast.web.api.app import api_app
from holdfast.web.api.depot import Depot
from holdfast.web.api.desk import Around
from holdfast.web.api.schemas import Refusal
from holdfast.web.listening import address_of, listen
from tests.patience import PATIENCE_SECONDS


class HeldToItsWord:
    """Compares every answer with the description of its route.

    Attributes:
        complaints: what did not fit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.complaints: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 0, b""

        async def listened(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")
            await send(message)

        await self._app(scope, receive, listened)
        if scope["type"] == "http" and (scope["method"] != "HEAD" and status not in {204, 304, 412, 416}):
            self._look(scope, status, body)

    def _look(self, scope: Scope, status: int, body: bytes) -> None:
        route = scope.get("route")
        where = f"{scope['method']} {scope['path']}: {status}"
        if status < 400:
            model = getattr(route, "response_model", None)
            if model is None:
                return
            if status not in {200, getattr(route, "status_code", None)}:
                self.complaints.append(f"{where} is not the status that the route states")
        else:
            model = Refusal
            responses = getattr(route, "responses", {})
            if route is not None and status not in responses and status < 500:
                self.complaints.append(f"{where} is not among {sorted(responses)}")
        try:
            value = model.model_validate_json(body)
        except ValidationError as error:
            self.complaints.append(f"{where}: {error}")
            return
        if model is not Refusal:
            self.complaints += [f"{where}: {name} is not described" for name in undescribed(value)]


def undescribed(value: object, place: str = "") -> Iterator[str]:
    """Fields that the model of an answer does not know."""
    if isinstance(value, BaseModel):
        yield from (f"{place}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from undescribed(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from undescribed(item, place)


@contextmanager
def api_server(
    registry: ProvableRegistry | None = None,
    tracking: Tracking | None = None,
    depot: Depot | None = None,
    around: Around | None = None,
) -> Iterator[str]:
    """The URL of a server, while this lasts; what it has not is not asked for."""
    listening = listen()
    app = HeldToItsWord(api_app(cast("ProvableRegistry", registry), cast("Tracking", tracking), depot, around))
    config = uvicorn.Config(app, loop="asyncio", http="httptools", ws="none", lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield address_of(listening)  # what is sent before it accepts waits in the socket
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert not app.complaints, "\n".join(app.complaints)
