"""Whoever follows a stage with MLflow's own tools: the alias is the stage, and no gate that refuses is passed by it."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.mlflow.rooms import ours
from tests.mlflow.venvs import Client
from tests.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.slow

NO_GATE = '[mlflow]\naliases = {champion = "production"}\n'
GATE = f"{NO_GATE}\n[gate.production]\n"

REGISTERED = """
import mlflow, pandas
from sklearn.linear_model import LinearRegression

rows = pandas.DataFrame({"x": [0.0, 1.0, 2.0]})
with mlflow.start_run():
    model = LinearRegression().fit(rows, [0.0, 2.0, 4.0])
    mlflow.sklearn.log_model(model, name="model", input_example=rows, registered_model_name="line")
"""
MOVED = """
import mlflow, pandas

try:
    mlflow.MlflowClient().set_registered_model_alias("line", "champion", "1")
except mlflow.MlflowException as error:
    print(error.error_code, error.message)
else:
    model = mlflow.pyfunc.load_model("models:/line@production")
    print([round(float(one), 6) for one in model.predict(pandas.DataFrame({"x": [3.0]}))])
"""


def said(client: Client, url: str, folder: Path, text: str) -> str:
    script = folder / "script.py"
    script.write_text(text, encoding="utf-8")
    lines = client.run(script, url, folder).splitlines()
    return "\n".join(line for line in lines if " at: http" not in line)


@contextmanager
def served(client: Client, url: str, folder: Path) -> Iterator[str]:
    """`mlflow models serve` of the stage, as MLflow's documentation has it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", "models:/line@production", "--env-manager", "local", "-p", str(port)]
    with (folder / "serve.log").open("w") as written:
        process = subprocess.Popen(
            [str(client.folder / "bin" / command[0]), *command[1:]],
            cwd=folder,
            env={**client.environment(), "MLFLOW_TRACKING_URI": url},
            stdout=written,
            stderr=written,
        )
    try:
        log = folder / "serve.log"
        until(lambda: process.poll() is not None or answers(port), lambda: log.read_text("utf-8"), pause_seconds=0.2)
        assert process.poll() is None, log.read_text("utf-8")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def predicted(url: str) -> Any:
    body = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[3.0], [4.0]]}}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


def test_what_holds_production_is_loaded_and_served_by_mlflow(newest: Client, tmp_path: Path, empty: Path) -> None:
    with ours(tmp_path / "project", NO_GATE) as room:
        said(newest, room.url, empty, REGISTERED)
        assert said(newest, room.url, empty, MOVED) == "[6.0]"
        live: Any = room.holdfast("live", "line")
        assert live["stages"]["production"]["version"] == 1
        with served(newest, room.url, empty) as url:
            assert predicted(url) == {"predictions": [pytest.approx(6.0), pytest.approx(8.0)]}


def test_an_alias_does_not_pass_a_gate_that_refuses(newest: Client, tmp_path: Path, empty: Path) -> None:
    with ours(tmp_path / "project", GATE) as room:
        said(newest, room.url, empty, REGISTERED)
        refused = said(newest, room.url, empty, MOVED)
        assert refused.startswith("PERMISSION_DENIED")
        assert "line@1 may not have production: completeness: missing" in refused
        live: Any = room.holdfast("live", "line")
        assert live["stages"].get("production") is None
