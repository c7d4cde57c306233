"""Texts that no database is given: what one of them would refuse, cut short or mangle, all of them refuse alike."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from holdfast.errors import UsageError

__all__ = ["refuse_texts", "refuse_unstorable"]


def refuse_unstorable(
    _connection: Connection, _cursor: Any, _statement: str, parameters: Any, _context: Any, executemany: bool
) -> None:
    """Looks at every text on its way to the driver; an engine's `before_cursor_execute` calls it.

    Raises:
        UsageError: a text holds the character NUL, which PostgreSQL does not take and tools for SQLite stop at, or half
            of a surrogate pair, which is no character and has no bytes in UTF-8.
    """
    for row in parameters if executemany else (parameters,):
        refuse_texts(row.values() if isinstance(row, Mapping) else row)


def refuse_texts(values: Iterable[Any]) -> None:
    """Looks at the texts among these values, and among those of each list that is one of them.

    Raises:
        UsageError: as above.
    """
    for value in values:
        if isinstance(value, str):
            if "\0" in value:
                raise _refused(value, "the character NUL")
            if not value.isascii():
                _refuse_surrogates(value)
        elif isinstance(value, list):
            refuse_texts(value)


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refused(text, "half of a surrogate pair, which is no character") from error


def _refused(text: str, what: str) -> UsageError:
    return UsageError(
        f"a text cannot be kept, since it holds {what}: {text[:80]!a}",
        hint="Take it out, or keep what is no text in a file.",
    )
