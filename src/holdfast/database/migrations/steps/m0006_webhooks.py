"""Webhooks: who is told of events, and how far each has been told.

They are no part of the log: their rows change with every delivery. That one was added or taken away is an event.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Frozen here, as the rest of the step is, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

_OPTIONAL = ("old_secret", "old_until", "error", "delivered_at", "holder", "held_until")


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "webhooks",
        Column("id", _TEXT, primary_key=True),
        *(Column(name, _TEXT, nullable=False) for name in ("url", "actions", "models", "secret")),
        *(Column(name, _TEXT, nullable=False) for name in ("created_at", "created_by", "state", "next_at")),
        *(Column(name, _INTEGER, nullable=False) for name in ("next_event", "attempts", "delivered")),
        *(Column(name, _TEXT, nullable=True) for name in _OPTIONAL),
        sa.CheckConstraint("state IN ('active', 'stopped')"),
    )


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
