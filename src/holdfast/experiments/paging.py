"""Page tokens: where the next page of an answer begins. Clients hand them back and look into none.

    read_token(token(place)) == place

A token is base64 of a JSON object. `after` holds what the last entry of a page is sorted by, so that the next page is
found without reading those before; `offset` counts, where an order has no such key.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from holdfast.errors import UsageError

__all__ = ["Place", "read_token", "token"]

_CHARACTERS_MAX = 4096
"""A key is a moment and an id, or less."""

_OFFSET_MAX = 2**53
"""What JSON carries as a whole number."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after an entry with this key, or after so many entries."""

    after: tuple[str, str] | None = None
    offset: int = 0


def token(place: Place) -> str:
    """The token of a place."""
    said = {"after": list(place.after)} if place.after is not None else {"offset": place.offset}
    return base64.b64encode(json.dumps(said).encode()).decode()


def read_token(said: str | None) -> Place:
    """The place that a token names; the beginning without one.

    Raises:
        UsageError: this is no token of ours.
    """
    if not said:
        return Place()
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
            return Place(offset=offset)
        case {"after": [str(value), str(id_)]}:
            return Place(after=(value, id_))
    raise _unknown(f"parsed value={found}")


def _unknown(why: str) -> UsageError:
    return UsageError(f"Invalid page token, {why}", hint="Begin again without one.")
