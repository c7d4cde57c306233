"""Moving in: all that another MLflow holds comes here, and what cannot come is told.

    with source_of("mlruns") as source:
        moved = bring(source, target)

(1) what is registered there is read first, since it says which runs matter; (2) experiment by experiment: the files of
a run, then the run; those of a logged model, then the logged model; (3) the versions of each model under their own
numbers; (4) what stages and aliases point to. Each thing counts when all of it is here, so that a second call goes on
where the first one stopped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from holdfast.bridges.from_mlflow.places import normal
from holdfast.bridges.from_mlflow.records import (
    ExperimentRecord,
    File,
    LoggedModelRecord,
    ModelRecord,
    NotBrought,
    RunRecord,
    Source,
    VersionRecord,
)
from holdfast.bridges.from_mlflow.rows import imported_model, imported_point, imported_run, last_values
from holdfast.bridges.from_mlflow.target import Moved, MovedVersion, Target
from holdfast.bridges.mlflow import LoggedDataset, LoggedFiles, Said, bundle_of
from holdfast.canonical import JsonObject
from holdfast.database.times import to_text
from holdfast.errors import AlreadyExists, HoldfastError, NotFound, PermissionRefused, UsageError
from holdfast.experiments.importing import ImportedExperiment
from holdfast.experiments.limits import check_run_id
from holdfast.experiments.paths import safe_path
from holdfast.experiments.registered import STAGES, NewRegistered, RegisteredModel
from holdfast.flow.promote import adopt_stage
from holdfast.flow.register_logged import Came, register_logged
from holdfast.names import ModelName, RelativePath, StageName, VersionNumber
from holdfast.registry.values import Version

__all__ = ["bring"]

Progress = Callable[[int, int], None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_REASON = "brought from another MLflow"

_CONTEXT = "mlflow.data.context"

_ELSEWHERE = "0/brought"
"""Below it stand files of versions that belong to no run and no logged model that came along."""


@dataclass
class _Bringing:
    """One call: what is known so far. It belongs to one thread."""

    source: Source
    target: Target
    progress: Progress
    left: list[NotBrought] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    runs: dict[str, tuple[RunRecord, dict[str, float]]] = field(default_factory=dict)
    logged: dict[str, LoggedModelRecord] = field(default_factory=dict)
    moved: Moved = field(default_factory=Moved)
    refused: dict[str, NotFound] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def more(self, **counts: int) -> None:
        """Count what has come."""
        self.moved = replace(self.moved, **{name: getattr(self.moved, name) + more for name, more in counts.items()})

    def step(self) -> None:
        """One thing is done."""
        self.done += 1
        self.progress(self.done, max(self.total, self.done))

    def leave(self, what: str, error: HoldfastError) -> None:
        """Note what stays behind."""
        self.left.append(NotBrought(what, f"{error.message}. {error.hint}"))


def bring(source: Source, target: Target, progress: Progress = lambda _done, _total: None) -> Moved:
    """Bring all that the source holds.

    Args:
        source: another MLflow.
        target: where it comes to.
        progress: called with how many things are done, and how many there are as far as is known.

    Raises:
        IntegrityError: the source cannot be read.
        NoSpace, PermissionRefused, Unavailable: either side gave out; a second call goes on from here. Files of this
            machine that may not be read are left behind.
    """
    work = _Bringing(source, target, progress)
    # (1) which runs and logged models matter to versions
    models = [(model, list(source.versions(model.name))) for model in source.models()]
    versions = [one for _, some in models for one in some]
    wanted = {one.run for one in versions if one.run} | {one.logged_model for one in versions if one.logged_model}
    work.total = len(versions)
    # (2) experiments
    for experiment in source.experiments():
        _experiment(work, experiment, frozenset(wanted))
    for model, some in models:
        # (3) versions
        named = _model(work, model)
        brought = [_version(work, named, one) for one in some]
        # (4) what points to them
        _point(work, named, model, [one for one in brought if one is not None])
    return replace(work.moved, left=tuple(work.left))


def _experiment(work: _Bringing, given: ExperimentRecord, wanted: frozenset[str | None]) -> None:
    imports = work.target.imports
    asked = ImportedExperiment(given.name, given.created_ms, given.updated_ms, given.deleted, given.tags)
    id_ = imports.experiment(asked, work.target.actor)
    work.more(experiments=1)
    for run in work.source.runs(given.id):
        work.total += 1
        if not _is_id(work, f"run {run.id[:80]}", run.id):
            continue
        folder = imports.folder(id_, run.id)
        work.places[normal(run.place)] = folder
        if run.id in wanted:
            work.runs[run.id] = (run, last_values(work.source.points(run.id)))
        if imports.has_run(run.id):
            work.more(there=1)
            if _may_come(work, run):
                _rest(work, run.place, folder, f"files of run {run.id}")
        else:
            _files(work, run.place, folder, f"files of run {run.id}")
            points = imports.run(id_, imported_run(run), map(imported_point, work.source.points(run.id)))
            work.more(runs=1, points=points)
        work.step()
    for model in work.source.logged_models(given.id):
        work.total += 1
        if not _is_id(work, f"logged model {model.id[:80]}", model.id):
            continue
        folder = f"{id_}/models/{model.id}/artifacts"
        work.places[normal(model.place)] = folder
        if model.id in wanted:
            work.logged[model.id] = model
        _logged_model(work, id_, model, folder)
        work.step()


def _logged_model(work: _Bringing, experiment: int, model: LoggedModelRecord, folder: str) -> None:
    imports, what = work.target.imports, f"files of logged model {model.id}"
    if imports.has_model(model.id):
        work.more(there=1)
        looked = _may_come(work, model) and _rest(work, model.place, folder, what)
    else:
        looked = True
        _files(work, model.place, folder, what)
        imports.model(experiment, imported_model(model))
        work.more(logged_models=1)
    if looked and model.status == "READY" and _refusal(work, folder) is None:
        work.target.files.freeze(folder, f"The logged model {model.id} is ready, and its files stay as they are.")


def _may_come(work: _Bringing, one: RunRecord | LoggedModelRecord) -> bool:
    """Whether files may come of what is here; what versions are made of is looked at each time, to be whole."""
    is_wanted = one.id in work.runs or one.id in work.logged
    return is_wanted or (not one.deleted and work.source.may_come(one.place))


def _rest(work: _Bringing, place: str, folder: str, what: str) -> bool:
    """Bring the files that are not here yet: they stayed behind, or an earlier call ended while they came.

    Returns:
        whether that was looked at; nothing comes to a frozen folder.
    """
    files = work.target.files
    if files.is_frozen(folder):
        return False
    _files(work, place, folder, what, files.names(folder))
    return True


def _is_id(work: _Bringing, what: str, id_: str) -> bool:
    """Whether an id can be one; it becomes a part of a path, so that another one would lead into other folders."""
    try:
        check_run_id(id_)
    except UsageError as error:
        work.leave(what, error)
        work.step()
        return False
    return True


def _files(work: _Bringing, place: str, folder: str, what: str, there: frozenset[str] = frozenset()) -> None:
    """The files below a place but those that are there; what cannot be had stays behind, and is told."""
    for file in _offered(work, place, folder, what):
        try:
            path = f"{folder}/{safe_path(file.path)}"
            if path in there:
                continue
            stored = work.target.files.put(path, _pieces(work, place, file))
        except UsageError as error:
            work.leave(f"{what}: {file.path[:200]}", error)
        except NotFound as error:
            work.refused[path] = error
            work.leave(f"{what}: {file.path[:200]}", error)
        except PermissionRefused as error:
            if not work.target.files.is_frozen(path):
                raise
            work.left.append(NotBrought(f"{what}: {file.path[:200]}", error.message))
        else:
            work.more(files=1, bytes=stored.bytes)


def _offered(work: _Bringing, place: str, folder: str, what: str) -> Iterator[File]:
    """The files below a place, which may have none."""
    try:
        with _reading(work, place):
            yield from work.source.files(place)
    except NotFound as error:
        if place and not _is_absent_folder(error):
            work.refused[folder] = error
            work.leave(what, error)


def _pieces(work: _Bringing, place: str, file: File) -> Iterator[bytes]:
    with _reading(work, place):
        yield from file.pieces()


@contextmanager
def _reading(work: _Bringing, place: str) -> Iterator[None]:
    """What may not be read there stays behind if it may come another time; a disk here that refuses ends the call."""
    try:
        yield
    except PermissionRefused as error:
        if not work.source.may_come(place):
            raise
        raise NotFound(error.message, hint=error.hint) from error


def _refusal(work: _Bringing, folder: str) -> NotFound | None:
    """Why a folder, or something below it, could not be had."""
    for path, why in work.refused.items():
        if f"{folder}/".startswith(f"{path}/") or path.startswith(f"{folder}/"):
            return why
    return None


def _is_absent_folder(error: NotFound) -> bool:
    """A run that logged no file has no folder."""
    return error.message.startswith("there is no folder")


def _model(work: _Bringing, given: ModelRecord) -> RegisteredModel:
    names, target = work.target.names, work.target
    try:
        found = names.get(given.name)
    except NotFound:
        found = names.create(given.name, target.actor, description=given.description, tags=given.tags)
        target.imports.date_model(str(found.model), given.created_ms, given.updated_ms)
        work.more(models=1)
    return found


def _version(work: _Bringing, named: RegisteredModel, given: VersionRecord) -> tuple[VersionRecord, Version] | None:
    """The version here; None where it cannot come."""
    what = f"version {given.number} of {given.model}"
    try:
        folder = _folder_of(work, given)
        version = _registered(work, named.model, given, folder)
    except (NotFound, UsageError, AlreadyExists) as error:
        work.leave(what, error)
        work.step()
        return None
    work.step()
    return given, version


def _registered(work: _Bringing, model: ModelName, given: VersionRecord, folder: str) -> Version:
    target = work.target
    listed = target.files.below(folder)
    refused = _refusal(work, folder)
    # What is here may be a part of it, unless a version was made of it: an earlier call ended, or a file was refused.
    if not listed or (refused is not None and not target.files.is_frozen(folder)):
        where = given.place or given.source
        raise refused or NotFound(f"there are no files of it at {where}", hint="They were deleted there.")
    files = LoggedFiles(
        {RelativePath(one.path.removeprefix(f"{folder}/")): (one.digest, one.bytes) for one in listed},
        lambda digest, bytes_max: target.store.read(digest, bytes_max=bytes_max),
    )
    origin: JsonObject = {
        "from": "mlflow",
        "source": given.source,
        "created_at": to_text(_EPOCH + timedelta(milliseconds=given.created_ms)),
        "created_by": given.user or None,
    }
    version = register_logged(
        bundle_of(_said(work, given), files, model),
        target.store,
        target.registry,
        actor=target.actor,
        reason=_REASON,
        came=Came(VersionNumber(given.number), origin),
    )
    target.files.freeze(folder, f"The files of {given.model}, version {given.number}, are immutable.")
    target.words.keep(
        NewRegistered(
            model=model,
            number=version.number,
            source=given.source,
            path=folder,
            run=given.run,
            logged_model=given.logged_model,
            run_link=given.run_link,
            description=given.description,
            tags=given.tags,
        ),
        target.actor,
    )
    target.imports.date_version(str(model), version.number, given.created_ms, given.updated_ms)
    moved = MovedVersion(given.model, str(model), version.number, version.complete, version.missing)
    work.moved = replace(work.moved, versions=(*work.moved.versions, moved))
    return version


def _said(work: _Bringing, given: VersionRecord) -> Said:
    run, metrics = work.runs.get(given.run or "", (None, {}))
    logged = work.logged.get(given.logged_model or "")
    said = Said(model_id=given.logged_model)
    if run is not None:
        began = "" if run.began_ms is None else to_text(_EPOCH + timedelta(milliseconds=run.began_ms))
        said = replace(
            said,
            run_id=run.id,
            run_name=run.name,
            started_at=began,
            user=run.user,
            params=run.params,
            metrics=metrics,
            tags=run.tags,
            datasets=tuple(
                LoggedDataset(one.name, one.digest, one.source_type, one.source, one.tags.get(_CONTEXT, ""))
                for one in run.datasets
            ),
        )
    if logged is not None:
        said = replace(
            said,
            model_params=logged.params,
            model_metrics=last_values(one.point for one in logged.points),
            model_tags=logged.tags,
        )
    return said


def _folder_of(work: _Bringing, given: VersionRecord) -> str:
    """Where the files of a version are here: with its run or its logged model, else brought for it alone."""
    place = normal(given.place)
    for known, folder in work.places.items():
        if known and (place == known or place.startswith(f"{known}/")):
            return f"{folder}{place[len(known) :]}"
    folder = f"{_ELSEWHERE}/{work.target.names.model_of(given.model)}/{given.number}"
    _rest(work, given.place, folder, f"files of version {given.number} of {given.model}")
    return folder


def _point(
    work: _Bringing, named: RegisteredModel, given: ModelRecord, brought: list[tuple[VersionRecord, Version]]
) -> None:
    """Stages and aliases that nothing holds here yet take over what they point to there."""
    by_number = {record.number: version for record, version in brought}
    for word, stage in STAGES.items():
        held = [record.number for record, _ in brought if record.stage == word]
        if held:
            _adopt(work, named.model, stage, by_number[max(held)], None)
    for record, _ in brought:
        if record.stage == "Archived":
            work.target.pointing.rest(given.name, record.number, "Archived")
    for alias, number in given.aliases.items():
        if number in by_number:
            stage = work.target.pointing.stage_of(named.model, alias)
            _adopt(work, named.model, stage, by_number[number], alias)


def _adopt(work: _Bringing, model: ModelName, stage: StageName, version: Version, alias: str | None) -> None:
    target = work.target
    there = target.pointing.define(model, stage, target.actor)
    if there.number is None and not there.epoch:
        adopt_stage(version, stage, target.registry, actor=target.actor, reason=_REASON)
    elif there.number != version.number:
        holder = "nothing" if there.number is None else f"version {there.number}"
        why = f"the stage has moved here, and holds {holder}. Move it yourself where that is wrong"
        work.left.append(NotBrought(f"{alias or stage} of {model}, which is version {version.number} there", why))
        return
    if alias is not None:
        target.pointing.moved(model, version.number, stage, None, alias=alias)
