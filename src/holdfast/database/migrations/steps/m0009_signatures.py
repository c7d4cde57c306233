"""Signatures of versions: files that a key vouches for a version with, each kept once, as it was made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0009 import postgres_triggers, sqlite_triggers

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Makes the table, and closes it."""
    op.create_table(
        "signatures",
        Column("digest", _TEXT, primary_key=True),
        Column("model", _TEXT, nullable=False),
        Column("number", _INTEGER, nullable=False),
        Column("key", _TEXT, nullable=False),
        Column("public_key", _TEXT, nullable=False),
        Column("body", sa.LargeBinary(), nullable=False),
        Column("created_at", _TEXT, nullable=False),
        Column("created_by", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    )
    op.create_index("signatures_by_version", "signatures", ["model", "number"])
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
