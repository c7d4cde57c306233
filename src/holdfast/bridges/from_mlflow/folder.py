"""The folder `mlruns` of clients that had no server, as the file stores of MLflow 1.x to 3.x write it.

<experiment>/meta.yaml  tags/  <run>/meta.yaml params/ metrics/ tags/ inputs/ outputs/ artifacts/
<experiment>/datasets/<id>/meta.yaml   <experiment>/models/m-…/meta.yaml params/ metrics/ tags/
models/<name>/meta.yaml tags/ aliases/ version-3/meta.yaml tags/
.trash/<experiment>                    deleted experiments
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from holdfast.bridges.from_mlflow.places import Roots, folder_of
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
from holdfast.errors import IntegrityError, MissingExtra, NotFound
from holdfast.store.disk import READ, refusing

__all__ = ["FolderSource"]

_META = "meta.yaml"
_VERSION = re.compile(r"version-([0-9]{1,9})")
_TRASH = ".trash"
_MODELS = "models"
_META_BYTES_MAX = 4 << 20
"""A description of a dataset with ten thousand columns has one megabyte."""

_WORD_BYTES_MAX = 256 << 20
"""A metric with some millions of points; params and tags are far shorter."""

_RUN_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATUSES = {1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}
_DELETED_VERSION = "Deleted_Internal"
_DIRECTIONS = {"MODEL_OUTPUT": "output", "MODEL_INPUT": "input"}


class FolderSource:
    """A `Source` over a folder.

    Args:
        root: the folder `mlruns`.
        files: the folder that `mlflow-artifacts:` stands for.
        more: further folders that files may be read from.

    Raises:
        NotFound: it holds no experiments.
        MissingExtra: there is no reader of YAML.
    """

    def __init__(self, root: Path, files: Path | None = None, more: tuple[Path, ...] = ()) -> None:
        self._root = root
        self._files = files
        self._roots = Roots.of(root, (root,), (files, *more))
        self._homes: dict[str, Path] = {}
        try:
            import yaml  # noqa: F401 - asked for once, here
        except ImportError as error:
            raise MissingExtra("reading mlruns needs pyyaml", hint="pip install 'holdfast[server]'") from error
        if not any(self._experiment_folders()):
            raise NotFound(f"{root} holds no experiments", hint="Name the folder mlruns itself.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    def experiments(self) -> Iterator[ExperimentRecord]:
        """See `Source.experiments`."""
        for folder in map(self._own, self._experiment_folders()):
            said = _meta(folder)
            id_ = str(said.get("experiment_id", folder.name))
            self._homes[id_] = folder
            yield ExperimentRecord(
                id=id_,
                name=str(said["name"]),
                place=str(said.get("artifact_location") or folder),
                created_ms=said.get("creation_time") or 0,
                updated_ms=said.get("last_update_time") or 0,
                deleted=folder.parent.name == _TRASH or said.get("lifecycle_stage") == "deleted",
                tags=_words(folder / "tags"),
            )

    def runs(self, experiment: str) -> Iterator[RunRecord]:
        """See `Source.runs`."""
        home = self._home(experiment)
        known = {folder.name: _meta(folder) for folder in self._described(home / "datasets")}
        found = [(_meta(folder), folder) for folder in self._described(home)]
        for said, folder in sorted(found, key=lambda one: (one[0].get("start_time") or 0, one[1].name)):
            tags = _words(folder / "tags")
            inputs, outputs = self._described(folder / "inputs"), self._described(folder / "outputs")
            yield RunRecord(
                id=folder.name,
                name=str(said.get("run_name") or tags.get("mlflow.runName", "")),
                status=_RUN_STATUSES.get(said.get("status", 1), "RUNNING"),
                began_ms=said.get("start_time"),
                ended_ms=said.get("end_time"),
                user=str(said.get("user_id") or ""),
                place=str(folder / "artifacts"),
                deleted=said.get("lifecycle_stage") == "deleted",
                params=_words(folder / "params"),
                tags=tags,
                datasets=tuple(_datasets(inputs, known)),
                models=tuple(_models_of([*inputs, *outputs])),
            )

    def points(self, run: str) -> Iterator[PointRecord]:
        """See `Source.points`."""
        for home in self._experiment_folders():
            if (home / run / _META).is_file():
                yield from (found.point for found in _points(self._own(home / run) / "metrics"))
                return

    def logged_models(self, experiment: str) -> Iterator[LoggedModelRecord]:
        """See `Source.logged_models`."""
        home = self._home(experiment) / _MODELS
        for folder in self._described(home):
            said = _meta(folder)
            yield LoggedModelRecord(
                id=folder.name,
                name=str(said["name"]),
                place=str(folder / "artifacts"),
                type=str(said.get("model_type") or ""),
                status=_MODEL_STATUSES.get(said.get("status", 1), "PENDING"),
                run=said.get("source_run_id"),
                created_ms=said.get("creation_timestamp") or 0,
                updated_ms=said.get("last_updated_timestamp") or 0,
                deleted=said.get("lifecycle_stage") == "deleted",
                params=_words(folder / "params"),
                tags=_words(folder / "tags"),
                points=tuple(_points(folder / "metrics")),
            )

    def models(self) -> Iterator[ModelRecord]:
        """See `Source.models`."""
        for folder in self._described(self._root / _MODELS):
            said = _meta(folder)
            yield ModelRecord(
                name=str(said.get("name", folder.name)),
                description=said.get("description"),
                created_ms=said.get("creation_timestamp") or 0,
                updated_ms=said.get("last_updated_timestamp") or 0,
                tags=_words(folder / "tags"),
                aliases={alias: int(number) for alias, number in _words(folder / "aliases").items()},
            )

    def versions(self, model: str) -> Iterator[VersionRecord]:
        """See `Source.versions`."""
        folders = (self._root / _MODELS / model).glob("version-*")
        numbered = sorted((int(found[1]), one) for one in folders if (found := _VERSION.fullmatch(one.name)))
        for number, folder in numbered:
            if not (folder / _META).is_file():
                continue
            said = _meta(self._own(folder))
            if said.get("current_stage") == _DELETED_VERSION:
                continue
            source = str(said.get("source") or "")
            yield VersionRecord(
                model=model,
                number=number,
                place=str(said.get("storage_location") or source),
                source=source,
                stage=str(said.get("current_stage") or "None"),
                created_ms=said.get("creation_timestamp") or 0,
                updated_ms=said.get("last_updated_timestamp") or 0,
                run=said.get("run_id") or None,
                logged_model=said.get("model_id"),
                run_link=said.get("run_link"),
                description=said.get("description"),
                user=str(said.get("user_id") or ""),
                tags=_words(folder / "tags"),
            )

    def files(self, place: str) -> Iterator[File]:
        """See `Source.files`."""
        return self._roots.files(folder_of(place, self._files))

    def may_come(self, place: str) -> bool:  # noqa: ARG002 - all of its places are folders
        """See `Source.may_come`."""
        return True

    def _described(self, folder: Path) -> list[Path]:
        """The folders in a folder that describe something, by name; each as `_own`."""
        return [self._own(path.parent) for path in sorted(folder.glob(f"*/{_META}"))]

    def _own(self, folder: Path) -> Path:
        """The folder, which a link may have led to.

        Raises:
            IntegrityError: it is out of all that may be read.
        """
        if not self._roots.holds(folder):
            raise IntegrityError(
                f"{folder} is a link out of {self._root}",
                hint="Copy in what it leads to, or say that it may be read: --files-root FOLDER",
            )
        return folder

    def _home(self, experiment: str) -> Path:
        if experiment not in self._homes:
            for _ in self.experiments():
                pass
        try:
            return self._homes[experiment]
        except KeyError as error:
            raise NotFound(f"there is no experiment {experiment} in {self._root}", hint="List them first.") from error

    def _experiment_folders(self) -> Iterator[Path]:
        with refusing(self._root):
            places = chain(self._root.glob(f"*/{_META}"), (self._root / _TRASH).glob(f"*/{_META}"))
            yield from sorted(path.parent for path in places if path.parent.name != _MODELS)


def _meta(folder: Path) -> dict[str, Any]:
    """What stands in the description of a thing.

    Raises:
        IntegrityError: it is none, or a link.
    """
    import yaml

    path = folder / _META
    if path.is_symlink():
        raise IntegrityError(f"{path} is a link, which MLflow does not make", hint="Copy in what it leads to.")
    # It may have become a link since, which is not followed then either.
    with refusing(path), os.fdopen(os.open(path, READ), "rb") as file:
        data = file.read(_META_BYTES_MAX + 1)
    if len(data) > _META_BYTES_MAX:
        raise IntegrityError(f"{path} is longer than any such file", hint="Is it MLflow's?")
    try:
        if b"*" in data and any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(data)):
            # MLflow writes none, and a few of them are a text without an end.
            raise IntegrityError(f"{path} has aliases, which MLflow does not write", hint="Is it MLflow's?")
        said = yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise IntegrityError(f"{path} cannot be read", hint="Mend it, or move its folder away.") from error
    if not isinstance(said, dict):
        raise IntegrityError(f"{path} describes nothing", hint="Mend it, or move its folder away.")
    return said


def _words(folder: Path) -> dict[str, str]:
    """One file each: its path is the key, what it holds the value."""
    if folder.is_symlink():
        raise IntegrityError(f"{folder} is a link, which MLflow does not make", hint="Copy in what it leads to.")
    if not folder.is_dir():
        return {}
    with refusing(folder):
        return {
            path.relative_to(folder).as_posix(): _text(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_WORD_BYTES_MAX + 1)
    if len(data) > _WORD_BYTES_MAX:
        raise IntegrityError(f"{path} is longer than any such file", hint="Is it MLflow's?")
    return data.decode("utf-8", "replace")


def _points(folder: Path) -> Iterator[ModelPointRecord]:
    """One file for each metric, with a line for each point: time, value, step; for logged models the run and data."""
    for key, text in _words(folder).items():
        for line in text.splitlines():
            words = line.split(" ")
            try:
                point = PointRecord(key, int(words[2]) if len(words) > 2 else 0, int(words[0]), float(words[1]))  # noqa: PLR2004
            except (ValueError, IndexError) as error:
                raise IntegrityError(f"{folder / key} has a line that is no point", hint="Mend that line.") from error
            run, name, digest = (*words[3:6], "", "", "")[:3]
            yield ModelPointRecord(run, point, name, digest)


def _datasets(inputs: Iterable[Path], known: Mapping[str, Mapping[str, Any]]) -> Iterator[DatasetRecord]:
    for folder in inputs:
        said = _meta(folder)
        there = known.get(str(said.get("source_id")))
        if there is not None:
            yield DatasetRecord(
                name=str(there["name"]),
                digest=str(there["digest"]),
                source_type=str(there.get("source_type") or ""),
                source=str(there.get("source") or ""),
                schema=there.get("schema"),
                profile=there.get("profile"),
                tags={str(key): str(value) for key, value in (said.get("tags") or {}).items()},
            )


def _models_of(inputs_and_outputs: Iterable[Path]) -> Iterator[tuple[str, str, int]]:
    for folder in inputs_and_outputs:
        said = _meta(folder)
        direction = _DIRECTIONS.get(str(said.get("destination_type")))
        if direction is not None:
            yield direction, str(said["destination_id"]), int(said.get("step") or 0)
