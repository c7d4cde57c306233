"""A bundle of a model that an MLflow client logged: parts and evidence, each present or said to be missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.bridges.mlflow.documents import mapping_of, text_in
from holdfast.bridges.mlflow.environment import environment_of
from holdfast.bridges.mlflow.holdout import Recorded, measured, recorded
from holdfast.bridges.mlflow.mlmodel import LoggedModel, read_mlmodel
from holdfast.bridges.mlflow.said import LoggedDataset, LoggedFiles, Said
from holdfast.bridges.mlflow.signature import schema_of
from holdfast.bridges.mlflow.threshold import threshold_of
from holdfast.bridges.mlflow.weights import ADDED_FOLDER, Laid, estimator_in, lay_out, weights_part
from holdfast.canonical import Json, JsonObject, decode, plain
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError
from holdfast.evidence import Card, CodeState, Evidence, FeatureSchema, RunReference
from holdfast.flow.bundle.assemble import Ingredients, data_slice_part
from holdfast.flow.bundle.card import CARD_BYTES_MAX, card_text
from holdfast.flow.bundle.hyperparameters import known_hyperparameters, with_estimator
from holdfast.flow.bundle.origin import from_run, with_capture
from holdfast.flow.bundle.places import CARD, LOCK, OUTPUTS, PATCH, ROWS
from holdfast.flow.register_logged import Prepared
from holdfast.manifest import FileEntry, Manifest, least_minor
from holdfast.names import ModelName, RelativePath
from holdfast.parts import DataSlice, Hyperparameters, Missing, Parts, PreprocessingCode
from holdfast.parts.preprocessing_code import IDENTITY

__all__ = ["bundle_of", "param_value"]

_PATCH_BYTES_MAX = 16 << 20
"""A larger change is data or a model that was committed by mistake, and belongs into a snapshot."""

_COMMIT = "mlflow.source.git.commit"

_OWN_TAGS = ("holdfast.capture", "holdfast.patch", "mlflow.log-model.history", "mlflow.loggedArtifacts")
"""Tags of a run that name what is kept of it so far, which grows: they would make each registration unique."""

_PLACE_CHARACTERS_MAX = 200

_POINTERS_MAX = 5
"""Datasets that one sentence names."""


def bundle_of(said: Said, files: LoggedFiles, model: ModelName) -> Prepared:
    """The bundle of a logged model, whose files are taken as they lie in the store.

    What nobody said is missing, with its reason; nothing is opened, and no byte is moved.

    Args:
        said: what is known beside the files.
        files: those of the logged model.
        model: the model that the version is to join.

    Raises:
        MissingExtra: there is no library for YAML here.
        TooLarge: more files than a bundle holds.
        UsageError: a file's name that does not exist on every platform.
    """
    logged, why = read_mlmodel(files)
    laid = lay_out(files, logged)
    captured = _captured(said)
    estimator = estimator_in(files, logged, said)
    seen = recorded(files, logged)
    schema = schema_of(logged)
    classes = seen.answer.classes if isinstance(seen, Recorded) else None
    rule, loader = threshold_of(logged, estimator, said, classes)
    code, patch = _code(files, said, captured)
    environment, lock = environment_of(files, logged, (captured.lock, captured.python, captured.environment))
    parts = Parts(
        weights=weights_part(laid, logged, estimator, loader),
        data_slice=_data_slice(said),
        preprocessing_code=_preprocessing(schema, laid, said, why),
        hyperparameters=_hyperparameters(said),
        eval_threshold=rule,
    )
    found = measured(seen, said, logged, schema=schema, rule=rule, loader=loader)
    evidence = Evidence(
        environment=environment,
        schema=schema,
        metrics=found.metrics,
        holdout=found.holdout,
        run=_run(said, logged, seen),
        code=code,
        card=Card(CARD),
    )
    card = card_text(model, parts, evidence, text_in(files, f"{ADDED_FOLDER}/card.md", CARD_BYTES_MAX))
    written = {LOCK: lock, PATCH: patch, ROWS: found.rows, OUTPUTS: found.outputs, CARD: card.encode()}
    return _prepared(model, parts, evidence, laid, {path: data for path, data in written.items() if data})


def _prepared(
    model: ModelName, parts: Parts, evidence: Evidence, laid: Laid, small: Mapping[RelativePath, bytes]
) -> Prepared:
    own = [FileEntry(path, hash_bytes(data), len(data)) for path, data in small.items()]
    entries = tuple(sorted((*laid.weights, *laid.code, *own)))
    return Prepared(Manifest(model, parts, evidence, entries, least_minor(parts, evidence)), dict(small))


@dataclass(frozen=True, slots=True)
class _Captured:
    """What the plugin captured; nothing without it."""

    lock: str | None = None
    python: str = ""
    environment: Mapping[str, Json] = field(default_factory=dict)
    code: CodeState | Missing | None = None
    patch: bytes = b""


def _captured(said: Said) -> _Captured:
    if said.capture is None:
        return _Captured()
    found = with_capture(Ingredients(ModelName("captured"), Path(), python=""), said.capture)
    return _Captured(found.lock, found.python, found.environment, found.code, found.patch)


def _is_frozen_as(dataset: LoggedDataset, name: str) -> bool:
    """Whether that is the name which the plugin gives to a dataset that it froze: MLflow's digest is its end."""
    return bool(dataset.digest) and name.removesuffix(".parquet").endswith(f"-{dataset.digest}")


