"""Statements sent one behind the other, without waiting for the answers: on a server each wait is a round trip."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

__all__ = ["together"]


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Inside, statements that give nothing back may be under way at once; at the end all of them have been done.

    They are done in their order, and none behind one that failed. Statements that read, or whose count of rows is asked
    for, have no place here. A file has no round trips, and nothing is different there.

    Raises:
        DBAPIError: the first statement that failed; it is told at the end.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    try:
        # Pipeline mode of libpq: PostgreSQL's manual, "Pipeline Mode".
        with driver.pipeline():
            yield
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, driver, None)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=dialect,
        ) from error
