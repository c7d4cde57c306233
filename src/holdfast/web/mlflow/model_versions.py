"""Versions of registered models: registering, reading, searching; what is said of them; and MLflow's stages."""

from collections.abc import Callable

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.limits import ID_CHARACTERS_MAX, WORDS_CHARACTERS_MAX, check_length
from holdfast.experiments.logged import FILES
from holdfast.experiments.naming import registry_tag
from holdfast.experiments.registered import STAGES
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.moving import clear_stage, leaves, move_stage
from holdfast.web.mlflow.named import asked_for, following, require, tags_in, told_version, version_of
from holdfast.web.mlflow.registered_models import refuse_prompts, stage_in
from holdfast.web.mlflow.registering import Wish, register_source, source_of
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said

__all__ = ["ENDPOINTS"]

_ROOT = f"{V2}/model-versions"

_FOUND = 10_000
"""Versions of one answer where the client does not say how many."""

_FOUND_MAX = 200_000
"""As MLflow's own server."""


def create(asked: Asked, here: Here) -> JsonObject:
    """Makes a version of what was logged."""
    tags = tags_in(asked)
    for key, value in tags.items():
        registry_tag(key, value)
    refuse_prompts(tags)
    for name, characters_max in (("run_link", ID_CHARACTERS_MAX), ("description", WORDS_CHARACTERS_MAX)):
        check_length(name, asked.maybe_text(name) or "", characters_max)
    wish = Wish(
        name=asked.text("name"),
        source=asked.text("source"),
        run=asked.maybe_text("run_id") or None,
        logged_model=asked.maybe_text("model_id") or None,
        run_link=asked.maybe_text("run_link") or None,
        description=asked.maybe_text("description") or None,
        tags=tags,
    )
    require(here, Role.CONTRIBUTOR, wish.name)
    model = here.shelf.registered.names.there(wish.name)
    return {"model_version": told_version(register_source(wish, source_of(wish, here), model, here))}


def get(asked: Asked, here: Here) -> JsonObject:
    """One version."""
    return {"model_version": told_version(version_of(here, asked, Role.VIEWER))}


def update(asked: Asked, here: Here) -> JsonObject:
    """Another description."""
    version = version_of(here, asked, Role.CONTRIBUTOR)
    words = here.shelf.registered.words
    described = words.describe(version.name, version.number, asked.maybe_text("description"))
    return {"model_version": told_version(described)}


def transition(asked: Asked, here: Here) -> JsonObject:
    """Another stage of MLflow's; one version holds each of these, and the one that it takes it from is archived.

    A version has one of them at a time, as clients know it: it leaves the other.
    """
    word = stage_in(asked.text("stage"))
    if asked.flag("archive_existing_versions") and word not in STAGES:
        raise UsageError(
            "Model version transition cannot archive existing model versions because "
            f"'{asked.text('stage')}' is not an Active stage. Valid stages are {list(STAGES)}",
            hint="Leave archive_existing_versions out.",
        )
    version = version_of(here, asked, Role.CONTRIBUTOR)
    registered = here.shelf.registered
    stage = STAGES.get(word)
    left = leaves(here, version, stage)
    if stage is not None:
        move_stage(here, version, stage)
    for one in left:
        clear_stage(here, version.name, version.model, one)
    if stage is None:
        registered.pointing.rest(version.name, version.number, word)
    return {"model_version": told_version(registered.words.get(version.name, version.number))}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Takes a version from what is shown."""
    version = version_of(here, asked, Role.CONTRIBUTOR)
    here.shelf.registered.words.withdraw(version.name, version.number, here.caller.name)
    return {}


def download_uri(asked: Asked, here: Here) -> JsonObject:
    """Where the files of a version are; they are those that it was registered with."""
    version = version_of(here, asked, Role.VIEWER)
    if not version.path:
        reference = f"{version.model}@{version.number}"
        raise UsageError(
            f"{reference} was not made from files that an MLflow client logged, so there are none for MLflow to read. "
            f"Open it with holdfast.load({reference!r}).",
            hint="See docs/mlflow.md.",
        )
    return {"artifact_uri": f"{FILES}{version.path}"}


def search(asked: Asked, here: Here) -> JsonObject:
    """Versions; a page may hold fewer than were asked for, where the caller may not see all."""
    wanted, same = asked_for(asked, usual=_FOUND, results_max=_FOUND_MAX)
    found = here.shelf.registered.found.versions(wanted)
    seen = [told_version(one) for one in found[: wanted.limit - 1] if here.caller.sees(one.model)]
    return said(model_versions=seen or None, next_page_token=following(wanted, len(found), same))


def set_tag(asked: Asked, here: Here) -> JsonObject:
    """Sets a tag."""
    key, value = asked.text("key"), asked.maybe_text("value") or ""
    version = version_of(here, asked, Role.CONTRIBUTOR)
    here.shelf.registered.words.set_tag(version.name, version.number, key, value)
    return {}


def delete_tag(asked: Asked, here: Here) -> JsonObject:
    """Takes a tag away."""
    key = asked.text("key")
    version = version_of(here, asked, Role.CONTRIBUTOR)
    here.shelf.registered.words.remove_tag(version.name, version.number, key)
    return {}


def _endpoint(method: str, path: str, role: Role, answers: Callable[[Asked, Here], JsonObject]) -> Endpoint:
    return Endpoint(method, f"{_ROOT}/{path}", role, answers=answers)


ENDPOINTS = (
    _endpoint("POST", "create", Role.CONTRIBUTOR, create),
    _endpoint("GET", "get", Role.VIEWER, get),
    _endpoint("PATCH", "update", Role.CONTRIBUTOR, update),
    _endpoint("POST", "transition-stage", Role.CONTRIBUTOR, transition),
    _endpoint("DELETE", "delete", Role.CONTRIBUTOR, delete),
    _endpoint("GET", "get-download-uri", Role.VIEWER, download_uri),
    _endpoint("GET", "search", Role.VIEWER, search),
    _endpoint("POST", "set-tag", Role.CONTRIBUTOR, set_tag),
    _endpoint("DELETE", "delete-tag", Role.CONTRIBUTOR, delete_tag),
)
