"""MLflow's repository for files behind a server, with an ear: a model's folder is looked at before it is sent."""

import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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


def listening_repository(
    artifact_uri: str, tracking_uri: str | None, registry_uri: str | None
) -> MlflowArtifactsRepository | None:
    """The repository for `artifact_uri`; None where its server is not Holdfast."""
    uri = tracking_uri or get_tracking_uri()
    if not find_server(uri).is_holdfast:
        return None
    return _ListeningRepository(artifact_uri, uri, registry_uri)


class _ListeningRepository(MlflowArtifactsRepository):  # type: ignore[misc]  # MLflow ships no types
    """A `MlflowArtifactsRepository` that sends several files at once, and with a model what is known of it."""

    def __init__(self, artifact_uri: str, tracking_uri: str, registry_uri: str | None) -> None:
        super().__init__(artifact_uri, tracking_uri=tracking_uri, registry_uri=registry_uri)
        self._uri = tracking_uri

    def log_artifacts(self, local_dir: Any, artifact_path: str | None = None) -> None:
        folder = Path(local_dir).absolute()
        # The run's data must be frozen, and its capture kept, before anybody can register the model.
        if artifact_path is None and _MODEL.match(self.artifact_uri) and (folder / "MLmodel").is_file():
            quietly("what is known of the model", lambda: self._send_what_is_known(folder), None)
        self._send(folder, artifact_path)

    def _send_what_is_known(self, folder: Path) -> None:
        session = known_session(self._uri)
        if session is None:
            return
        with tempfile.TemporaryDirectory(prefix="holdfast-model-") as name:
            beside = Path(name)
            session.describe(folder, beside)
            self._send(beside, FOLDER)

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
