"""The tables of experiments as statements see them; the migrations make them, and a test compares the two.

Moments are milliseconds since 1970, as MLflow's clients give and take them.
"""

from sqlalchemy import Column, Double, ForeignKey, ForeignKeyConstraint, MetaData, Table, UniqueConstraint

from holdfast.database.columns import INTEGER, TEXT
from holdfast.registry.tables import models, versions
from holdfast.tracking.tables import runs

__all__ = [
    "TABLES",
    "aliases",
    "datasets",
    "experiment_tags",
    "experiments",
    "file_parts",
    "file_uploads",
    "frozen_files",
    "hooks",
    "logged_model_params",
    "logged_model_points",
    "logged_model_tags",
    "logged_models",
    "registered_model_tags",
    "registered_models",
    "registered_version_tags",
    "registered_versions",
    "run_datasets",
    "run_files",
    "run_models",
    "trace_tags",
    "traces",
    "waiting_files",
]

TABLES = MetaData()


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, INTEGER, nullable=nullable)


def _key(name: str = "key") -> Column[str]:
    return Column(name, TEXT, primary_key=True)


def _number_key() -> Column[int]:
    return Column("number", INTEGER, primary_key=True, autoincrement=False)


def _run(*, primary_key: bool = False) -> Column[str]:
    return Column("run", TEXT, ForeignKey(runs.c.id), primary_key=primary_key, nullable=False)


def _model(name: str = "models.name") -> Column[str]:
    key = ForeignKey(models.c.name) if name == "models.name" else ForeignKey(name)
    return Column("model", TEXT, key, primary_key=True)


def _experiment() -> Column[int]:
    return Column("experiment", INTEGER, ForeignKey("experiments.id"), nullable=False)


def _moments() -> tuple[Column[int], ...]:
    return _number("created_ms"), _number("updated_ms"), _number("deleted_ms", nullable=True)


experiments = Table(
    "experiments",
    TABLES,
    Column("id", INTEGER, primary_key=True, autoincrement=True),
    Column("name", TEXT, nullable=False, unique=True),
    # Where files of its runs are said to be: `mlflow-artifacts:/3`, unless the client named another place.
    _text("place"),
    _text("created_by"),
    *_moments(),
)

experiment_tags = Table(
    "experiment_tags",
    TABLES,
    Column("experiment", INTEGER, ForeignKey("experiments.id"), primary_key=True, autoincrement=False),
    _key(),
    _text("value"),
)

datasets = Table(
    "datasets",
    TABLES,
    _key("id"),
    _experiment(),
    _text("name"),
    _text("digest"),
    _text("source_type"),
    _text("source"),
    _text("schema", nullable=True),
    _text("profile", nullable=True),
    UniqueConstraint("experiment", "name", "digest"),
)

# `tags` is a JSON object; `context` is its `mlflow.data.context`, which searches ask for.
run_datasets = Table(
    "run_datasets",
    TABLES,
    _run(primary_key=True),
    Column("dataset", TEXT, ForeignKey("datasets.id"), primary_key=True),
    _text("context"),
    _text("tags"),
)

# What a run read (`input`) or made (`output`) of logged models.
run_models = Table("run_models", TABLES, _run(primary_key=True), _key("direction"), _key("model"), _number("step"))

logged_models = Table(
    "logged_models",
    TABLES,
    _key("id"),
    _experiment(),
    _text("name"),
    _text("place"),
    _text("type"),
    _text("status"),
    _text("status_message", nullable=True),
    _text("run", nullable=True),
    _text("created_by"),
    *_moments(),
)

logged_model_params = Table("logged_model_params", TABLES, _model("logged_models.id"), _key(), _text("value"))

logged_model_tags = Table("logged_model_tags", TABLES, _model("logged_models.id"), _key(), _text("value"))

# Null is NaN. A dataset that was not named is an empty text.
logged_model_points = Table(
    "logged_model_points",
    TABLES,
    Column("id", INTEGER, primary_key=True, autoincrement=True),
    Column("model", TEXT, ForeignKey("logged_models.id"), nullable=False),
    _run(),
    _text("key"),
    _number("step"),
    _number("time_ms"),
    Column("value", Double, nullable=True),
    _text("dataset_name"),
    _text("dataset_digest"),
)

# The name of a file, from the server's root: `3/<run>/artifacts/model/MLmodel`; its bytes are in the store.
run_files = Table("run_files", TABLES, _key("path"), _text("digest"), _number("bytes"), _number("created_ms"))

# Small files that came in, in base64: they go into the store together, for one by one each would be a pack of its own.
waiting_files = Table("waiting_files", TABLES, _key("digest"), _text("data"), _number("bytes"), _number("created_ms"))

# A file that comes in parts; `digest` is what it became, once it did.
file_uploads = Table(
    "file_uploads",
    TABLES,
    _key("id"),
    _text("path"),
    _number("parts"),
    _text("created_by"),
    _number("created_ms"),
    _text("digest", nullable=True),
)

# The bytes are in the store.
file_parts = Table(
    "file_parts",
    TABLES,
    Column("upload", TEXT, ForeignKey("file_uploads.id"), primary_key=True),
    _number_key(),
    _text("digest"),
    _number("bytes"),
    _number("created_ms"),
)

# What stands below such a path is never changed again; `why` is a sentence for whoever tries.
frozen_files = Table("frozen_files", TABLES, _key("path"), _text("why"), _number("created_ms"))

# A model under the name that MLflow's clients know it by. A deleted one keeps its name, and can come back under it.
registered_models = Table(
    "registered_models",
    TABLES,
    _model(),
    Column("name", TEXT, nullable=False, unique=True),
    _text("description", nullable=True),
    _text("created_by"),
    *_moments(),
)

registered_model_tags = Table(
    "registered_model_tags", TABLES, _model("registered_models.model"), _key(), _text("value")
)

registered_versions = Table(
    "registered_versions",
    TABLES,
    _model("registered_models.model"),
    _number_key(),
    # As the client named it, and where the files are that it meant.
    _text("source"),
    _text("path"),
    _text("run", nullable=True),
    _text("logged_model", nullable=True),
    _text("run_link", nullable=True),
    _text("description", nullable=True),
    # `None` or `Archived`: what it says where it holds neither staging nor production.
    _text("rest"),
    _text("created_by"),
    *_moments(),
    ForeignKeyConstraint(["model", "number"], [versions.c.model, versions.c.number]),
)

registered_version_tags = Table(
    "registered_version_tags",
    TABLES,
    _model("registered_models.model"),
    _number_key(),
    _key(),
    _text("value"),
)

# As the client wrote it; the stage that it moves is the same word in small letters, or what the settings say.
aliases = Table("aliases", TABLES, _model(), _key("stage"), _text("alias"))

# What MLflow's clients say of a webhook, beside the webhook itself.
hooks = Table(
    "hooks",
    TABLES,
    _key("id"),
    _text("name"),
    _text("description", nullable=True),
    _text("events"),
    _text("status"),
    _number("created_ms"),
    _number("updated_ms"),
)

# `info` and `spans` are JSON, as the client sent them.
traces = Table(
    "traces",
    TABLES,
    _key("id"),
    _experiment(),
    _text("run", nullable=True),
    _number("began_ms"),
    _number("lasted_ms", nullable=True),
    _text("state"),
    _text("info"),
    _text("spans", nullable=True),
)

trace_tags = Table(
    "trace_tags",
    TABLES,
    Column("trace", TEXT, ForeignKey("traces.id"), primary_key=True),
    _key(),
    _text("value"),
)
