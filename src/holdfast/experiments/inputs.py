"""What runs read and what they made: datasets as clients name them, and logged models.

A dataset here is what a client says of its data: a name, a digest that the client computed over a sample, and where it
came from. It points at data; that is no snapshot of it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, text

from holdfast.database.engine import Database
from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.errors import UsageError
from holdfast.experiments.limits import (
    DATASET_DIGEST_CHARACTERS_MAX,
    DATASET_NAME_CHARACTERS_MAX,
    ID_CHARACTERS_MAX,
    check_length,
)
from holdfast.experiments.many import of_runs, rows_of
from holdfast.experiments.standing import active_run
from holdfast.experiments.tables import datasets, run_datasets
from holdfast.tracking.tables import run_tags

__all__ = ["CONTEXT", "EXTRAS", "Dataset", "DatasetSeen", "DatasetSummary", "RunExtras", "SqlInputs", "extras_of"]

CONTEXT = "mlflow.data.context"
"""The tag of a dataset that says what a run used it for, such as `training`."""

_HISTORY = "mlflow.log-model.history"
"""The tag of a run in which clients before MLflow 3 keep what models it logged."""

_LIMITS = (
    ("name", DATASET_NAME_CHARACTERS_MAX),
    ("digest", DATASET_DIGEST_CHARACTERS_MAX),
    ("source_type", ID_CHARACTERS_MAX),
    ("source", 65_535),
    ("schema", 1_048_575),
    ("profile", 16_777_215),
)
"""Characters of a dataset's fields, as MLflow's own tables hold them: a script that works there works here."""

_TAG_KEY_CHARACTERS_MAX = 255

_TAG_VALUE_CHARACTERS_MAX = 500

_DATASETS_MAX = 1000
"""Of one request, as MLflow's batches."""

_MODELS_MAX = 1000
"""Of one request: as many as datasets."""

_HISTORY_CHARACTERS_MAX = 1 << 20
"""Of all models of a run that such a client told of: a thousand, and every answer about the run has them all."""

_SUMMARIES_MAX = 1000
"""Of one search: it offers names to choose from."""

_ADD_DATASET = text(
    "INSERT INTO datasets (id, experiment, name, digest, source_type, source, schema, profile) "
    "VALUES (:id, :experiment, :name, :digest, :source_type, :source, :schema, :profile) "
    "ON CONFLICT (experiment, name, digest) DO NOTHING"
)

# The dataset is named by what is unique of it: whoever wrote it first gave it its id.
_ADD_SEEN = text(
    "INSERT INTO run_datasets (run, dataset, context, tags) "
    "SELECT :run, id, :context, :tags FROM datasets "
    "WHERE experiment = :experiment AND name = :name AND digest = :digest ON CONFLICT (run, dataset) DO NOTHING"
)

_ADD_MODEL = text(
    "INSERT INTO run_models (run, direction, model, step) VALUES (:run, :direction, :model, :step) "
    "ON CONFLICT (run, direction, model) DO UPDATE SET step = excluded.step"
)

_SET_TAG = text(
    "INSERT INTO run_tags (run, key, value, text) VALUES (:run, :key, :value, :text) "
    "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, text = excluded.text"
)

_HISTORY_OF = select(run_tags.c.value).where(run_tags.c.run == bindparam("run"), run_tags.c.key == _HISTORY)

_SUMMARIES = (
    select(datasets.c.experiment, datasets.c.name, datasets.c.digest, run_datasets.c.context)
    .join(run_datasets, run_datasets.c.dataset == datasets.c.id)
    .where(datasets.c.experiment.in_(bindparam("experiments", expanding=True)))
    .distinct()
    .order_by(datasets.c.experiment, datasets.c.name, datasets.c.digest, run_datasets.c.context)
    .limit(_SUMMARIES_MAX)
)

EXTRAS = (
    of_runs(
        "run, tags, name, digest, source_type, source, schema, profile",
        "run_datasets JOIN datasets ON datasets.id = run_datasets.dataset",
        "run, name, digest",
    ),
    of_runs("run, direction, model, step", "run_models", "run, step, model"),
)
"""The statements whose rows `extras_of` reads."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a client says of its data. `digest` is the client's own, and mostly covers a sample."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetSeen:
    """A dataset that a run read, and what it said of that, such as `mlflow.data.context`."""

    dataset: Dataset
    tags: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What a search of datasets tells; `context` is empty where no run named one."""

    experiment: int
    name: str
    digest: str
    context: str


@dataclass(frozen=True, slots=True)
class RunExtras:
    """What a run read and made.

    Attributes:
        datasets: by name and digest.
        models_read: ids of logged models.
        models_made: ids of logged models, each with the step at which it was logged.
    """

    datasets: Sequence[DatasetSeen] = ()
    models_read: Sequence[str] = ()
    models_made: Sequence[tuple[str, int]] = ()


