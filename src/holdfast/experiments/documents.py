"""Runs as MLflow writes them, read for any number of runs in a few statements and one pass, with nothing in between.

A run here is what the protocol calls `Run`: its info, its data, its inputs and outputs. What is not set is left out.
"""

import json
import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from json.encoder import encode_basestring as quoted
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, select

from holdfast.canonical import JsonObject
from holdfast.experiments.inputs import RunExtras, extras_of
from holdfast.experiments.many import of_runs, rows_of
from holdfast.experiments.moments import to_ms
from holdfast.experiments.tables import experiments
from holdfast.tracking.tables import runs

__all__ = ["ROW", "documents", "info", "number", "params_of", "texts"]

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

_NO_EXTRAS = '"inputs":{},"outputs":{}'

_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_RUN = itemgetter(0)

_QUOTE, _SLASH = '"', "/"


class _Quoted(dict[str, str]):
    """The JSON of texts that come again and again."""

    def __missing__(self, text: str) -> str:
        found = self[text] = quoted(text)
        return found


_METRICS = of_runs("run, key, value, time, step", "run_metrics", "run, key")
_PARAMS = of_runs("run, key, value", "run_params", "run, key")
_TAGS = of_runs("run, key, value", "run_tags", "run, key")


def documents(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[JsonObject]:
    """The runs of these rows, in this order; see `texts`."""
    found: list[JsonObject] = json.loads(f"[{','.join(texts(connection, rows))}]")
    return found


def texts(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[str]:
    """The runs of these rows, in this order, each as the text of its JSON.

    A thousand runs have tens of thousands of values: to make an object of each, and to write those, takes three times
    as long as to write each at once.

    Args:
        connection: of one view, so that all that is read is of one moment.
        rows: as `ROW` selects them.
    """
    infos = {row[0]: _info(row) for row in rows}
    ids = list(infos)
    if not ids:
        return []
    keys = _Quoted()
    data = (
        (
            "metrics",
            {
                run: ",".join(
                    [
                        f'{{"key":{keys[key]},"value":{_number(value)},"timestamp":{to_ms(time)},"step":{step}}}'
                        for _, key, value, time, step in of_run
                    ]
                )
                for run, of_run in groupby(rows_of(connection, _METRICS, ids), _RUN)
            },
        ),
        (
            "params",
            {
                run: ",".join(
                    [
                        f'{{"key":{keys[key]},"value":{value if value[0] == _QUOTE else quoted(value)}}}'
                        for _, key, value in of_run
                    ]
                )
                for run, of_run in groupby(rows_of(connection, _PARAMS, ids), _RUN)
            },
        ),
        (
            "tags",
            {
                run: ",".join([f'{{"key":{keys[key]},"value":{quoted(value)}}}' for _, key, value in of_run])
                for run, of_run in groupby(rows_of(connection, _TAGS, ids), _RUN)
            },
        ),
    )
    extras = extras_of(connection, ids)
    return [
        f'{{"info":{one},"data":{{{_lists(id_, data)}}},{_extras(extras[id_]) if id_ in extras else _NO_EXTRAS}}}'
        for id_, one in infos.items()
    ]


def _lists(run: str, data: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    return ",".join([f'"{name}":[{of_runs[run]}]' for name, of_runs in data if run in of_runs])


def info(row: Row[*tuple[Any, ...]]) -> JsonObject:
    """The info of a run, of a row that `ROW` selects."""
    found: JsonObject = json.loads(_info(row))
    return found


def _info(row: Row[*tuple[Any, ...]]) -> str:
    id_, name, status, started_at, finished_at, actor, experiment, deleted_ms, place = row
    run = quoted(id_)
    ended = "" if finished_at is None else f'"end_time":{to_ms(finished_at)},'
    return (
        f'{{"run_uuid":{run},"experiment_id":"{experiment}","run_name":{quoted(name)},"user_id":{quoted(actor)},'
        f'"status":{quoted(status.upper())},"start_time":{to_ms(started_at)},{ended}'
        f'"artifact_uri":{quoted(f"{place.rstrip(_SLASH)}/{id_}/artifacts")},'
        f'"lifecycle_stage":"{"active" if deleted_ms is None else "deleted"}","run_id":{run}}}'
    )


def number(value: float | None) -> float | str:
    """A value of a metric as protobuf's JSON writes it; null in a table is what is no number."""
    if value is None:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def _number(value: float | None) -> str:
    return repr(value) if value is not None and math.isfinite(value) else f'"{number(value)}"'


def params_of(connection: Connection, run: str) -> dict[str, str]:
    """The params of one run, as texts."""
    return {key: _said(value) for _, key, value in rows_of(connection, _PARAMS, [run])}


def _said(written: str) -> str:
    """A param as MLflow's clients know it, a text; one that our own clients logged as a number is told as JSON."""
    if written[0] == '"':
        return written[1:-1] if "\\" not in written else str(json.loads(written))
    return written


def _extras(found: RunExtras) -> str:
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
    outputs = {"model_outputs": made} if made else {}
    return f'"inputs":{_WRITER.encode(inputs)},"outputs":{_WRITER.encode(outputs)}'
