"""Replicas say since when they have answered with the version that they name."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Frozen here, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the column; what older replicas said stands without it."""
    op.add_column("replicas", sa.Column("since", _TEXT, nullable=True))


def downgrade() -> None:
    """Refuses, as every step does."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
