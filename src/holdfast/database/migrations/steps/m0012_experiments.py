"""Experiments: what MLflow's clients keep; and runs of them may be taken up again, and deleted."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column

from holdfast.database.migrations.promises_0012 import postgres_triggers, sqlite_triggers

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Frozen here, as the rest of the step is, whatever later columns are made of.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")

_STATUSES = "'running', 'finished', 'failed', 'killed'"
"""As the first step writes them."""


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, _INTEGER, nullable=nullable)


def _of(name: str, key: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, _TEXT, sa.ForeignKey(key), primary_key=primary_key, nullable=nullable)


def _experiment() -> Column[int]:
    return Column("experiment", _INTEGER, sa.ForeignKey("experiments.id"), nullable=False)


def _moments() -> Iterator[Column[int]]:
    yield _number("created_ms")
    yield _number("updated_ms")
    yield _number("deleted_ms", nullable=True)


def _words(table: str, owner: Column[str] | Column[int], *more: Column[int]) -> None:
    op.create_table(table, owner, *more, Column("key", _TEXT, primary_key=True), _text("value"))


def upgrade() -> None:
    """Makes the tables, and lets runs of experiments change after their end."""
    _experiments()
    _runs()
    _logged_models()
    _files()
    _registered()
    _traces()
    connection = op.get_bind()
    is_server = connection.dialect.name == "postgresql"
    for statement in postgres_triggers(connection) if is_server else sqlite_triggers():
        connection.exec_driver_sql(statement)


def _experiments() -> None:
    op.create_table(
        "experiments",
        Column("id", _INTEGER, primary_key=True, autoincrement=True),
        Column("name", _TEXT, nullable=False, unique=True),
        _text("place"),
        _text("created_by"),
        *_moments(),
    )
    _words("experiment_tags", Column("experiment", _INTEGER, sa.ForeignKey("experiments.id"), primary_key=True))


def _statuses() -> None:
    """A run may be `scheduled` too: clients of MLflow's say so of what has not begun."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.drop_constraint("runs_status_check", "runs")
        op.create_check_constraint("runs_status_check", "runs", f"status IN ({_STATUSES}, 'scheduled')")
        return
    # SQLite changes the words of a check where they stand: its manual, "ALTER TABLE", "Making Other Kinds Of Table
    # Schema Changes". Making the table anew would undo the keys that point to it.
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'runs'",
        (f"({_STATUSES})", f"({_STATUSES}, 'scheduled')"),
    )
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _runs() -> None:
    _statuses()
    # Held by the triggers of `runs`, since SQLite cannot add a key to a table that is there.
    op.add_column("runs", _number("experiment", nullable=True))
    op.add_column("runs", _number("deleted_ms", nullable=True))
    op.create_index("runs_by_experiment", "runs", ["experiment", "started_at", "id"])
    op.create_table(
        "datasets",
        Column("id", _TEXT, primary_key=True),
        _experiment(),
        *(_text(name) for name in ("name", "digest", "source_type", "source")),
        _text("schema", nullable=True),
        _text("profile", nullable=True),
        sa.UniqueConstraint("experiment", "name", "digest"),
    )
    op.create_table(
        "run_datasets",
        _of("run", "runs.id", primary_key=True),
        _of("dataset", "datasets.id", primary_key=True),
        _text("context"),
        _text("tags"),
    )
    op.create_index("run_datasets_by_dataset", "run_datasets", ["dataset", "run"])
    op.create_table(
        "run_models",
        _of("run", "runs.id", primary_key=True),
        Column("direction", _TEXT, primary_key=True),
        Column("model", _TEXT, primary_key=True),
        _number("step"),
        sa.CheckConstraint("direction IN ('input', 'output')"),
    )


