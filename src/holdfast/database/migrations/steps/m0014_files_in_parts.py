"""Files that come in parts, and an index by which logged models are found by what was measured of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Frozen here, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Makes two tables and an index."""
    op.create_table(
        "file_uploads",
        Column("id", _TEXT, primary_key=True),
        Column("path", _TEXT, nullable=False),
        Column("parts", _INTEGER, nullable=False),
        Column("created_by", _TEXT, nullable=False),
        Column("created_ms", _INTEGER, nullable=False),
        Column("digest", _TEXT, nullable=True),
        sa.CheckConstraint("parts >= 0"),
    )
    op.create_index("file_uploads_by_path", "file_uploads", ["path", "created_ms"])
    op.create_table(
        "file_parts",
        Column("upload", _TEXT, sa.ForeignKey("file_uploads.id"), primary_key=True),
        Column("number", _INTEGER, primary_key=True, autoincrement=False),
        Column("digest", _TEXT, nullable=False),
        Column("bytes", _INTEGER, nullable=False),
        Column("created_ms", _INTEGER, nullable=False),
        sa.CheckConstraint("number >= 1 AND bytes >= 0"),
    )
    op.create_index("logged_model_points_by_key", "logged_model_points", ["key", "model", "value"])


def downgrade() -> None:
    """Refuses, as every step does."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
