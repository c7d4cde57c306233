"""The store's files: listed, read in ranges, and taken in by digest."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from holdfast.access import Role
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.service.line import API
from holdfast.service.signed_urls import SIGNED_SECONDS
from holdfast.store.naming import gathered
from holdfast.web.api import schemas
from holdfast.web.api.desk import Bytes, Here, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

_PAGE_MAX = 10_000
"""Files in one answer: a megabyte of JSON."""

_PIECE_BYTES = 4 << 20
"""Gathered before it is hashed and written: what arrives in pieces of 64 KB costs a call each otherwise."""

_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")

KeyPath = Annotated[str, Path(max_length=128, examples=["index/" + 64 * "0"])]

routes = APIRouter(prefix=API, tags=["store"], responses=refusals(400, 401, 403, 404, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/store/files", response_model=schemas.Files, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def files(
    desk: Here,
    depot: Bytes,
    prefix: Annotated[str, Query(max_length=16, examples=["index/"])],
    after: Annotated[str | None, Query(max_length=128)] = None,
) -> Response:
    """The files below a folder of the store, by name."""

    def page() -> list[dict[str, object]]:
        found = (one for one in depot.list(prefix) if after is None or one.key > after)
        return [{"key": one.key, "size": one.size} for one in islice(found, _PAGE_MAX)]

    rows = await desk.ask(page)
    return answer({"files": rows, "next": rows[-1]["key"] if len(rows) == _PAGE_MAX else None})


@routes.head("/store/files/{key:path}", dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def size(desk: Here, depot: Bytes, key: KeyPath) -> Response:
    """How long a file is."""
    length = await desk.ask(lambda: depot.size(key))
    return Response(headers={"content-length": str(length), "accept-ranges": "bytes"})


@routes.get(
    "/store/files/{key:path}", response_class=StreamingResponse, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)]
)
async def read(
    desk: Here, depot: Bytes, key: KeyPath, wanted: Annotated[str | None, Header(alias="range", max_length=64)] = None
) -> Response:
    """A file, or one range of it."""
    length = await desk.ask(lambda: depot.size(key))
    begin, end = 0, length
    if wanted is not None:
        asked = _RANGE.fullmatch(wanted)
        if asked is None:
            raise UsageError("one range of bytes can be asked for", hint="Write it like bytes=0-1023.")
        begin, end = int(asked[1]), min(length, int(asked[2] or length) + 1)
        if begin >= end:
            return Response(status_code=416, headers={"content-range": f"bytes */{length}"})
    headers = {"content-length": str(end - begin), "accept-ranges": "bytes"}
    if wanted is not None:
        headers["content-range"] = f"bytes {begin}-{end - 1}/{length}"
    pieces = iterate_in_threadpool(depot.pieces(key, begin, end - begin))
    return StreamingResponse(pieces, 200 if wanted is None else 206, headers, "application/octet-stream")


@routes.get(
    "/store/signed/{key:path}", response_model=schemas.SignedUrl, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)]
)
async def signed(desk: Here, depot: Bytes, key: KeyPath) -> Response:
    """Where a pack or an exact file can be read for some minutes, past this server; null where it cannot."""
    return answer({"url": await desk.ask(lambda: depot.signed(key)), "seconds": SIGNED_SECONDS})


@routes.put(
    "/store/files/{key:path}",
    status_code=201,
    responses={412: {"description": "It is there already"}},
    dependencies=[needs(Role.CONTRIBUTOR, Concern.SOMEWHERE)],
)
async def put(
    request: Request,
    desk: Here,
    depot: Bytes,
    key: KeyPath,
    content_length: Annotated[int, Header(ge=0)],
) -> Response:
    """Take a file in, if its bytes are what its name says and nothing has that name."""
    arriving = _arrived(request.stream(), asyncio.get_running_loop())
    made = await desk.ask(lambda: depot.put(key, gathered(arriving, _PIECE_BYTES), content_length))
    return Response(status_code=201 if made else 412)


@routes.delete("/store/files/{key:path}", status_code=204, dependencies=[needs(Role.CONTRIBUTOR, Concern.SOMEWHERE)])
async def remove(desk: Here, depot: Bytes, key: KeyPath) -> Response:
    """Take away a file that is damaged."""
    await desk.ask(lambda: depot.remove(key))
    return Response(status_code=204)


@routes.put("/store/claims/{digest}", status_code=204, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def claim(desk: Here, depot: Bytes, digest: str) -> Response:
    """Keep a tree or manifest, and what it names, for weeks: somebody works with it."""
    what = Digest.parse(digest)
    await desk.ask(lambda: depot.claim(what))
    return Response(status_code=204)


def _arrived(arriving: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The body as it comes, for a thread: it waits, and the event loop does not."""

    async def following() -> bytes | None:
        return await anext(arriving, None)

    while (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
        yield piece
