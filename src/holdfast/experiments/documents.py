"""Runs as MLflow writes them, read for any number of runs in a few statements and one pass, with nothing in between.

A run here is what the protocol calls `Run`: its info, its data, its inputs and outputs. What is not set is left out.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, select, text

from holdfast.canonical import JsonObject
from holdfast.experiments.inputs import RunExtras, extras_of
from holdfast.experiments.moments import to_ms
from holdfast.experiments.tables import experiments
from holdfast.tracking.tables import runs

__all__ = ["ROW", "documents", "info", "number", "params_of"]

ROW = select(
    runs.c.id,
    runs.c.name,
    runs.c.status,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.actor,
    runs.c.experiment,
    runs.c.deleted_ms,
    experiments.c.place,
).join(experiments, experiments.c.id == runs.c.experiment)
"""What the info of a run is made of."""

_NO_EXTRAS = RunExtras()


def _logged(columns: str, table: str) -> dict[str, Any]:
    # The ids travel as one parameter: a statement is the same for one run and for ten thousand.
    asked = f"SELECT {columns} FROM {table} WHERE run"  # noqa: S608 - names of ours
    order = "ORDER BY run, key"
    return {
        "sqlite": f"{asked} IN (SELECT value FROM json_each(?)) {order}",  # noqa: S608 - the same
        "postgresql": text(f"{asked} = ANY(CAST(:ids AS text[])) {order}"),
    }


_METRICS = _logged("run, key, value, time, step", "run_metrics")
_PARAMS = _logged("run, key, value", "run_params")
_TAGS = _logged("run, key, value", "run_tags")


def _asked(connection: Connection, statements: Mapping[str, Any], ids: Sequence[str]) -> CursorResult[*tuple[Any, ...]]:
    statement = statements[connection.dialect.name]
    if isinstance(statement, str):
        return connection.exec_driver_sql(statement, (json.dumps(ids),))
    return connection.execute(statement, {"ids": list(ids)})


def documents(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[JsonObject]:
    """The runs of these rows, in this order.

    Args:
        connection: of one view, so that all that is read is of one moment.
        rows: as `ROW` selects them.
    """
    infos = [info(row) for row in rows]
    ids = [one["run_id"] for one in infos]
    if not ids:
        return []
    data: dict[str, JsonObject] = {id_: {} for id_ in ids}
    for run, key, value, time, step in _asked(connection, _METRICS, ids):
        point = {"key": key, "value": number(value), "timestamp": to_ms(time), "step": step}
        data[run].setdefault("metrics", []).append(point)
    for run, key, value in _asked(connection, _PARAMS, ids):
        data[run].setdefault("params", []).append({"key": key, "value": _said(value)})
    for run, key, value in _asked(connection, _TAGS, ids):
        data[run].setdefault("tags", []).append({"key": key, "value": value})
    extras = extras_of(connection, ids)
    return [
        {"info": one, "data": data[one["run_id"]], **_extras(extras.get(one["run_id"], _NO_EXTRAS))} for one in infos
    ]


def info(row: Row[*tuple[Any, ...]]) -> JsonObject:
    """The info of a run, of a row that `ROW` selects."""
    id_, name, status, started_at, finished_at, actor, experiment, deleted_ms, place = row
    found: JsonObject = {
        "run_uuid": id_,
        "experiment_id": str(experiment),
        "run_name": name,
        "user_id": actor,
        "status": status.upper(),
        "start_time": to_ms(started_at),
    }
    if finished_at is not None:
        found["end_time"] = to_ms(finished_at)
    found["artifact_uri"] = f"{place.rstrip('/')}/{id_}/artifacts"
    found["lifecycle_stage"] = "active" if deleted_ms is None else "deleted"
    found["run_id"] = id_
    return found


def number(value: float | None) -> float | str:
    """A value of a metric as protobuf's JSON writes it; null in a table is what is no number."""
    if value is None:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def params_of(connection: Connection, run: str) -> dict[str, str]:
    """The params of one run, as texts."""
    return {key: _said(value) for _, key, value in _asked(connection, _PARAMS, [run])}


def _said(written: str) -> str:
    """A param as MLflow's clients know it, a text; one that our own clients logged as a number is told as JSON."""
    if written[0] == '"':
        return written[1:-1] if "\\" not in written else str(json.loads(written))
    return written


def _extras(found: RunExtras) -> JsonObject:
    inputs: JsonObject = {}
    if found.datasets:
        inputs["dataset_inputs"] = [
            {
                "tags": [{"key": key, "value": value} for key, value in seen.tags],
                "dataset": {
                    name: value
                    for name in ("name", "digest", "source_type", "source", "schema", "profile")
                    if (value := getattr(seen.dataset, name)) is not None
                },
            }
            for seen in found.datasets
        ]
    if found.models_read:
        inputs["model_inputs"] = [{"model_id": model} for model in found.models_read]
    made = [{"model_id": model, "step": step} for model, step in found.models_made]
    return {"inputs": inputs, "outputs": {"model_outputs": made} if made else {}}
