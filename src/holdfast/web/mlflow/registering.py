"""From what an MLflow client logged to a version: which files it means, what was said of them, and the number.

No byte moves and nothing is opened. The files are in the store already; a bundle is made of their names and digests and
of what the run and the logged model say, and is registered as any other. What nobody said is missing in it, and the
version says so. Its files keep their names and bytes from then on.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from holdfast.access import Role
from holdfast.bridges.mlflow import LoggedDataset, LoggedFiles, Said, bundle_of
from holdfast.canonical import Json
from holdfast.database.times import to_text
from holdfast.errors import NotFound, UsageError
from holdfast.experiments.files import FileName
from holdfast.experiments.inputs import CONTEXT
from holdfast.experiments.logged import LoggedModel
from holdfast.experiments.naming import version_number
from holdfast.experiments.places import Place, served
from holdfast.experiments.registered import NewRegistered, RegisteredVersion
from holdfast.flow.bundle.origin import kept_capture
from holdfast.flow.register_logged import register_logged
from holdfast.names import ModelName, RelativePath
from holdfast.registry import Version
from holdfast.registry.events import REASON_CHARACTERS_MAX
from holdfast.web.mlflow.files import require as require_files
from holdfast.web.mlflow.named import require
from holdfast.web.mlflow.room import Here

__all__ = ["Source", "Wish", "register_source", "source_of"]

_LOGGED_MODEL = re.compile(r"m-[0-9A-Za-z-]+\Z")

_USER = "mlflow.user"
"""The tag of a run that says who the client took itself for."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks to be registered.

    Attributes:
        name: of the registered model.
        source: a URI of MLflow's.
        run: that it says the files are from; None where it does not say.
        logged_model: likewise.
        run_link: kept as it is.
        description: likewise.
        tags: likewise.
    """

    name: str
    source: str
    run: str | None
    logged_model: str | None
    run_link: str | None
    description: str | None
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """What a source means.

    Attributes:
        said: the source as it is kept.
        path: of the folder of its files, from the root of all files.
        run: that they are from.
        logged_model: that they are, as it stands.
    """

    said: str
    path: str
    run: str | None
    logged_model: LoggedModel | None


def register_source(wish: Wish, source: Source, model: ModelName, here: Here) -> RegisteredVersion:
    """Registers what a source means; the same content again is the version that is there.

    Raises:
        UsageError: there are no files, or something of them cannot be in a version.
        NotFound: the store lacks a file, or data that the version names.
        Archived: that data was archived, and is not here.
    """
    version = _registered(wish, source, model, here)
    new = NewRegistered(
        model=model,
        number=version.number,
        source=source.said,
        path=source.path,
        run=source.run,
        logged_model=_id(source),
        run_link=wish.run_link,
        description=wish.description,
        tags=wish.tags,
    )
    return here.shelf.registered.words.keep(new, here.caller.name)


def _registered(wish: Wish, source: Source, model: ModelName, here: Here) -> Version:
    """The version of the files as they stand; from then on they stay so.

    Whoever wrote one of them meanwhile has it registered as well: behind the freezing nobody does.
    """
    files = here.shelf.files
    while True:
        found = files.below(source.path)
        version = _version_of(found, wish, source, model, here)
        why = f"The files of version {version.number} of {wish.name} are immutable; {_instead(source)}."
        files.freeze(source.path, why)
        if files.below(source.path) == found:
            return version


def _instead(source: Source) -> str:
    """What a script does whose model comes to where a version's files are.

    A logged model has a place of its own. Before MLflow 3 there are none, and a model is a folder of its run.
    """
    if source.logged_model is not None:
        return "log a new model instead"
    return "log the next model in a run of its own, or under another artifact_path of this one"


def _version_of(found: list[FileName], wish: Wish, source: Source, model: ModelName, here: Here) -> Version:
    shelf = here.shelf
    if not found:
        raise UsageError(
            f"Invalid model version source: '{wish.source}'. There are no files there.",
            hint="Log the model first.",
            source=wish.source,
        )
    paths = {RelativePath(one.path[len(source.path) + 1 :]): (one.digest, one.bytes) for one in found}
    files = LoggedFiles(paths, lambda digest, bytes_max: shelf.store.read(digest, bytes_max=bytes_max))
    prepared = bundle_of(_said(wish, source, here), files, model)
    return register_logged(
        prepared,
        shelf.store,
        here.desk.registry,
        actor=here.caller.name,
        reason=(wish.description or "registered by an MLflow client")[:REASON_CHARACTERS_MAX],
        stages=shelf.registered.policy.stages,
    )


def _said(wish: Wish, source: Source, here: Here) -> Said:
    """What the run and the logged model say; and the version's own tags, which go before theirs."""
    found = Said(run_id=source.run, model_id=_id(source), model_tags=wish.tags)
    if source.run is not None:
        run = here.desk.tracking.run(source.run)
        if run.model is not None:  # a logged model names any run that its client likes
            here.caller.require(Role.VIEWER, run.model)
        seen = here.shelf.inputs.of_run(source.run).datasets
        found = replace(
            found,
            run_name=run.name,
            started_at=to_text(run.started_at),
            user=run.tags.get(_USER) or run.actor,
            params={name: _text(value) for name, value in run.params.items()},
            metrics=run.metrics,
            tags=run.tags,
            datasets=tuple(
                LoggedDataset(
                    one.dataset.name,
                    one.dataset.digest,
                    one.dataset.source_type,
                    one.dataset.source,
                    dict(one.tags).get(CONTEXT, ""),
                )
                for one in seen
            ),
            inputs=run.inputs,
            capture=kept_capture(run, here.shelf.store),
        )
    if (model := source.logged_model) is not None:
        found = replace(found, model_params=model.params, model_metrics=_measured(model))
        found = replace(found, model_tags={**model.tags, **wish.tags})
    return found


