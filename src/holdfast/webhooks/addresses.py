"""Which addresses a webhook may have: those of the public Internet, and those that the operator named.

A server that sends where others tell it to can be made to speak with its own network. So a URL is judged when it is
given, the addresses of its name each time that it is used, and the connection goes to the very address that was judged.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from holdfast.errors import PermissionRefused, TooLarge, UsageError

__all__ = ["Target", "judged", "target_of"]

_URL_CHARACTERS_MAX = 2_000
"""As long as what stands between lets a URL be."""

_PORTS = {"https": 443, "http": 80}

_HINT = "Write it like https://ci.example.org/hooks/holdfast"

_WAYS_ROUND = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
"""IPv6 addresses that carry one of IPv4, for NAT64, 6to4, Teredo, and as it once was: what they lead to is another."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes.

    Attributes:
        scheme: https or http.
        host: the name in the URL, in lower case.
        port: of the receiver.
        path: with the query.
        is_named: the operator named this host: it may be one of their own network.
    """

    scheme: str
    host: str
    port: int
    path: str
    is_named: bool

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, named: Collection[str]) -> Target:
    """Where this URL leads, if a webhook may have it.

    Args:
        url: of a receiver.
        named: hosts that the operator lets be anywhere, and be spoken to without TLS.

    Raises:
        UsageError: no URL of a receiver, one with a user or a fragment in it, or one that is not https.
        TooLarge: too long a one.
    """
    if len(url) > _URL_CHARACTERS_MAX:
        raise TooLarge(
            f"the URL of a webhook may have {_URL_CHARACTERS_MAX} characters", hint=_HINT, limit=_URL_CHARACTERS_MAX
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise UsageError("that is not the URL of a receiver", hint=_HINT) from error
    if parts.scheme not in _PORTS or not host or not url.isascii() or any(one <= " " or one == "\x7f" for one in url):
        raise UsageError("that is not the URL of a receiver", hint=_HINT)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UsageError(
            "the URL of a webhook holds no user, no password and no fragment",
            hint="What it is sent is signed: the receiver needs no password from it.",
        )
    is_named = host in named
    if parts.scheme != "https" and not is_named:
        raise UsageError(
            f"{host} would be told of events without encryption",
            hint="Use https://, or have the operator name the host in HOLDFAST_WEBHOOK_HOSTS.",
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path, is_named)


def judged(target: Target, addresses: Collection[str]) -> str:
    """The address to connect to, of those that a name has.

    Raises:
        PermissionRefused: the name has none, or one of them is not to be told.
    """
    if not addresses:
        raise PermissionRefused(f"{target.host} has no address", hint="Check the URL of the webhook.")
    for text in addresses:
        if not _may_be_told(text, is_named=target.is_named):
            # Which address it was stays untold: it would map the server's network for whoever asks.
            raise PermissionRefused(
                f"{target.host} is not on the public Internet",
                hint="If it shall be told all the same, have the operator name it in HOLDFAST_WEBHOOK_HOSTS.",
            )
    return next(iter(addresses))


def _may_be_told(text: str, *, is_named: bool) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback and _leads_elsewhere(address):
        return False
    # Clouds give out credentials on link-local addresses: nobody's receiver is there.
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if is_named:
        return address.is_global or address.is_private or address.is_loopback
    return address.is_global


def _leads_elsewhere(address: ipaddress.IPv6Address) -> bool:
    return address.ipv4_mapped is not None or bool(address.scope_id) or any(address in one for one in _WAYS_ROUND)
