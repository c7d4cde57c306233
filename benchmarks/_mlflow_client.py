"""What a person does with MLflow's own client, with a clock beside it: runs in the environment of `benchmarks/peers`.

    MLFLOW_TRACKING_URI=http://127.0.0.1:8080 .peers/bin/python benchmarks/_mlflow_client.py script m1

Prints one line of JSON: seconds by name. MLFLOW_TRACKING_URI says which server it talks to.
"""

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

METRICS, PARAMS = 5, 10
"""What the script logs before it logs its model."""

BATCH = 1_000


class Clock:
    """Adds up what calls of one function take."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0

    def around(self, owner: Any, name: str) -> None:
        """Put the clock around a function or a method."""
        inner = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            try:
                return inner(*args, **options)
            finally:
                self.seconds += time.perf_counter() - begun
                self.calls += 1

        setattr(owner, name, timed)


def script(name: str) -> dict[str, float]:
    """A training script as people write it: import, fit, ten params, five metrics, log and register a model."""
    started = time.perf_counter()
    datasets = importlib.import_module("sklearn.datasets")
    linear = importlib.import_module("sklearn.linear_model")
    begun = time.perf_counter()
    mlflow = importlib.import_module("mlflow")
    importlib.import_module("mlflow.sklearn")
    imported = time.perf_counter()
    rows, target = datasets.load_iris(return_X_y=True, as_frame=True)
    model = linear.LogisticRegression(max_iter=500).fit(rows, target)
    wire, other = Clock(), Clock()
    wire.around(importlib.import_module("requests").Session, "send")
    other.around(subprocess.Popen, "communicate")
    ready = time.perf_counter()
    mlflow.set_experiment("iris")
    with mlflow.start_run():
        mlflow.log_params({f"p{n}": n for n in range(PARAMS)})
        mlflow.log_metrics({f"m{n}": n / 10 for n in range(METRICS)})
        logged = time.perf_counter()
        mlflow.sklearn.log_model(model, name="model", registered_model_name=name, input_example=rows.head(3))
        registered = time.perf_counter()
    ended = time.perf_counter()
    return {
        "import_s": imported - begun,
        "whole_s": ended - started,
        "mlflow_s": ended - ready,
        "log_model_s": registered - logged,
        "second_interpreter_s": other.seconds,
        "mlflow_without_it_s": ended - ready - other.seconds,
        "http_s": wire.seconds,
        "requests": wire.calls,
    }


def calls(often: str) -> dict[str, float]:
    """The median of what single calls of the client take, after one that does not count."""
    mlflow = importlib.import_module("mlflow")
    entities = importlib.import_module("mlflow.entities")
    client = mlflow.MlflowClient()
    run = client.create_run("0").info.run_id
    batches = iter(range(10_000))

    def batch() -> None:
        first = next(batches) * BATCH
        client.log_batch(run, [entities.Metric("loss", 0.5, step, step) for step in range(first, first + BATCH)])

    asked: dict[str, Callable[[], Any]] = {
        "create a run": lambda: client.create_run("0"),
        "get a run": lambda: client.get_run(run),
        "log one metric": lambda: client.log_metric(run, "one", 0.5, step=1),
        f"log a batch of {BATCH}": batch,
        "history of a metric": lambda: client.get_metric_history(run, "loss"),
        "search: metric and param": lambda: client.search_runs(
            ["0"], "metrics.m0 > 0.9 and params.p0 = 'a'", max_results=100
        ),
        "search: 1000 rows": lambda: client.search_runs(["0"], "metrics.m0 > 0.2", max_results=1_000),
        "search: sorted by metric": lambda: client.search_runs(
            ["0"], "metrics.m1 > 0.1", max_results=100, order_by=["metrics.m0 DESC"]
        ),
        "search_runs as a table": lambda: mlflow.search_runs(["0"], "metrics.m0 > 0.2", max_results=1_000),
    }
    return {name: _median(ask, int(often)) for name, ask in asked.items()}


def _median(ask: Callable[[], Any], often: int) -> float:
    ask()
    spent = []
    for _ in range(often):
        begun = time.perf_counter()
        ask()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def upload(path: str) -> dict[str, float | str]:
    """Log a file to a new run."""
    mlflow = importlib.import_module("mlflow")
    client = mlflow.MlflowClient()
    run = client.create_run("0").info.run_id
    begun = time.perf_counter()
    client.log_artifact(run, path)
    return {"seconds": time.perf_counter() - begun, "run": run}


def download(run: str, name: str, folder: str) -> dict[str, float | str]:
    """Fetch a file of a run."""
    mlflow = importlib.import_module("mlflow")
    begun = time.perf_counter()
    got = mlflow.MlflowClient().download_artifacts(run, name, folder)
    return {"seconds": time.perf_counter() - begun, "path": str(Path(got))}


def main() -> None:
    """Do what the arguments say."""
    what, *arguments = sys.argv[1:]
    work: dict[str, Callable[..., Any]] = {"script": script, "calls": calls, "upload": upload, "download": download}
    print(json.dumps(work[what](*arguments)))


if __name__ == "__main__":
    main()
