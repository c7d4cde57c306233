"""Rows of many runs in one statement, whose text is the same for one run and for ten thousand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, text

__all__ = ["of_runs", "rows_of"]


def of_runs(columns: str, tables: str, order: str, *, run: str = "run") -> Mapping[str, Any]:
    """The statements that ask for rows of runs, by the dialect of a database.

    Args:
        columns: what they give.
        tables: where that is.
        order: of the rows.
        run: the column with the id of the run.
    """
    asked = f"SELECT {columns} FROM {tables} WHERE {run}"  # noqa: S608 - names of ours
    return {
        "sqlite": f"{asked} IN (SELECT value FROM json_each(?)) ORDER BY {order}",  # noqa: S608 - the same
        "postgresql": text(f"{asked} = ANY(CAST(:ids AS text[])) ORDER BY {order}"),
    }


def rows_of(connection: Connection, statements: Mapping[str, Any], ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of these runs, as the driver gives them: what would wrap each of them costs more than the row."""
    statement = statements[connection.dialect.name]
    if isinstance(statement, str):
        found = connection.exec_driver_sql(statement, (json.dumps(ids),))
    else:
        found = connection.execute(statement, {"ids": list(ids)})
    return cast("list[tuple[Any, ...]]", found.cursor.fetchall())
