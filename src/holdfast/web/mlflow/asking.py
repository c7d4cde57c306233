"""What a request says, read with MLflow's own refusals.

A field that is absent, null or an empty text is not given: MLflow's protocol is made of protobuf messages in JSON, in
which an unset text and an empty one look alike.
"""

import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError

__all__ = ["Asked", "invalid", "missing"]

_SEE = " See the API docs for more information about request parameters."

_INTEGER_MAX = 2**63 - 1
"""What a 64-bit integer of the protocol holds."""

_FIELDS_MAX = 10_000
"""Arguments of a query: a thousand times what a client sends."""

_VALUE_CHARACTERS_MAX = 200
"""Of a wrong value in an error: enough to recognise it."""

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def missing(name: str) -> UsageError:
    """The refusal for a field that is not given."""
    return UsageError(f"Missing value for required parameter '{name}'.{_SEE}", hint="Give it.", parameter=name)


def invalid(name: str, value: Json, why: str | None = None) -> UsageError:
    """The refusal for a field whose value cannot be."""
    shown = json.dumps(value, separators=(",", ":"), default=str)[:_VALUE_CHARACTERS_MAX]
    because = why or f" Hint: Value was of type '{type(value).__name__}'."
    message = f"Invalid value {shown} for parameter '{name}' supplied: {because}{_SEE}"
    return UsageError(message, hint="Give another value.", parameter=name)


class Asked:
    """The fields of one request, from its query or its body, and from its path.

    Args:
        fields: name to JSON value; a field of a query that is there several times has a list.
        words: what stands in the path.
        headers: of the request, in small letters.
    """

    def __init__(
        self,
        fields: Mapping[str, Json],
        words: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = {**fields, **(words or {})}
        self.headers = headers or {}

    @classmethod
    def of_query(cls, query: str, words: Mapping[str, str], headers: Mapping[str, str]) -> "Asked":
        """What a query says.

        Raises:
            UsageError: it has more arguments than anybody sends.
        """
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
        except ValueError as error:
            raise UsageError(f"The query cannot be read: {error}", hint=f"It may have {_FIELDS_MAX} fields.") from error
        fields: dict[str, Any] = {}
        for name, value in pairs:
            if name not in fields:
                fields[name] = value
            elif isinstance(fields[name], list):
                fields[name].append(value)
            else:
                fields[name] = [fields[name], value]
        return cls(fields, words, headers)

    @classmethod
    def of_body(cls, body: bytes, words: Mapping[str, str], headers: Mapping[str, str]) -> "Asked":
        """What a body says.

        Raises:
            UsageError: it is not said to be JSON, or is none, or no object.
        """
        kind = headers.get("content-type")
        if body and kind is None:
            raise UsageError(
                "Bad Request. Content-Type header is missing.", hint="Send application/json.", mlflow="BAD_REQUEST"
            )
        if body and not str(kind).partition(";")[0].strip().lower().endswith("json"):
            raise UsageError(
                f"Bad Request. Content-Type must be application/json, got {str(kind)[:100]}.",
                hint="Send application/json.",
                mlflow="BAD_REQUEST",
            )
        try:
            value = json.loads(body or b"{}")
            if isinstance(value, str):  # some clients send the JSON of the JSON
                value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                "Malformed request body: it is no JSON.", hint="Send a JSON object.", mlflow="BAD_REQUEST"
            ) from error
        if not isinstance(value, dict):
            raise UsageError("Malformed request body: it is no JSON object.", hint="Send one.", mlflow="BAD_REQUEST")
        return cls(value, words, headers)

    def has(self, name: str) -> bool:
        """Whether the field is given."""
        return self.fields.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """A text that has to be there.

        Raises:
            UsageError: it is not, or is no text.
        """
        found = self.maybe_text(name)
        if not found:
            raise missing(name)
        return found

    def maybe_text(self, name: str) -> str | None:
        """A text, which may be empty; None where the field is absent.

        Raises:
            UsageError: it is no text.
        """
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return value
        raise invalid(name, value)

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number, as a number or as a text; `default` where it is absent.

        Raises:
            UsageError: it is none, or is absent and has no default.
        """
        found = self.maybe_integer(name)
        if found is not None:
            return found
        if default is None:
            raise missing(name)
        return default

    def maybe_integer(self, name: str) -> int | None:
        """A whole number, as a number or as a text; None where it is absent.

        Raises:
            UsageError: it is none.
        """
        value = self.fields.get(name)
        if value is None or value == "":
            return None
        return whole(name, value)

    def number(self, name: str) -> float:
        """A number that has to be there; `"NaN"` and the infinities are texts.

        Raises:
            UsageError: it is not, or is none.
        """
        value = self.fields.get(name)
        if value is None or value == "":
            raise missing(name)
        return real(name, value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false; `default` where it is absent.

        Raises:
            UsageError: it is neither.
        """
        value = self.fields.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        raise UsageError(f"Invalid boolean value: {value}, must be 'true' or 'false'.", hint="Give one of them.")

    def texts(self, name: str) -> list[str]:
        """A list of texts; one alone is a list too, as a query writes it; empty where it is absent.

        Raises:
            UsageError: it is something else.
        """
        value = self.fields.get(name)
        found = [] if value is None else value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in found):
            raise invalid(name, value)
        return list(found)

    def items(self, name: str) -> "list[Asked]":
        """A list of objects; empty where it is absent.

        Raises:
            UsageError: it is something else.
        """
        return [Asked(one) for one in self.mappings(name)]

    def mappings(self, name: str) -> list[JsonObject]:
        """The same as plain fields, where there are so many that each is looked at only once.

        Raises:
            UsageError: it is something else.
        """
        value = self.fields.get(name)
        found: list[JsonObject] = []
        for one in [] if value is None else value if isinstance(value, list) else [None]:
            if not isinstance(one, dict):
                raise invalid(name, value)
            found.append(one)
        return found

    def part(self, name: str) -> "Asked | None":
        """An object; None where it is absent.

        Raises:
            UsageError: it is something else.
        """
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid(name, value)
        return Asked(value)


def whole(name: str, value: Json) -> int:
    """A whole number of 64 bits, written as a number or as a text.

    Raises:
        UsageError: it is none.
    """
    try:
        found = int(value) if isinstance(value, str) or (isinstance(value, float) and value.is_integer()) else value
    except ValueError as error:
        raise invalid(name, value) from error
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) > _INTEGER_MAX:
        raise invalid(name, value)
    return found


def real(name: str, value: Json) -> float:
    """A number, written as a number or as a text.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError) as error:
        raise invalid(name, value) from error
    raise invalid(name, value)
