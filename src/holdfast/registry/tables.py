"""The registry's tables as statements see them; the migrations make them, and a test compares the two."""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    column,
    table,
)

from holdfast.database.columns import INTEGER, TEXT

__all__ = [
    "TABLES",
    "approvals",
    "event_nodes",
    "events",
    "known_names",
    "lineage",
    "models",
    "policies",
    "rehearsals",
    "replicas",
    "rollouts",
    "signatures",
    "stages",
    "tallies",
    "truths",
    "verdicts",
    "version_counters",
    "version_entries",
    "version_indexes",
    "version_numbers",
    "version_texts",
    "versions",
    "webhooks",
]

TABLES = MetaData()


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, INTEGER, nullable=nullable)


def _of_version(column: str = "number") -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["model", column], ["versions.model", "versions.number"])


models = Table(
    "models",
    TABLES,
    Column("name", TEXT, primary_key=True),
    _text("created_at"),
    _text("created_by"),
    _text("description"),
)

# What MLflow's clients call a model; the rest of these rows is kept by `holdfast.experiments`.
known_names = table("registered_models", column("model", TEXT), column("name", TEXT))

version_counters = Table(
    "version_counters",
    TABLES,
    Column("model", TEXT, ForeignKey("models.name"), primary_key=True),
    _number("value"),
)

versions = Table(
    "versions",
    TABLES,
    Column("model", TEXT, ForeignKey("models.name"), primary_key=True),
    Column("number", INTEGER, primary_key=True, autoincrement=False),
    _text("digest"),
    Column("complete", Boolean, nullable=False),
    _text("missing"),
    _text("run_id", nullable=True),
    _text("semver", nullable=True),
    _text("summary"),
    _text("created_at"),
    _text("created_by"),
    UniqueConstraint("model", "digest"),
    UniqueConstraint("model", "semver"),
)

verdicts = Table(
    "verdicts",
    TABLES,
    Column("digest", TEXT, primary_key=True),
    _text("model"),
    _number("number"),
    _text("stage"),
    _text("outcome"),
    Column("body", LargeBinary, nullable=False),
    _text("created_at"),
    _of_version(),
)

approvals = Table(
    "approvals",
    TABLES,
    Column("id", TEXT, primary_key=True),
    _text("model"),
    _number("number"),
    _text("digest"),
    _text("stage"),
    Column("verdict", TEXT, ForeignKey("verdicts.digest")),
    _text("approver"),
    _text("meaning"),
    _text("reason"),
    _text("created_at"),
    _of_version(),
)

signatures = Table(
    "signatures",
    TABLES,
    Column("digest", TEXT, primary_key=True),
    _text("model"),
    _number("number"),
    _text("key"),
    _text("public_key"),
    Column("body", LargeBinary, nullable=False),
    _text("created_at"),
    _text("created_by"),
    _of_version(),
)

events = Table(
    "events",
    TABLES,
    # `place` to statements: a row is a tuple, and its `index` is the tuple's own.
    Column("index", INTEGER, key="place", primary_key=True, autoincrement=False),
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
    Column("verdict", TEXT, ForeignKey("verdicts.digest")),
    _text("approvals"),
    Column("idempotency_key", TEXT, unique=True),
    _text("details"),
    _text("prev", nullable=True),
    _text("hash"),
    Column("body", LargeBinary, nullable=False),
)

event_nodes = Table(
    "event_nodes",
    TABLES,
    Column("event", INTEGER, ForeignKey("events.place"), primary_key=True, autoincrement=False),
    Column("nodes", LargeBinary, nullable=False),
)

policies = Table(
    "policies",
    TABLES,
    # The model that it is for; empty: every model that has none of its own.
    Column("scope", TEXT, primary_key=True),
    Column("number", INTEGER, primary_key=True, autoincrement=False),
    _text("digest"),
    Column("body", LargeBinary, nullable=False),
    _text("reason"),
    _text("created_at"),
    _text("created_by"),
    Column("event", INTEGER, ForeignKey("events.place"), nullable=False, unique=True),
)

version_entries = Table(
    "version_entries",
    TABLES,
    # The event that gave the version its number: what sorts by it sorts by time.
    Column("event", INTEGER, ForeignKey("events.place"), primary_key=True, autoincrement=False),
    _text("model"),
    _number("number"),
    _of_version(),
    UniqueConstraint("model", "number"),
)


