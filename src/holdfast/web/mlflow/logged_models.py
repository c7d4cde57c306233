"""Logged models: the files of one model with what was said of it, before anybody registers it."""

from collections.abc import Iterable

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.logged import LoggedModel, ModelStatus, NewLoggedModel
from holdfast.experiments.logged_metrics import ModelPoint
from holdfast.experiments.logged_search import FOUND_MAX, LoggedModelSearch, ModelOrder, search_models
from holdfast.experiments.paging import Place, read_token, token
from holdfast.web.mlflow.asking import Asked, invalid, missing
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import number, said

__all__ = ["ENDPOINTS", "pairs", "told"]

_ROOT = f"{V2}/logged-models"
_ONE = f"{_ROOT}/{{model_id}}"

_FOUND = 50
"""Models of one answer where the client does not say how many."""

_EXPERIMENTS_MAX = 1000
"""Of one search: it is one list in a statement."""

_STATUSES = {
    1: ModelStatus.PENDING,
    2: ModelStatus.READY,
    3: ModelStatus.UPLOAD_FAILED,
}
"""The numbers of MLflow's protocol."""


def create(asked: Asked, here: Here) -> JsonObject:
    """A model that waits for its files."""
    new = NewLoggedModel(
        experiment=asked.text("experiment_id"),
        name=asked.maybe_text("name") or "",
        type=asked.maybe_text("model_type") or "",
        run=asked.maybe_text("source_run_id") or None,
        params=pairs(asked, "params"),
        tags=pairs(asked, "tags"),
    )
    return {"model": told(here.shelf.logged.create(new, here.caller.name))}


def get(asked: Asked, here: Here) -> JsonObject:
    """One model."""
    return {"model": told(here.shelf.logged.get(asked.text("model_id"), deleted=asked.flag("allow_deleted")))}


def finalise(asked: Asked, here: Here) -> JsonObject:
    """How the upload ended."""
    if not asked.has("status"):
        raise missing("status")
    return {"model": told(here.shelf.logged.finalise(asked.text("model_id"), _status(asked.fields["status"])))}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Hides a model."""
    here.shelf.logged.delete(asked.text("model_id"))
    return {}


def set_tags(asked: Asked, here: Here) -> JsonObject:
    """Sets tags."""
    here.shelf.logged.set_tags(asked.text("model_id"), pairs(asked, "tags"))
    return {}


def delete_tag(asked: Asked, here: Here) -> JsonObject:
    """Takes a tag away."""
    here.shelf.logged.delete_tag(asked.text("model_id"), asked.text("tag_key"))
    return {}


def log_params(asked: Asked, here: Here) -> JsonObject:
    """Adds params to a model that is not ready."""
    here.shelf.logged.add_params(asked.text("model_id"), pairs(asked, "params"))
    return {}


def search(asked: Asked, here: Here) -> JsonObject:
    """The models of some experiments."""
    limit = asked.integer("max_results", _FOUND) or _FOUND
    if limit < 0:
        raise invalid("max_results", limit, f"It must be a positive integer, but got {limit}")
    if limit > FOUND_MAX:
        raise invalid("max_results", limit, f"It must be at most {FOUND_MAX}, but got value {limit}")
    offset = read_token(asked.maybe_text("page_token")).offset
    wanted = LoggedModelSearch(
        experiments=_experiments(asked),
        filter=asked.maybe_text("filter") or "",
        datasets=_datasets(asked),
        orders=[_order(one) for one in asked.items("order_by")],
        limit=limit + 1,
        offset=offset,
    )
    found = search_models(here.shelf.database, wanted)
    more = token(Place(offset=offset + limit)) if len(found) > limit else None
    return said(models=[told(one) for one in found[:limit]] or None, next_page_token=more)


def told(model: LoggedModel) -> JsonObject:
    """A model as MLflow's protocol tells it."""
    info = said(
        model_id=model.id,
        experiment_id=str(model.experiment),
        name=model.name,
        creation_timestamp_ms=model.created_ms,
        last_updated_timestamp_ms=model.updated_ms,
        artifact_uri=model.place,
        status=f"LOGGED_MODEL_{model.status}",
        status_message=model.status_message,
        model_type=model.type,
        source_run_id=model.run or "",
        tags=_words(model.tags.items()),
    )
    return {
        "info": info,
        "data": said(params=_words(model.params.items()), metrics=[_point(one) for one in model.points] or None),
    }


def pairs(asked: Asked, name: str) -> list[tuple[str, str]]:
    """A list of names with values; a value that is not set is an empty text.

    Raises:
        UsageError: it is something else.
    """
    return [(one.text("key"), one.maybe_text("value") or "") for one in asked.items(name)]


def _words(words: Iterable[tuple[str, str]]) -> Json:
    return [{"key": key, "value": value} for key, value in words] or None


def _point(point: ModelPoint) -> JsonObject:
    return said(
        key=point.key,
        value=number(point.value),
        timestamp=point.time_ms,
        step=point.step,
        dataset_name=point.dataset_name or None,
        dataset_digest=point.dataset_digest or None,
        model_id=point.model,
        run_id=point.run,
    )


def _status(value: Json) -> ModelStatus:
    word = str(value).removeprefix("LOGGED_MODEL_")
    if word in set(ModelStatus):
        return ModelStatus(word)
    if isinstance(value, int) and not isinstance(value, bool) and value in _STATUSES:
        return _STATUSES[value]
    raise UsageError(f"Unknown model status: {str(value)[:80]}", hint="Say LOGGED_MODEL_READY, for instance.")


def _experiments(asked: Asked) -> list[int]:
    ids = asked.texts("experiment_ids")
    if not ids:
        raise missing("experiment_ids")
    if len(ids) > _EXPERIMENTS_MAX:
        raise invalid("experiment_ids", len(ids), f"At most {_EXPERIMENTS_MAX} can be searched at once")
    return [Asked({"experiment_ids": one}).integer("experiment_ids") for one in ids]


def _datasets(asked: Asked) -> list[tuple[str, str]]:
    found = []
    for one in asked.items("datasets"):
        name = one.maybe_text("dataset_name")
        if not name:
            raise UsageError("`dataset_name` in the `datasets` clause must be specified.", hint="Name the dataset.")
        found.append((name, one.maybe_text("dataset_digest") or ""))
    return found


def _order(asked: Asked) -> ModelOrder:
    return ModelOrder(
        field=asked.text("field_name"),
        ascending=asked.flag("ascending", default=True),
        dataset_name=asked.maybe_text("dataset_name") or "",
        dataset_digest=asked.maybe_text("dataset_digest") or "",
    )


ENDPOINTS = (
    Endpoint("POST", _ROOT, Role.CONTRIBUTOR, answers=create),
    Endpoint("POST", f"{_ROOT}/search", Role.VIEWER, answers=search),
    Endpoint("GET", _ONE, Role.VIEWER, answers=get),
    Endpoint("PATCH", _ONE, Role.CONTRIBUTOR, answers=finalise),
    Endpoint("DELETE", _ONE, Role.CONTRIBUTOR, answers=delete),
    Endpoint("PATCH", f"{_ONE}/tags", Role.CONTRIBUTOR, answers=set_tags),
    Endpoint("DELETE", f"{_ONE}/tags/{{tag_key:path}}", Role.CONTRIBUTOR, answers=delete_tag),
    Endpoint("POST", f"{_ONE}/params", Role.CONTRIBUTOR, answers=log_params),
)