def _data_slice(said: Said) -> DataSlice | Missing:
    frozen = [from_run(item) for item in said.inputs if item.digest is not None]
    part = data_slice_part(tuple({(item.role, item.digest, item.source): item for item in frozen}.values()))
    pointers = [one for one in said.datasets if not any(_is_frozen_as(one, item.name) for item in frozen)]
    if isinstance(part, DataSlice) or not pointers:
        return part
    named = "; ".join(f"{one.name} digest {one.digest} from {_place(one.source)}" for one in pointers[:_POINTERS_MAX])
    more = f"; and {len(pointers) - _POINTERS_MAX} more" if len(pointers) > _POINTERS_MAX else ""
    return Missing("data_slice", f"pointer: {named}{more}; no bytes were frozen")


def _place(source: str) -> str:
    """Where a dataset came from: the address in its source, or the script that had it in memory."""
    try:
        told = mapping_of(decode(source, what="the source"))
    except HoldfastError:
        return source[:_PLACE_CHARACTERS_MAX] or "a place that was not said"
    tags = mapping_of(told.get("tags"))
    found = [told.get(key) for key in ("uri", "url", "path", "table_name")] + [tags.get("mlflow.source.name")]
    place = next((one for one in found if isinstance(one, str) and one), "a place that was not said")
    return _without_secrets(place)[:_PLACE_CHARACTERS_MAX]


def _without_secrets(place: str) -> str:
    scheme, between, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{between}{host.rpartition('@')[2]}{slash}{path}" if between else place


def _preprocessing(schema: FeatureSchema | Missing, laid: Laid, said: Said, why: str) -> PreprocessingCode | Missing:
    """What a pyfunc takes is what its signature names, so whatever comes before the weights is inside of it."""
    if isinstance(schema, Missing):
        return Missing("preprocessing_code", f"which raw rows the model takes is not known: {why or schema.why}")
    return PreprocessingCode(
        IDENTITY, files=tuple(entry.path for entry in laid.code), commit=said.tags.get(_COMMIT) or None
    )


def _hyperparameters(said: Said) -> Hyperparameters | Missing:
    values = {name: param_value(text) for name, text in {**said.params, **said.model_params}.items()}
    return with_estimator(known_hyperparameters(values, said.capture))


def param_value(text: str) -> Json:
    """A param as what it was before MLflow wrote it down as text, where that can be told without doubt."""
    if text in {"True", "False", "None"}:
        return {"True": True, "False": False, "None": None}[text]
    for kind in (int, float):
        try:
            found = kind(text)
        except ValueError:
            continue
        if str(found) == text:
            return plain(found)
    return text


def _code(files: LoggedFiles, said: Said, captured: _Captured) -> tuple[CodeState | Missing, bytes]:
    commit = said.tags.get(_COMMIT) or None
    if captured.code is not None:
        state = captured.code
        kept = captured.patch if isinstance(state, CodeState) else b""
        return (replace(state, patch=PATCH) if kept and isinstance(state, CodeState) else state), kept
    patch = _patch(files)
    dirty = said.tags.get("holdfast.git.dirty")
    if commit is None and not patch:
        return Missing("code", "MLflow found no Git commit"), b""
    known: JsonObject = {} if patch or dirty else {"compared": False}
    names = {
        "source": "mlflow.source.name",
        "branch": "mlflow.source.git.branch",
        "repository": "mlflow.source.git.repoURL",
    }
    values: JsonObject = {key: said.tags[tag] for key, tag in names.items() if said.tags.get(tag)}
    return CodeState(commit, bool(patch) or dirty == "true", PATCH if patch else None, {**values, **known}), patch


def _patch(files: LoggedFiles) -> bytes:
    path = f"{ADDED_FOLDER}/patch.diff"
    try:
        return files.read(path, _PATCH_BYTES_MAX) if files.has(path) else b""
    except HoldfastError:
        return b""


def _run(said: Said, logged: LoggedModel | None, seen: Recorded | Missing) -> RunReference | Missing:
    if said.run_id is None:
        return Missing("run", "the model was logged outside a run")
    values: JsonObject = {
        "name": said.run_name,
        "started_at": said.started_at,
        "actor": said.user,
        "metrics": plain({**said.metrics, **said.model_metrics}),
        "tags": {name: value for name, value in said.tags.items() if name not in _OWN_TAGS},
        "mlflow": {
            "model_id": said.model_id,
            "version": "" if logged is None else logged.mlflow_version,
            "holdout_of": seen.of if isinstance(seen, Recorded) else None,
            "datasets": [
                {"name": one.name, "digest": one.digest, "context": one.context, "source": _place(one.source)}
                for one in said.datasets
            ],
        },
    }
    return RunReference(said.run_id, {key: value for key, value in values.items() if value not in ("", {}, None)})
