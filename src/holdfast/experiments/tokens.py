"""Page tokens of searches that count: how many were told, and what the search was that they belong to.

offset_of(token_of(offset, search), search) == offset
"""

import base64
import binascii
import json

from holdfast.canonical import Json, encode
from holdfast.digest import hash_bytes
from holdfast.errors import UsageError

__all__ = ["offset_of", "search_of", "token_of"]

_SEARCH_CHARACTERS = 16
"""Of the digest of a search: nobody meets another one's by mistake."""

_TOKEN_CHARACTERS_MAX = 1000
"""A token of ours has less than a hundred."""

_OFFSET_MAX = 2**53


def search_of(*asked: Json) -> str:
    """A short name for what is asked, so that the token of one search is refused by another."""
    return hash_bytes(encode(list(asked))).hex[:_SEARCH_CHARACTERS]


def token_of(offset: int, search: str) -> str:
    """The token that goes on after `offset` of what `search` finds."""
    return base64.b64encode(json.dumps({"offset": offset, "search": search}).encode()).decode()


def offset_of(token: str, search: str) -> int:
    """Where to go on; at the beginning, for an empty token.

    Raises:
        UsageError: it is no token of ours, or another search's.
    """
    if not token:
        return 0
    try:
        said = json.loads(base64.b64decode(token[:_TOKEN_CHARACTERS_MAX], validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _invalid("Invalid page token, could not base64-decode") from error
    offset = said.get("offset") if isinstance(said, dict) else None
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= _OFFSET_MAX:
        raise _invalid("Invalid page token, parsed value has no offset")
    if said.get("search") != search:
        raise _invalid("The page token belongs to another search")
    return offset


def _invalid(message: str) -> UsageError:
    return UsageError(message, hint="Give the token as the page before gave it, to the same search.")
