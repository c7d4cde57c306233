"""Runs as MLflow writes them, read for any number of runs in one round trip and made in one pass.

A run here is what the protocol calls `Run`: its info, its data, its inputs and outputs. What is not set is left out.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from json.encoder import encode_basestring as quoted
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection

from holdfast.canonical import JsonObject
from holdfast.experiments.inputs import EXTRAS, RunExtras, extras_of
from holdfast.experiments.many import of_runs, rows_of
from holdfast.experiments.moments import to_ms

__all__ = ["ROWS", "Numbers", "documents", "info", "number", "numbers_of", "params_of", "texts"]

Rows: TypeAlias = Sequence[tuple[Any, ...]]

Numbers: TypeAlias = Callable[[Sequence[float | None]], Sequence[str]]
"""Gives the JSON of many numbers, None for what is none. A server has a library that writes them faster than Python."""

_COLUMNS = (
    "runs.id, runs.name, runs.status, runs.started_at, runs.finished_at, runs.actor, runs.experiment, runs.deleted_ms, "
    "experiments.place"
)
"""What the info of a run is made of."""

_TABLES = "runs JOIN experiments ON experiments.id = runs.experiment"

ROWS = f"SELECT {_COLUMNS} FROM {_TABLES}"  # noqa: S608 - names of ours
"""The statement of the rows that are made into runs; `WHERE` and what has to hold may be written behind it."""

_ROWS = of_runs(_COLUMNS, _TABLES, "runs.id", run="runs.id")

_OTHERS = (
    of_runs("run, key, value, time, step", "run_metrics", "run, key"),
    of_runs("run, key, value", "run_params", "run, key"),
    of_runs("run, key, value", "run_tags", "run, key"),
    *EXTRAS,
)
"""What belongs to a run beside its info."""

_PARAMS = _OTHERS[1]

_NO_EXTRAS = '"inputs":{},"outputs":{}'

_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_RUN = itemgetter(0)

_QUOTE, _SLASH = '"', "/"


class _Heads(dict[str, str]):
    """The beginning of each entry of a metric, a param or a tag, by its key: there are few keys and many entries."""

    def __missing__(self, key: str) -> str:
        found = self[key] = f'{{"key":{quoted(key)},"value":'
        return found


def numbers_of(values: Iterable[float | None]) -> list[str]:
    """The JSON of each of these values; see `number`."""
    return [repr(one) if one is not None and math.isfinite(one) else f'"{number(one)}"' for one in values]


def documents(connection: Connection, ids: Sequence[str]) -> list[JsonObject]:
    """The runs of experiments with these ids, by id; see `texts`."""
    rows, *others = rows_of(connection, ids, _ROWS, *_OTHERS)
    found: list[JsonObject] = json.loads(f"[{','.join(_written(rows, others, numbers_of))}]")
    return found


def texts(connection: Connection, rows: Rows, write_numbers: Numbers = numbers_of) -> list[str]:
    """The runs of these rows, in this order, each as the text of its JSON.

    A thousand runs have tens of thousands of values: to make an object of each, and to write those, takes longer than
    to write each at once.

    Args:
        connection: of one view, so that all that is read is of one moment.
        rows: as `ROWS` selects them.
        write_numbers: gives the JSON of many numbers.
    """
    return _written(rows, rows_of(connection, [row[0] for row in rows], *_OTHERS), write_numbers) if rows else []


def _written(rows: Rows, others: Sequence[Rows], write_numbers: Numbers) -> list[str]:
    metrics, params, tags, seen, models = others
    heads, values = _Heads(), iter(write_numbers([value for _, _, value, _, _ in metrics]))
    data = (
        (
            "metrics",
            {
                run: ",".join(
                    [
                        f'{heads[key]}{next(values)},"timestamp":{to_ms(time)},"step":{step}}}'
                        for _, key, _, time, step in of_run
                    ]
                )
                for run, of_run in groupby(metrics, _RUN)
            },
        ),
        (
            "params",
            {
                run: ",".join(
                    [f"{heads[key]}{value if value[0] == _QUOTE else quoted(value)}}}" for _, key, value in of_run]
                )
                for run, of_run in groupby(params, _RUN)
            },
        ),
        (
            "tags",
            {
                run: ",".join([f"{heads[key]}{quoted(value)}}}" for _, key, value in of_run])
                for run, of_run in groupby(tags, _RUN)
            },
        ),
    )
    extras = extras_of(seen, models)
    return [
        f'{{"info":{_info(row)},"data":{{{_lists(row[0], data)}}},'
        f"{_extras(extras[row[0]]) if row[0] in extras else _NO_EXTRAS}}}"
        for row in rows
    ]


def _lists(run: str, data: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    return ",".join([f'"{name}":[{of_runs[run]}]' for name, of_runs in data if run in of_runs])


def info(connection: Connection, run: str) -> JsonObject:
    """The info of a run, which is there."""
    ((row,),) = rows_of(connection, [run], _ROWS)
    found: JsonObject = json.loads(_info(row))
    return found


def _info(row: tuple[Any, ...]) -> str:
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


def params_of(connection: Connection, run: str) -> dict[str, str]:
    """The params of one run, as texts."""
    (found,) = rows_of(connection, [run], _PARAMS)
    return {key: _said(value) for _, key, value in found}


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