def _id(source: Source) -> str | None:
    return source.logged_model.id if source.logged_model is not None else None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else str(value)


def _measured(model: LoggedModel) -> dict[str, float]:
    """The last value of each metric of a logged model."""
    points = sorted(model.points, key=lambda one: (one.step, one.time_ms))
    return {one.key: one.value for one in points}


def source_of(wish: Wish, here: Here) -> Source:
    """What a source means.

    Raises:
        UsageError: it leads elsewhere, or the run or the logged model that the client names has nothing to do with it.
        NotFound: there is no such run, logged model or version.
        PermissionRefused: files of it are of a model that the caller may not see: they would be read through the new
            version.
    """
    found = _meant(wish, here)
    require_files(here, Role.VIEWER, found.path)
    for model in here.shelf.places.models_below(found.path):
        here.caller.require(Role.VIEWER, model)
    return found


def _meant(wish: Wish, here: Here) -> Source:
    try:
        parts = urlsplit(wish.source)
    except ValueError as error:
        raise UsageError(f"Invalid model version source: '{wish.source}'.", hint="Write a URI.") from error
    path = parts.path.lstrip("/")
    if parts.scheme == "models" and not parts.netloc:
        return _of_logged_model(wish, path, here) if _LOGGED_MODEL.match(path) else _copied(wish, path, here)
    if parts.scheme == "runs" and not parts.netloc:
        run, _, below = path.partition("/")
        folder = here.shelf.places.of_run(run).folder(f"run {run}")
        return _checked(wish, f"{folder}/{below}".rstrip("/"), run, None)
    here_at = served(wish.source) if parts.scheme == "mlflow-artifacts" else None
    if not here_at:
        raise UsageError(
            f"Invalid model version source: '{wish.source}'. Only files that this server holds can be a version.",
            hint="Log the model to this server first.",
            source=wish.source,
        )
    match here_at.split("/"):
        case [_, "models", logged_model, "artifacts", *_]:
            model = here.shelf.logged.get(logged_model)
            return _checked(wish, here_at, model.run, model)
        case [_, run, "artifacts", *_]:
            return _checked(wish, here_at, run, None)
    raise _unrelated(wish, "run_id")


def _of_logged_model(wish: Wish, logged_model: str, here: Here) -> Source:
    model = here.shelf.logged.get(logged_model)
    place = Place(model.place, served(model.place))
    return _checked(wish, place.folder(f"logged model {logged_model}"), model.run, model)


def _checked(wish: Wish, path: str, run: str | None, logged_model: LoggedModel | None) -> Source:
    """The source, where the client names no other run or logged model than those that it is from."""
    if wish.logged_model is not None and (logged_model is None or wish.logged_model != logged_model.id):
        raise _unrelated(wish, "model_id")
    if wish.run is not None and run is not None and wish.run != run:
        raise _unrelated(wish, "run_id")
    return Source(wish.source, path, run or wish.run, logged_model)


def _copied(wish: Wish, path: str, here: Here) -> Source:
    """The source of another version, which is registered again, in this model or another."""
    name, at, alias = path.partition("@")
    number = ""
    if not at:
        name, _, number = path.rpartition("/")
    if not name or not (alias or number.isdecimal()):
        raise UsageError(
            f"Invalid model version source: '{wish.source}'. It names no version.",
            hint="Write models:/NAME/4, models:/NAME@ALIAS or models:/m-ID.",
            source=wish.source,
        )
    require(here, Role.VIEWER, name)
    registered = here.shelf.registered
    found = registered.pointing.by_alias(name, alias) if at else registered.words.get(name, version_number(number))
    if not found.path:
        raise NotFound(
            f"Invalid model version source: '{wish.source}'. {found.model}@{found.number} was not made from files that "
            "an MLflow client logged.",
            hint=f"Register it from its bundle: holdfast checkout {found.model}@{found.number}",
        )
    for name_, given, its in (("run", wish.run, found.run), ("model", wish.logged_model, found.logged_model)):
        if given is not None and given != its:
            raise UsageError(
                f"Invalid model version source: '{wish.source}'. The run_id and model_id request parameters must match "
                "the referenced model version.",
                hint=f"Leave the {name_} out.",
            )
    model = here.shelf.logged.get(found.logged_model) if found.logged_model is not None else None
    return Source(f"models:/{found.name}/{found.number}", found.path, found.run, model)


def _unrelated(wish: Wish, parameter: str) -> UsageError:
    return UsageError(
        f"Invalid model version source: '{wish.source}'. The {parameter} request parameter must identify the resource "
        "that contains the source.",
        hint="Leave it out, or name the one that the files are from.",
        source=wish.source,
    )
