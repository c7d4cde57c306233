"""Page tokens: where the next page of an answer begins. Clients hand them back and look into none.

    read_token(token(place), place.search) == place

A token is base64 of a JSON object. `after` holds what the last entry of a page is sorted by, so that the next page is
found without reading those before; `offset` counts, where an order has no such key. `search` names what was searched
for, where the token of one search is refused by another.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from holdfast.canonical import Json, JsonObject, encode
from holdfast.digest import hash_bytes
from holdfast.errors import UsageError

__all__ = ["Place", "read_token", "search_of", "token"]

_CHARACTERS_MAX = 4096
"""A key is a moment and an id, or less."""

_OFFSET_MAX = 2**53
"""What JSON carries as a whole number."""

_SEARCH_CHARACTERS = 16
"""Of the digest of a search: nobody meets another one's by mistake."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after an entry with this key, or after so many entries; of one search, where it is named."""

    after: tuple[str, str] | None = None
    offset: int = 0
    search: str = ""


def search_of(*asked: Json) -> str:
    """A short name for what is searched for."""
    return hash_bytes(encode(list(asked))).hex[:_SEARCH_CHARACTERS]


def token(place: Place) -> str:
    """The token of a place."""
    said: JsonObject = {"after": list(place.after)} if place.after is not None else {"offset": place.offset}
    if place.search:
        said["search"] = place.search
    return base64.b64encode(json.dumps(said).encode()).decode()


def read_token(said: str | None, search: str = "") -> Place:
    """The place that a token names; the beginning without one.

    Args:
        said: the token.
        search: the name of what is searched for; empty where tokens name none.

    Raises:
        UsageError: this is no token of ours, or another search's.
    """
    if not said:
        return Place(search=search)
    try:
        written = base64.b64decode(said[:_CHARACTERS_MAX])
    except (binascii.Error, ValueError) as error:
        raise _unknown("could not base64-decode") from error
    try:
        found = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise _unknown(f"decoded value={written!r}") from error
    match found:
        case {"offset": int(offset)} if 0 < offset < _OFFSET_MAX and not isinstance(offset, bool):
            place = Place(offset=offset, search=search)
        case {"after": [str(value), str(id_)]}:
            place = Place(after=(value, id_), search=search)
        case _:
            raise _unknown(f"parsed value={found}")
    if found.get("search", "") != search:
        raise _unknown("it is of another search")
    return place


def _unknown(why: str) -> UsageError:
    return UsageError(f"Invalid page token, {why}", hint="Begin again without one.")