def _of_entry() -> Column[int]:
    return Column("event", INTEGER, ForeignKey("version_entries.event"), primary_key=True, autoincrement=False)


version_numbers = Table(
    "version_numbers",
    TABLES,
    Column("field", TEXT, primary_key=True),
    Column("value", Double, primary_key=True),
    _of_entry(),
)

version_texts = Table(
    "version_texts",
    TABLES,
    Column("field", TEXT, primary_key=True),
    Column("value", TEXT, primary_key=True),
    _of_entry(),
)

version_indexes = Table("version_indexes", TABLES, _of_entry(), _number("facts"), _number("left_out"))

stages = Table(
    "stages",
    TABLES,
    Column("model", TEXT, ForeignKey("models.name"), primary_key=True),
    Column("name", TEXT, primary_key=True),
    _number("number", nullable=True),
    _number("epoch"),
    _number("last_known_good", nullable=True),
    Column("event", INTEGER, ForeignKey("events.place"), nullable=False),
    _text("changed_at"),
    _of_version(),
    _of_version("last_known_good"),
)

lineage = Table(
    "lineage",
    TABLES,
    *(Column(name, TEXT, primary_key=True) for name in ("child_kind", "child", "relation", "parent_kind", "parent")),
)

rehearsals = Table(
    "rehearsals",
    TABLES,
    Column("digest", TEXT, primary_key=True),
    _text("model"),
    _text("stage"),
    _number("from_number"),
    _number("to_number"),
    _text("outcome"),
    Column("body", LargeBinary, nullable=False),
    Column("event", INTEGER, ForeignKey("events.place"), nullable=False, unique=True),
    _text("created_at"),
    _text("created_by"),
    _of_version("from_number"),
    _of_version("to_number"),
)

replicas = Table(
    "replicas",
    TABLES,
    Column("id", TEXT, primary_key=True),
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
    _text("since", nullable=True),
)

rollouts = Table(
    "rollouts",
    TABLES,
    Column("event", INTEGER, ForeignKey("events.place"), primary_key=True, autoincrement=False),
    # The event that began it: the first row of a rollout names itself, and has its plan.
    Column("rollout", INTEGER, ForeignKey("rollouts.event"), nullable=False),
    _text("model"),
    _text("stage"),
    _number("epoch"),
    _text("kind"),
    _number("number"),
    _text("digest"),
    _number("against"),
    _text("against_digest"),
    _text("state"),
    _number("step"),
    Column("plan", LargeBinary),
    Column("figures", LargeBinary, nullable=False),
    _text("reason"),
    Column("verdict", TEXT, ForeignKey("verdicts.digest")),
    _text("created_at"),
    _text("created_by"),
    ForeignKeyConstraint(["model", "stage"], ["stages.model", "stages.name"]),
    _of_version(),
    _of_version("against"),
)

tallies = Table(
    "tallies",
    TABLES,
    Column("rollout", INTEGER, ForeignKey("rollouts.event"), primary_key=True, autoincrement=False),
    Column("step", INTEGER, primary_key=True, autoincrement=False),
    Column("replica", TEXT, primary_key=True),
    Column("counts", LargeBinary, nullable=False),
    _text("reported_at"),
)

truths = Table(
    "truths",
    TABLES,
    # `nth` to statements: a row is a tuple, and its `index` is the tuple's own.
    Column("index", INTEGER, key="nth", primary_key=True, autoincrement=True),
    Column("model", TEXT, ForeignKey("models.name"), nullable=False),
    _text("request"),
    _number("place"),
    _text("value"),
    _text("created_at"),
    _text("created_by"),
    UniqueConstraint("model", "request", "place"),
)

webhooks = Table(
    "webhooks",
    TABLES,
    Column("id", TEXT, primary_key=True),
    _text("url"),
    _text("actions"),
    _text("models"),
    _text("secret"),
    _text("old_secret", nullable=True),
    _text("old_until", nullable=True),
    _text("created_at"),
    _text("created_by"),
    _text("state"),
    _number("next_event"),
    _number("attempts"),
    _text("next_at"),
    _text("error", nullable=True),
    _number("delivered"),
    _text("delivered_at", nullable=True),
    _text("holder", nullable=True),
    _text("held_until", nullable=True),
)
