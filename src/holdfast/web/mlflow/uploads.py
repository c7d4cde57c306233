"""A file on its way in: from the request into the store, a megabyte at a time.

A body that breaks off, or has not the length that it said, leaves nothing. Whoever stops sending is sent away, and
uploads wait for each other, so that slow ones never take all threads from who asks for less.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from holdfast.errors import Unavailable, UsageError
from holdfast.web.mlflow.turns import Turns

__all__ = ["UPLOADS_MAX", "arriving", "taken"]

_T = TypeVar("_T")

UPLOADS_MAX = 8
"""Large files at once in one process: each has a thread, of forty, and a writer with some ten megabytes."""

_AT_ONCE_BYTES_MAX = 1 << 20
"""Bodies of a known length up to here are taken into memory first: a thread is asked once then."""

_PIECE_BYTES = 1 << 20
"""Gathered before it is handed to the thread that writes: a hand-over for each 64 KB costs more than its bytes."""

_IDLE_SECONDS = 60.0
"""How long a client may send nothing: what MLflow's clients try again comes sooner."""

_DIGITS_MAX = 15
"""Of a length: a petabyte."""

_TURNS = Turns(UPLOADS_MAX)


async def taken(request: Request, put: Callable[[Iterable[bytes], int | None], _T]) -> _T:
    """Take the body of a request in.

    Args:
        request: whose body it is.
        put: takes its pieces, and how many bytes they have to be where that was said.

    Raises:
        Unavailable: nothing came for too long, or the client went away; nothing was kept.
        As `put`.
    """
    size = _length(request)
    pieces = arriving(request, size)
    if size is not None and size <= _AT_ONCE_BYTES_MAX:
        body = b"".join([piece async for piece in pieces])
        return await run_in_threadpool(put, [body], size)
    loop = asyncio.get_running_loop()
    async with _TURNS.here():
        return await run_in_threadpool(put, _followed(pieces, loop), size)


async def arriving(request: Request, size: int | None) -> AsyncIterator[bytes]:
    """The body in pieces of a megabyte, never more than it said.

    Raises:
        Unavailable: as `taken`.
        UsageError: it is longer than it said.
    """
    held, count = bytearray(), 0
    coming = request.stream()
    try:
        while True:
            async with asyncio.timeout(_IDLE_SECONDS):
                piece = await anext(coming, None)
            if piece is None:
                break
            count += len(piece)
            if size is not None and count > size:
                raise UsageError(f"More than the {size} bytes came that were said.", hint="Send it again.")
            held += piece
            if len(held) >= _PIECE_BYTES:
                yield bytes(held)
                held.clear()
    except TimeoutError as error:
        raise _broken("Nothing more came of the file") from error
    except ClientDisconnect as error:
        raise _broken("The client went away") from error
    if held:
        yield bytes(held)


def _followed(pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The pieces for a thread: it waits for them, and the event loop does not. The next comes while one is written."""

    async def following() -> bytes | None:
        return await anext(pieces, None)

    coming = asyncio.run_coroutine_threadsafe(following(), loop)
    try:
        while (piece := coming.result()) is not None:
            coming = asyncio.run_coroutine_threadsafe(following(), loop)
            yield piece
    finally:
        coming.cancel()


def _length(request: Request) -> int | None:
    said = request.headers.get("content-length")
    if said is None:
        return None
    if not said.isascii() or not said.isdigit() or len(said) > _DIGITS_MAX:
        raise UsageError(f"{said[:40]!r} is no length of a file", hint="Say how many bytes it has.")
    return int(said)


def _broken(what: str) -> Unavailable:
    return Unavailable(f"{what}, and nothing was kept", hint="Send it again.")
