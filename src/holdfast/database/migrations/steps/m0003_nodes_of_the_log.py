"""The Merkle tree over the log, kept: with each event the roots of the full subtrees that it closes.

A log that is there already gets its nodes here, event by event. What was done to such a log before stays to be found:
its nodes are those of the bodies as they stand.
"""

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, Connection

from holdfast.database.migrations.promises_0003 import sqlite_triggers
from holdfast.database.migrations.promises_0003_postgres import postgres_triggers

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

_ROWS_AT_A_TIME = 1_000
"""Bodies held in memory at once."""

_PAGE = sa.text('SELECT "index" AS event, body FROM events WHERE "index" > :last ORDER BY "index" LIMIT :rows')

_INSERT = sa.text("INSERT INTO event_nodes (event, nodes) VALUES (:event, :nodes)")


def upgrade() -> None:
    """Makes the table, fills it, and closes it."""
    op.create_table(
        "event_nodes",
        Column("event", _INTEGER, sa.ForeignKey("events.index"), primary_key=True, autoincrement=False),
        Column("nodes", sa.LargeBinary, nullable=False),
    )
    connection = op.get_bind()
    edge: list[bytes] = []
    size = 0
    for page in _pages(connection):
        rows = []
        for event, body in page:
            size += 1
            rows.append({"event": event, "nodes": _closed(edge, size, body)})
        connection.execute(_INSERT, rows)
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def _pages(connection: Connection) -> Iterator[list[tuple[int, object]]]:
    last = -1
    while page := [(row.event, row.body) for row in connection.execute(_PAGE, {"last": last, "rows": _ROWS_AT_A_TIME})]:
        yield page
        last = page[-1][0]


def _closed(edge: list[bytes], size: int, body: object) -> bytes:
    # Whoever edits a file by hand can put a value of any type into any column.
    said = body if isinstance(body, bytes) else str(body).encode(errors="surrogatepass")
    closed = [hashlib.sha256(b"\x00" + said).digest()]
    for _ in range((size & -size).bit_length() - 1):
        closed.append(hashlib.sha256(b"\x01" + edge.pop() + closed[-1]).digest())
    edge.append(closed[-1])
    return b"".join(closed)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
