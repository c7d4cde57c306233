"""An MLflow server, read over its REST protocol: documentation of MLflow, "REST API"."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from holdfast.bridges.from_mlflow.places import Roots, folder_of, logged_model_of, split
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
from holdfast.bridges.mlflow_line import PROXIED, MlflowLine
from holdfast.errors import IntegrityError, NotFound

__all__ = ["ServerSource"]

_PAGE = 1_000
"""Rows asked for at once: MLflow gives them in about a second."""

_POINTS_PAGE = 25_000
"""What MLflow's own clients ask for."""

_DEPTH_MAX = 64
"""Folders within folders: deeper than any model's, and an end for a server that goes round in circles."""


class ServerSource:
    """A `Source` over a server; it raises what `MlflowLine` does.

    Args:
        line: to the server; it is closed with this.
        roots: folders of this machine that files may be read from, which the server does not serve.
    """

    def __init__(self, line: MlflowLine, roots: tuple[Path, ...] = ()) -> None:
        self._line = line
        self._roots = Roots.of(None, (), roots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def experiments(self) -> Iterator[ExperimentRecord]:
        """See `Source.experiments`."""
        asked = {"view_type": "ALL", "max_results": _PAGE, "order_by": ["creation_time ASC", "experiment_id ASC"]}
        for said in self._pages("experiments/search", asked, "experiments"):
            yield ExperimentRecord(
                id=str(said["experiment_id"]),
                name=said["name"],
                place=said.get("artifact_location", ""),
                created_ms=int(said.get("creation_time", 0)),
                updated_ms=int(said.get("last_update_time", 0)),
                deleted=said.get("lifecycle_stage") == "deleted",
                tags=_words(said),
            )

    def runs(self, experiment: str) -> Iterator[RunRecord]:
        """See `Source.runs`."""
        asked = {
            "experiment_ids": [experiment],
            "run_view_type": "ALL",
            "max_results": _PAGE,
            "order_by": ["attributes.start_time ASC", "attributes.run_id ASC"],
        }
        for said in self._pages("runs/search", asked, "runs"):
            info, data, inputs = said["info"], said.get("data", {}), said.get("inputs", {})
            yield RunRecord(
                id=info["run_id"],
                name=info.get("run_name", ""),
                status=info.get("status", "RUNNING"),
                began_ms=_maybe(info.get("start_time")),
                ended_ms=_maybe(info.get("end_time")),
                user=info.get("user_id", ""),
                place=info.get("artifact_uri", ""),
                deleted=info.get("lifecycle_stage") == "deleted",
                params=_words(data, "params"),
                tags=_words(data),
                datasets=tuple(_dataset(one) for one in inputs.get("dataset_inputs", ())),
                models=tuple(_models(inputs.get("model_inputs", ()), said.get("outputs", {}).get("model_outputs", ()))),
            )

    def points(self, run: str) -> Iterator[PointRecord]:
        """See `Source.points`."""
        said = self._line.get("runs/get", run_id=run)["run"]
        for key in sorted({one["key"] for one in said.get("data", {}).get("metrics", ())}):
            asked = {"run_id": run, "metric_key": key, "max_results": _POINTS_PAGE}
            for one in self._pages("metrics/get-history", asked, "metrics", by_query=True):
                yield _point(one)

    def logged_models(self, experiment: str) -> Iterator[LoggedModelRecord]:
        """See `Source.logged_models`."""
        asked = {"experiment_ids": [experiment], "max_results": 50}
        for said in self._pages("logged-models/search", asked, "models"):
            info, data = said["info"], said.get("data", {})
            yield LoggedModelRecord(
                id=info["model_id"],
                name=info["name"],
                place=info["artifact_uri"],
                type=info.get("model_type", ""),
                status=info.get("status", "").removeprefix("LOGGED_MODEL_") or "PENDING",
                run=info.get("source_run_id") or None,
                created_ms=int(info.get("creation_timestamp_ms", 0)),
                updated_ms=int(info.get("last_updated_timestamp_ms", 0)),
                params=_words(data, "params"),
                tags=_words(info),
                points=tuple(
                    ModelPointRecord(
                        one.get("run_id", ""), _point(one), one.get("dataset_name", ""), one.get("dataset_digest", "")
                    )
                    for one in data.get("metrics", ())
                ),
            )

    def models(self) -> Iterator[ModelRecord]:
        """See `Source.models`."""
        for said in self._pages("registered-models/search", {"max_results": _PAGE}, "registered_models", by_query=True):
            yield ModelRecord(
                name=said["name"],
                description=said.get("description"),
                created_ms=int(said.get("creation_timestamp", 0)),
                updated_ms=int(said.get("last_updated_timestamp", 0)),
                tags=_words(said),
                aliases={one["alias"]: int(one["version"]) for one in said.get("aliases", ())},
            )

    def versions(self, model: str) -> Iterator[VersionRecord]:
        """See `Source.versions`."""
        quoted = model.replace("'", "''")
        asked = {"filter": f"name = '{quoted}'", "max_results": _PAGE}
        found = self._pages("model-versions/search", asked, "model_versions", by_query=True)
        for said in sorted(found, key=lambda one: int(one["version"])):
            number = str(said["version"])
            source = said.get("source", "")
            where = self._line.get("model-versions/get-download-uri", name=model, version=number)
            yield VersionRecord(
                model=model,
                number=int(number),
                place=where.get("artifact_uri") or source,
                source=source,
                stage=said.get("current_stage", "None"),
                created_ms=int(said.get("creation_timestamp", 0)),
                updated_ms=int(said.get("last_updated_timestamp", 0)),
                run=said.get("run_id") or None,
                logged_model=said.get("model_id") or logged_model_of(source),
                run_link=said.get("run_link") or None,
                description=said.get("description") or None,
                user=said.get("user_id", ""),
                tags=_words(said),
            )

    def files(self, place: str) -> Iterator[File]:
        """See `Source.files`."""
        parts = split(place)
        if parts.scheme != PROXIED:
            if not self._roots.named:
                raise NotFound(
                    f"{place[:200]} is a place that the server does not serve",
                    hint="Have it serve its files: mlflow server --serve-artifacts. Or say from which folder of this "
                    "machine they may be read: --files-root FOLDER",
                )
            yield from self._roots.files(folder_of(place, None))
            return
        yield from self._below(unquote(parts.path).strip("/"), "", 0)

    def may_come(self, place: str) -> bool:
        """See `Source.may_come`."""
        return place.partition(":")[0].lower() != PROXIED

    def _below(self, root: str, folder: str, depth: int) -> Iterator[File]:
        if depth > _DEPTH_MAX:
            raise IntegrityError(f"{root} has folders within folders without an end", hint="Look at it there.")
        for said in sorted(self._line.listed(f"{root}/{folder}".rstrip("/")), key=lambda one: str(one["path"])):
            path = f"{folder}/{said['path']}".lstrip("/")
            if said.get("is_dir"):
                yield from self._below(root, path, depth + 1)
            else:
                yield File(path, partial(self._line.pieces, f"{root}/{path}"))

    def _pages(
        self, path: str, asked: Mapping[str, Any], name: str, *, by_query: bool = False
    ) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            body = {**asked, **({} if token is None else {"page_token": token})}
            said = (self._line.get if by_query else self._line.post)(path, **body)
            yield from said.get(name, ())
            before, token = token, said.get("next_page_token") or None
            if token is None:
                return
            if token == before:
                raise IntegrityError(f"{path} answers one page without an end", hint="Is it an MLflow server?")


def _words(said: Mapping[str, Any], name: str = "tags") -> dict[str, str]:
    return {str(one["key"]): str(one.get("value", "")) for one in said.get(name, ())}


def _maybe(value: object) -> int | None:
    return None if value in (None, "") else int(str(value))


def _point(said: Mapping[str, Any]) -> PointRecord:
    # `NaN` and the infinities are texts; float() reads them as they are written.
    return PointRecord(
        said["key"], int(said.get("step", 0)), int(said.get("timestamp", 0)), float(said.get("value", "nan"))
    )


def _dataset(said: Mapping[str, Any]) -> DatasetRecord:
    there = said["dataset"]
    return DatasetRecord(
        name=there["name"],
        digest=there["digest"],
        source_type=there.get("source_type", ""),
        source=there.get("source", ""),
        schema=there.get("schema"),
        profile=there.get("profile"),
        tags=_words(said),
    )


def _models(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Iterator[tuple[str, str, int]]:
    for direction, some in (("input", inputs), ("output", outputs)):
        for one in some:
            yield direction, str(one["model_id"]), int(one.get("step", 0))
