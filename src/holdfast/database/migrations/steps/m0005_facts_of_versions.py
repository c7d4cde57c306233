"""What a search asks of versions, in tables of their own; and indexes that keep questions about the past flat.

Every version that is there gets its entry, which names the event that numbered it. Its facts stand in its bundle, where
no database can read them: `holdfast check` writes them down.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0005 import sqlite_triggers
from holdfast.database.migrations.promises_0005_postgres import postgres_triggers

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

# The order of the tables is the plan: one look through the log, and a look-up for each version.
_ENTRIES = """
INSERT INTO version_entries (event, model, number)
SELECT MIN(e."index"), v.model, v.number FROM events e CROSS JOIN versions v
WHERE e.action IN ('model:version:register', 'model:version:adopt', 'model:version:import')
  AND v.model = e.model AND v.number = e.to_number AND v.digest = e.to_digest
GROUP BY v.model, v.number
"""


def upgrade() -> None:
    """Makes the tables, names the event of every version, and closes them."""
    op.create_table(
        "version_entries",
        Column("event", _INTEGER, sa.ForeignKey("events.index"), primary_key=True, autoincrement=False),
        Column("model", _TEXT, nullable=False),
        Column("number", _INTEGER, nullable=False),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
        sa.UniqueConstraint("model", "number"),
    )
    for name, kind in (("version_numbers", sa.Double()), ("version_texts", _TEXT)):
        op.create_table(
            name,
            Column("field", _TEXT, nullable=False),
            Column("value", kind, nullable=False),
            _event(),
            # The table is its own index: field, value, event, each fact once.
            sa.PrimaryKeyConstraint("field", "value", "event"),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "version_indexes",
        _event(),
        Column("facts", _INTEGER, nullable=False),
        Column("left_out", _INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("event"),
    )
    in_part = sa.text("left_out > 0")
    op.create_index(
        "version_indexes_in_part", "version_indexes", ["event"], sqlite_where=in_part, postgresql_where=in_part
    )
    moved = sa.text("epoch IS NOT NULL")
    op.create_index("events_by_move", "events", ["model", "stage", "index"], sqlite_where=moved, postgresql_where=moved)
    op.create_index("events_by_time", "events", ["time", "index"])
    op.create_index("versions_by_author", "versions", ["created_by"])
    connection = op.get_bind()
    connection.exec_driver_sql(_ENTRIES)
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def _event() -> Column[int]:
    return Column("event", _INTEGER, sa.ForeignKey("version_entries.event"), nullable=False, autoincrement=False)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
