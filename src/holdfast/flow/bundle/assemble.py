"""Putting a bundle together, and letting it record its own outputs."""

import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.canonical import Json
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import UsageError
from holdfast.evidence import Card, CodeState, Environment, Evidence, FeatureSchema, Holdout, Metrics, RunReference
from holdfast.flow.bundle.base import BaseVersion
from holdfast.flow.bundle.card import card_text
from holdfast.flow.bundle.code import modules_in
from holdfast.flow.bundle.holdout import FrozenRows, read_rows
from holdfast.flow.bundle.hyperparameters import with_estimator
from holdfast.flow.bundle.infer import groups_in, infer_schema
from holdfast.flow.bundle.lock import completed_lock, imported_by
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.bundle.places import CARD, LOCK, OUTPUTS, PATCH, ROWS
from holdfast.flow.bundle.preprocessing import write_preprocessing
from holdfast.flow.bundle.threshold import threshold_part
from holdfast.flow.bundle.weights import write_weights
from holdfast.flow.bundle.wheels import Freezer
from holdfast.manifest import MANIFEST_NAME, FileEntry, Manifest, least_minor
from holdfast.names import ModelName, RelativePath
from holdfast.parts import DataInput, DataSlice, EvalThreshold, Hyperparameters, Missing, Parts, Weights
from holdfast.parts.data_slice import HOLDOUT, UNANSWERED
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.loaders import NO_LOADER
from holdfast.runtime.loaders.sklearn import SklearnLoader
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import write_table
from holdfast.runtime.smoke import write_outputs
from holdfast.store.disk import refusing

__all__ = ["Ingredients", "Opener", "assemble", "data_slice_part"]

