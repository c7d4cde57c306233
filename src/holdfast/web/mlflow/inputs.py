"""What runs read and what they made: datasets as clients name them, and logged models."""

import json

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.inputs import Dataset, DatasetSeen
from holdfast.web.mlflow.asking import Asked, missing
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.logged_models import pairs
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said

__all__ = ["ENDPOINTS"]

_EXPERIMENTS_MAX = 20
"""Of one search of datasets, as MLflow has it."""

_WANTED = ("artifact_path", "flavors", "utc_time_created", "run_id")
"""What an older client's account of a model has to say."""

_KEPT = ("run_id", "artifact_path", "utc_time_created", "model_uuid")
"""What of it is kept, beside its flavors."""


def log_inputs(asked: Asked, here: Here) -> JsonObject:
    """Says what a run read."""
    run = asked.text("run_id")
    models = [one.text("model_id") for one in asked.items("models")]
    here.shelf.inputs.log_inputs(run, [_seen(one) for one in asked.items("datasets")], models)
    return {}


def log_outputs(asked: Asked, here: Here) -> JsonObject:
    """Says what a run made."""
    run = asked.text("run_id")
    models = [(one.text("model_id"), one.integer("step", 0)) for one in asked.items("models")]
    if not models:
        raise missing("models")
    here.shelf.inputs.log_outputs(run, models)
    return {}


def log_model(asked: Asked, here: Here) -> JsonObject:
    """Says what clients before MLflow 3 say of a model that they logged."""
    run, written = asked.text("run_id"), asked.text("model_json")
    try:
        model = json.loads(written)
    except (ValueError, RecursionError) as error:
        message = f"Malformed model info. \n {written[:1000]} \n is not a valid JSON."
        raise UsageError(message, hint="Send JSON.") from error
    absent = [name for name in _WANTED if not isinstance(model, dict) or name not in model]
    if absent:
        raise UsageError(f"Model json is missing mandatory fields: {set(absent)}", hint="Send them.")
    kept = {name: model[name] for name in _KEPT if name in model}
    here.shelf.inputs.record_model(run, {**kept, "flavors": _flavors(model["flavors"])})
    return {}


def search_datasets(asked: Asked, here: Here) -> JsonObject:
    """What datasets the runs of some experiments read."""
    ids = asked.texts("experiment_ids")
    if not ids:
        message = "SearchDatasets request must specify at least one experiment_id."
        raise UsageError(message, hint="Name an experiment.")
    if len(ids) > _EXPERIMENTS_MAX:
        raise UsageError(
            f"SearchDatasets request cannot specify more than {_EXPERIMENTS_MAX} experiment_ids. "
            f"Received {len(ids)} experiment_ids.",
            hint="Ask several times.",
        )
    found = here.shelf.inputs.search([Asked({"experiment_ids": one}).integer("experiment_ids") for one in ids])
    summaries: Json = [
        said(experiment_id=str(one.experiment), name=one.name, digest=one.digest, context=one.context or None)
        for one in found
    ]
    return said(dataset_summaries=summaries or None)


def _seen(asked: Asked) -> DatasetSeen:
    dataset = asked.part("dataset")
    if dataset is None:
        raise UsageError("Dataset input must have a dataset associated with it.", hint="Send it.")
    found = Dataset(
        name=dataset.text("name"),
        digest=dataset.text("digest"),
        source_type=dataset.maybe_text("source_type") or "",
        source=dataset.maybe_text("source") or "",
        schema=dataset.maybe_text("schema") or None,
        profile=dataset.maybe_text("profile") or None,
    )
    return DatasetSeen(found, pairs(asked, "tags"))


def _flavors(flavors: Json) -> Json:
    """The flavors without their settings, which can be long."""
    if not isinstance(flavors, dict):
        return {}
    return {
        name: {key: value for key, value in flavor.items() if key != "config"} if isinstance(flavor, dict) else flavor
        for name, flavor in flavors.items()
    }


ENDPOINTS = (
    Endpoint("POST", f"{V2}/runs/log-inputs", Role.CONTRIBUTOR, answers=log_inputs),
    Endpoint("POST", f"{V2}/runs/outputs", Role.CONTRIBUTOR, answers=log_outputs),
    Endpoint("POST", f"{V2}/runs/log-model", Role.CONTRIBUTOR, answers=log_model),
    Endpoint("POST", f"{V2}/experiments/search-datasets", Role.VIEWER, answers=search_datasets),
    # MLflow's own path for it lacks a slash, and its clients ask there.
    Endpoint("POST", "/api/2.0mlflow/experiments/search-datasets", Role.VIEWER, answers=search_datasets),
)
