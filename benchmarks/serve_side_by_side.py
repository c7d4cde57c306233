"""Single rows over HTTP: Holdfast beside servers written by hand and servers of others, with the same weights.

    python benchmarks/serve_side_by_side.py [--rows lists|pandas] [--rounds 2] [--seconds 3] [--only NAME] [--json FILE]

`benchmarks/peers` installs the others. Each server is started as its documentation says, asked for one row until it
answers (cold start), measured with 1 and with 16 connections, and weighed: the proportional set size of all of its
processes. Then comes the next, and after the last the first again; medians are printed.

With `lists`, preprocessing makes an array of the rows; with `pandas` it takes a frame. MLflow makes a frame either way.
MLServer's own runtime for scikit-learn knows no preprocessing and no threshold: it is sent numbers that are ready.
Only Holdfast checks the row against a schema, and says in its answer which version gave it.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import _projects as projects
from _load import measure

PEERS = Path(__file__).parents[1] / ".peers"

ONE = """\
import joblib
import pandas as pd

import features

model = joblib.load("model.joblib")


def scored(rows):
    held = rows if LISTED else pd.DataFrame(rows)
    prepared = features.plain_listed(held) if LISTED else features.plain(held)
    return [int(score >= 0.5) for score in model.predict_proba(prepared)[:, 1]]
"""

BY_HAND = """\
import sys

import uvicorn
from fastapi import FastAPI, Request

from one import scored

app = FastAPI()


@app.post("/invocations")
async def invocations(request: Request):
    return {"predictions": scored((await request.json())["dataframe_records"])}


uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
"""

GATHERED = """\
import asyncio
import sys

import uvicorn
from fastapi import FastAPI, Request

from one import scored

app, waiting = FastAPI(), []


async def answer():
    await asyncio.sleep(0)  # whoever is ready to be read joins
    gathered = waiting[:64]
    del waiting[:64]
    answers = scored([row for rows, _ in gathered for row in rows])
    for rows, future in gathered:
        future.set_result(answers[: len(rows)])
        del answers[: len(rows)]
    if waiting:
        asyncio.get_running_loop().create_task(answer())


@app.post("/invocations")
async def invocations(request: Request):
    rows, future = (await request.json())["dataframe_records"], asyncio.get_running_loop().create_future()
    waiting.append((rows, future))
    if len(waiting) == 1:
        asyncio.get_running_loop().create_task(answer())
    return {"predictions": await future}


uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
"""

LITSERVE = """\
import sys

import litserve


class Cancer(litserve.LitAPI):
    def setup(self, device):
        from one import scored

        self.scored = scored

    def decode_request(self, request):
        return request["dataframe_records"]

    def predict(self, rows):
        return self.scored(rows)

    def encode_response(self, answer):
        return {"predictions": answer}


