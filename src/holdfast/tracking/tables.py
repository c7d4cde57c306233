"""The tables of tracking as statements see them; the migrations make them, and a test compares the two."""

from sqlalchemy import Column, Double, ForeignKey, MetaData, Table, column, table

from holdfast.database.columns import INTEGER, TEXT

__all__ = ["TABLES", "experiment_names", "run_inputs", "run_metrics", "run_params", "run_points", "run_tags", "runs"]

TABLES = MetaData()


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, TEXT, nullable=nullable)


def _run(*, primary_key: bool = True) -> Column[str]:
    return Column("run", TEXT, ForeignKey("runs.id"), primary_key=primary_key, nullable=False)


def _key(name: str = "key") -> Column[str]:
    return Column(name, TEXT, primary_key=True)


runs = Table(
    "runs",
    TABLES,
    _key("id"),
    _text("model", nullable=True),
    _text("name"),
    _text("status"),
    _text("started_at"),
    _text("finished_at", nullable=True),
    _text("actor"),
    _text("notes"),
    # Of MLflow's clients: the experiment that it belongs to, none for a run of our own; and when it was deleted.
    Column("experiment", INTEGER, nullable=True),
    Column("deleted_ms", INTEGER, nullable=True),
)

# What searches ask of experiments, which are kept by `holdfast.experiments`.
experiment_names = table("experiments", column("id", INTEGER), column("name", TEXT))

# `number` and `text` are what a search compares with; `value` is the param itself, as JSON.
run_params = Table(
    "run_params", TABLES, _run(), _key(), _text("value"), Column("number", Double, nullable=True), _text("text")
)

# The history. A value that is not a number is null, since not every database can hold one.
run_points = Table(
    "run_points",
    TABLES,
    Column("id", INTEGER, primary_key=True, autoincrement=True),
    _run(primary_key=False),
    _text("key"),
    Column("step", INTEGER, nullable=False),
    _text("time"),
    Column("value", Double, nullable=True),
)

# The last point of each metric, kept beside the history so that a search never reads the history.
run_metrics = Table(
    "run_metrics",
    TABLES,
    _run(),
    _key(),
    Column("step", INTEGER, nullable=False),
    _text("time"),
    Column("value", Double, nullable=True),
)

run_tags = Table("run_tags", TABLES, _run(), _key(), _text("value"), _text("text"))

run_inputs = Table(
    "run_inputs",
    TABLES,
    _run(),
    _key("role"),
    _key("name"),
    _text("digest", nullable=True),
    _text("source"),
    Column("files", INTEGER, nullable=True),
    Column("bytes", INTEGER, nullable=True),
)