class SqlInputs:
    """The inputs and outputs of runs in a database.

    Args:
        database: at the schema of this Holdfast.
        new_id: gives 32 hexadecimal digits that nothing else has.
    """

    def __init__(self, database: Database, new_id: Callable[[], str]) -> None:
        self._database = database
        self._new_id = new_id

    def log_inputs(self, run: str, seen: Sequence[DatasetSeen], models: Sequence[str] = ()) -> None:
        """Says what a run read. What is there stays as it is; the first word on a dataset holds.

        Raises:
            NotFound: there is no such run.
            UsageError: the run is deleted, or a field is longer than it may be.
        """
        _check_count("datasets", len(seen), _DATASETS_MAX)
        _check_count("models", len(models), _MODELS_MAX)
        for one in seen:
            _check(one)
        _check_ids(models)
        with self._database.change() as connection:
            experiment = active_run(connection, run)
            if seen:
                # In one order for all: two runs that read the same datasets at once wait for each other in turn.
                ordered = sorted(seen, key=lambda one: (one.dataset.name, one.dataset.digest))
                connection.execute(_ADD_DATASET, [self._dataset_row(experiment, one.dataset) for one in ordered])
                connection.execute(_ADD_SEEN, [_seen_row(run, experiment, one) for one in ordered])
            if models:
                rows = [{"run": run, "direction": "input", "model": model, "step": 0} for model in models]
                connection.execute(_ADD_MODEL, rows)

    def log_outputs(self, run: str, models: Sequence[tuple[str, int]]) -> None:
        """Says what logged models a run made, each with its step; of one that is there, the step is the last said.

        Raises:
            NotFound: there is no such run.
            UsageError: the run is deleted, or an id is longer than it may be.
        """
        _check_count("models", len(models), _MODELS_MAX)
        _check_ids(model for model, _ in models)
        with self._database.change() as connection:
            active_run(connection, run)
            if models:
                rows = [{"run": run, "direction": "output", "model": model, "step": step} for model, step in models]
                connection.execute(_ADD_MODEL, rows)

    def record_model(self, run: str, said: Mapping[str, Any]) -> None:
        """Adds what a client before MLflow 3 says of a model to the run's history; the same again changes nothing.

        Raises:
            NotFound: there is no such run.
            UsageError: the run is deleted, or its history would be longer than it may be.
        """
        with self._database.change() as connection:
            active_run(connection, run)
            before = connection.execute(_HISTORY_OF, {"run": run}).scalar_one_or_none()
            history = _list(before)
            if said not in history:
                value = json.dumps([*history, said])
                check_length(_HISTORY, value, _HISTORY_CHARACTERS_MAX)
                row = {"run": run, "key": _HISTORY, "value": value, "text": value[:SEARCHED_CHARACTERS_MAX]}
                connection.execute(_SET_TAG, row)

    def search(self, experiments: Sequence[int]) -> list[DatasetSummary]:
        """What datasets the runs of these experiments read, once for each context: the first thousand, by name."""
        with self._database.read() as connection:
            rows = connection.execute(_SUMMARIES, {"experiments": list(experiments)})
            return [DatasetSummary(*row) for row in rows]

    def of_run(self, run: str) -> RunExtras:
        """What one run read and made."""
        with self._database.view() as connection:
            return extras_of(*rows_of(connection, [run], *EXTRAS)).get(run, RunExtras())

    def _dataset_row(self, experiment: int, dataset: Dataset) -> dict[str, Any]:
        return {
            "id": self._new_id(),
            "experiment": experiment,
            "name": dataset.name,
            "digest": dataset.digest,
            "source_type": dataset.source_type,
            "source": dataset.source,
            "schema": dataset.schema,
            "profile": dataset.profile,
        }


def extras_of(of_datasets: Iterable[Sequence[Any]], of_models: Iterable[Sequence[Any]]) -> dict[str, RunExtras]:
    """What runs read and made, by run, of the rows of `EXTRAS`; none for a run that said nothing."""
    seen: dict[str, list[DatasetSeen]] = {}
    models: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for run, tags, *dataset in of_datasets:
        words = tuple((key, value) for key, value in json.loads(tags).items())
        seen.setdefault(run, []).append(DatasetSeen(Dataset(*dataset), words))
    for run, direction, model, step in of_models:
        models.setdefault(run, {}).setdefault(direction, []).append((model, step))
    found = {}
    for run in seen.keys() | models.keys():
        of_run = models.get(run, {})
        read = [model for model, _ in of_run.get("input", [])]
        found[run] = RunExtras(seen.get(run, []), read, of_run.get("output", []))
    return found


def _seen_row(run: str, experiment: int, seen: DatasetSeen) -> dict[str, Any]:
    tags = dict(seen.tags)
    return {
        "run": run,
        "experiment": experiment,
        "name": seen.dataset.name,
        "digest": seen.dataset.digest,
        "context": tags.get(CONTEXT, ""),
        "tags": json.dumps(tags, ensure_ascii=False, separators=(",", ":")),
    }


def _list(written: str | None) -> list[Any]:
    """The history that a tag holds; a tag that holds none was set by the client itself, and is written over."""
    try:
        found = [] if written is None else json.loads(written)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _check(seen: DatasetSeen) -> None:
    for name, limit in _LIMITS:
        check_length(name, getattr(seen.dataset, name) or "", limit)
    for key, value in seen.tags:
        check_length("key", key, _TAG_KEY_CHARACTERS_MAX)
        check_length("value", value, _TAG_VALUE_CHARACTERS_MAX)


def _check_ids(models: Iterable[str]) -> None:
    for model in models:
        check_length("model_id", model, ID_CHARACTERS_MAX)


def _check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise UsageError(f"A request can contain at most {limit} {what}. Got {count} {what}.", hint="Send parts.")
