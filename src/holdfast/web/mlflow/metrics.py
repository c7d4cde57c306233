"""Histories of metrics."""

from holdfast.access import Role
from holdfast.canonical import Json, JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.metrics import BULK_POINTS_MAX, RUNS_MAX, SAMPLED_MAX
from holdfast.web.mlflow.asking import Asked, missing
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.runs import run_of
from holdfast.web.mlflow.telling import said

__all__ = ["ENDPOINTS"]

_SEE = " See the API docs for more information about request parameters."


def history(asked: Asked, here: Here) -> JsonObject:
    """The points of a metric in one run, page by page where a size of pages is given."""
    run, key, limit = run_of(asked), asked.text("metric_key"), asked.maybe_integer("max_results")
    points, after = here.shelf.metrics.history(run, key, limit, asked.maybe_text("page_token"))
    metrics: Json = points or None
    return said(metrics=metrics, next_page_token=after)


def histories(asked: Asked, here: Here) -> JsonObject:
    """The points of a metric in several runs."""
    runs, key = asked.texts("run_id"), asked.maybe_text("metric_key")
    if runs and key is None:
        raise UsageError("GetMetricHistoryBulk request must specify a metric_key.", hint="Name one.")
    limit = asked.integer("max_results", BULK_POINTS_MAX)
    return {"metrics": here.shelf.metrics.histories(runs, key or "", limit)}


def samples(asked: Asked, here: Here) -> JsonObject:
    """Points of a metric in several runs, evenly chosen, as many as a picture shows."""
    runs = asked.texts("run_ids")
    if not runs:
        raise missing("run_ids")
    if len(runs) > RUNS_MAX:
        raise UsageError(
            f"GetMetricHistoryBulkInterval request must specify at most {RUNS_MAX} run_ids. "
            f"Received {len(runs)} run_ids.{_SEE}",
            hint="Ask in parts.",
        )
    key, limit = asked.text("metric_key"), asked.integer("max_results", SAMPLED_MAX)
    if not 1 <= limit <= SAMPLED_MAX:
        raise UsageError(f"max_results must be between 1 and {SAMPLED_MAX}.{_SEE}", hint="Ask for fewer.")
    metrics: Json = here.shelf.metrics.samples(runs, key, limit, _steps(asked)) or None
    return said(metrics=metrics)


def _steps(asked: Asked) -> tuple[int, int] | None:
    first, last = asked.maybe_integer("start_step"), asked.maybe_integer("end_step")
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise UsageError(
            "If either start step or end step are specified, both must be specified.", hint="Give both, or none."
        )
    if first > last:
        raise UsageError(
            f"end_step must be greater than start_step. Found start_step={first} and end_step={last}.",
            hint="Give the smaller one first.",
        )
    return first, last


_AT = f"{V2}/metrics"

ENDPOINTS = (
    Endpoint("GET", f"{_AT}/get-history", Role.VIEWER, answers=history),
    Endpoint("GET", f"{_AT}/get-history-bulk", Role.VIEWER, answers=histories),
    Endpoint("GET", f"{_AT}/get-history-bulk-interval", Role.VIEWER, answers=samples),
)
