"""One clause of a search as SQL: the value is a bound parameter, and never part of the statement.

`compared` makes it of a column, and `related` of a column's name, where a statement is written as a text.
"""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement

from holdfast.errors import UsageError

__all__ = ["Piece", "compared", "related"]

_COMPARE: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = MappingProxyType(
    {
        "=": operator.eq,
        "!=": operator.ne,
        ">": operator.gt,
        ">=": operator.ge,
        "<": operator.lt,
        "<=": operator.le,
        "IN": lambda column, values: column.in_(values),
        "NOT IN": lambda column, values: column.not_in(values),
        # Both escape nothing, as MLflow's do not; the escape is named, since databases differ in what it is unasked.
        "ILIKE": lambda column, pattern: column.ilike(_unescaped(pattern), escape="\\"),
        "LIKE": lambda column, pattern: column.like(_unescaped(pattern), escape="\\"),
    }
)

_WRITTEN: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("ILIKE", "sqlite"): "lower({column}) LIKE lower(?) ESCAPE '\\'",
        ("ILIKE", "postgresql"): "{column} ILIKE ? ESCAPE '\\'",
        ("LIKE", "sqlite"): "{column} GLOB ?",
        ("LIKE", "postgresql"): "{column} LIKE ? ESCAPE '\\'",
    }
)

_PATTERN_CHARACTERS_MAX = 10_000
"""A fifth of what SQLite takes, for each character may become three; nobody looks for a longer piece of a text."""

_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
"""A pattern of `LIKE` as `GLOB` writes it."""


class Piece(NamedTuple):
    """A piece of a statement.

    Attributes:
        text: with `?` for each value.
        values: in their order.
    """

    text: str
    values: tuple[Any, ...] = ()


def compared(column: Any, sign: str, value: Any, dialect: str) -> ColumnElement[bool]:
    """Whether the column is to the value as the operator says.

    Args:
        column: of a table.
        sign: as `holdfast.experiments.filters` reads it; `LIKE` tells capitals from small letters.
        value: of the kind that the column holds.
        dialect: of the database. SQLite's own LIKE takes capitals for small letters, and its GLOB does not.

    Raises:
        UsageError: a pattern is longer than it may be.
    """
    _check_pattern(sign, value)
    if sign == "LIKE" and dialect == "sqlite":
        found: ColumnElement[bool] = column.op("GLOB", is_comparison=True)(value.translate(_GLOB))
        return found
    return _COMPARE[sign](column, value)


def related(column: str, sign: str, value: Any, dialect: str) -> Piece:
    """The same as `compared` says, of a column that is named.

    Raises:
        UsageError: a pattern is longer than it may be.
    """
    _check_pattern(sign, value)
    if isinstance(value, tuple):
        return Piece(f"{column} {sign} ({', '.join('?' * len(value))})", value)
    if (sign, dialect) not in _WRITTEN:
        return Piece(f"{column} {sign} ?", (value,))
    is_glob = sign == "LIKE" and dialect == "sqlite"
    pattern = value.translate(_GLOB) if is_glob else _unescaped(value)
    return Piece(_WRITTEN[sign, dialect].format(column=column), (pattern,))


def _unescaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")


def _check_pattern(sign: str, value: Any) -> None:
    if sign in {"LIKE", "ILIKE"} and len(value) > _PATTERN_CHARACTERS_MAX:
        raise UsageError(
            f"A pattern of {sign} has at most {_PATTERN_CHARACTERS_MAX} characters. Got {len(value)}.",
            hint="Look for a shorter piece.",
        )