if __name__ == "__main__":
    server = litserve.LitServer(Cancer(api_path="/invocations"), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
"""

MLFLOW = """\
import joblib
import mlflow.pyfunc

import features


class Cancer(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = joblib.load(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        return [int(score >= 0.5) for score in self.model.predict_proba(features.plain(model_input))[:, 1]]


mlflow.pyfunc.save_model(
    "mlflow-model",
    python_model=Cancer(),
    artifacts={"model": "model.joblib"},
    code_paths=["features.py"],
    pip_requirements=["scikit-learn"],
)
"""


class NotAnsweredError(Exception):
    """A server could not be started here."""


def servers(folder: Path) -> dict[str, tuple[list[str], str, bytes]]:
    """Of each server its command, where PORT stands for the port; the path that scores; and the request."""
    row = projects.one_row()
    records = json.dumps({"dataframe_records": [row]}).encode()
    names = ("mean_radius", "mean_texture", "mean_smoothness", "mean_compactness")
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [row[name] for name in names]}
    serve = [sys.executable, "-m", "holdfast", "serve", "cancer", "--port", "PORT"]
    found = {
        "holdfast": (serve, "/invocations", records),
        "holdfast_batched": ([*serve, "--batch-rows", "64"], "/invocations", records),
        "fastapi_by_hand": ([sys.executable, "by_hand.py", "PORT"], "/invocations", records),
        "fastapi_batched_by_hand": ([sys.executable, "gathered.py", "PORT"], "/invocations", records),
    }
    peer, mlserver = PEERS / "bin" / "python", PEERS / "mlserver" / "bin" / "mlserver"
    if peer.exists():
        subprocess.run([peer, "save.py"], cwd=folder, check=True, capture_output=True)
        served = [str(peer), "-m", "mlflow", "models", "serve", "-m", "mlflow-model", "--env-manager", "local"]
        found["mlflow_models_serve"] = ([*served, "-h", "127.0.0.1", "-p", "PORT"], "/invocations", records)
        found["litserve"] = ([str(peer), "lit.py", "PORT"], "/invocations", records)
    if mlserver.exists():
        request = json.dumps({"inputs": [tensor]}).encode()
        found["mlserver"] = ([str(mlserver), "start", "mlserver"], "/v2/models/cancer/infer", request)
    return found


def prepare(folder: Path, rows: str) -> None:
    """The project, its version in the stage, and the files of the others."""
    projects.make(folder, rows)
    projects.holdfast(folder, "promote", "cancer@1", "--to", "production", "--reason", "the first")
    projects.holdfast(folder, "checkout", "cancer@1", "bundle")
    (weights,) = (folder / "bundle" / "weights").iterdir()
    (folder / "model.joblib").write_bytes(weights.read_bytes())
    (folder / "one.py").write_text(f"LISTED = {rows == 'lists'}\n{ONE}")
    for name, text in (("by_hand.py", BY_HAND), ("gathered.py", GATHERED), ("lit.py", LITSERVE), ("save.py", MLFLOW)):
        (folder / name).write_text(text)


def mlserver_settings(folder: Path, port: int) -> None:
    """MLServer takes its ports from a file."""
    there = folder / "mlserver"
    there.mkdir(exist_ok=True)
    ports = {"http_port": port, "grpc_port": projects.free_port(), "metrics_port": projects.free_port()}
    (there / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "debug": False, **ports}))
    model = {"name": "cancer", "implementation": "mlserver_sklearn.SKLearnModel"}
    model["parameters"] = {"uri": str(folder / "model.joblib")}  # type: ignore[assignment]  # JSON
    (there / "model-settings.json").write_text(json.dumps(model))


@contextmanager
def running(folder: Path, name: str, command: list[str], path: str, body: bytes) -> Iterator[tuple[str, int, float]]:
    """The server while the block runs: its URL, its process, and the seconds until its first good answer."""
    port = projects.free_port()
    mlserver_settings(folder, port)
    begun = time.monotonic()
    with (folder / f"{name}.log").open("ab") as log:
        argv = [str(port) if word == "PORT" else word for word in command]
        # MLflow starts programs of its own environment by their names.
        found_first = {"PATH": f"{Path(argv[0]).parent}{os.pathsep}{os.environ['PATH']}"}
        environment = {**projects.environment(), **found_first}
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}{path}"
        wait_for_an_answer(process, url, body, name)
        yield url, process.pid, time.monotonic() - begun
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_an_answer(process: subprocess.Popen[bytes], url: str, body: bytes, name: str) -> None:
    """Ask for the row until it is answered."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own server
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(0.01)
    raise NotAnsweredError(name)


def memory_mb(process: int) -> float:
    """What the process and all below it have in memory; what several share is counted once."""
    total, open_ones = 0, [process]
    while open_ones:
        one = open_ones.pop()
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                open_ones += map(int, (task / "children").read_text().split())
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return round(total / 1024, 1)


def main() -> None:
    """Measure all of them in turn; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=("lists", "pandas"), default="lists")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", action="append", help="one of the servers; may be given several times")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, given.rows)
        chosen = {name: one for name, one in servers(folder).items() if not given.only or name in given.only}
        for _ in range(given.rounds):
            for name, (command, path, body) in chosen.items():
                try:
                    with running(folder, name, command, path, body) as (url, process, cold):
                        found = {"cold_start_seconds": round(cold, 2)}
                        for connections in (1, 16):
                            run = measure(url, body, connections, given.seconds)
                            found |= {f"{key}_at_{connections}": value for key, value in run.items()}
                        found["memory_mb"] = memory_mb(process)
                except NotAnsweredError:
                    print(f"{name} never answered: {(folder / f'{name}.log').read_text()[-500:]}", file=sys.stderr)
                    continue
                print(name, json.dumps(found), file=sys.stderr)
                runs.setdefault(name, []).append(found)
    medians: dict[str, dict[str, Any]] = {
        name: {key: round(statistics.median(run[key] for run in of_one), 3) for key in of_one[0]}
        for name, of_one in runs.items()
    }
    print(json.dumps(medians, indent=2))
    if given.json:
        given.json.write_text(json.dumps(medians, indent=2) + "\n")


if __name__ == "__main__":
    main()
