"""What runs log, on its way into the tables: metrics, params and tags, as MLflow's clients send them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from holdfast.canonical import encode
from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.errors import UsageError
from holdfast.experiments.documents import params_of
from holdfast.experiments.limits import (
    DATASET_DIGEST_CHARACTERS_MAX,
    DATASET_NAME_CHARACTERS_MAX,
    KEY_CHARACTERS_MAX,
    bad_value,
    check_key,
    check_length,
)
from holdfast.experiments.logged_metrics import ModelPoint, add_points
from holdfast.experiments.moments import to_text
from holdfast.tracking.points import NewPoint, Ties
from holdfast.tracking.points import add as add_to_history
from holdfast.tracking.tables import run_params, runs

__all__ = ["NAME_TAG", "Measured", "add_metrics", "add_params", "set_tags", "to_point"]

NAME_TAG = "mlflow.runName"
"""The tag that holds the name of a run, as the run itself does."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
"""A param that is a number to searches of ours; to MLflow's all params are texts."""

_SET_TAG = text(
    "INSERT INTO run_tags (run, key, value, text) VALUES (:run, :key, :value, :text) "
    "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, text = excluded.text"
)

_PARAMS = select(run_params.c.key, run_params.c.value).where(run_params.c.run == bindparam("run"))


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of one metric, as a client measured it.

    Attributes:
        key: the metric's name.
        value: NaN and the infinities are values too.
        time_ms: when, in milliseconds since 1970.
        step: of the training.
        model: the logged model that it is of, by id; empty where it is of none.
        dataset_name: on which data; empty where nobody said.
        dataset_digest: as the client computed it.
    """

    key: str
    value: float
    time_ms: int
    step: int = 0
    model: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


def to_point(metric: Measured, path: str) -> NewPoint:
    """The value as the columns of a point hold it; `path` is how a refusal names it.

    Raises:
        UsageError: it cannot be logged.
    """
    check_key(metric.key, f"{path}name")
    if metric.time_ms < 0:
        why = f"metric '{metric.key}' (value={metric.value}). Timestamp must be a nonnegative long (64-bit integer) "
        raise bad_value(f"{path}timestamp", metric.time_ms, why)
    check_length("Metric name", metric.key, KEY_CHARACTERS_MAX)
    check_length("dataset_name", metric.dataset_name, DATASET_NAME_CHARACTERS_MAX)
    check_length("dataset_digest", metric.dataset_digest, DATASET_DIGEST_CHARACTERS_MAX)
    value = None if math.isnan(metric.value) else metric.value
    return NewPoint(metric.key, metric.step, to_text(metric.time_ms), value)


def add_metrics(connection: Connection, run: str, metrics: Sequence[Measured], points: Sequence[NewPoint]) -> None:
    """Adds values of metrics to a run that is locked, and to the logged models that they are of.

    Raises:
        NotFound: there is no such logged model.
    """
    if points:
        add_to_history(connection, run, points, Ties.LARGEST)
    of_models = [
        ModelPoint(one.model, one.key, one.value, one.time_ms, one.step, run, one.dataset_name, one.dataset_digest)
        for one in metrics
        if one.model
    ]
    if of_models:
        add_points(connection, run, of_models)


def add_params(connection: Connection, run: str, params: Mapping[str, str], *, is_alone: bool = False) -> None:
    """Adds params to a run that is locked; the same value again changes nothing.

    Raises:
        UsageError: one has another value.
    """
    if not params:
        return
    there = {key: value for key, value in connection.execute(_PARAMS, {"run": run}) if key in params}
    rows = [_param(run, key, value) for key, value in params.items()]
    others = [row["key"] for row in rows if there.get(row["key"], row["value"]) != row["value"]]
    if others:
        raise _other_values(run, params, others, params_of(connection, run), is_alone=is_alone)
    fresh = [row for row in rows if row["key"] not in there]
    if fresh:
        connection.execute(insert(run_params), fresh)


def _other_values(
    run: str, params: Mapping[str, str], keys: Sequence[str], there: Mapping[str, str], *, is_alone: bool
) -> UsageError:
    hint = "A param has one value in a run; log what changes as a metric, or begin a nested run."
    if is_alone:
        key = keys[0]
        return UsageError(
            f"Changing param values is not allowed. Param with key='{key}' was already logged with "
            f"value='{there[key]}' for run ID='{run}'. Attempted logging new value '{params[key]}'.",
            hint=hint,
        )
    told = [{"key": key, "old_value": there[key], "new_value": params[key]} for key in keys]
    return UsageError(
        f"Changing param values is not allowed. Params were already logged='{told}' for run ID='{run}'.", hint=hint
    )


def _param(run: str, key: str, value: str) -> dict[str, Any]:
    number = float(value) if _NUMBER.fullmatch(value) else None
    return {
        "run": run,
        "key": key,
        "value": encode(value).decode(),
        "number": number if number is None or math.isfinite(number) else None,
        "text": value[:SEARCHED_CHARACTERS_MAX],
    }


def _tag(run: str, key: str, value: str) -> dict[str, str]:
    return {"run": run, "key": key, "value": value, "text": value[:SEARCHED_CHARACTERS_MAX]}


def set_tags(connection: Connection, run: str, tags: Mapping[str, str]) -> None:
    """Sets tags of a run that is locked; the name of a run is one of them."""
    if not tags:
        return
    connection.execute(_SET_TAG, [_tag(run, key, value) for key, value in tags.items()])
    if NAME_TAG in tags:
        connection.execute(update(runs).where(runs.c.id == run).values(name=tags[NAME_TAG]))
