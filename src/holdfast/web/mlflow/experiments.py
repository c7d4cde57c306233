"""Experiments: made, found, renamed, deleted and restored."""

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.experiments.limits import check_tags
from holdfast.experiments.view import View
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said

__all__ = ["ENDPOINTS", "tags_of", "view_of"]


def create(asked: Asked, here: Here) -> JsonObject:
    """Makes an experiment."""
    name, place = asked.text("name"), asked.maybe_text("artifact_location")
    return {"experiment_id": here.shelf.experiments.create(name, here.caller.name, place or None, tags_of(asked))}


def get(asked: Asked, here: Here) -> JsonObject:
    """The experiment with an id."""
    return {"experiment": here.shelf.experiments.get(asked.text("experiment_id"))}


def by_name(asked: Asked, here: Here) -> JsonObject:
    """The experiment of a name."""
    return {"experiment": here.shelf.experiments.by_name(asked.text("experiment_name"))}


def search(asked: Asked, here: Here) -> JsonObject:
    """The experiments that fit."""
    found, after = here.shelf.experiments.search(
        view_of(asked, "view_type"),
        limit=asked.integer("max_results", 0),
        filter=asked.maybe_text("filter") or "",
        order_by=asked.texts("order_by"),
        page=asked.maybe_text("page_token"),
    )
    experiments: Json = found or None
    return said(experiments=experiments, next_page_token=after)


def rename(asked: Asked, here: Here) -> JsonObject:
    """Gives an experiment another name."""
    here.shelf.experiments.rename(asked.text("experiment_id"), asked.text("new_name"))
    return {}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Deletes an experiment, and its runs."""
    here.shelf.experiments.delete(asked.text("experiment_id"))
    return {}


def restore(asked: Asked, here: Here) -> JsonObject:
    """Takes the deletion of an experiment back."""
    here.shelf.experiments.restore(asked.text("experiment_id"))
    return {}


def set_tag(asked: Asked, here: Here) -> JsonObject:
    """Sets a tag of an experiment."""
    id_, key, value = asked.text("experiment_id"), asked.text("key"), asked.maybe_text("value")
    here.shelf.experiments.set_tag(id_, key, value or "")
    return {}


def delete_tag(asked: Asked, here: Here) -> JsonObject:
    """Takes a tag of an experiment away."""
    here.shelf.experiments.delete_tag(asked.text("experiment_id"), asked.text("key"))
    return {}


def view_of(asked: Asked, name: str) -> View:
    """Whether deleted ones are meant; a word that the protocol does not know is as none."""
    try:
        return View(asked.fields.get(name))
    except ValueError:
        return View.ACTIVE


def tags_of(asked: Asked) -> list[tuple[str, str]]:
    """The tags of a request.

    Raises:
        UsageError: one has no key, or something else stands there; or they are too many.
    """
    tags = asked.items("tags")
    check_tags(len(tags))
    return [(one.text("key"), one.maybe_text("value") or "") for one in tags]


_AT = f"{V2}/experiments"

ENDPOINTS = (
    Endpoint("POST", f"{_AT}/create", Role.CONTRIBUTOR, answers=create),
    Endpoint("GET", f"{_AT}/get", Role.VIEWER, answers=get),
    Endpoint("GET", f"{_AT}/get-by-name", Role.VIEWER, answers=by_name),
    Endpoint("GET", f"{_AT}/search", Role.VIEWER, answers=search),
    Endpoint("POST", f"{_AT}/search", Role.VIEWER, answers=search),
    Endpoint("POST", f"{_AT}/update", Role.CONTRIBUTOR, answers=rename),
    Endpoint("POST", f"{_AT}/delete", Role.CONTRIBUTOR, answers=delete),
    Endpoint("POST", f"{_AT}/restore", Role.CONTRIBUTOR, answers=restore),
    Endpoint("POST", f"{_AT}/set-experiment-tag", Role.CONTRIBUTOR, answers=set_tag),
    Endpoint("POST", f"{_AT}/delete-experiment-tag", Role.CONTRIBUTOR, answers=delete_tag),
)
