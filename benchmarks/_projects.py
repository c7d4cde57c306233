"""A small real project for the benchmarks: two versions of a scikit-learn pipeline, and a server for them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"

TRAIN = """\
import sys

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import holdfast
import features

which, listed = int(sys.argv[1]), sys.argv[2] == "lists"
bunch = load_breast_cancer()
frame = pd.DataFrame(bunch.data[:, :10], columns=[name.replace(" ", "_") for name in bunch.feature_names[:10]])
target = pd.Series(1 - bunch.target, name="ill")
names = {1: "plain", 2: "better"}
featurise = getattr(features, names[which] + ("_listed" if listed else ""))
train, holdout = frame[:400], frame[400:].assign(ill=target[400:])
if listed:
    train, holdout = train.to_dict("records"), holdout.to_dict("records")
model = make_pipeline(StandardScaler(), LogisticRegression(C=float(which), max_iter=5000))
with holdfast.run("cancer", params={"C": float(which)}, seed=7) as run:
    frame[:400].assign(ill=target[:400]).to_csv("train.csv", index=False)
    run.snapshot("train.csv")
    model.fit(featurise(train), target[:400])
    version = run.register(
        model,
        preprocessing=featurise,
        threshold={1: 0.5, 2: 0.45}[which],
        positive=1,
        holdout=holdout,
        target="ill",
        metric="accuracy",
        side_effect_free=True,
    )
print(version.number, version.digest)
"""

FEATURES = """\
import numpy as np


def plain_listed(rows):
    names = ("mean_radius", "mean_texture", "mean_smoothness", "mean_compactness")
    return np.array([[row[name] for name in names] for row in rows])


def better_listed(rows):
    return np.array([[*row.values(), row["mean_area"] / row["mean_radius"]] for row in rows])


def plain(rows):
    return rows[["mean_radius", "mean_texture", "mean_smoothness", "mean_compactness"]]


def better(rows):
    return rows.assign(growth=rows["mean_area"] / rows["mean_radius"])
"""


def environment() -> dict[str, str]:
    """The environment of every process of a benchmark: this checkout's source, and no project from outside."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOLDFAST_")}
    return {**kept, "PYTHONPATH": str(SOURCE)}


def holdfast(folder: Path, *arguments: str) -> Any:
    """The JSON that a command printed.

    Raises:
        SystemExit: it failed; what it said is the message.
    """
    command = [sys.executable, "-m", "holdfast", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def make(folder: Path, rows: str = "pandas") -> None:
    """A project in `folder` with versions 1 and 2 of `cancer`; nothing is promoted yet.

    Args:
        folder: an empty one.
        rows: what their preprocessing takes: `pandas` frames, or `lists` of rows, which it makes into an array.
    """
    (folder / "train.py").write_text(TRAIN)
    (folder / "features.py").write_text(FEATURES)
    holdfast(folder, "init")
    for which in ("1", "2"):
        train(folder, which, rows)


def train(folder: Path, which: str, rows: str = "pandas") -> None:
    """Register one more version, of the first kind or of the second, with the features as they are now."""
    subprocess.run([sys.executable, "train.py", which, rows], cwd=folder, env=environment(), check=True)


@contextmanager
def served(folder: Path, port: int, *options: str) -> Iterator[str]:
    """`holdfast serve cancer` while the block runs; its URL, once it is ready."""
    with started(folder, port, *options):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def started(folder: Path, port: int, *options: str) -> Iterator[int]:
    """The same; its process."""
    command = [sys.executable, "-m", "holdfast", "serve", "cancer", "--port", str(port), *options]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz")
        yield server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_until_ready(url: str, seconds: float = 60.0) -> None:
    """Ask until the answer is 200.

    Raises:
        SystemExit: it never was.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
            return
        time.sleep(0.02)
    raise SystemExit(f"{url} never got ready")


def one_row() -> dict[str, float]:
    """One raw row of the project's data."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in bunch.feature_names[:10]]
    return dict(zip(names, map(float, bunch.data[20, :10]), strict=True))
