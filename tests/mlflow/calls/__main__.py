"""Walks over all calls in the one environment that has a real client, and writes each answer to a file of JSON.

It runs in a process of its own, since the tests' own environment has no MLflow. MLFLOW_TRACKING_URI says which server,
and the first argument which file.
"""

import inspect
import json
import os
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import mlflow

from tests.mlflow.calls import elsewhere, files, models, runs, traces
from tests.mlflow.calls.families import family_of
from tests.mlflow.calls.walking import Walk

mpl.use("Agg")


def public() -> set[str]:
    """Every public call of the client and of the fluent module."""
    client = {f"client.{name}" for name in dir(mlflow.MlflowClient) if _is_call(name)}
    fluent = {f"mlflow.{name}" for name in mlflow.__all__ if inspect.isfunction(getattr(mlflow, name, None))}
    return client | fluent


def _is_call(name: str) -> bool:
    return not name.startswith("_") and callable(getattr(mlflow.MlflowClient, name))


def main() -> None:
    """All calls, in an order in which later ones find what earlier ones have made."""
    one_by_one = (*runs.CALLS, *files.CALLS, *models.CALLS, *traces.CALLS)
    known = {name for name, _ in one_by_one}
    calls = (*one_by_one, *(call for call in elsewhere.CALLS if call[0] not in known))
    names = [name for name, _ in calls]
    missed = {name for name in public() - set(names) - elsewhere.HERE if family_of(name) is None}
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(os.environ["MLFLOW_TRACKING_URI"], Path(folder))
        answers = {name: walk.ask(asks) for name, asks in calls}
    # Not to standard output: the client prints there too.
    said = {"client": mlflow.__version__, "missed": sorted(missed), "answers": answers}
    Path(sys.argv[1]).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
