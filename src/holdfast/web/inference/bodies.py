"""Reading the bytes of a request, up to a limit and within a time."""

import asyncio
import zlib
from typing import TYPE_CHECKING

from holdfast.errors import InvalidInput, TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["REQUEST_BYTES_MAX", "body_of", "inflated"]

REQUEST_BYTES_MAX = 32 << 20
"""A hundred thousand rows of thirty numbers as JSON; more in one request only delays everybody behind it."""

_REQUEST_SECONDS_MAX = 30.0
"""32 MiB over 10 Mbit/s; a caller that sends more slowly would hold an old version open for as long as it likes."""

_AT_ONCE_BYTES_MAX = 1 << 14
"""What is packed in so few bytes is unpacked on the event loop, unless it is a bomb: a thread would cost as much."""

_GZIP = 16 + zlib.MAX_WBITS
"""Tells zlib to expect the head of a gzip stream, and nothing else."""


async def body_of(length: bytes | None, receive: "Receive") -> bytes:
    """The body of the request.

    Args:
        length: the `Content-Length` header, when there is one; refused before a byte is read if it is too large.
        receive: the ASGI channel that the pieces come from.

    Raises:
        TooLarge: more than `REQUEST_BYTES_MAX`.
        InvalidInput: the caller went away or was too slow.
    """
    if length is not None and length.isdigit() and int(length) > REQUEST_BYTES_MAX:
        raise _too_large()
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return _bounded(message.get("body", b""))
    pieces, size = [], 0
    try:
        async with asyncio.timeout(_REQUEST_SECONDS_MAX):
            while message["type"] == "http.request":
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > REQUEST_BYTES_MAX:
                    raise _too_large()
                if not message.get("more_body", False):
                    return b"".join(pieces)
                message = await receive()
    except TimeoutError as error:
        raise InvalidInput(
            f"the request was not sent within {_REQUEST_SECONDS_MAX:g} s", hint="Send fewer rows at once."
        ) from error
    raise InvalidInput("the caller went away before the whole request was sent", hint="Send it again.")


async def inflated(encoding: bytes, body: bytes) -> bytes:
    """The body as it was before it was packed.

    Args:
        encoding: the `Content-Encoding` header.
        body: what was sent.

    Raises:
        UnsupportedMedia: another encoding than gzip.
        InvalidInput: damaged, or cut off.
        TooLarge: it unpacks to more than `REQUEST_BYTES_MAX`.
    """
    name = encoding.strip().lower()
    if name in {b"", b"identity"}:
        return body
    if name not in {b"gzip", b"x-gzip"}:
        raise UnsupportedMedia(
            f"a body packed with {encoding.decode('latin-1')[:40]!r} is not read", hint="Use gzip, or send it unpacked."
        )
    if len(body) <= _AT_ONCE_BYTES_MAX:
        return _unzipped(body)
    return await asyncio.to_thread(_unzipped, body)


def _unzipped(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        found = unpacking.decompress(body, REQUEST_BYTES_MAX + 1)
    except zlib.error as error:
        raise InvalidInput("the body is no gzip stream", hint="Send it unpacked.") from error
    if len(found) > REQUEST_BYTES_MAX:
        raise _too_large()
    if not unpacking.eof or unpacking.unused_data:
        raise InvalidInput("the gzip stream is cut off, or something follows it", hint="Send it again.")
    return found


def _bounded(body: bytes) -> bytes:
    if len(body) > REQUEST_BYTES_MAX:
        raise _too_large()
    return body


def _too_large() -> TooLarge:
    return TooLarge(
        f"the request passes the limit of {REQUEST_BYTES_MAX} bytes",
        hint="Send the rows in parts.",
        limit=REQUEST_BYTES_MAX,
    )
