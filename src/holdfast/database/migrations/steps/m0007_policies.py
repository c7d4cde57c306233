"""Policies: what a registry asks of promotions itself, each kept once, as it was set."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0007 import postgres_triggers, sqlite_triggers

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Makes the table, and closes it."""
    op.create_table(
        "policies",
        Column("scope", _TEXT, primary_key=True),
        Column("number", _INTEGER, primary_key=True, autoincrement=False),
        Column("digest", _TEXT, nullable=False),
        Column("body", sa.LargeBinary(), nullable=False),
        Column("reason", _TEXT, nullable=False),
        Column("created_at", _TEXT, nullable=False),
        Column("created_by", _TEXT, nullable=False),
        Column("event", _INTEGER, sa.ForeignKey("events.index"), nullable=False),
        sa.UniqueConstraint("event"),
    )
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
