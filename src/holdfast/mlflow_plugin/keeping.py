"""What keeps a session's knowledge on the server: captures, frozen data, and what a model answers. Heavy to import."""

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from holdfast.config import Settings
from holdfast.errors import NoProject
from holdfast.flow.bundle.card import read_card
from holdfast.flow.bundle.origin import data_input, keep_capture, to_run
from holdfast.flow.capture import Capture, LiveCapture, requirements_lock
from holdfast.mlflow_plugin.answers import Asked, answers_of, best_first, replaces, says_rows
from holdfast.mlflow_plugin.datasets import Rows
from holdfast.mlflow_plugin.freezing import freeze_dataset, role_of, sample
from holdfast.mlflow_plugin.quiet import quietly
from holdfast.mlflow_plugin.server import Server
from holdfast.parts.data_slice import HOLDOUT, TRAIN, UNANSWERED
from holdfast.tracking.values import RunInput
from holdfast.wire import Project, open_project
from holdfast.wire.project import make_home

__all__ = ["Keeper"]

_LOG = logging.getLogger("holdfast")

_PATCH_BYTES_MAX = 4 << 20
"""Of a difference among the files of a run, for people to read; the whole is kept with the capture, up to its limit."""

_CARDS = ("MODEL_CARD.md", "model_card.md", "CARD.md")
"""What projects call the card of their model."""

_RUNS_MAX = 64
"""Runs whose rows are remembered for their models; a sweep in one process is long past the first when it gets there."""


class Keeper:
    """Keeps on a server what a live capture knows.

    Args:
        server: where the runs are.
        live: what is captured of this process.
    """

    def __init__(self, server: Server, live: LiveCapture) -> None:
        self._uri = server.uri
        self._live = live
        self._project = _project(server)
        self._data: dict[str, dict[str, tuple[RunInput, Asked]]] = {}

    def freeze(self, run: str, logged: Any, rows: Rows) -> None:
        """Freeze a dataset that was logged to a run, and note it there by its digest.

        Raises:
            HoldfastError: it cannot be frozen, or the server does not answer.
        """
        role = role_of(logged.tags, answered=rows.targets is not None)
        frozen = freeze_dataset(self._project.store, logged.dataset, rows, self._project.settings.project)
        found = to_run(data_input(frozen, role))
        self._project.tracking.log_inputs(run, [found])
        if role in {TRAIN, HOLDOUT, UNANSWERED}:
            use, of = (TRAIN, "train") if role == TRAIN else (HOLDOUT, "eval")
            asked = Asked(of, sample(rows), len(rows), frozen.digest)
            data = self._data.setdefault(run, {})
            if replaces(asked, data[use][1] if use in data else None):
                data[use] = (found, asked)
            while len(self._data) > _RUNS_MAX:
                del self._data[next(iter(self._data))]

    def end(self, run: str, files: str) -> None:
        """Keep what a run did, and send what people read of it to where its files go."""
        capture = self._keep(run)
        with tempfile.TemporaryDirectory(prefix="holdfast-run-") as name:
            _write(Path(name), _readable(capture))
            _repository(files, self._uri).log_artifacts(name, "holdfast")

    def describe(self, model: Path, beside: Path, above: Mapping[str, str]) -> None:
        """Write what is known of a model into `beside`, after keeping what its run did so far.

        Args:
            model: the folder that MLflow wrote.
            beside: an empty folder.
            above: for each run that is a part of another, that other.
        """
        known = Model.load(str(model))
        run = known.run_id
        data = self._inherit(run, above) if run else {}
        capture = self._keep(run) if run else self._capture()
        _write(beside, {**_readable(capture), **self._card()})
        held_back, trained_on = (data[role][1] if role in data else None for role in (HOLDOUT, TRAIN))
        nothing: dict[str, bytes] = {}
        best = best_first(held_back, trained_on)

        def willing() -> bool:
            return says_rows(known.metadata or {}) or (bool(run) and says_rows(self._project.tracking.run(run).tags))

        _write(beside, quietly("the model's answers", lambda: answers_of(model, known, best, willing), nothing))

    def _inherit(self, run: str, above: Mapping[str, str]) -> dict[str, tuple[RunInput, Asked]]:
        """The data of a run; of a run without any, that of the nearest one above it, which is then noted as its own.

        A sweep logs its data once, at the top, and trains below.
        """
        place: str | None = run
        while place is not None and place not in self._data:
            place = above.get(place)
        found = self._data.get(place or "", {})
        if place != run and found:
            self._project.tracking.log_inputs(run, [noted for noted, _ in found.values()])
        return found

    def _keep(self, run: str) -> Capture:
        project = self._project
        capture = self._capture()
        root = project.settings.project
        for note in keep_capture(capture, run, project.store, project.tracking, root, seen=project.seen):
            _LOG.warning("%s", note)
        return capture

    def _capture(self) -> Capture:
        """What is captured so far, less the files that MLflow itself wrote, read and removed again on its way."""
        capture = self._live.so_far()
        passing = os.path.join(os.path.realpath(tempfile.gettempdir()), "")  # noqa: PTH118 - a Path has no slash at its end
        kept = [one for one in capture.inputs if not one.path.startswith(passing) or Path(one.path).exists()]
        return replace(capture, inputs=tuple(kept))

    def _card(self) -> dict[str, bytes]:
        for name in _CARDS:
            path = self._project.settings.project / name
            if path.is_file():
                return {"card.md": read_card(path).encode()}
        return {}


def _repository(files: str, server: str) -> Any:
    """What sends files to where those of a run are; before MLflow 3 it knows no server but the script's own."""
    takes_server = "tracking_uri" in signature(get_artifact_repository).parameters
    return get_artifact_repository(files, **({"tracking_uri": server} if takes_server else {}))


def _readable(capture: Capture) -> dict[str, bytes]:
    """The files for people: the pinned distributions, and the difference from the commit."""
    found = {"requirements.lock": requirements_lock(capture).encode()}
    if capture.code.patch:
        found["patch.diff"] = capture.code.patch[:_PATCH_BYTES_MAX]
    return found


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _project(server: Server) -> Project:
    """The project around the script, with the server's names and bytes; its home may be the user's cache."""
    here = Path.cwd()
    try:
        settings = Settings.find(here)
    except NoProject:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
        settings = replace(Settings.at(Path(cache) / "holdfast" / "mlflow"), project=root)
        make_home(settings, exist_ok=True)
    token = server.token or settings.token
    return open_project(replace(settings, url=server.address, token=token))
