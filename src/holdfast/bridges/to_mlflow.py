"""Moving out: what MLflow's clients have here goes to an MLflow server, over its REST protocol.

    written = write_back(leaving, MlflowLine("http://127.0.0.1:5000"))

Runs and logged models get ids of that server's own; which is which, their tag `holdfast.id` says there. By it a second
call finds what came before, and goes on where the first one stopped. Versions are numbered there by that server, in the
order in which they have their numbers here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from holdfast.bridges.mlflow_line import PROXIED, MlflowLine
from holdfast.canonical import JsonObject
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.exporting import SqlExports
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.importing import ImportedData, ImportedModel, ImportedPoint, ImportedRun
from holdfast.experiments.places import SqlPlaces
from holdfast.experiments.registered import RegisteredModel, RegisteredVersion
from holdfast.store.interface import Store

__all__ = ["Leaving", "Written", "write_back"]

T = TypeVar("T")

Progress = Callable[[int, int], None]

_ID = "holdfast.id"
_VERSION = "holdfast.version"
_PARENT = "mlflow.parentRunId"

_POINTS = 1_000
_WORDS = 100
"""What MLflow takes in one batch."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What leaves: rows, names of files and where they are, and their bytes."""

    exports: SqlExports
    files: SqlFiles
    places: SqlPlaces
    store: Store


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        runs, logged_models, versions, files: how many.
        there: runs, logged models and versions that an earlier call had written.
        numbers: of each version, its reference here and its number there.
    """

    runs: int = 0
    logged_models: int = 0
    versions: int = 0
    files: int = 0
    there: int = 0
    numbers: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> JsonObject:
        """What `export mlflow` prints."""
        return {
            "runs": self.runs,
            "logged_models": self.logged_models,
            "versions": self.versions,
            "files": self.files,
            "there": self.there,
            "numbers": [{"version": here, "number": there} for here, there in self.numbers],
        }


@dataclass
class _Writing:
    """One call; it belongs to one thread."""

    leaving: Leaving
    there: MlflowLine
    runs: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    numbers: list[tuple[str, str]] = field(default_factory=list)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def write_back(leaving: Leaving, there: MlflowLine, progress: Progress = lambda _done, _total: None) -> Written:
    """Write all experiments, runs, logged models and registered versions to a server.

    Raises:
        UsageError, PermissionRefused, Unauthenticated: the server refuses something.
        Unavailable: it does not answer; a second call goes on from here.
    """
    work = _Writing(leaving, there)
    found = leaving.exports.experiments()
    for done, (id_, experiment) in enumerate(found):
        progress(done, len(found) + 1)
        known = _found(there, "experiments/get-by-name", experiment_name=experiment.name)
        if known is None:
            tags = _pairs(experiment.tags)
            target = str(there.post("experiments/create", name=experiment.name, tags=tags)["experiment_id"])
        else:
            target = str(known["experiment"]["experiment_id"])
        for run in leaving.exports.runs(id_):
            _run(work, target, run)
        for model in leaving.exports.logged_models(id_):
            _model(work, target, model)
    for registered in leaving.exports.models():
        _registered(work, registered)
    progress(len(found) + 1, len(found) + 1)
    return Written(**work.counts, numbers=tuple(work.numbers))


def _run(work: _Writing, target: str, run: ImportedRun) -> None:
    there, wanted = work.there, f"tags.`{_ID}` = '{run.id}'"
    known = there.post("runs/search", experiment_ids=[target], filter=wanted, max_results=1).get("runs")
    if known and known[0]["info"]["status"] == run.status:
        work.runs[run.id] = str(known[0]["info"]["run_id"])
        work.count("there")
        return
    if known:  # what an interrupted call left: all that follows may be said twice
        id_, place = str(known[0]["info"]["run_id"]), str(known[0]["info"]["artifact_uri"])
    else:
        said: dict[str, Any] = {"start_time": run.began_ms, "run_name": run.name, "user_id": run.user}
        made = there.post("runs/create", experiment_id=target, tags=_pairs({_ID: run.id}), **said)["run"]["info"]
        id_, place = str(made["run_id"]), str(made["artifact_uri"])
    work.runs[run.id] = id_
    for words in _some(_pairs(run.params), _WORDS):
        there.post("runs/log-batch", run_id=id_, params=words)
    tags = {**run.tags, _ID: run.id}
    if (parent := work.runs.get(tags.get(_PARENT, ""))) is not None:
        tags[_PARENT] = parent  # it began before its children, and has its id there already
    for words in _some(_pairs(tags), _WORDS):
        there.post("runs/log-batch", run_id=id_, tags=words)
    for points in _some(map(_point, work.leaving.exports.points(run.id)), _POINTS):
        there.post("runs/log-batch", run_id=id_, metrics=points)
    if run.data:
        there.post("runs/log-inputs", run_id=id_, datasets=[_dataset(one) for one in run.data])
    _files(work, work.leaving.places.of_run(run.id).path, place)
    if run.status != "RUNNING":
        there.post("runs/update", run_id=id_, status=run.status, end_time=run.ended_ms)
    work.count("runs")


def _model(work: _Writing, target: str, model: ImportedModel) -> None:
    there = work.there
    wanted = f"tags.`{_ID}` = '{model.id}'"
    known = there.post("logged-models/search", experiment_ids=[target], filter=wanted, max_results=1).get("models")
    if known and known[0]["info"]["status"] == "LOGGED_MODEL_READY":
        work.models[model.id] = str(known[0]["info"]["model_id"])
        work.count("there")
        return
    run = work.runs.get(model.run or "")
    if known:
        info = known[0]["info"]
    else:
        said = {} if run is None else {"source_run_id": run}
        info = there.post(
            "logged-models",
            experiment_id=target,
            name=model.name,
            model_type=model.type,
            params=_pairs(model.params),
            tags=_pairs({**model.tags, _ID: model.id}),
            **said,
        )["model"]["info"]
    id_ = work.models[model.id] = str(info["model_id"])
    if run is not None:
        there.post("runs/outputs", run_id=run, models=[{"model_id": id_, "step": 0}])
    _files(work, work.leaving.places.of_logged_model(model.id).path, str(info["artifact_uri"]))
    there.patch(f"logged-models/{id_}", model_id=id_, status="LOGGED_MODEL_READY")
    work.count("logged_models")


def _files(work: _Writing, folder: str | None, place: str) -> None:
    if folder is None:
        return  # its experiment has them elsewhere, where they stay
    parts = urlsplit(place)
    for file in work.leaving.files.below(folder):
        if parts.scheme != PROXIED:
            raise UsageError(
                f"that server keeps its files at {place[:200]}, where they are not written from here",
                hint="Start it with --serve-artifacts, and without --default-artifact-root.",
            )
        path = file.path.removeprefix(f"{folder}/")
        work.there.put(f"{unquote(parts.path).strip('/')}/{path}", work.leaving.store.pieces(file.digest))
        work.count("files")


def _registered(work: _Writing, model: RegisteredModel) -> None:
    there = work.there
    if _found(there, "registered-models/get", name=model.name) is None:
        there.post(
            "registered-models/create", name=model.name, tags=_pairs(model.tags), description=model.description or ""
        )
    quoted = model.name.replace("'", "''")
    found = there.get("model-versions/search", filter=f"name = '{quoted}'", max_results=10_000)
    known = {
        tag["value"]: str(one["version"])
        for one in found.get("model_versions", ())
        for tag in one.get("tags", ())
        if tag["key"] == _VERSION
    }
    for version in work.leaving.exports.versions(str(model.model)):
        _version(work, version, known.get(f"{version.model}@{version.number}"))


def _version(work: _Writing, version: RegisteredVersion, known: str | None) -> None:
    there, here = work.there, f"{version.model}@{version.number}"
    if known is None:
        made = there.post(
            "model-versions/create",
            name=version.name,
            source=_source(work, version),
            tags=_pairs({**version.tags, _VERSION: here}),
            description=version.description or "",
            **_given(run_id=work.runs.get(version.run or ""), model_id=work.models.get(version.logged_model or "")),
        )
        known = str(made["model_version"]["version"])
        work.count("versions")
    else:
        work.count("there")
    work.numbers.append((here, known))
    if version.stage != "None":
        there.post(
            "model-versions/transition-stage",
            name=version.name,
            version=known,
            stage=version.stage,
            archive_existing_versions=False,
        )
    for alias in version.aliases:
        there.post("registered-models/alias", name=version.name, alias=alias, version=known)


def _source(work: _Writing, version: RegisteredVersion) -> str:
    """Where the files of a version are there."""
    _, owner, *_ = (*version.path.split("/"), "", "")
    named = version.path.split("/")[2] if owner == "models" else version.logged_model
    model = work.models.get(named or "")
    if model is not None:
        return f"models:/{model}"
    run = work.runs.get(version.run or owner)
    inside = version.path.partition("/artifacts/")[2]
    if run is None:
        raise UsageError(
            f"the files of {version.model}@{version.number} belong to a run that was deleted",
            hint="Restore that run first: MlflowClient().restore_run(…)",
        )
    return f"runs:/{run}/{inside}"


def _found(there: MlflowLine, path: str, **asked: object) -> dict[str, Any] | None:
    try:
        return there.get(path, **asked)
    except NotFound:
        return None


def _given(**words: str | None) -> dict[str, str]:
    return {name: value for name, value in words.items() if value is not None}


def _pairs(words: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in words.items()]


def _point(point: ImportedPoint) -> dict[str, Any]:
    # `nan`, `inf` and `-inf` are no JSON; as texts protobuf's JSON has names of its own for them.
    odd = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(point.value))
    value = point.value if odd is None else odd
    return {"key": point.key, "value": value, "timestamp": point.time_ms, "step": point.step}


def _dataset(data: ImportedData) -> dict[str, Any]:
    said = {"name": data.name, "digest": data.digest, "source_type": data.source_type, "source": data.source}
    more = _given(schema=data.schema, profile=data.profile)
    return {"dataset": {**said, **more}, "tags": _pairs(data.tags)}


def _some(things: Iterable[T], count: int) -> Iterator[Sequence[T]]:
    """The things, so many at a time."""
    given = iter(things)
    while page := list(islice(given, count)):
        yield page
