"""Calls that concern the files of runs."""

import io
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd

from tests.mlflow.calls.walking import Call, Walk

__all__ = ["CALLS"]


def _folder(walk: Walk) -> str:
    place = Path(walk.file("a.txt", "of a")).parent
    (place / "deep/er").mkdir(parents=True)
    (place / "deep/er/b.bin").write_bytes(bytes(range(256)))
    (place / "naïve ☕.txt").write_text("strange name", encoding="utf-8")
    return str(place)


def _figure() -> Any:
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    return figure


def _within(asks: Any) -> Any:
    """Asked while a run is going on."""

    def asked(walk: Walk) -> object:
        mlflow.set_experiment(experiment_id=walk.experiment)
        with mlflow.start_run(run_id=walk.run):
            return asks(walk)

    return asked


def _downloaded(walk: Walk, path: str) -> list[tuple[str, int]]:
    place = Path(walk.client.download_artifacts(walk.run, path, walk.file("x", "")[:-2]))
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return [(str(path.relative_to(place)), path.stat().st_size) for path in files]


def _listed(walk: Walk, path: str | None = None) -> list[tuple[str, bool, int | None]]:
    return [(file.path, file.is_dir, file.file_size) for file in walk.client.list_artifacts(walk.run, path)]


def _in_parts(walk: Walk) -> list[tuple[str, int]]:
    """A file that is sent in parts where the server takes some, and read in ranges where it gives some."""
    small = {"MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1", "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "3"}
    with patch.dict(os.environ, {**small, "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": "4"}):
        walk.client.log_artifact(walk.run, walk.file("large.txt", "in parts"), "parts")
        return _downloaded(walk, "parts")


_BLACK = np.zeros((2, 2, 3), dtype=np.uint8)
_TABLE = pd.DataFrame({"x": [1, 2]})

CALLS: tuple[Call, ...] = (
    ("client.log_artifact", lambda w: w.client.log_artifact(w.run, w.file("one.txt", "one"), "kept")),
    ("client.log_artifacts", lambda w: w.client.log_artifacts(w.run, _folder(w), "more")),
    ("client.log_dict", lambda w: w.client.log_dict(w.run, {"a": [1]}, "settings/a.json")),
    ("client.log_text", lambda w: w.client.log_text(w.run, "hello", "hello.txt")),
    ("client.log_stream", lambda w: w.client.log_stream(w.run, io.BytesIO(b"flow"), "stream.bin")),
    ("client.log_figure", lambda w: w.client.log_figure(w.run, _figure(), "plot.png")),
    ("client.log_image", lambda w: w.client.log_image(w.run, _BLACK, "black.png")),
    ("client.log_table", lambda w: w.client.log_table(w.run, _TABLE, "table.json")),
    ("edge: a table that grows", lambda w: w.client.log_table(w.run, {"x": [3]}, "table.json")),
    ("client.load_table", lambda w: w.client.load_table(w.experiment, "table.json", run_ids=[w.run])),
    ("client.list_artifacts", lambda w: [row for row in _listed(w) if row[0] != "plot.png"]),
    ("edge: files in a folder", lambda w: _listed(w, "more")),
    ("edge: files in a folder that is not there", lambda w: _listed(w, "nowhere")),
    ("edge: a file listed as a folder", lambda w: _listed(w, "hello.txt")),
    ("edge: a folder outside", lambda w: _listed(w, "../../..")),
    ("client.download_artifacts", lambda w: _downloaded(w, "more")),
    ("edge: a file in parts", _in_parts),
    ("edge: one file", lambda w: _downloaded(w, "hello.txt")),
    ("edge: a file that is not there", lambda w: _downloaded(w, "nowhere.txt")),
    ("edge: a file written again", lambda w: w.client.log_text(w.run, "hello again", "hello.txt")),
    ("edge: what it says then", lambda w: mlflow.artifacts.load_text(f"runs:/{w.run}/hello.txt")),
    ("mlflow.log_artifact", _within(lambda w: mlflow.log_artifact(w.file("f.txt", "f")))),
    ("mlflow.log_artifacts", _within(lambda w: mlflow.log_artifacts(str(Path(w.file("g.txt", "g")).parent), "g"))),
    ("mlflow.log_dict", _within(lambda w: mlflow.log_dict({"k": 1}, "d.yaml"))),
    ("mlflow.log_text", _within(lambda w: mlflow.log_text("text", "t.txt"))),
    ("mlflow.log_stream", _within(lambda w: mlflow.log_stream(io.BytesIO(b"x"), "s.bin"))),
    ("mlflow.log_figure", _within(lambda w: mlflow.log_figure(_figure(), "f.png"))),
    ("mlflow.log_image", _within(lambda w: mlflow.log_image(_BLACK, key="steps", step=1, synchronous=True))),
    ("mlflow.log_table", _within(lambda w: mlflow.log_table({"y": [1]}, "y.json"))),
    ("mlflow.load_table", lambda w: mlflow.load_table("y.json", run_ids=[w.run])),
    ("mlflow.get_artifact_uri", _within(lambda w: mlflow.get_artifact_uri("t.txt"))),
    (
        "mlflow.artifacts.list_artifacts",
        lambda w: [f.path for f in mlflow.artifacts.list_artifacts(run_id=w.run, artifact_path="g")],
    ),
    (
        "mlflow.artifacts.download_artifacts",
        lambda w: Path(
            mlflow.artifacts.download_artifacts(f"runs:/{w.run}/d.yaml", dst_path=w.file("x", "")[:-2])
        ).read_text(),
    ),
    ("mlflow.artifacts.load_dict", lambda w: mlflow.artifacts.load_dict(f"runs:/{w.run}/settings/a.json")),
    ("mlflow.artifacts.load_text", lambda w: mlflow.artifacts.load_text(f"runs:/{w.run}/t.txt")),
    ("mlflow.artifacts.load_image", lambda w: mlflow.artifacts.load_image(f"runs:/{w.run}/black.png").size),
)
