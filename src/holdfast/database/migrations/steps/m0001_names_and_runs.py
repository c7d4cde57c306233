"""The first schema: the registry's names and the tracking of runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0001 import sqlite_triggers
from holdfast.database.migrations.promises_0001_postgres import postgres_triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Frozen here, as the rest of the step is, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Makes every table, index and trigger of the first schema."""
    _names()
    _judgements()
    _events()
    _stages()
    _lineage_and_replicas()
    _runs()
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Refuses: going back would drop rows that promise never to be dropped."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, _INTEGER, nullable=nullable)


def _names() -> None:
    op.create_table(
        "models",
        Column("name", _TEXT, primary_key=True),
        _text("created_at"),
        _text("created_by"),
        _text("description"),
    )
    op.create_table(
        "version_counters",
        Column("model", _TEXT, sa.ForeignKey("models.name"), primary_key=True),
        _number("value"),
    )
    op.create_table(
        "versions",
        Column("model", _TEXT, sa.ForeignKey("models.name"), nullable=False),
        _number("number"),
        _text("digest"),
        Column("complete", sa.Boolean, nullable=False),
        _text("missing"),
        _text("run_id", nullable=True),
        _text("semver", nullable=True),
        _text("summary"),
        _text("created_at"),
        _text("created_by"),
        sa.PrimaryKeyConstraint("model", "number"),
        sa.UniqueConstraint("model", "digest"),
        sa.UniqueConstraint("model", "semver"),
    )
    op.create_index("versions_by_digest", "versions", ["digest"])
    op.create_index("versions_by_run", "versions", ["run_id"])


def _events() -> None:
    op.create_table(
        "events",
        Column("index", _INTEGER, primary_key=True, autoincrement=False),
        _text("time"),
        _text("actor"),
        _text("action"),
        _text("model", nullable=True),
        _text("stage", nullable=True),
        _number("from_number", nullable=True),
        _text("from_digest", nullable=True),
        _number("to_number", nullable=True),
        _text("to_digest", nullable=True),
        _number("epoch", nullable=True),
        _number("last_known_good", nullable=True),
        _text("reason"),
        Column("verdict", _TEXT, sa.ForeignKey("verdicts.digest"), nullable=True),
        _text("approvals"),
        Column("idempotency_key", _TEXT, nullable=True, unique=True),
        _text("details"),
        _text("prev", nullable=True),
        _text("hash"),
        Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_stage", "events", ["model", "stage", "index"])
    op.create_index("events_by_action", "events", ["model", "action", "index"])


def _stages() -> None:
    op.create_table(
        "stages",
        Column("model", _TEXT, sa.ForeignKey("models.name"), nullable=False),
        _text("name"),
        _number("number", nullable=True),
        _number("epoch"),
        _number("last_known_good", nullable=True),
        Column("event", _INTEGER, sa.ForeignKey("events.index"), nullable=False),
        _text("changed_at"),
        sa.PrimaryKeyConstraint("model", "name"),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
        sa.ForeignKeyConstraint(["model", "last_known_good"], ["versions.model", "versions.number"]),
    )


def _judgements() -> None:
    op.create_table(
        "verdicts",
        Column("digest", _TEXT, primary_key=True),
        _text("model"),
        _number("number"),
        _text("stage"),
        _text("outcome"),
        Column("body", sa.LargeBinary, nullable=False),
        _text("created_at"),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    )
    op.create_index("verdicts_by_version", "verdicts", ["model", "number"])
    op.create_table(
        "approvals",
        Column("id", _TEXT, primary_key=True),
        _text("model"),
        _number("number"),
        _text("digest"),
        _text("stage"),
        Column("verdict", _TEXT, sa.ForeignKey("verdicts.digest"), nullable=True),
        _text("approver"),
        _text("meaning"),
        _text("reason"),
        _text("created_at"),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
        sa.CheckConstraint("meaning IN ('approve', 'reject')"),
    )
    op.create_index("approvals_by_version", "approvals", ["model", "number"])


def _lineage_and_replicas() -> None:
    op.create_table(
        "lineage",
        *(_text(name) for name in ("child_kind", "child", "relation", "parent_kind", "parent")),
        sa.PrimaryKeyConstraint("child_kind", "child", "relation", "parent_kind", "parent"),
    )
    op.create_index("lineage_by_parent", "lineage", ["parent_kind", "parent"])
    op.create_table(
        "replicas",
        Column("id", _TEXT, primary_key=True),
        _text("model"),
        _text("stage"),
        _text("host"),
        _number("pid"),
        _text("url"),
        _number("number", nullable=True),
        _text("digest", nullable=True),
        _number("epoch", nullable=True),
        _text("state"),
        _text("error", nullable=True),
        _text("started_at"),
        _text("reported_at"),
        sa.CheckConstraint("state IN ('loading', 'ready', 'failed', 'stopped')"),
    )
    op.create_index("replicas_by_stage", "replicas", ["model", "stage"])


def _runs() -> None:
    op.create_table(
        "runs",
        Column("id", _TEXT, primary_key=True),
        _text("model", nullable=True),
        _text("name"),
        _text("status"),
        _text("started_at"),
        _text("finished_at", nullable=True),
        _text("actor"),
        _text("notes"),
        sa.CheckConstraint("status IN ('running', 'finished', 'failed', 'killed')"),
    )
    op.create_index("runs_by_start", "runs", ["started_at", "id"])
    op.create_index("runs_by_model", "runs", ["model", "started_at"])
    op.create_table(
        "run_params",
        _run(),
        _text("key"),
        _text("value"),
        Column("number", sa.Double, nullable=True),
        _text("text"),
        sa.PrimaryKeyConstraint("run", "key"),
    )
    op.create_index("run_params_by_number", "run_params", ["key", "number", "run"])
    op.create_index("run_params_by_text", "run_params", ["key", "text", "run"])
    op.create_table(
        "run_points",
        Column("id", _INTEGER, primary_key=True, autoincrement=True),
        _run(),
        _text("key"),
        _number("step"),
        _text("time"),
        Column("value", sa.Double, nullable=True),
    )
    op.create_index("run_points_by_key", "run_points", ["run", "key", "step", "id"])
    op.create_table(
        "run_metrics",
        _run(),
        _text("key"),
        _number("step"),
        _text("time"),
        Column("value", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("run", "key"),
    )
    op.create_index("run_metrics_by_value", "run_metrics", ["key", "value", "run"])
    op.create_table(
        "run_tags",
        _run(),
        _text("key"),
        _text("value"),
        _text("text"),
        sa.PrimaryKeyConstraint("run", "key"),
    )
    op.create_index("run_tags_by_text", "run_tags", ["key", "text", "run"])
    op.create_table(
        "run_inputs",
        _run(),
        _text("role"),
        _text("name"),
        _text("digest", nullable=True),
        _text("source"),
        _number("files", nullable=True),
        _number("bytes", nullable=True),
        sa.PrimaryKeyConstraint("run", "role", "name"),
    )
    op.create_index("run_inputs_by_digest", "run_inputs", ["digest"])


def _run() -> Column[str]:
    return Column("run", _TEXT, sa.ForeignKey("runs.id"), nullable=False)
