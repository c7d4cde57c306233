"""A run of training code, from inside: a context manager, and a decorator."""

import functools
import inspect
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from holdfast.api.arguments import settings_of
from holdfast.api.projects import find_or_make_project
from holdfast.canonical import Json, plain
from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.evidence import FeatureSchema
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle.base import BaseVersion, find_base
from holdfast.flow.bundle.card import read_card
from holdfast.flow.bundle.origin import data_input, gather, keep_capture, to_run
from holdfast.flow.bundle.wheels import freezer as wheels_freezer
from holdfast.flow.capture import LiveCapture, capture_here
from holdfast.flow.capture.gathering import quietly
from holdfast.flow.register import register
from holdfast.flow.snapshot import Snapshot
from holdfast.flow.snapshot import snapshot as freeze
from holdfast.names import ModelName, Reference
from holdfast.parts import EvalThreshold
from holdfast.parts.data_slice import TRAIN
from holdfast.registry.values import Version
from holdfast.tracking.values import NewRun, RunStatus
from holdfast.wire import Project

__all__ = ["FrozenData", "LiveRun", "run"]

P = ParamSpec("P")
R = TypeVar("R")

_LOG = logging.getLogger("holdfast")


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
        self._id: str | None = None
        self._joined = False

    def __enter__(self) -> Self:
        if self._opened is not None:
            raise UsageError("this run is open already", hint="Begin another with: holdfast.run(…)")
        project = find_or_make_project()
        try:
            # A script under `holdfast run -- …` joins the run that is there, and leaves its end to whoever began it.
            joined = _joined(project, self._new)
            self._joined = joined is not None
            self._id = joined or project.tracking.start_run(self._new, project.actor).id
            live = capture_here(project.settings.project, seed=self._seed, ignore=[project.settings.home])
        except BaseException:
            project.close()
            raise
        self._opened = (project, self._id, live)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        project, run_id, live = self._open
        self._opened = None
        # The training is done and its result, or its error, is the script's own: what goes wrong from here on is told.
        notes: list[str] = []
        capture = quietly(live.finish, None, f"the end of run {run_id}", notes)
        if not self._joined:
            if capture is not None:
                kept = functools.partial(
                    keep_capture, capture, run_id, project.store, project.tracking, project.settings.project
                )
                notes += quietly(kept, (), f"what run {run_id} did", notes)
            end = functools.partial(_finish, project, run_id, error)
            quietly(end, None, f"the end of run {run_id}", notes)
        quietly(project.close, None, "the registry", notes)
        for note in notes:
            _LOG.warning("%s", note)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Make each call of `function` a run, with those arguments of the call that are settings among its params.

        Raises:
            UsageError: a coroutine or a generator, whose work begins after the call has returned.
        """
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise UsageError(
                f"{function.__qualname__} returns before its work begins, so its run would be empty",
                hint="Write `with holdfast.run(…) as run:` inside it.",
            )

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            params = {**self._new.params, **dict(settings_of(function, args, kwargs))}
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
        """The run's identifier; known from its beginning, and after its end."""
        if self._id is None:
            raise UsageError("the run has not begun", hint="Use it inside `with holdfast.run(…) as run:`.")
        return self._id

    def snapshot(self, source: Any, *, role: str = TRAIN, name: str | None = None) -> FrozenData:
        """Freeze data and note it as an input of this run.

        Args:
            source: a file, a folder, or a pandas, polars or Arrow table.
            role: `train`, `holdout`, or a word of your own.
            name: the file name of a table; paths have their own.

        Raises:
            NotFound, SourceChanged, NoSpace: it could not be frozen; nothing was recorded.
            AlreadyExists: this run has other data of this role and name; name a second table, as in `name="b.parquet"`.
        """
        project, run_id, _ = self._open
        frozen = freeze(project.store, source, root=project.settings.project, name=name, seen=project.seen)
        project.tracking.log_inputs(run_id, [to_run(data_input(frozen, role))])
        return FrozenData(frozen, Path(source) if isinstance(source, str | PathLike) else None)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add hyperparameters.

        Raises:
            AlreadyExists: one of them has another value already; none was added.
        """
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
        base: str | None = None,
        preprocessing: Any = None,
        threshold: float | str | EvalThreshold | None = None,
        holdout: Any = None,
        target: str | None = None,
        metric: str | None = None,
        positive: Json = None,
        groups: tuple[str, ...] | None = None,
        features: tuple[str, ...] | None = None,
        schema: FeatureSchema | None = None,
        card: str | Path | None = None,
        freeze_environment: bool = False,
        side_effect_free: bool = False,
        semver: str | None = None,
        reason: str = "",
    ) -> Version:
        """Freeze this run's result as the next version of its model. What is not given is recorded as missing.

        Args:
            model: a fitted estimator, or the path, from here or the project's folder, of a file or folder of weights.
            base: the version that the weights are a delta on, such as `"llama@3"`.
            preprocessing: a function of the rows, a fitted transformer, or `"none"`.
            threshold: a cut-off, `"argmax"`, `"identity"`, or an `EvalThreshold`.
            holdout: rows that the model was not trained on: a path, a frame, or `(rows, targets)`.
            target: the holdout's column with the true answer.
            metric: the metric that gates judge by.
            positive: the label at or above a cut-off.
            groups: the holdout's columns whose groups a gate watches.
            features: the raw columns that are features.
            schema: an edited schema, from `holdfast.infer_schema`.
            card: the model card, the path of a Markdown file; by default a stub with its questions.
            freeze_environment: whether its wheels are kept too, so that it opens without an index.
            side_effect_free: whether answering a request changes nothing elsewhere, so that it may be mirrored.
            semver: the semantic version that outsiders know it by.
            reason: why it is registered.

        Raises:
            CannotPackage, AlreadyExists: the model or the code cannot be carried into a bundle; the model has this one.
            BundleFailed: the bundle cannot answer its own holdout, or its environment cannot be frozen.
            Incomplete, NotFound: the weights are an adapter, and `base` was not given, or is not there.
        """
        project, run_id, live = self._open
        capture = live.so_far()
        keep_capture(capture, run_id, project.store, project.tracking, project.settings.project)
        given = Ingredients(
            name=self._model,
            project=project.settings.project,
            model=_from_here(model),
            base=_base(base, project),
            preprocessing=preprocessing,
            threshold=threshold,
            positive=positive,
            holdout=_from_here(holdout),
            target=target,
            metric=metric,
            groups=groups,
            features=features,
            schema=schema,
            card=None if card is None else read_card(project.settings.project / _from_here(card)),
            freezer=wheels_freezer(project.store, project.settings.scratch) if freeze_environment else None,
            side_effect_free=side_effect_free,
        )
        given = gather(given, project.tracking.run(run_id), capture, project.store)
        actor = project.actor
        return register(given, project.workshop, project.registry, actor=actor, reason=reason, semver=semver).version


def _base(named: str | None, project: Project) -> BaseVersion | None:
    return None if named is None else find_base(Reference.parse(named), project.registry, project.store)


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


def _joined(project: Project, new: NewRun) -> str | None:
    """The run that `holdfast run` began for this process; None when there is none to join.

    One that ended, that another project knows, or whose params say something else, is left alone.
    """
    run_id = os.environ.get("HOLDFAST_RUN")
    if not run_id:
        return None
    try:
        if project.tracking.run(run_id).status is not RunStatus.RUNNING:
            return None
        project.tracking.log_params(run_id, new.params)
    except NotFound:
        return None
    except AlreadyExists as error:
        _LOG.warning("this is a run of its own, and not %s: %s", run_id, error.message)
        return None
    project.tracking.set_tags(run_id, new.tags)
    return run_id


def _finish(project: Project, run_id: str, error: BaseException | None) -> None:
    status, notes = RunStatus.FINISHED, None
    # sys.exit() is how many scripts end well.
    if error is not None and not (isinstance(error, SystemExit) and not error.code):
        notes = repr(error)[:1000]
        status = RunStatus.FAILED if isinstance(error, Exception | SystemExit) else RunStatus.KILLED
    project.tracking.finish_run(run_id, status, notes=notes)


def _from_here(given: Any) -> Any:
    """A path as a script means it: relative to the current folder; to the project's when it is not found there."""
    if isinstance(given, str | PathLike) and Path(given).exists():
        return Path(given).absolute()
    return given
