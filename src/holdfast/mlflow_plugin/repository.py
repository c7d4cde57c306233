"""MLflow's repository for files behind a server, with an ear: a model's folder is looked at before it is sent."""

import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlflow.models import Model
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.tracking import get_tracking_uri

from holdfast.mlflow_plugin.quiet import quietly
from holdfast.mlflow_plugin.server import find_server
from holdfast.mlflow_plugin.session import known_session

__all__ = ["FOLDER", "listening_repository"]

FOLDER = "holdfast"
"""The folder, among a model's or a run's files, that holds what the plugin adds."""

_MODEL = re.compile(r".*/models/m-[0-9a-f]{32}/artifacts/?\Z")
"""Where the files of a logged model are."""

_AT_ONCE = 4
"""Files under way at the same time: two cores send while two wait for the server."""


def listening_repository(artifact_uri: str, *args: Any, **kwargs: Any) -> MlflowArtifactsRepository | None:
    """The repository for `artifact_uri`; None where its server is not Holdfast.

    Args:
        artifact_uri: where the files are.
        args: the tracking server's address, where it comes by place; older releases hand on no more.
        kwargs: the same by name.
    """
    uri = (args[0] if args else kwargs.get("tracking_uri")) or get_tracking_uri()
    return _ListeningRepository(uri, artifact_uri, *args, **kwargs) if find_server(uri).is_holdfast else None


class _ListeningRepository(MlflowArtifactsRepository):  # type: ignore[misc]  # MLflow ships no types
    """A `MlflowArtifactsRepository` that sends several files at once, and with a model what is known of it."""

    def __init__(self, server: str, artifact_uri: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(artifact_uri, *args, **kwargs)
        self._uri = server

    def log_artifacts(self, local_dir: Any, artifact_path: str | None = None) -> None:
        folder = Path(local_dir).absolute()
        # The run's data must be frozen, and its capture kept, before anybody can register the model.
        if (folder / "MLmodel").is_file():
            quietly("what is known of the model", lambda: self._send_what_is_known(folder, artifact_path), None)
        self._send(folder, artifact_path)

    def _send_what_is_known(self, folder: Path, artifact_path: str | None) -> None:
        if not self._is_place_of(folder, artifact_path):
            return
        session = known_session(self._uri)
        if session is None:
            return
        with tempfile.TemporaryDirectory(prefix="holdfast-model-") as name:
            beside = Path(name)
            session.describe(folder, beside)
            self._send(beside, f"{artifact_path}/{FOLDER}" if artifact_path else FOLDER)

    def _is_place_of(self, folder: Path, artifact_path: str | None) -> bool:
        """Whether a model is on its way to be one of the server's.

        Before MLflow 3, which has logged models, that is a folder of the run which the model says that it is of. A
        model of another run, or of none, is a file like others: what this process did says nothing of it.
        """
        if artifact_path is None:
            return _MODEL.match(self.artifact_uri) is not None
        run = Model.load(str(folder)).run_id
        return bool(run) and self.artifact_uri.rstrip("/").endswith(f"/{run}/artifacts")

    def _send(self, folder: Path, artifact_path: str | None) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "holdfast-files") as pool:
            sent = [pool.submit(self.log_artifact, path, where) for path, where in _files(folder, artifact_path)]
            for one in sent:
                one.result()


def _files(folder: Path, artifact_path: str | None) -> Iterator[tuple[str, str | None]]:
    for root, _, names in os.walk(folder):
        below = Path(root).relative_to(folder).as_posix()
        where = "/".join(part for part in (artifact_path, "" if below == "." else below) if part)
        yield from ((str(Path(root, name)), where or None) for name in names)
