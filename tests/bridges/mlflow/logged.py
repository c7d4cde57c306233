"""Logged models for tests: what the client writes as text lies in `models/`, and the model itself is made here."""

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.bridges.mlflow import LoggedFiles
from holdfast.names import RelativePath
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table, write_table
from holdfast.runtime.smoke import write_outputs
from holdfast.store.interface import Store
from holdfast.store.memory import MemoryStore

MODELS = Path(__file__).parent / "models"


def skops(*classes: str) -> bytes:
    """A file of skops as far as it is read here: the classes that it names, each inside the one before."""
    inner: dict[str, Any] = {}
    for name in reversed(classes):
        module, _, last = name.rpartition(".")
        inner = {"__module__": module, "__class__": last, "content": inner}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(inner))
    return file.getvalue()


class LogisticRegression:
    """Pickled under the name of the estimator that a script would have pickled."""


def pickled() -> bytes:
    """A pickle that names scikit-learn's class, for whoever reads its name."""
    own = pickle.dumps(LogisticRegression(), protocol=0)
    return own.replace(__name__.encode(), b"sklearn.linear_model._logistic")


WEIGHTS: Mapping[str, Mapping[str, bytes]] = {
    "classifier": {
        "model.skops": skops("sklearn.pipeline.Pipeline", "sklearn.linear_model._logistic.LogisticRegression")
    },
    "regressor": {"model.skops": skops("sklearn.linear_model._base.LinearRegression")},
    "probabilities": {"model.pkl": pickled()},
    "without_signature": {"model.pkl": pickled()},
    "own_code": {"python_model.pkl": pickle.dumps({"of": "anybody"})},
    "catboost": {"model.cb": b"CBM1"},
    "from_code": {"doubling.py": b"import mlflow\n"},
    "agent": {"agent.py": b"import mlflow\n"},
    "forecast": {"model.pr": b"{}"},
}


def files_of(name: str) -> dict[str, bytes]:
    """Every file of one of the models, by its path."""
    folder = MODELS / name
    said = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {**said, **WEIGHTS[name]}


def kept(files: Mapping[str, bytes], store: Store | None = None) -> LoggedFiles:
    """The files in a store."""
    place = MemoryStore() if store is None else store
    with place.writer() as writer:
        found = {path: writer.add_bytes(data) for path, data in files.items()}
        writer.commit()
    return LoggedFiles(
        {RelativePath(path): (one.digest, one.size) for path, one in found.items()},
        lambda digest, bytes_max: place.read(digest, bytes_max=bytes_max),
    )


def recorded() -> dict[str, bytes]:
    """What the plugin writes beside the model `classifier`."""
    rows = Table.of_columns(
        ["age", "plan", "vip", "churned"],
        [[20.0, 30.0, 60.0, 70.5], [1, 2, 1, 2], [True, False, True, False], [0, 0, 1, 0]],
    )
    scores: list[Any] = [[0.9, 0.1], [0.55, 0.45], [0.2, 0.8], [0.4, 0.6]]
    return {
        "holdfast/holdout_rows.json": write_table(rows),
        "holdfast/holdout_outputs.json": write_outputs(Answer([0, 0, 1, 1], scores, [0, 1])),
        "holdfast/holdout.json": b'{"of": "eval"}',
    }
