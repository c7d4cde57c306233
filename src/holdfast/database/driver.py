"""What the driver itself is asked, for rows as it gives them.

What else stands between takes each statement apart and wraps each row: that costs as much as a small statement does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from holdfast.database.texts import refuse_unstorable

__all__ = ["asked", "driver_of"]


@contextmanager
def driver_of(connection: Connection) -> Iterator[Any]:
    """The driver's connection; inside, its errors become those that `connection` itself would raise.

    Raises:
        DBAPIError: a statement failed.
    """
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    try:
        yield driver
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


def asked(connection: Connection, *questions: tuple[str, Sequence[Any]]) -> list[list[tuple[Any, ...]]]:
    """The rows of each of these statements; on a server all of them are one round trip.

    Args:
        connection: of any access.
        questions: each a statement, with `?` for each parameter and nowhere else, and the parameters.

    Raises:
        UsageError: a text of a parameter is none that a database holds.
        DBAPIError: a statement failed.
    """
    for statement, parameters in questions:
        refuse_unstorable(connection, None, statement, parameters, None, executemany=False)
    if not connection.in_transaction():
        connection.begin()  # as the first statement of `connection` would
    with driver_of(connection) as driver:
        if connection.dialect.name == "sqlite":
            return [driver.execute(statement, parameters).fetchall() for statement, parameters in questions]
        with driver.pipeline() if len(questions) > 1 else nullcontext():
            cursors = [driver.execute(statement.replace("?", "%s"), parameters) for statement, parameters in questions]
        return [cursor.fetchall() for cursor in cursors]
