"""The token that a request shows: what a server and a replica both look for, and what they say where there is none.

Clients that know names and passwords alone (RFC 7617) give the token as the password; whose it is, it says itself.
"""

import base64
import binascii

from holdfast.errors import Unauthenticated

__all__ = ["TICKET_HEADER", "bearer", "named", "ticket", "unauthenticated"]

TICKET_HEADER = "x-holdfast-ticket"
"""In which a ticket is shown: `holdfast.access.ticket`. Not where tokens are, which clients fill in by themselves."""

_HEADER_BYTES_MAX = 16_384
"""Longer than any token, and than what a provider of identities gives out."""


def bearer(headers: list[tuple[bytes, bytes]]) -> str:
    """The token that a request carries.

    Raises:
        Unauthenticated: none, or something else.
    """
    said = [value for name, value in headers if name == b"authorization"]
    if not said:
        raise unauthenticated("this server asks who you are, and the request carries no token")
    scheme, _, token = said[0].decode("latin-1").partition(" ")
    if scheme.lower() == "basic" and len(said[0]) <= _HEADER_BYTES_MAX:
        token = _secret(token.strip())
    elif scheme.lower() != "bearer":
        token = ""
    if len(said) > 1 or not token or not token.isprintable() or len(said[0]) > _HEADER_BYTES_MAX:
        raise unauthenticated("the request carries no token that this server understands")
    return token.strip()


def ticket(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The ticket that a request shows; None where it shows none."""
    said = [value for name, value in headers if name == TICKET_HEADER.encode()]
    return said[0].decode("latin-1") if said else None


def named(authorization: str) -> str | None:
    """The name that a request says beside its token, where it says one; it proves nothing."""
    scheme, _, credentials = authorization.partition(" ")
    return (_pair(credentials.strip())[0] or None) if scheme.lower() == "basic" else None


def _secret(credentials: str) -> str:
    """Of a name and a password; empty where there is none."""
    return _pair(credentials)[1]


def _pair(credentials: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, secret


def unauthenticated(message: str) -> Unauthenticated:
    """The error for whoever has not shown who they are."""
    return Unauthenticated(message, hint="Sign in: holdfast login, or set HOLDFAST_TOKEN.")