Opener = Callable[[BundleFiles], AbstractContextManager[Predictor]]
"""Starts a worker for a bundle, in the environment that the bundle names."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """All that a bundle is made of; what is None becomes a `Missing` with its reason.

    Attributes:
        name: the model that the version is to join.
        project: the folder that relative paths and the project's modules are found in.
        model: an estimator, or the path of a file or folder of weights.
        base: the version that the weights are a delta on; None when they are whole.
        preprocessing: a function, a fitted transformer, `"file.py:function"`, `"none"`, or None.
        threshold: a number, `"argmax"`, `"identity"`, an `EvalThreshold`, or None.
        positive: the label that a cut-off answers at or above it; found from the holdout when None.
        holdout: rows that the model was not trained on: a path, a frame, or `(rows, targets)`.
        target: the holdout's column with the true answer.
        metric: the metric that gates judge by.
        groups: the holdout's columns whose groups a gate watches; None: flags and categories.
        features: the raw columns that are features; None: all but the target.
        schema: an edited schema; None: inferred from the holdout.
        inputs: the snapshots that were read.
        hyperparameters: every value that was logged or found.
        environment: what was captured of the environment.
        lock: the pinned requirements.
        freezer: keeps the wheels that the lock names; None: they are fetched again wherever they are needed.
        python: the interpreter's version.
        code: the Git state of the project.
        patch: the uncommitted difference, as `git apply` takes it.
        run: the run that this came from.
        holdout_snapshot: the snapshot that the holdout was read from.
        card: what people wrote about the model, as Markdown; None: a stub is written.
        side_effect_free: whether answering a request changes nothing outside of the bundle.
    """

    name: ModelName
    project: Path
    model: Any = None
    base: BaseVersion | None = None
    preprocessing: Any = None
    threshold: float | str | EvalThreshold | None = None
    positive: Json = None
    holdout: Any = None
    target: str | None = None
    metric: str | None = None
    groups: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    schema: FeatureSchema | None = None
    inputs: tuple[DataInput, ...] = ()
    hyperparameters: Hyperparameters | None = None
    environment: Mapping[str, Json] = field(default_factory=dict)
    lock: str | None = None
    freezer: Freezer | None = None
    python: str = platform.python_version()
    code: CodeState | Missing = field(default_factory=lambda: Missing("code", "the Git state was not captured"))
    patch: bytes = b""
    run: RunReference | Missing = field(default_factory=lambda: Missing("run", "registered outside a run"))
    holdout_snapshot: Digest | None = None
    card: str | None = None
    side_effect_free: bool = False


def assemble(given: Ingredients, folder: Path, opener: Opener) -> BundleFiles:
    """Write the bundle into the empty folder `folder`; the files of a base are listed in it and not written.

    The outputs on the holdout are recorded by the bundle itself, opened in a fresh process: what is recorded is what
    the bundle does, not what the training process remembers.

    Raises:
        CannotPackage: the model or its code cannot be carried.
        BundleFailed: the assembled bundle cannot answer its own holdout.
        Incomplete: the weights are an adapter, whose base was not named.
        UsageError: the ingredients contradict one another.
        NoSpace, PermissionRefused: the folder cannot be written.
        TooLarge: the manifest, or the number of files, passes its limit.
    """
    draft = _Draft(folder, side_effect_free=given.side_effect_free)
    rows = None if given.holdout is None else read_rows(given.holdout, given.target, given.project)
    weights, code, model = write_weights(given.model, given.preprocessing, given.project, draft.write, given.base)
    if given.base is not None:
        draft.refer(given.base.entries)
    preprocessing = write_preprocessing(
        code, given.project, draft.write, commit=given.code.commit if isinstance(given.code, CodeState) else None
    )
    parts = Parts(
        weights=weights,
        data_slice=data_slice_part(given.inputs),
        preprocessing_code=preprocessing,
        hyperparameters=with_estimator(given.hyperparameters, model, code),
        eval_threshold=threshold_part(
            given.threshold, positive=given.positive, metric=given.metric, model=model, rows=rows
        ),
    )
    evidence = Evidence(
        environment=Missing("environment", "no pinned requirements are known"),
        schema=_schema(given, rows),
        metrics=Missing("metrics", "there is no holdout with targets to measure on"),
        holdout=Missing("holdout", "no holdout was given"),
        run=given.run,
        code=_code(given, draft),
        card=Card(CARD),
    )
    evidence = replace(evidence, environment=_environment(given, draft, parts, evidence.schema, (model, code)))
    draft.write(CARD, b"")
    if rows is not None:
        evidence = _record(given, draft, parts, evidence, rows=rows, opener=opener)
    draft.write(CARD, card_text(given.name, parts, evidence, given.card).encode())
    return draft.finish(given.name, parts, evidence)


class _Draft:
    """A bundle's folder while it is being filled."""

    def __init__(self, folder: Path, *, side_effect_free: bool) -> None:
        self._folder = folder
        self._free = side_effect_free
        self._entries: dict[RelativePath, FileEntry] = {}
        self.sources: dict[str, bytes] = {}

    def write(self, path: RelativePath, data: bytes) -> None:
        target = self._folder / str(path.portable())
        with refusing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        if target.suffix == ".py":
            self.sources[str(path)] = data
        self._entries[path] = FileEntry(path, hash_bytes(data), len(data))

    def refer(self, entries: tuple[FileEntry, ...]) -> None:
        """List files that the store holds."""
        self._entries.update({entry.path: entry for entry in entries})

    def finish(self, name: ModelName, parts: Parts, evidence: Evidence) -> BundleFiles:
        files, minor = tuple(sorted(self._entries.values())), least_minor(parts, evidence, side_effect_free=self._free)
        manifest = Manifest(name, parts, evidence, files, minor, side_effect_free=self._free)
        data = manifest.encode()
        with refusing(self._folder / MANIFEST_NAME):
            (self._folder / MANIFEST_NAME).write_bytes(data)
        return BundleFiles(self._folder, manifest, hash_bytes(data))


