"""One clause of a search as SQL: the value is a bound parameter, and never part of the statement."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement

from holdfast.errors import UsageError

__all__ = ["compared"]

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
        "ILIKE": lambda column, pattern: column.ilike(pattern.replace("\\", "\\\\"), escape="\\"),
        "LIKE": lambda column, pattern: column.like(pattern.replace("\\", "\\\\"), escape="\\"),
    }
)

_PATTERNS = frozenset({"LIKE", "ILIKE"})

_PATTERN_CHARACTERS_MAX = 10_000
"""A fifth of what SQLite takes, for each character may become three; nobody looks for a longer piece of a text."""

_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
"""A pattern of `LIKE` as `GLOB` writes it."""


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
    if sign in _PATTERNS and len(value) > _PATTERN_CHARACTERS_MAX:
        raise UsageError(
            f"A pattern of {sign} has at most {_PATTERN_CHARACTERS_MAX} characters. Got {len(value)}.",
            hint="Look for a shorter piece.",
        )
    if sign == "LIKE" and dialect == "sqlite":
        found: ColumnElement[bool] = column.op("GLOB", is_comparison=True)(value.translate(_GLOB))
        return found
    return _COMPARE[sign](column, value)
