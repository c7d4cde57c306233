"""`POST /truth`: whoever was answered here brings here what turned out to be right."""

import asyncio
from typing import TYPE_CHECKING

from holdfast.canonical import decode
from holdfast.errors import InvalidInput, TooLarge, UnsupportedFormat
from holdfast.registry.rollouts import TRUTHS_AT_ONCE_MAX
from holdfast.serving.replica import Replica
from holdfast.serving.truths import truth_of
from holdfast.web.inference.bodies import body_of

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["truth_routes"]

_BYTES_MAX = 4 << 20
"""A thousand truths whose ids and values are all as long as they may be."""

_AT_ONCE_BYTES_MAX = 1 << 14
"""A longer body is parsed in a thread: the loop answers everybody else meanwhile."""


def truth_routes(replica: Replica) -> "APIRouter":
    """The route that takes truths and passes them on to the registry, in the name of the replica."""
    from fastapi import APIRouter, Request
    from fastapi.responses import JSONResponse, Response

    routes = APIRouter(tags=["truth"])

    @routes.post("/truth")
    async def truth(request: Request) -> Response:
        """Take `{"truths": [{"request": …, "value": …, "place": 0}]}`: what was right for requests answered earlier."""
        length = request.headers.get("content-length")
        body = await body_of(None if length is None else length.encode(), request.receive)
        said = _parsed(body) if len(body) <= _AT_ONCE_BYTES_MAX else await asyncio.to_thread(_parsed, body)
        index = await replica.learn([truth_of(row, f"truth {place}") for place, row in enumerate(said)])
        return JSONResponse({"truths": len(said), "index": index})

    return routes


def _parsed(body: bytes) -> list[object]:
    if len(body) > _BYTES_MAX:
        raise TooLarge(
            f"truths of {len(body)} bytes at once", hint=f"Send at most {TRUTHS_AT_ONCE_MAX}.", limit=_BYTES_MAX
        )
    try:
        said = decode(body, what="the truths")
    except UnsupportedFormat as error:
        raise InvalidInput(error.message, hint="Send JSON.") from error
    rows = said.get("truths") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise InvalidInput("there are no truths", hint='Send {"truths": [{"request": "…", "value": 1}]}.')
    if len(rows) > TRUTHS_AT_ONCE_MAX:
        raise TooLarge(
            f"{len(rows)} truths at once", hint=f"Send at most {TRUTHS_AT_ONCE_MAX}.", limit=TRUTHS_AT_ONCE_MAX
        )
    return [*rows]
