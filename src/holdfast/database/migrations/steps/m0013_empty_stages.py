"""Stages can be emptied: the trigger that holds each pointer to its event knows of one more kind of event."""

from alembic import op

from holdfast.database.migrations.promises_0013 import postgres_triggers, sqlite_triggers

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Exchanges one trigger."""
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: events that came since would have no meaning."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
