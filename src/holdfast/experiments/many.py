"""Rows of many runs in one statement, whose text is the same for one run and for ten thousand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from holdfast.database.driver import asked
from holdfast.database.texts import refuse_texts

__all__ = ["of_runs", "rows_of"]

_AMONG = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(?::text[])"}


def of_runs(columns: str, tables: str, order: str, *, run: str = "run") -> Mapping[str, str]:
    """The statement that asks for rows of runs, by the dialect of a database.

    Args:
        columns: what it gives.
        tables: where that is.
        order: of the rows.
        run: the column with the id of the run.
    """
    return {
        dialect: f"SELECT {columns} FROM {tables} WHERE {run} {among} ORDER BY {order}"  # noqa: S608 - names of ours
        for dialect, among in _AMONG.items()
    }


def rows_of(connection: Connection, ids: Sequence[str], *wanted: Mapping[str, str]) -> list[list[tuple[Any, ...]]]:
    """What each of these statements gives of these runs, in one round trip.

    Raises:
        UsageError: an id is no text that a database holds.
    """
    refuse_texts(ids)  # inside JSON nobody would see it
    dialect = connection.dialect.name
    named = json.dumps(ids) if dialect == "sqlite" else list(ids)
    return asked(connection, *((one[dialect], (named,)) for one in wanted))
