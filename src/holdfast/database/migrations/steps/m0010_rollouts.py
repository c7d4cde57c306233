"""Rollouts: versions tried beside the one that holds a stage; what replicas count of them, and what was right."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0010 import sqlite_triggers
from holdfast.database.migrations.promises_0010_postgres import postgres_triggers

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Frozen here, as the rest of the step is, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def _text(name: str) -> Column[str]:
    return Column(name, _TEXT, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, _INTEGER, nullable=False)


def upgrade() -> None:
    """Makes the tables, and closes those that only grow."""
    _rollouts()
    _tallies()
    _truths()
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        Column("event", _INTEGER, sa.ForeignKey("events.index"), primary_key=True, autoincrement=False),
        Column("rollout", _INTEGER, sa.ForeignKey("rollouts.event"), nullable=False),
        *(_text(name) for name in ("model", "stage")),
        _number("epoch"),
        _text("kind"),
        _number("number"),
        _text("digest"),
        _number("against"),
        _text("against_digest"),
        _text("state"),
        _number("step"),
        Column("plan", sa.LargeBinary(), nullable=True),
        Column("figures", sa.LargeBinary(), nullable=False),
        _text("reason"),
        Column("verdict", _TEXT, sa.ForeignKey("verdicts.digest"), nullable=True),
        *(_text(name) for name in ("created_at", "created_by")),
        sa.ForeignKeyConstraint(["model", "stage"], ["stages.model", "stages.name"]),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
        sa.ForeignKeyConstraint(["model", "against"], ["versions.model", "versions.number"]),
        sa.CheckConstraint("kind IN ('canary', 'shadow')"),
        sa.CheckConstraint("state IN ('running', 'held', 'passed', 'aborted', 'stopped')"),
        sa.CheckConstraint("step >= 0"),
        sa.CheckConstraint("number <> against"),
        sa.CheckConstraint("(event = rollout) = (plan IS NOT NULL)"),
    )
    op.create_index("rollouts_by_stage", "rollouts", ["model", "stage", "event"])
    op.create_index("rollouts_by_rollout", "rollouts", ["rollout", "event"])


def _tallies() -> None:
    op.create_table(
        "tallies",
        Column("rollout", _INTEGER, sa.ForeignKey("rollouts.event"), primary_key=True, autoincrement=False),
        Column("step", _INTEGER, primary_key=True, autoincrement=False),
        Column("replica", _TEXT, primary_key=True),
        Column("counts", sa.LargeBinary(), nullable=False),
        _text("reported_at"),
    )


def _truths() -> None:
    op.create_table(
        "truths",
        Column("index", _INTEGER, primary_key=True, autoincrement=True),
        Column("model", _TEXT, sa.ForeignKey("models.name"), nullable=False),
        _text("request"),
        _number("place"),
        *(_text(name) for name in ("value", "created_at", "created_by")),
        sa.UniqueConstraint("model", "request", "place"),
        sa.CheckConstraint("place >= 0"),
    )
    op.create_index("truths_by_model", "truths", ["model", "index"])


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
