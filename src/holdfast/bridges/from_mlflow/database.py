"""The SQLite file of an MLflow server, read as MLflow 2.x and 3.x write it (`mlflow/store/db_migrations`).

It is opened read-only, and columns that an older MLflow does not have are empty.
"""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from holdfast.bridges.from_mlflow.places import Roots, folder_of, logged_model_of
from holdfast.bridges.from_mlflow.records import (
    DatasetRecord,
    ExperimentRecord,
    File,
    LoggedModelRecord,
    ModelPointRecord,
    ModelRecord,
    PointRecord,
    RunRecord,
    VersionRecord,
)
from holdfast.errors import IntegrityError, Unavailable

__all__ = ["DatabaseSource"]

_STATUSES = {1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}
_DELETED_VERSION = "Deleted_Internal"
_HUGE = 1.7976931348623157e308
"""How MLflow writes the infinities."""

_SERVED = "mlartifacts"

_KEPT_BESIDE = ("mlruns", _SERVED)
"""Where MLflow keeps files if nobody says otherwise: the first without a server, the second with one."""

_BUSY_SECONDS = 10.0
"""How long a server that writes to the file is waited for."""


class DatabaseSource:
    """A `Source` over an SQLite file.

    Args:
        path: of the file.
        files: the folder that `mlflow-artifacts:` stands for; None: `mlartifacts` where the file is, if it is there.
        more: further folders that files may be read from, beside `mlruns` and `mlartifacts` where the file is.

    Raises:
        IntegrityError: it is no database of MLflow's.
        Unavailable: it cannot be opened.
    """

    def __init__(self, path: Path, files: Path | None = None, more: tuple[Path, ...] = ()) -> None:
        self._path = path
        home = path.absolute().parent
        self._roots = Roots.of(home, tuple(home / name for name in _KEPT_BESIDE), (files, *more))
        beside = home / _SERVED if (home / _SERVED).is_dir() and self._roots.holds(home / _SERVED) else None
        self._files = beside if files is None else files.absolute()
        try:
            uri = f"file:{quote(str(path.absolute()))}?mode=ro"
            self._database = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{path} cannot be opened: {error}", hint="Is it readable?") from error
        self._database.row_factory = sqlite3.Row
        try:
            tables = {row[0] for row in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except IntegrityError:
            self._database.close()
            raise
        if not {"experiments", "runs"} <= tables:
            self._database.close()
            raise IntegrityError(f"{path} is no database of MLflow's", hint="Name the file of its backend store.")
        self._tables = tables

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def experiments(self) -> Iterator[ExperimentRecord]:
        """See `Source.experiments`."""
        tags = self._words("experiment_tags", "experiment_id", "key", "value")
        for row in self._all("experiments", "experiment_id"):
            yield ExperimentRecord(
                id=str(row["experiment_id"]),
                name=row["name"],
                place=row["artifact_location"] or "",
                created_ms=row.get("creation_time") or 0,
                updated_ms=row.get("last_update_time") or 0,
                deleted=row["lifecycle_stage"] == "deleted",
                tags=tags[str(row["experiment_id"])],
            )

    def runs(self, experiment: str) -> Iterator[RunRecord]:
        """See `Source.runs`."""
        datasets, models = self._inputs(experiment)
        for row in self._all("runs", "start_time, run_uuid", "experiment_id = ?", experiment):
            run = row["run_uuid"]
            yield RunRecord(
                id=run,
                name=row.get("name") or "",
                status=row["status"] or "RUNNING",
                began_ms=row["start_time"],
                ended_ms=row["end_time"],
                user=row["user_id"] or "",
                place=row["artifact_uri"] or "",
                deleted=row["lifecycle_stage"] == "deleted",
                params=self._of("params", "run_uuid", run),
                tags=self._of("tags", "run_uuid", run),
                datasets=tuple(datasets[run]),
                models=tuple(models[run]),
            )

    def points(self, run: str) -> Iterator[PointRecord]:
        """See `Source.points`."""
        for row in self._all("metrics", "key, step, timestamp", "run_uuid = ?", run):
            yield PointRecord(row["key"], row["step"] or 0, row["timestamp"], _value(row["value"], bool(row["is_nan"])))

    def logged_models(self, experiment: str) -> Iterator[LoggedModelRecord]:
        """See `Source.logged_models`."""
        for row in self._all("logged_models", "creation_timestamp_ms, model_id", "experiment_id = ?", experiment):
            model = row["model_id"]
            yield LoggedModelRecord(
                id=model,
                name=row["name"],
                place=row["artifact_location"],
                type=row["model_type"] or "",
                status=_STATUSES.get(row["status"], "PENDING"),
                run=row["source_run_id"],
                created_ms=row["creation_timestamp_ms"],
                updated_ms=row["last_updated_timestamp_ms"],
                deleted=row["lifecycle_stage"] == "deleted",
                params=self._of("logged_model_params", "model_id", model, "param_key", "param_value"),
                tags=self._of("logged_model_tags", "model_id", model, "tag_key", "tag_value"),
                points=tuple(self._points_of(model)),
            )

    def models(self) -> Iterator[ModelRecord]:
        """See `Source.models`."""
        tags = self._words("registered_model_tags", "name", "key", "value")
        aliases = self._words("registered_model_aliases", "name", "alias", "version")
        for row in self._all("registered_models", "name"):
            yield ModelRecord(
                name=row["name"],
                description=row["description"],
                created_ms=row["creation_time"] or 0,
                updated_ms=row["last_updated_time"] or 0,
                tags=tags[row["name"]],
                aliases={alias: int(number) for alias, number in aliases[row["name"]].items()},
            )

    def versions(self, model: str) -> Iterator[VersionRecord]:
        """See `Source.versions`."""
        tags: dict[int, dict[str, str]] = defaultdict(dict)
        for row in self._all("model_version_tags", "version, key", "name = ?", model):
            tags[row["version"]][row["key"]] = row["value"] or ""
        for row in self._all("model_versions", "version", "name = ?", model):
            if row["current_stage"] == _DELETED_VERSION:
                continue
            source = row["source"] or ""
            yield VersionRecord(
                model=model,
                number=row["version"],
                place=row.get("storage_location") or source,
                source=source,
                stage=row["current_stage"] or "None",
                created_ms=row["creation_time"] or 0,
                updated_ms=row["last_updated_time"] or 0,
                run=row["run_id"] or None,
                logged_model=logged_model_of(source),
                run_link=row.get("run_link"),
                description=row["description"],
                user=row["user_id"] or "",
                tags=tags[row["version"]],
            )

    def files(self, place: str) -> Iterator[File]:
        """See `Source.files`."""
        # A place that is relative was said by a server that ran where its file is.
        return self._roots.files(self._path.absolute().parent / folder_of(place, self._files))

    def may_come(self, place: str) -> bool:  # noqa: ARG002 - all that it can read are folders
        """See `Source.may_come`."""
        return True

    def _points_of(self, model: str) -> Iterator[ModelPointRecord]:
        for row in self._all("logged_model_metrics", "metric_name, metric_step", "model_id = ?", model):
            point = PointRecord(
                row["metric_name"], row["metric_step"], row["metric_timestamp_ms"], _value(row["metric_value"])
            )
            yield ModelPointRecord(row["run_id"], point, row["dataset_name"] or "", row["dataset_digest"] or "")

    def _inputs(
        self, experiment: str
    ) -> tuple[defaultdict[str, list[DatasetRecord]], defaultdict[str, list[tuple[str, str, int]]]]:
        """The datasets and the logged models of every run of an experiment."""
        tags = self._words("input_tags", "input_uuid", "name", "value")
        known = {
            row["dataset_uuid"]: row for row in self._all("datasets", "dataset_uuid", "experiment_id = ?", experiment)
        }
        datasets: defaultdict[str, list[DatasetRecord]] = defaultdict(list)
        models: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for row in self._all("inputs", "input_uuid"):
            kinds = (row["source_type"], row["destination_type"])
            if kinds == ("DATASET", "RUN") and (there := known.get(row["source_id"])) is not None:
                datasets[row["destination_id"]].append(_dataset(there, tags[row["input_uuid"]]))
            elif kinds[1] == "MODEL_OUTPUT":
                models[row["source_id"]].append(("output", row["destination_id"], row.get("step") or 0))
            elif kinds[1] == "MODEL_INPUT":
                models[row["source_id"]].append(("input", row["destination_id"], row.get("step") or 0))
        return datasets, models

    def _of(self, table: str, owner: str, id_: str, key: str = "key", value: str = "value") -> dict[str, str]:
        return {row[key]: row[value] or "" for row in self._all(table, key, f"{owner} = ?", id_)}

    def _words(self, table: str, owner: str, key: str, value: str) -> defaultdict[str, dict[str, str]]:
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for row in self._all(table, key):
            found[str(row[owner])][row[key]] = "" if row[value] is None else str(row[value])
        return found

    def _all(self, table: str, order: str, where: str = "1", *values: object) -> Iterator[dict[str, Any]]:
        if table not in self._tables:
            return
        statement = f"SELECT * FROM {table} WHERE {where} ORDER BY {order}"  # noqa: S608 - constants of ours
        for row in self._rows(statement, *values):
            yield dict(row)

    def _rows(self, statement: str, *values: object) -> Iterator[Any]:
        try:
            with closing(self._database.execute(statement, values)) as found:
                yield from found
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{self._path} cannot be read: {error}", hint="Is it the backend store of an MLflow 2 or 3?"
            ) from error


def _value(value: float | None, nan: bool = False) -> float:
    if nan or value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _HUGE else float(value)


def _dataset(row: dict[str, Any], tags: dict[str, str]) -> DatasetRecord:
    return DatasetRecord(
        name=row["name"],
        digest=row["digest"],
        source_type=row["dataset_source_type"],
        source=row["dataset_source"],
        schema=row["dataset_schema"],
        profile=row["dataset_profile"],
        tags=tags,
    )
