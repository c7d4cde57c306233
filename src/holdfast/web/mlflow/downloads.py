"""A file on its way out: verified, whole or in one range, with the headers that MLflow gives.

A damaged file is never answered whole: small ones are hashed before they are sent, and of large ones the last piece is
held back until all of it was. Before the first range of a file all of it is hashed, once in a process.
"""

import asyncio
import mimetypes
import re
import unicodedata
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from posixpath import basename, splitext
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from holdfast.experiments.files import FileName
from holdfast.web.mlflow.turns import Turns
from holdfast.wire.mlflow import Shelf

__all__ = ["answered", "content_type", "disposition"]

_AT_ONCE_BYTES_MAX = 1 << 20
"""Sent in one piece: nearly all files of a run."""

_RANGES_MAX = 8
"""Ranges in one process that wait for their file to be hashed, each in a thread, of forty; others wait for these."""

_TURNS = Turns(_RANGES_MAX)

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What a header's word needs no quotes for (RFC 9110, section 5.6.2)."""

_SAFE_IN_EXTENDED = "!#$&+-.^_`|~"
"""What RFC 8187 leaves as it is."""

_TEXTS = frozenset(
    {
        *("txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml", "yaml"),
        *("yml", "xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel", "MLproject"),
    }
)
"""Endings, and names without one, that MLflow's pages show as text."""

_CONDITIONAL = {"cache-control": "no-cache", "accept-ranges": "bytes", "x-content-type-options": "nosniff"}
"""Never sniffed for what a browser could run; asked for again each time, which an unchanged file answers with 304."""


async def answered(request: Request, shelf: Shelf, file: FileName) -> Response:
    """The answer to a GET or a HEAD of a file (RFC 9110, sections 13 and 14; of several ranges, the whole file)."""
    etag = f'"{file.digest}"'
    headers = _CONDITIONAL | {
        "etag": etag,
        "content-type": content_type(file.path),
        "content-disposition": disposition(basename(file.path)),
    }
    if _knows(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    span = _span(request, etag, file.bytes)
    if span is None:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{file.bytes}"})
    begin, end = span
    status = 200
    if end - begin < file.bytes:
        status, headers["content-range"] = 206, f"bytes {begin}-{end - 1}/{file.bytes}"
    headers["content-length"] = str(end - begin)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if file.bytes <= _AT_ONCE_BYTES_MAX:
        data = await run_in_threadpool(shelf.files.data, file, bytes_max=_AT_ONCE_BYTES_MAX)
        return Response(data[begin:end], status, headers)
    if end - begin < file.bytes:
        pieces = await _begun(shelf.store.between(file.digest, begin, end))
    else:
        pieces = _held_back(shelf.store.pieces(file.digest))
    return StreamingResponse(_ahead(pieces), status, headers)


def content_type(path: str) -> str:
    """The content type of a file by its name, as MLflow's own server gives it."""
    name = basename(path)
    ending = splitext(name)[1].removeprefix(".") or name
    if ending in _TEXTS:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def disposition(name: str) -> str:
    """The header that has a browser keep a file rather than show it (RFC 6266)."""
    if name.isascii():
        return f"attachment; filename={_quoted(name)}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    return f"attachment; filename={_quoted(plain)}; filename*=UTF-8''{quote(name, safe=_SAFE_IN_EXTENDED)}"


def _quoted(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _knows(said: str | None, etag: str) -> bool:
    if said is None:
        return False
    return any(one.strip().removeprefix("W/") in {etag, "*"} for one in said.split(","))


def _span(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """What is asked for, all of it where no range is; None where the file has nothing of it."""
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or asked.group() == "bytes=-" or request.headers.get("if-range", etag) != etag:
        return 0, size
    first, last = asked.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return 0, size  # no range at all
    return (begin, end) if begin < end else None


def _held_back(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, each when the next is there, and the last when all were found whole."""
    last = next(pieces, None)
    for piece in pieces:
        assert last is not None  # noqa: S101 - another came before it, for the type checker
        yield last
        last = piece
    if last is not None:
        yield last


async def _ahead(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, each read and verified in a thread while the one before it is sent."""

    async def following() -> bytes | None:
        return await run_in_threadpool(next, pieces, None)

    coming = asyncio.ensure_future(following())
    try:
        while (piece := await coming) is not None:
            coming = asyncio.ensure_future(following())
            yield piece
    finally:
        coming.cancel()


async def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, the first of which is there: what is damaged is an error then, and no answer that breaks off."""
    async with _TURNS.here():
        first = await run_in_threadpool(next, pieces, b"")
    return chain([first], pieces)
