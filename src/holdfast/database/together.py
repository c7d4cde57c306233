"""Statements sent one behind the other, without waiting for the answers: on a server each wait is a round trip."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from holdfast.database.driver import driver_of

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
    # Pipeline mode of libpq: PostgreSQL's manual, "Pipeline Mode".
    with driver_of(connection) as driver, driver.pipeline():
        yield
