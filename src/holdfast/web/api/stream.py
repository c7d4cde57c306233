"""The log as a stream of server-sent events: who reads it hears of each event as it comes, and goes on where it was."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse

from holdfast.access import Role
from holdfast.errors import HoldfastError, Unavailable, UsageError
from holdfast.names import ModelName
from holdfast.registry import Action, Event
from holdfast.service.line import API
from holdfast.web.api.desk import Desk, Here, action_of, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["HEARTBEAT_SECONDS", "routes"]

HEARTBEAT_SECONDS = 15.0
"""A sign of life in a stream without events: what stands between drops a connection that is silent for a minute."""

_LIFE_SECONDS = 900.0
"""How long one stream lasts: whoever reads it comes again by itself, and may then have lost the right to."""

_STREAMS_MAX = 256
"""Of one process: each reads the log when it has grown."""

_PAGE = 100

Index = Annotated[
    int | None, Query(ge=-1, le=2**53 - 1, description="Behind this event; what comes from now on, when left out")
]

routes = APIRouter(prefix=API, tags=["evidence"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""It goes on for as long as nobody ends it."""

_AS_STREAM = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events as they come"}


@routes.get(
    "/events/stream",
    response_class=StreamingResponse,
    responses={200: _AS_STREAM},
    dependencies=[needs(Role.VIEWER, Concern.PROJECT)],
)
async def stream(
    desk: Here,
    *,
    model: Annotated[str | None, Query(max_length=256)] = None,
    action: Annotated[list[str] | None, Query(max_length=64)] = None,
    after: Index = None,
    last_event_id: Annotated[str | None, Header(max_length=32, description="Goes before `after`")] = None,
) -> StreamingResponse:
    """The events of the log as they come: `id` is the index, `event` the action, `data` the event."""
    name = None if model is None else ModelName(model)
    actions = [*map(action_of, action or ())]
    begin = await _begin(desk, _index(last_event_id) if last_event_id else after)
    lines = _lines(desk, name, actions, begin)
    return StreamingResponse(
        lines, media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


async def _begin(desk: Desk, after: int | None) -> int:
    if desk.streams >= _STREAMS_MAX:
        raise Unavailable(f"{_STREAMS_MAX} streams are read here already", hint="Come again, or ask for pages.")
    if after is not None:
        return after
    last = await desk.ask(lambda: desk.registry.log(limit=1))
    return last[0].index if last else -1


async def _lines(desk: Desk, model: ModelName | None, actions: list[Action], after: int) -> AsyncIterator[bytes]:
    end = time.monotonic() + _LIFE_SECONDS
    with _counted(desk):
        yield b"retry: 1000\n\n"
        while not desk.watch.ended and time.monotonic() < end:
            async for _ in desk.watch.looks(HEARTBEAT_SECONDS):
                while page := await _following(desk, model, actions, after):
                    yield b"".join(map(_message, page))
                    after = page[-1].index
            yield b": here\n\n"


async def _following(desk: Desk, model: ModelName | None, actions: list[Action], after: int) -> tuple[Event, ...]:
    try:
        return await desk.ask(lambda: desk.registry.following(after, model=model, actions=actions, limit=_PAGE))
    except HoldfastError:
        return ()  # a database that is away is asked again; whoever reads loses nothing


@contextmanager
def _counted(desk: Desk) -> Iterator[None]:
    desk.streams += 1
    try:
        yield
    finally:
        desk.streams -= 1


def _message(event: Event) -> bytes:
    data = json.dumps(event.to_json(), ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.index}\nevent: {event.action}\ndata: {data}\n\n".encode()


def _index(text: str) -> int:
    if not (text.removeprefix("-").isdigit() and text.isascii()) or int(text) < -1:
        raise UsageError(f"{text!r} is no index of an event", hint="Name the id of the last event that you have.")
    return int(text)