def _record(
    given: Ingredients, draft: _Draft, parts: Parts, evidence: Evidence, *, rows: FrozenRows, opener: Opener
) -> Evidence:
    """The evidence with the holdout's outputs and metrics, as the bundle itself gives them."""
    draft.write(ROWS, write_table(rows.table))
    draft.write(OUTPUTS, b"")
    groups = groups_in(rows.table, rows.target) if given.groups is None else given.groups
    unknown = [name for name in groups if name not in (rows.table.names or ())]
    if unknown:
        raise UsageError(f"the holdout has no column {', '.join(unknown)}", hint="Name the holdout's own columns.")
    holdout = Holdout(ROWS, OUTPUTS, rows.table.count, rows.target, groups, given.holdout_snapshot)
    evidence = replace(evidence, holdout=holdout)
    why = _why_silent(parts, evidence)
    if why is not None:
        draft.write(OUTPUTS, b"{}")
        return replace(evidence, metrics=Missing("metrics", why), holdout=Missing("holdout", why))
    with opener(draft.finish(given.name, parts, evidence)) as predictor:
        answer = predictor.holdout()
    draft.write(OUTPUTS, write_outputs(answer))
    metrics: Metrics | Missing = Missing("metrics", "the holdout has no target; name one")
    targets = rows.targets()
    if targets is not None and isinstance(parts.eval_threshold, EvalThreshold):
        metrics = measure(targets, answer, parts.eval_threshold, primary=given.metric)
    return replace(evidence, metrics=metrics)


def _why_silent(parts: Parts, evidence: Evidence) -> str | None:
    """Why the bundle cannot answer its holdout; None when it can be asked."""
    needed = (parts.weights, parts.preprocessing_code, parts.eval_threshold, evidence.schema)
    if any(isinstance(part, Missing) for part in needed):
        return "the bundle cannot answer without its missing parts, so no outputs were recorded"
    if isinstance(parts.weights, Weights) and parts.weights.loader == NO_LOADER:
        return f"nothing here opens weights written as {parts.weights.format}, so no outputs were recorded"
    return None


def data_slice_part(inputs: tuple[DataInput, ...]) -> DataSlice | Missing:
    """The frozen inputs; missing when nothing is among them but what the model was asked about."""
    if all(item.role in {HOLDOUT, UNANSWERED} for item in inputs):
        return Missing("data_slice", "no training data was frozen")
    return DataSlice(inputs)


def _environment(
    given: Ingredients,
    draft: _Draft,
    parts: Parts,
    schema: FeatureSchema | Missing,
    carried: tuple[Any, ...],
) -> Environment | Missing:
    """The environment of the run; outside a run, that of this process, reduced to what opening the bundle needs."""
    needed = imported_by(draft.sources)
    for value in carried:
        needed |= set() if value is None or isinstance(value, str) else modules_in(value)
    if isinstance(parts.weights, Weights) and parts.weights.loader == SklearnLoader.name:
        needed.add("joblib")
    values, lock = given.environment, given.lock
    if lock is None:
        if not needed:
            return Missing("environment", "no pinned requirements are known")
        lock = ""
        values = {**values, "captured": "at registration, in the environment that registered, not while training"}
    if isinstance(schema, FeatureSchema):
        needed.add(schema.container)
    lock = completed_lock(lock, needed)
    draft.write(LOCK, lock.encode())
    wheels = None if given.freezer is None else given.freezer(lock, given.python)
    return Environment(given.python, LOCK, values, wheels=wheels)


def _schema(given: Ingredients, rows: FrozenRows | None) -> FeatureSchema | Missing:
    if given.schema is not None:
        return given.schema
    if rows is None:
        return Missing("schema", "there are no rows to infer it from")
    target = rows.target if rows.table.names and rows.target in rows.table.names else None
    return infer_schema(rows.raw, target=target, features=given.features)


def _code(given: Ingredients, draft: _Draft) -> CodeState | Missing:
    if isinstance(given.code, Missing) or not given.patch:
        return given.code
    draft.write(PATCH, given.patch)
    return replace(given.code, patch=PATCH)
