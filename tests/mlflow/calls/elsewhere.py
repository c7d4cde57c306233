"""What the walk does not go through one by one: families of calls, and calls that ask no server."""

import inspect
from typing import Any

import mlflow

from tests.mlflow.calls.families import family_of
from tests.mlflow.calls.walking import Call

__all__ = ["CALLS", "HERE"]

HERE = frozenset(
    {
        "client.parse_prompt_uri",
        "client.unlink_traces_from_run",
        "mlflow.active_run",
        "mlflow.autolog",
        "mlflow.context",
        "mlflow.delete_tag",
        "mlflow.disable_system_metrics_logging",
        "mlflow.doctor",
        "mlflow.enable_system_metrics_logging",
        "mlflow.end_run",
        "mlflow.evaluate",
        "mlflow.flush_artifact_async_logging",
        "mlflow.flush_async_logging",
        "mlflow.flush_trace_async_logging",
        "mlflow.get_active_model_id",
        "mlflow.get_active_trace_id",
        "mlflow.get_current_active_span",
        "mlflow.get_last_active_trace_id",
        "mlflow.get_registry_uri",
        "mlflow.get_tracking_uri",
        "mlflow.import_checkpoints",
        "mlflow.is_tracking_uri_set",
        "mlflow.last_active_run",
        "mlflow.log_input",
        "mlflow.log_inputs",
        "mlflow.log_metric",
        "mlflow.log_metrics",
        "mlflow.log_outputs",
        "mlflow.log_param",
        "mlflow.log_params",
        "mlflow.login",
        "mlflow.run",
        "mlflow.set_registry_uri",
        "mlflow.set_system_metrics_node_id",
        "mlflow.set_system_metrics_samples_before_logging",
        "mlflow.set_system_metrics_sampling_interval",
        "mlflow.set_tag",
        "mlflow.set_tags",
        "mlflow.set_tracking_uri",
        "mlflow.test",
        "mlflow.update_current_trace",
        "mlflow.validate_evaluation_results",
    }
)
"""Calls that ask no server, or nothing that other calls of the walk and the scripts do not ask too."""

_EXAMPLES = {
    "experiment_ids": ["0"],
    "tags": {"a": "b"},
    "experiment_id": "0",
    "server_json": {"name": "x/y", "version": "1"},
}


def _asked_blindly(method: Any) -> Any:
    """With an example of each argument that it needs."""
    needed = {
        name: _EXAMPLES.get(name, "x")
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    return lambda walk: method(**needed)


def _calls() -> tuple[Call, ...]:
    client = mlflow.MlflowClient
    return tuple(
        (f"client.{name}", lambda walk, name=name: _asked_blindly(getattr(walk.client, name))(walk))
        for name in dir(client)
        if not name.startswith("_")
        and callable(getattr(client, name))
        and family_of(f"client.{name}")
        and f"client.{name}" not in HERE
    )


CALLS: tuple[Call, ...] = _calls()
