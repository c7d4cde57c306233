"""Reading the bytes of a request, up to a limit and within a time."""

import asyncio
from typing import TYPE_CHECKING

from holdfast.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["REQUEST_BYTES_MAX", "body_of"]

REQUEST_BYTES_MAX = 32 << 20
"""A hundred thousand rows of thirty numbers as JSON; more in one request only delays everybody behind it."""

_REQUEST_SECONDS_MAX = 30.0
"""32 MiB over 10 Mbit/s; a caller that sends more slowly would hold an old version open for as long as it likes."""


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
