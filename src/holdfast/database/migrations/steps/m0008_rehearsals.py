"""Rehearsals: the certificates of rollbacks that were tried without being taken, each with its event."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0008 import sqlite_triggers
from holdfast.database.migrations.promises_0008_postgres import postgres_triggers

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Frozen here, as the rest of the step is, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Makes the table, and closes it."""
    op.create_table(
        "rehearsals",
        Column("digest", _TEXT, primary_key=True),
        *(Column(name, _TEXT, nullable=False) for name in ("model", "stage")),
        *(Column(name, _INTEGER, nullable=False) for name in ("from_number", "to_number")),
        Column("outcome", _TEXT, nullable=False),
        Column("body", sa.LargeBinary(), nullable=False),
        Column("event", _INTEGER, sa.ForeignKey("events.index"), nullable=False),
        *(Column(name, _TEXT, nullable=False) for name in ("created_at", "created_by")),
        sa.ForeignKeyConstraint(["model", "from_number"], ["versions.model", "versions.number"]),
        sa.ForeignKeyConstraint(["model", "to_number"], ["versions.model", "versions.number"]),
        sa.UniqueConstraint("event"),
        sa.CheckConstraint("outcome IN ('pass', 'fail')"),
    )
    op.create_index("rehearsals_by_stage", "rehearsals", ["model", "stage", "event"])
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
