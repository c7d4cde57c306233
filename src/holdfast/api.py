"""The Python edge: what `import holdfast` offers to a training script and to whoever loads a version.

    with holdfast.run("churn", params={"lr": 0.1, "seed": 7}) as run:
        train = run.snapshot("data/train.csv")
        run.log_metrics({"accuracy": 0.94})
        version = run.register(model, preprocessing=featurise, threshold=0.42,
                               holdout="data/holdout.csv", target="churned", metric="recall")

    holdfast.load("churn@production").predict(rows)

A training script must not fail because of Holdfast where it did not ask Holdfast for anything: what cannot be captured
is noted in the run. What it asks for (a snapshot, a registration) raises when it cannot be had.
"""

import functools
import logging
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from holdfast.canonical import Json, plain
from holdfast.config import HOME_NAME, Settings
from holdfast.errors import HoldfastError, NoProject, UsageError
from holdfast.evidence import FeatureSchema
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle.origin import data_input, gather, keep_capture, to_run
from holdfast.flow.capture import LiveCapture, capture_here
from holdfast.flow.register import register as register_version
from holdfast.flow.snapshot import Snapshot
from holdfast.flow.snapshot import snapshot as freeze
from holdfast.names import ModelName, Reference
from holdfast.parts import EvalThreshold
from holdfast.parts.data_slice import TRAIN
from holdfast.registry.values import Version
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import interpreter_for
from holdfast.runtime.materialise import materialise
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import table_of
from holdfast.tracking.values import NewRun, RunStatus
from holdfast.wire import Project, create_project, open_project

__all__ = ["FrozenData", "LiveRun", "LoadedVersion", "load", "run", "search_runs", "snapshot"]

P = ParamSpec("P")
R = TypeVar("R")

_LOG = logging.getLogger("holdfast")

_GIT_SECONDS_MAX = 5.0
"""Git finds its own root in milliseconds; past this the current folder is the project."""


@dataclass(frozen=True, slots=True)
class FrozenData:
    """Data that is in the store now.

    Attributes:
        snapshot: its digest, size and origin.
        path: where the script reads it: the very path it gave; None for a table.
    """

    snapshot: Snapshot
    path: Path | None

    @property
    def digest(self) -> str:
        """The snapshot's digest, `sha256:…`."""
        return str(self.snapshot.digest)