def _logged_models() -> None:
    op.create_table(
        "logged_models",
        Column("id", _TEXT, primary_key=True),
        _experiment(),
        *(_text(name) for name in ("name", "place", "type", "status")),
        _text("status_message", nullable=True),
        _text("run", nullable=True),
        _text("created_by"),
        *_moments(),
        sa.CheckConstraint("status IN ('PENDING', 'READY', 'UPLOAD_FAILED')"),
    )
    op.create_index("logged_models_by_experiment", "logged_models", ["experiment", "created_ms", "id"])
    op.create_index("logged_models_by_run", "logged_models", ["run", "id"])
    _words("logged_model_params", _of("model", "logged_models.id", primary_key=True))
    _words("logged_model_tags", _of("model", "logged_models.id", primary_key=True))
    op.create_table(
        "logged_model_points",
        Column("id", _INTEGER, primary_key=True, autoincrement=True),
        _of("model", "logged_models.id"),
        _of("run", "runs.id"),
        _text("key"),
        _number("step"),
        _number("time_ms"),
        Column("value", sa.Double(), nullable=True),
        _text("dataset_name"),
        _text("dataset_digest"),
    )
    op.create_index("logged_model_points_by_model", "logged_model_points", ["model", "key", "step"])


def _files() -> None:
    op.create_table(
        "run_files",
        Column("path", _TEXT, primary_key=True),
        _text("digest"),
        _number("bytes"),
        _number("created_ms"),
        sa.CheckConstraint("bytes >= 0"),
    )
    op.create_index("run_files_by_digest", "run_files", ["digest"])
    op.create_table(
        "waiting_files",
        Column("digest", _TEXT, primary_key=True),
        _text("data"),
        _number("bytes"),
        _number("created_ms"),
    )
    op.create_table("frozen_files", Column("path", _TEXT, primary_key=True), _text("why"), _number("created_ms"))


def _registered() -> None:
    op.create_table(
        "registered_models",
        _of("model", "models.name", primary_key=True),
        Column("name", _TEXT, nullable=False, unique=True),
        _text("description", nullable=True),
        _text("created_by"),
        *_moments(),
    )
    _words("registered_model_tags", _of("model", "registered_models.model", primary_key=True))
    number = Column("number", _INTEGER, primary_key=True, autoincrement=False)
    op.create_table(
        "registered_versions",
        _of("model", "registered_models.model", primary_key=True),
        number,
        _text("source"),
        _text("path"),
        *(_text(name, nullable=True) for name in ("run", "logged_model", "run_link", "description")),
        _text("rest"),
        _text("created_by"),
        *_moments(),
        sa.ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
        sa.CheckConstraint("rest IN ('None', 'Archived')"),
    )
    op.create_index("registered_versions_by_run", "registered_versions", ["run"])
    op.create_index("registered_versions_by_path", "registered_versions", ["path"])
    _words(
        "registered_version_tags",
        _of("model", "registered_models.model", primary_key=True),
        Column("number", _INTEGER, primary_key=True, autoincrement=False),
    )
    op.create_table(
        "aliases",
        _of("model", "models.name", primary_key=True),
        Column("stage", _TEXT, primary_key=True),
        _text("alias"),
    )
    op.create_table(
        "hooks",
        Column("id", _TEXT, primary_key=True),
        _text("name"),
        _text("description", nullable=True),
        _text("events"),
        _text("status"),
        _number("created_ms"),
        _number("updated_ms"),
    )


def _traces() -> None:
    op.create_table(
        "traces",
        Column("id", _TEXT, primary_key=True),
        _experiment(),
        _text("run", nullable=True),
        _number("began_ms"),
        _number("lasted_ms", nullable=True),
        _text("state"),
        _text("info"),
        _text("spans", nullable=True),
    )
    op.create_index("traces_by_experiment", "traces", ["experiment", "began_ms", "id"])
    _words("trace_tags", _of("trace", "traces.id", primary_key=True))


def downgrade() -> None:
    """Refuses, as every step does."""
    message = "schemas only go forward; restore the backup that was made before the upgrade"
    raise NotImplementedError(message)
