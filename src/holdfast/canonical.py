"""Canonical JSON (RFC 8785), and reading JSON without losing or guessing anything.

Everything that Holdfast names by a digest is canonical JSON, so that one value has one name. `encode` writes it,
`decode` reads it strictly (no duplicate keys, no NaN), and `Reader` takes a JSON object apart field by field: a field
of the wrong type is an error that names its place, a field that nobody took is kept and written back.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from holdfast.errors import TooLarge, UnsupportedFormat, UsageError

__all__ = ["INTEGER_MAX", "Json", "JsonObject", "Reader", "decode", "encode", "plain"]

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, a sequence or a mapping of them."""

JsonObject: TypeAlias = dict[str, Any]

INTEGER_MAX = 2**53 - 1
"""The largest integer that RFC 8785 (section 3.2.2.3, I-JSON numbers) can carry without loss."""

_DEPTH_MAX = 64
"""Nesting beyond this is refused: no value of ours nests past 10, and Python's recursion limit is far off."""


_ELEMENTS_MAX = 10_000
"""An array past this is data: `plain` names it by its digest, and a manifest stays a document that people can read."""

_PAST_FLOAT = re.compile(r"[eE]\+?[0-9]{3}|[0-9]{309}")
"""Where a number might be too large for a float, and would be read as infinity."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def encode(value: Json) -> bytes:
    """The canonical bytes (RFC 8785) of a JSON value; equal values have equal bytes.

    Raises:
        UsageError: it holds what canonical JSON cannot carry: NaN, infinity, an integer past `INTEGER_MAX`, text that
            is not Unicode, or something that is no JSON value at all. `plain` turns any value into one that it can.
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"a value cannot be written as canonical JSON: {error}",
            hint="Use finite numbers, Unicode text and shallow values.",
        ) from error


def decode(data: bytes | str, *, what: str, exact: bool = False) -> Json:
    """The JSON value in `data`.

    Args:
        data: UTF-8, without a byte order mark.
        what: what it is called in errors.
        exact: integers of any size stay integers, for documents that are not canonical, such as rows with 64-bit
            identifiers. Otherwise an integer past `INTEGER_MAX` is a float, as RFC 8785 means it: the float 1e20 is
            written `100000000000000000000`, and is the same float when it is read again.

    Raises:
        UnsupportedFormat: not UTF-8 JSON, a key twice in one object, NaN, infinity or a number past every float, or
            nested past any use.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            # A call for each number is slow; a table of millions of them is only looked at closely where it must be.
            parse_float=_finite if not exact or _PAST_FLOAT.search(text) else None,
            parse_int=None if exact else _whole,
        )
        if not exact and text.count("[") + text.count("{") > _DEPTH_MAX:
            _refuse_depth(value, _DEPTH_MAX)
    except (ValueError, RecursionError) as error:
        raise UnsupportedFormat(
            f"{what} is not valid JSON: {error}", hint="Restore it from a backup, or write it again."
        ) from error
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        message = f"{text[:20]} is past every float"
        raise ValueError(message)
    return value


def _whole(text: str) -> int | float:
    # Sixteen digits and a sign always fit; past them nothing is lost by looking at the float first.
    if len(text) > len(str(INTEGER_MAX)) + 1 or abs(int(text)) > INTEGER_MAX:
        return _finite(text)
    return int(text)


def _refuse_depth(value: Json, levels: int) -> None:
    if levels < 0:
        message = f"it nests deeper than {_DEPTH_MAX} levels"
        raise ValueError(message)
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, dict | list):
                _refuse_depth(item, levels - 1)


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

    Used where values come from other people's code (hyperparameters, tags): NumPy scalars become numbers and arrays
    lists, integers past `INTEGER_MAX` and floats that are not finite become strings, tuples and sets become lists,
    times ISO text, missing values None, functions and classes their names, anything else its `repr` without addresses,
    so that equal values are equal in every process.

    Raises:
        TooLarge: it nests past any use, or holds itself.
    """
    if depth > _DEPTH_MAX:
        raise TooLarge(
            f"a value nests deeper than {_DEPTH_MAX} levels",
            hint="Log a flatter value; deep structures belong in a file of the data slice.",
            limit=_DEPTH_MAX,
        )
    match value:
        case None | bool():
            return value
        case str():
            return _text(value)
        case int():
            return int(value) if abs(value) <= INTEGER_MAX else str(int(value))
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case Mapping():
            return {_text(str(key)): plain(item, depth=depth + 1) for key, item in value.items()}
        case set() | frozenset():
            return sorted((plain(item, depth=depth + 1) for item in value), key=json.dumps)
        case bytes() | bytearray() | range():
            return repr(bytes(value) if isinstance(value, bytearray) else value)
        case Sequence():
            return [plain(item, depth=depth + 1) for item in value]
    return _foreign(value, depth)


def _text(value: str) -> str:
    """Plain text of class `str`; what is not Unicode (a file name in another encoding) is escaped."""
    return str.__str__(value).encode(errors="backslashreplace").decode()


def _foreign(value: Any, depth: int) -> Json:
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(getattr(value, "__qualname__", None), str):
        return _text(f"{getattr(value, '__module__', None) or 'builtins'}.{value.__qualname__}")
    if callable(getattr(value, "isoformat", None)):
        return _text(str(value.isoformat()))
    dimensions, size = getattr(value, "ndim", None), getattr(value, "size", 0)
    if dimensions == 0 and callable(getattr(value, "item", None)):
        item = value.item()
        return plain(item, depth=depth + 1) if type(item) is not type(value) else _text(repr(value))
    if isinstance(dimensions, int) and callable(getattr(value, "tolist", None)):
        return plain(value.tolist(), depth=depth + 1) if size <= _ELEMENTS_MAX else _named_by_digest(value)
    return _text(_ADDRESS.sub("", repr(value)))


def _named_by_digest(array: Any) -> str:
    held = array.to_numpy() if hasattr(array, "to_numpy") else array
    data = held.tobytes() if held.dtype.kind != "O" else repr(held.tolist()).encode(errors="backslashreplace")
    kind = f"{type(array).__module__.partition('.')[0]}.{type(array).__qualname__}"
    return f"{kind} of {held.dtype}, shape {held.shape}, sha256:{hashlib.sha256(data).hexdigest()}"


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

    def numbers(self, key: str) -> dict[str, float]:
        """An object whose values are all numbers; empty when absent."""
        found = self.mapping(key)
        if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in found.values()):
            raise self._error(f"{self.where}.{key}", "an object of numbers was expected")
        return {name: float(item) for name, item in found.items()}

    def flags(self, key: str) -> dict[str, bool]:
        """An object whose values are all true or false; empty when absent."""
        found = self.mapping(key)
        if not all(isinstance(item, bool) for item in found.values()):
            raise self._error(f"{self.where}.{key}", "an object of true and false was expected")
        return found

    def words(self, key: str) -> dict[str, str]:
        """An object whose values are all strings; empty when absent."""
        found = self.mapping(key)
        if not all(isinstance(item, str) for item in found.values()):
            raise self._error(f"{self.where}.{key}", "an object of strings was expected")
        return found

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
