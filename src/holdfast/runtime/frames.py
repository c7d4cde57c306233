"""What crosses between a worker and its parent: frames of a JSON header and a body of bytes.

    4 bytes  length of the header, big-endian
    4 bytes  length of the body, big-endian
    header   a JSON object
    body     bytes; a request's or an answer's JSON as it came, so that the parent need not parse it

One side never trusts the other's lengths: both are bounded before anything is read.
"""

import json
import socket
import struct
from collections.abc import Callable

from holdfast.canonical import JsonObject
from holdfast.errors import TooLarge, Unavailable

__all__ = ["BODY_BYTES_MAX", "HEADER_BYTES_MAX", "PREFIX", "pack", "receive", "split", "unpack_prefix"]

PREFIX = struct.Struct(">II")

HEADER_BYTES_MAX = 1 << 20
"""Headers carry an operation or an error; a megabyte holds the longest list of missing columns many times over."""

BODY_BYTES_MAX = 256 << 20
"""A million rows of thirty numbers as JSON; more belongs in a batch job."""


def pack(header: JsonObject, body: bytes = b"") -> bytes:
    """One frame.

    Raises:
        TooLarge: the body passes `BODY_BYTES_MAX`.
    """
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(
            f"{len(body)} bytes pass the limit of {BODY_BYTES_MAX} for one call",
            hint="Send the rows in parts.",
            limit=BODY_BYTES_MAX,
        )
    head = json.dumps(header, separators=(",", ":")).encode()
    return PREFIX.pack(len(head), len(body)) + head + body


def unpack_prefix(prefix: bytes | bytearray) -> tuple[int, int]:
    """The lengths of header and body.

    Raises:
        TooLarge: one of them is past its limit; the stream cannot be trusted any more.
    """
    head, body = PREFIX.unpack(prefix)
    if head > HEADER_BYTES_MAX or body > BODY_BYTES_MAX:
        raise TooLarge(f"a frame of {head} and {body} bytes passes the limits", hint="Send the rows in parts.")
    return head, body


def split(data: bytes) -> list[tuple[bytes, bytes]]:
    """The frames that stand one behind the other in the body of another: of each its header, and its body.

    Raises:
        ValueError: the bytes are not whole frames.
        TooLarge: a length passes its limit.
    """
    found, at = [], 0
    while at < len(data):
        if at + PREFIX.size > len(data):
            raise ValueError("a frame inside a frame is cut off")
        head, body = unpack_prefix(data[at : at + PREFIX.size])
        start = at + PREFIX.size
        at = start + head + body
        if at > len(data):
            raise ValueError("a frame inside a frame is cut off")
        found.append((data[start : start + head], data[start + head : at]))
    return found


def receive(connection: socket.socket, waiting: Callable[[], None] | None = None) -> tuple[JsonObject, bytes]:
    """The next frame from a blocking socket.

    Args:
        connection: the socket.
        waiting: called whenever the socket's time-out passes, and after every piece that is not the last; what it
            raises ends the waiting. Without it the first time-out does.

    Raises:
        Unavailable: the other side is gone, or did not answer within the socket's time-out.
        TooLarge: a length passes its limit.
        ValueError: the header is no JSON object.
    """
    head, body = unpack_prefix(_exactly(connection, PREFIX.size, waiting))
    try:
        header = json.loads(_exactly(connection, head, waiting))
    except RecursionError as error:
        raise ValueError("the header of a frame is nested past any use") from error
    if not isinstance(header, dict):
        raise ValueError("the header of a frame is no JSON object")  # noqa: TRY004 - a value of the other side's
    return header, _exactly(connection, body, waiting)


def _exactly(connection: socket.socket, size: int, waiting: Callable[[], None] | None) -> bytes:
    held = bytearray(size)
    view, got = memoryview(held), 0
    while got < size:
        try:
            count = connection.recv_into(view[got:])
        except TimeoutError as error:
            if waiting is None:
                raise Unavailable(
                    "the bundle's process did not answer in time", hint="Try again; if it stays so, look at its log."
                ) from error
            waiting()
            continue
        except ConnectionError:
            count = 0
        if count == 0:
            raise Unavailable("the bundle's process has ended", hint="Its standard error says why.")
        got += count
        if waiting is not None and got < size:
            waiting()
    return bytes(held)
