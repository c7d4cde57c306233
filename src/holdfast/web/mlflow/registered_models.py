"""Registered models: lines of versions, under the names that MLflow's clients give them."""

from collections.abc import Callable

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.errors import Unavailable, UsageError
from holdfast.experiments.naming import PROMPT
from holdfast.experiments.registered import ARCHIVED, NONE, STAGES
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.moving import require_led_elsewhere, require_no_other_rules
from holdfast.web.mlflow.named import asked_for, following, require, tags_in, told_model, told_version
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said

__all__ = ["ENDPOINTS", "refuse_prompts", "stage_in"]

_ROOT = f"{V2}/registered-models"

_FOUND = 100
"""Models of one answer where the client does not say how many."""

_FOUND_MAX = 1000
"""As MLflow's own server."""

_WORDS = {word.lower(): word for word in (NONE, *STAGES, ARCHIVED)}


def stage_in(text: str) -> str:
    """A stage, in MLflow's own spelling.

    Raises:
        UsageError: MLflow has no such stage.
    """
    found = _WORDS.get(text.lower())
    if found is None:
        raise UsageError(
            f"Invalid Model Version stage: {text}. Value must be one of {', '.join(_WORDS.values())}.",
            hint="Set an alias instead, which can have any name.",
        )
    return found


def refuse_prompts(tags: dict[str, str]) -> None:
    """Refuse what MLflow calls a prompt: it has none of the parts of a version.

    Raises:
        Unavailable: it is one.
    """
    if tags.get(PROMPT, "").lower() == "true":
        raise Unavailable(
            "Prompts are not offered here, only models",
            hint="Keep prompts beside the code that uses them, or on another server.",
            mlflow="NOT_IMPLEMENTED",
        )


def create(asked: Asked, here: Here) -> JsonObject:
    """Begins a model."""
    name, tags = asked.text("name"), tags_in(asked)
    refuse_prompts(tags)
    meant, names = require(here, Role.CONTRIBUTOR, name), here.shelf.registered.names
    model = names.made_by(name)
    here.caller.require(Role.CONTRIBUTOR, model)
    require_no_other_rules(here, model, meant)
    made = names.create(name, here.caller.name, description=asked.maybe_text("description"), tags=tags)
    return {"registered_model": told_model(made)}


def get(asked: Asked, here: Here) -> JsonObject:
    """One model."""
    name = asked.text("name")
    require(here, Role.VIEWER, name)
    return {"registered_model": told_model(here.shelf.registered.names.get(name))}


def update(asked: Asked, here: Here) -> JsonObject:
    """Another description."""
    name = asked.text("name")
    require(here, Role.CONTRIBUTOR, name)
    described = here.shelf.registered.names.describe(name, asked.maybe_text("description"))
    return {"registered_model": told_model(described)}


def rename(asked: Asked, here: Here) -> JsonObject:
    """Another name; the caller must be allowed to act under it, and to say what its stages and aliases lead to."""
    name, new_name = asked.text("name"), asked.text("new_name")
    names = here.shelf.registered.names
    require(here, Role.CONTRIBUTOR, name)
    meant = require(here, Role.CONTRIBUTOR, new_name)
    if name != new_name:
        model = names.get(name).model
        require_no_other_rules(here, model, meant)
        require_led_elsewhere(here, model, meant)
    renamed = names.rename(name, new_name, here.caller.name)
    return {"registered_model": told_model(renamed)}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Takes a model from what is shown."""
    name = asked.text("name")
    require(here, Role.CONTRIBUTOR, name)
    here.shelf.registered.names.withdraw(name, here.caller.name)
    return {}


def set_tag(asked: Asked, here: Here) -> JsonObject:
    """Sets a tag."""
    name, key, value = asked.text("name"), asked.text("key"), asked.maybe_text("value") or ""
    refuse_prompts({key: value})
    require(here, Role.CONTRIBUTOR, name)
    here.shelf.registered.names.set_tag(name, key, value)
    return {}


def delete_tag(asked: Asked, here: Here) -> JsonObject:
    """Takes a tag away."""
    name, key = asked.text("name"), asked.text("key")
    require(here, Role.CONTRIBUTOR, name)
    here.shelf.registered.names.remove_tag(name, key)
    return {}


def search(asked: Asked, here: Here) -> JsonObject:
    """Models; a page may hold fewer than were asked for, where the caller may not see all."""
    wanted, same = asked_for(asked, usual=_FOUND, results_max=_FOUND_MAX)
    found = here.shelf.registered.found.models(wanted)
    seen = [told_model(one) for one in found[: wanted.limit - 1] if here.caller.sees(one.model)]
    return said(registered_models=seen or None, next_page_token=following(wanted, len(found), same))


def heads(asked: Asked, here: Here) -> JsonObject:
    """The version with the highest number in each stage."""
    name, stages = asked.text("name"), {stage_in(one) for one in asked.texts("stages")}
    require(here, Role.VIEWER, name)
    found = here.shelf.registered.names.get(name).heads
    told = [told_version(one) for one in found if not stages or one.stage in stages]
    return said(model_versions=told or None)


def _endpoint(method: str, path: str, role: Role, answers: Callable[[Asked, Here], JsonObject]) -> Endpoint:
    return Endpoint(method, f"{_ROOT}/{path}", role, answers=answers)


ENDPOINTS = (
    _endpoint("POST", "create", Role.CONTRIBUTOR, create),
    _endpoint("GET", "get", Role.VIEWER, get),
    _endpoint("PATCH", "update", Role.CONTRIBUTOR, update),
    _endpoint("POST", "rename", Role.CONTRIBUTOR, rename),
    _endpoint("DELETE", "delete", Role.CONTRIBUTOR, delete),
    _endpoint("POST", "set-tag", Role.CONTRIBUTOR, set_tag),
    _endpoint("DELETE", "delete-tag", Role.CONTRIBUTOR, delete_tag),
    _endpoint("GET", "search", Role.VIEWER, search),
    _endpoint("POST", "get-latest-versions", Role.VIEWER, heads),
    _endpoint("GET", "get-latest-versions", Role.VIEWER, heads),
)
