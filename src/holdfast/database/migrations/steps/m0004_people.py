"""Users, what is granted to them, and their tokens: tables that change only together with the events that say so."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0004 import sqlite_triggers
from holdfast.database.migrations.promises_0004_postgres import postgres_triggers

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _text(name: str, *, nullable: bool = False) -> "Column[str]":
    return Column(name, _TEXT, nullable=nullable)


def upgrade() -> None:
    """Makes the tables and closes them."""
    op.create_table(
        "users",
        Column("name", _TEXT, primary_key=True),
        _text("kind"),
        Column("email", _TEXT, unique=True),
        Column("subject", _TEXT, unique=True),
        _text("created_at"),
        _text("created_by"),
        _text("disabled_at", nullable=True),
    )
    op.create_table(
        "grants",
        Column("holder", _TEXT, sa.ForeignKey("users.name"), primary_key=True),
        Column("pattern", _TEXT, primary_key=True),
        *map(_text, ("role", "stages", "granted_at", "granted_by")),
    )
    op.create_table(
        "tokens",
        Column("id", _TEXT, primary_key=True),
        Column("fingerprint", _TEXT, nullable=False, unique=True),
        Column("holder", _TEXT, sa.ForeignKey("users.name"), nullable=False),
        *map(_text, ("name", "role_max", "pattern", "created_at", "created_by", "expires_at")),
        _text("grants", nullable=True),
        _text("revoked_at", nullable=True),
        _text("last_used_at", nullable=True),
    )
    op.create_index("tokens_by_holder", "tokens", ["holder"])
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
