"""URLs at this server that a client asks with what an answer told it, and with nothing else of its own.

Where the server asks who they are, a ticket in a header says it; `holdfast.access.ticket`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request

from holdfast.web.bearer import TICKET_HEADER
from holdfast.web.mlflow.room import Here

__all__ = ["Link", "links", "origin_of"]

_HOST = re.compile(r"[0-9A-Za-z._:\[\]-]{1,255}")
"""What a request may call the host, and what then stands in a URL."""


class Link(NamedTuple):
    """What a client is told to ask.

    Attributes:
        url: absolute.
        headers: that it sends with it.
    """

    url: str
    headers: dict[str, str]


def links(here: Here, method: str, seconds: int) -> Callable[[str], Link]:
    """What makes links for who asks: of a method, to a path from the root, for so long.

    Raises:
        NotFound: the token of who asks is gone meanwhile.
    """
    identity, access = here.caller.identity, here.desk.access
    if identity is None or access is None:
        return lambda path: Link(here.origin + quote(path), {})
    write = access.tickets(identity.token, seconds)
    return lambda path: Link(here.origin + quote(path), {TICKET_HEADER: write(f"{method} {path}")})


def origin_of(request: Request) -> str:
    """Where a client reaches this server, as its request says.

    A proxy that ends TLS says so, and is believed that alone: whoever makes it up gets a URL of no use, and nobody else
    sees it.
    """
    is_secure = request.headers.get("x-forwarded-proto", "").lower() == "https"
    scheme = "https" if is_secure else request.scope["scheme"]
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        name, port = request.scope["server"] or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    return f"{scheme}://{host}"
