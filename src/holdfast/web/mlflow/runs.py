"""Runs: begun, logged to, ended, deleted, restored and searched."""

import json
from collections.abc import Mapping

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.experiments.limits import PAGE_MAX
from holdfast.experiments.writing import Measured
from holdfast.tracking import RunStatus
from holdfast.web.mlflow.asking import Asked, invalid, missing, real, whole
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.experiments import tags_of, view_of
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import Written, numbers

__all__ = ["ENDPOINTS", "run_of"]

_STATUSES = {status.upper(): status for status in RunStatus}

_RUNS = 1000
"""Of one answer, where nobody says how many."""


def run_of(asked: Asked) -> str:
    """The id of the run that is meant, under its old name too.

    Raises:
        UsageError: none is named.
    """
    return asked.text("run_id") if asked.has("run_id") or not asked.has("run_uuid") else asked.text("run_uuid")


def create(asked: Asked, here: Here) -> JsonObject:
    """Begins a run. Who begins it is who they have shown to be; where nobody is asked, who they say."""
    claimed = asked.maybe_text("user_id") or here.caller.name
    run = here.shelf.runs.create(
        asked.maybe_text("experiment_id") or "",
        here.caller.name if here.caller.identity is not None else claimed,
        asked.integer("start_time", 0),
        asked.maybe_text("run_name") or "",
        tags_of(asked),
    )
    return {"run": run}


def get(asked: Asked, here: Here) -> JsonObject:
    """The run with an id."""
    return {"run": here.shelf.runs.get(run_of(asked))}


def change(asked: Asked, here: Here) -> JsonObject:
    """Changes what is given of a run; a status that the protocol does not know is as none."""
    run, end_ms = run_of(asked), asked.maybe_integer("end_time")
    status = _STATUSES.get(asked.maybe_text("status") or "")
    return {"run_info": here.shelf.runs.update(run, status, end_ms, asked.maybe_text("run_name") or "")}


def delete(asked: Asked, here: Here) -> JsonObject:
    """Deletes a run."""
    here.shelf.runs.delete(run_of(asked))
    return {}


def restore(asked: Asked, here: Here) -> JsonObject:
    """Takes the deletion of a run back."""
    here.shelf.runs.restore(run_of(asked))
    return {}


def log_metric(asked: Asked, here: Here) -> JsonObject:
    """Logs one value of one metric."""
    here.shelf.runs.log_metric(run_of(asked), _measured(asked.fields, ""))
    return {}


def log_parameter(asked: Asked, here: Here) -> JsonObject:
    """Logs one param."""
    here.shelf.runs.log_param(run_of(asked), asked.text("key"), asked.maybe_text("value") or "")
    return {}


def set_tag(asked: Asked, here: Here) -> JsonObject:
    """Sets one tag."""
    here.shelf.runs.set_tag(run_of(asked), asked.text("key"), asked.maybe_text("value") or "")
    return {}


def delete_tag(asked: Asked, here: Here) -> JsonObject:
    """Takes one tag away."""
    here.shelf.runs.delete_tag(run_of(asked), asked.text("key"))
    return {}


def log_batch(asked: Asked, here: Here) -> JsonObject:
    """Logs metrics, params and tags together."""
    run = asked.text("run_id")
    metrics = [_measured(one, f"metrics[{place}].") for place, one in enumerate(asked.mappings("metrics"))]
    here.shelf.runs.log(run, metrics, _pairs(asked, "params"), _pairs(asked, "tags"))
    return {}


def search(asked: Asked, here: Here) -> Written:
    """The runs that fit."""
    limit = asked.maybe_integer("max_results")
    if limit is not None and limit > PAGE_MAX:
        raise invalid("max_results", limit)
    found, after = here.shelf.runs.search(
        _listed(asked, "experiment_ids"),
        view_of(asked, "run_view_type"),
        limit=_RUNS if limit is None else limit,
        filter=asked.maybe_text("filter") or "",
        order_by=_listed(asked, "order_by"),
        page=asked.maybe_text("page_token"),
        write_numbers=numbers,
    )
    runs = [f'"runs":[{",".join(found)}]'] if found else []
    token = [f'"next_page_token":{json.dumps(after)}'] if after else []
    return Written(f"{{{','.join([*runs, *token])}}}")


def _listed(asked: Asked, name: str) -> list[str]:
    value = asked.fields.get(name)
    if value is not None and not isinstance(value, list):
        raise invalid(name, value)
    return asked.texts(name)


def _measured(fields: Mapping[str, Json], path: str) -> Measured:
    """One value of one metric; looked at field by field, for a batch has a thousand of them."""
    key, value, time = fields.get("key"), fields.get("value"), fields.get("timestamp")
    step = fields.get("step")
    for name, given in (("key", key), ("value", value), ("timestamp", time)):
        if given is None or given == "":
            raise missing(f"{path}{name}")
    if not isinstance(key, str):
        raise invalid(f"{path}key", key)
    return Measured(
        key,
        value if type(value) is float else real(f"{path}value", value),
        time if type(time) is int else whole(f"{path}timestamp", time),
        0 if step is None or step == "" else whole(f"{path}step", step),
        _word(fields, "model_id", path),
        _word(fields, "dataset_name", path),
        _word(fields, "dataset_digest", path),
    )


def _word(fields: Mapping[str, Json], name: str, path: str) -> str:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise invalid(f"{path}{name}", value)


def _pairs(asked: Asked, name: str) -> list[tuple[str, str]]:
    found = []
    for place, one in enumerate(asked.items(name)):
        key = _word(one.fields, "key", f"{name}[{place}].")
        if not key:
            raise missing(f"{name}[{place}].key")
        found.append((key, _word(one.fields, "value", f"{name}[{place}].")))
    return found


_AT = f"{V2}/runs"

ENDPOINTS = (
    Endpoint("POST", f"{_AT}/create", Role.CONTRIBUTOR, answers=create),
    Endpoint("GET", f"{_AT}/get", Role.VIEWER, answers=get),
    Endpoint("POST", f"{_AT}/update", Role.CONTRIBUTOR, answers=change),
    Endpoint("POST", f"{_AT}/delete", Role.CONTRIBUTOR, answers=delete),
    Endpoint("POST", f"{_AT}/restore", Role.CONTRIBUTOR, answers=restore),
    Endpoint("POST", f"{_AT}/log-metric", Role.CONTRIBUTOR, answers=log_metric),
    Endpoint("POST", f"{_AT}/log-parameter", Role.CONTRIBUTOR, answers=log_parameter),
    Endpoint("POST", f"{_AT}/log-batch", Role.CONTRIBUTOR, answers=log_batch),
    Endpoint("POST", f"{_AT}/set-tag", Role.CONTRIBUTOR, answers=set_tag),
    Endpoint("POST", f"{_AT}/delete-tag", Role.CONTRIBUTOR, answers=delete_tag),
    Endpoint("POST", f"{_AT}/search", Role.VIEWER, answers=search),
)
