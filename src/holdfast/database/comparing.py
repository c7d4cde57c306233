"""One comparison of a search as SQL: the value is a bound parameter, and never part of the statement."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement

__all__ = ["compared"]

_COMPARE: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda column, values: column.in_(values),
    # The escape is named, and escaped: PostgreSQL would take a backslash for one unasked, and SQLite would not.
    "like": lambda column, pattern: column.ilike(pattern.replace("\\", "\\\\"), escape="\\"),
}


def compared(column: Any, sign: str, literal: Any) -> ColumnElement[bool]:
    """Whether the column is to the literal as the operator of a search says; neither where it has no value."""
    return _COMPARE[sign](column, literal)