class LiveRun(AbstractContextManager["LiveRun"]):
    """One execution of training code; made by `holdfast.run`. Also a decorator: each call is a run of its own."""

    def __init__(
        self, model: ModelName, *, name: str, params: Mapping[str, Json], tags: Mapping[str, str], seed: int | None
    ) -> None:
        self._model = model
        self._new = NewRun(name, model, dict(plain(params)), dict(tags))
        self._seed = seed
        self._opened: tuple[Project, str, LiveCapture] | None = None
        self._joined = False

    def __enter__(self) -> Self:
        project = _project()
        # A script under `holdfast run -- …` joins the run that is there, and leaves its end to whoever began it.
        joined = os.environ.get("HOLDFAST_RUN")
        self._joined = bool(joined)
        run_id = joined or project.tracking.start_run(self._new, project.actor).id
        if joined:
            project.tracking.log_params(run_id, self._new.params)
            project.tracking.set_tags(run_id, self._new.tags)
        live = capture_here(project.settings.project, seed=self._seed, ignore=[project.settings.home])
        self._opened = (project, run_id, live)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        project, run_id, live = self._open
        capture = live.finish()
        self._opened = None
        if self._joined:
            return
        try:
            for note in keep_capture(capture, run_id, project.store, project.tracking, project.settings.project):
                _LOG.warning("%s", note)
            status = RunStatus.FINISHED if kind is None else RunStatus.FAILED
            if kind is not None and not issubclass(kind, Exception):
                status = RunStatus.KILLED
            project.tracking.finish_run(run_id, status, notes=None if error is None else repr(error)[:1000])
        except HoldfastError as trouble:
            # The training is done and its result is the script's own: it is told, and not undone.
            _LOG.warning("the run %s was not kept whole: %s", run_id, trouble.message)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Make each call of `function` a run, with the call's keyword arguments among its params."""

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            params = {**self._new.params, **kwargs}
            name = self._new.name or function.__name__
            with LiveRun(self._model, name=name, params=params, tags=self._new.tags, seed=self._seed):
                return function(*args, **kwargs)

        return call

    @property
    def _open(self) -> tuple[Project, str, LiveCapture]:
        if self._opened is None:
            raise UsageError("the run is not open", hint="Use it inside `with holdfast.run(…) as run:`.")
        return self._opened

    @property
    def id(self) -> str:
        """The run's identifier."""
        return self._open[1]

    def snapshot(self, source: Any, *, role: str = TRAIN, name: str | None = None) -> FrozenData:
        """Freeze data and note it as an input of this run.

        Args:
            source: a file, a folder, or a pandas, polars or Arrow table.
            role: `train`, `holdout`, or a word of your own.
            name: the file name of a table; paths have their own.

        Raises:
            NotFound, SourceChanged, NoSpace: it could not be frozen; nothing was recorded.
        """
        project, run_id, _ = self._open
        frozen = freeze(project.store, source, root=project.settings.project, name=name)
        project.tracking.log_inputs(run_id, [to_run(data_input(frozen, role))])
        return FrozenData(frozen, Path(source) if isinstance(source, str | PathLike) else None)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add hyperparameters; one that is there keeps its value."""
        project, run_id, _ = self._open
        project.tracking.log_params(run_id, plain(params))

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Add one point to each metric."""
        project, run_id, _ = self._open
        project.tracking.log_metrics(run_id, {name: float(value) for name, value in values.items()}, step=step)

    def log_metric(self, name: str, value: float, *, step: int = 0) -> None:
        """Add one point to one metric."""
        self.log_metrics({name: value}, step=step)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Write tags on the run."""
        project, run_id, _ = self._open
        project.tracking.set_tags(run_id, tags)

    def register(
        self,
        model: Any,
        *,
        preprocessing: Any = None,
        threshold: float | str | EvalThreshold | None = None,
        holdout: Any = None,
        target: str | None = None,
        metric: str | None = None,
        positive: Json = None,
        groups: tuple[str, ...] | None = None,
        features: tuple[str, ...] | None = None,
        schema: FeatureSchema | None = None,
        semver: str | None = None,
        reason: str = "",
    ) -> Version:
        """Freeze this run's result as the next version of its model.

        What is not given is recorded as missing; such a version is kept and shown, and no gate lets it through.

        Args:
            model: a fitted estimator, or the path of a file of weights.
            preprocessing: a function of the rows, a fitted transformer, or `"none"`.
            threshold: a cut-off, `"argmax"`, `"identity"`, or an `EvalThreshold`.
            holdout: rows that the model was not trained on: a path, a frame, or `(rows, targets)`.
            target: the holdout's column with the true answer.
            metric: the metric that gates judge by.
            positive: the label at or above a cut-off.
            groups: the holdout's columns whose groups a gate watches.
            features: the raw columns that are features.
            schema: an edited schema, from `holdfast.infer_schema`.
            semver: the semantic version that outsiders know it by.
            reason: why it is registered.

        Raises:
            CannotPackage: the model or the code cannot be carried into a bundle.
            BundleFailed: the bundle cannot answer its own holdout.
            AlreadyExists: this model has this very bundle.
        """
        project, run_id, live = self._open
        capture = live.so_far()
        keep_capture(capture, run_id, project.store, project.tracking, project.settings.project)
        given = Ingredients(
            name=self._model,
            project=project.settings.project,
            model=model,
            preprocessing=preprocessing,
            threshold=threshold,
            positive=positive,
            holdout=holdout,
            target=target,
            metric=metric,
            groups=groups,
            features=features,
            schema=schema,
        )
        ready = gather(given, project.tracking.run(run_id), capture, project.store)
        return register_version(
            ready, project.workshop, project.registry, actor=project.actor, reason=reason, semver=semver
        ).version


def run(
    model: str,
    *,
    params: Mapping[str, Any] | None = None,
    name: str = "",
    tags: Mapping[str, str] | None = None,
    seed: int | None = None,
) -> LiveRun:
    """A run of training code for `model`: a context manager, and a decorator for a training function.

    Git state, interpreter, locked packages, hardware, seeds, argv and the data files opened are captured without being
    asked for. Without a project, one is made at the root of the Git repository, or here.

    Args:
        model: the model that is being trained.
        params: hyperparameters.
        name: what people call this run.
        tags: what else to remember it by.
        seed: set in Python, NumPy and PyTorch when the run begins; by default seeds are only recorded.
    """
    return LiveRun(ModelName(model), name=name, params=params or {}, tags=tags or {}, seed=seed)


def snapshot(source: Any) -> Snapshot:
    """Freeze a file, a folder or a table outside any run."""
    project = _project()
    return freeze(project.store, source, root=project.settings.project)


def search_runs(filter: str = "", *, order_by: str = "", limit: int = 100) -> tuple[Any, ...]:  # noqa: A002 - its name
    """The runs that fit a filter such as `metrics.accuracy > 0.9 and params.lr = 0.1`."""
    return _project().tracking.search(filter, order_by=order_by, limit=limit)


class LoadedVersion(AbstractContextManager["LoadedVersion"]):
    """A version that answers: schema check, preprocessing, model, threshold, from the bundle alone.

    It runs in a process of its own, which ends with `close()`, with the `with` block, or with this process.
    """

    def __init__(self, files: BundleFiles, predictor: Predictor) -> None:
        self.files = files
        self._predictor = predictor

    @property
    def digest(self) -> str:
        """The version's digest, `sha256:…`."""
        return str(self.files.digest)

    def predict(self, rows: Any) -> list[Json]:
        """One prediction a row, after the threshold.

        Args:
            rows: a frame, a two-dimensional array, a list of dicts, or a dict of columns.

        Raises:
            InvalidInput: the rows do not fit the schema.
        """
        return self._predictor.predict(table_of(rows)).predictions

    def scores(self, rows: Any) -> list[Json]:
        """One score a row, before the threshold: a number, or one for each class."""
        return self._predictor.predict(table_of(rows)).scores

    def close(self) -> None:
        """End the process."""
        self._predictor.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(reference: str | PathLike[str]) -> LoadedVersion:
    """The version that `reference` names, opened: `churn@production`, `churn@4`, or the path of a bundle.

    Raises:
        NotFound: no such version, or no bundle at that path.
        IntegrityError: a byte of it is not what it should be.
    """
    path = Path(reference)
    if isinstance(reference, PathLike) or (path / "holdfast.json").is_file():
        files, number = BundleFiles.open(path), None
        cache = _cache_beside(path)
    else:
        project = _project()
        version = project.registry.resolve(Reference.parse(str(reference)))
        cache, number = project.settings.cache, version.number
        files = materialise(project.store, version.digest, cache)
    return LoadedVersion(files, Predictor.start(files, interpreter_for(files, cache), version=number))


def _cache_beside(path: Path) -> Path:
    """Where an environment for a bundle outside any project is kept: the project around it, or the user's cache."""
    try:
        return Settings.find(path).cache
    except NoProject:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast"


def _project() -> Project:
    here = Path.cwd()
    try:
        return open_project(Settings.find(here))
    except NoProject:
        if os.environ.get("HOLDFAST_HOME"):
            raise
        settings = create_project(_root(here))
        _LOG.warning("made %s in %s", HOME_NAME, settings.project)
        return open_project(settings)


def _root(here: Path) -> Path:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return here
    found = done.stdout.strip()
    return Path(found) if done.returncode == 0 and found else here
