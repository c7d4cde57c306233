"""Canonical JSON (RFC 8785), and reading JSON without losing or guessing anything.

Everything that Holdfast names by a digest is canonical JSON, so that one value has one name. `encode` writes it,
`decode` reads it strictly (no duplicate keys, no NaN), and `Reader` takes a JSON object apart field by field: a field
of the wrong type is an error that names its place, a field that nobody took is kept and written back.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from holdfast.errors import TooLarge, UnsupportedFormat

__all__ = ["INTEGER_MAX", "Json", "JsonObject", "Reader", "decode", "encode", "plain"]

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, a sequence or a mapping of them."""

JsonObject: TypeAlias = dict[str, Any]

INTEGER_MAX = 2**53 - 1
"""The largest integer that RFC 8785 (section 3.2.2.3, I-JSON numbers) can carry without loss."""

_DEPTH_MAX = 64
"""Nesting beyond this is refused: no value of ours nests past 10, and Python's recursion limit is far off."""


def encode(value: Json) -> bytes:
    """The canonical bytes (RFC 8785) of a JSON value; equal values have equal bytes."""
    import rfc8785

    return rfc8785.dumps(value)


def decode(data: bytes | str, *, what: str) -> Json:
    """The JSON value in `data`; `what` names it in errors.

    Raises:
        UnsupportedFormat: not UTF-8 JSON, a duplicate key, NaN or infinity, or nested past any use.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnsupportedFormat(
            f"{what} is not valid JSON: {error}", hint="Restore it from a backup, or write it again."
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key appears twice in one object"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def plain(value: object, *, depth: int = 0) -> Json:
    """A JSON value that says as much as JSON can about any Python value.

    Used where values come from other people's code (hyperparameters, tags): NumPy scalars become numbers, integers past
    `INTEGER_MAX` and floats that are not finite become strings, tuples and sets become lists, anything else its `repr`.
    """
    if depth > _DEPTH_MAX:
        raise TooLarge(
            f"a value nests deeper than {_DEPTH_MAX} levels",
            hint="Log a flatter value; deep structures belong in a file of the data slice.",
            limit=_DEPTH_MAX,
        )
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value) if abs(value) <= INTEGER_MAX else str(value)
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): plain(item, depth=depth + 1) for key, item in value.items()}
        case set() | frozenset():
            return sorted((plain(item, depth=depth + 1) for item in value), key=str)
        case bytes() | bytearray():
            return repr(bytes(value))
        case Sequence():
            return [plain(item, depth=depth + 1) for item in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return plain(item(), depth=depth + 1)
    return repr(value)


class Reader:
    """Takes one JSON object apart; what nobody takes is `rest()`.

    Args:
        value: the JSON value that should be an object.
        where: its place, for errors, such as `manifest.parts.weights`.
    """

    def __init__(self, value: Json, where: str) -> None:
        if not isinstance(value, Mapping):
            raise self._error(where, f"an object was expected, {type(value).__name__} found")
        self._left: JsonObject = dict(value)
        self.where = where

    @staticmethod
    def _error(where: str, what: str) -> UnsupportedFormat:
        return UnsupportedFormat(
            f"{where}: {what}",
            hint="The document was not written by Holdfast, or has been edited.",
            where=where,
        )

    def has(self, key: str) -> bool:
        """Whether the object has this field, untaken and not null."""
        return self._left.get(key) is not None

    def _take(self, key: str, kinds: tuple[type, ...], name: str, *, default: Any = ...) -> Any:
        value = self._left.pop(key, default)
        if value is ...:
            raise self._error(f"{self.where}.{key}", "missing")
        if value is default:
            return value
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self._error(f"{self.where}.{key}", f"{name} was expected, {type(value).__name__} found")
        return value

    def text(self, key: str) -> str:
        """A required string."""
        return str(self._take(key, (str,), "a string"))

    def maybe_text(self, key: str) -> str | None:
        """A string, or None when absent or null."""
        value = self._take(key, (str, type(None)), "a string", default=None)
        return None if value is None else str(value)

    def integer(self, key: str) -> int:
        """A required integer."""
        return int(self._take(key, (int,), "an integer"))

    def maybe_integer(self, key: str) -> int | None:
        """An integer, or None when absent or null."""
        value = self._take(key, (int, type(None)), "an integer", default=None)
        return None if value is None else int(value)

    def number(self, key: str) -> float:
        """A required number."""
        return float(self._take(key, (int, float), "a number"))

    def maybe_number(self, key: str) -> float | None:
        """A number, or None when absent or null."""
        value = self._take(key, (int, float, type(None)), "a number", default=None)
        return None if value is None else float(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A boolean; `default` when absent."""
        return bool(self._take(key, (bool,), "true or false", default=default))

    def items(self, key: str) -> list[Json]:
        """A list; empty when absent."""
        return list(self._take(key, (list, tuple), "a list", default=[]))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty when absent."""
        found = self.items(key)
        if not all(isinstance(item, str) for item in found):
            raise self._error(f"{self.where}.{key}", "a list of strings was expected")
        return tuple(found)

    def mapping(self, key: str) -> JsonObject:
        """An object as it stands; empty when absent."""
        return dict(self._take(key, (Mapping,), "an object", default={}))

    def any(self, key: str) -> Json:
        """A required field of any type."""
        value = self._left.pop(key, ...)
        if value is ...:
            raise self._error(f"{self.where}.{key}", "missing")
        return value

    def reader(self, key: str) -> "Reader":
        """A required object, to be taken apart in turn."""
        return Reader(self._take(key, (Mapping,), "an object"), f"{self.where}.{key}")

    def rest(self) -> JsonObject:
        """The fields that nobody took: kept, so that a document of a newer minor format survives a round trip."""
        return dict(self._left)
