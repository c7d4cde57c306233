"""Aliases of registered models: stages, moved with their events."""

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.errors import NotFound
from holdfast.experiments.naming import alias_name, new_alias_name
from holdfast.experiments.registered import RegisteredVersion
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.moving import clear_stage, move_stage, require_no_way_around
from holdfast.web.mlflow.named import require, told_version, version_of
from holdfast.web.mlflow.room import Here

__all__ = ["ENDPOINTS"]

_PATH = f"{V2}/registered-models/alias"


def get(asked: Asked, here: Here) -> JsonObject:
    """The version that an alias names; `latest` is that with the highest number, as MLflow's clients have it."""
    name, alias = asked.text("name"), asked.text("alias")
    require(here, Role.VIEWER, name)
    found = _newest(here, name) if alias.lower() == "latest" else here.shelf.registered.pointing.by_alias(name, alias)
    return {"model_version": told_version(found)}


def set_alias(asked: Asked, here: Here) -> JsonObject:
    """Has an alias name a version."""
    alias = new_alias_name(asked.text("alias"))
    version = version_of(here, asked, Role.CONTRIBUTOR)
    stage = here.shelf.registered.pointing.stage_of(version.model, alias)
    require_no_way_around(here, version.model, stage, alias)
    move_stage(here, version, stage, alias=alias)
    return {}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Has an alias name nothing; one that names nothing is no mistake."""
    name, alias = asked.text("name"), alias_name(asked.text("alias"))
    require(here, Role.CONTRIBUTOR, name)
    model = here.shelf.registered.names.get(name).model
    clear_stage(here, name, model, here.shelf.registered.pointing.stage_of(model, alias), alias=alias)
    return {}


def _newest(here: Here, name: str) -> RegisteredVersion:
    heads = here.shelf.registered.names.get(name).heads
    if not heads:
        raise NotFound(f"Latest version not found for model {name}.", hint="Register one first.", name=name)
    return max(heads, key=lambda one: one.number)


ENDPOINTS = (
    Endpoint("GET", _PATH, Role.VIEWER, answers=get),
    Endpoint("POST", _PATH, Role.CONTRIBUTOR, answers=set_alias),
    Endpoint("DELETE", _PATH, Role.CONTRIBUTOR, answers=delete),
)
