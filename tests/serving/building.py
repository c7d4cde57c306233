"""Small real bundles, put together by hand, so that the tests of serving need no verb of the flow.

Two flavours differ in weights, preprocessing and threshold at once: an answer that mixed two of them would be an answer
that neither version gives.
"""

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from holdfast.digest import Digest, hash_bytes
from holdfast.evidence import CodeState, Column, Environment, Evidence, FeatureSchema, Holdout, Metrics
from holdfast.manifest import MANIFEST_NAME, FileEntry, Manifest
from holdfast.names import ModelName, RelativePath
from holdfast.parts import (
    DataInput,
    DataSlice,
    EvalThreshold,
    Hyperparameters,
    Missing,
    Parts,
    PreprocessingCode,
    Weights,
)
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table, write_table
from holdfast.runtime.smoke import write_outputs

MODEL = ModelName("churn")

CODE = """
import os
import signal
import time

import numpy as np

FACTOR = {factor}


def featurise(rows):
    seconds = max(row["sleep"] for row in rows) if rows else 0.0
    if seconds > 0:
        time.sleep(seconds)
    if any(row["plan"] == "die" for row in rows):
        os.kill(os.getpid(), signal.SIGKILL)
    if any(row["plan"] == "raise" for row in rows):
        raise RuntimeError("cannot read /srv/secret/plans.csv")
    return np.array([[row["age"] * FACTOR, row["calls"], row["plan"] == "basic"] for row in rows], dtype=float)
"""

SCORING = """
import numpy as np


class Leaning:
    def predict_proba(self, features):
        share = 1 / (1 + np.exp(-(features @ np.array(self.weights) + self.offset)))
        return np.column_stack([1 - share, share])
"""
"""A fitted regression without the library that fitted it, which takes most of a worker's start to be imported."""

SCHEMA = FeatureSchema(
    container="rows",
    columns=(
        Column("age", "float64", minimum=0.0, maximum=150.0),
        Column("calls", "int64", minimum=0, maximum=100, enforce=True),
        Column("plan", "string", nullable=True),
        Column("sleep", "float64"),
    ),
)

ROWS = [
    {"age": 18.0 + 1.7 * index, "calls": index % 7, "plan": "basic" if index % 3 else "plus", "sleep": 0.0}
    for index in range(40)
]


def here() -> Interpreter:
    """This interpreter, with the source of this checkout."""
    return Interpreter(Path(sys.executable), {"PYTHONPATH": str(Path(__file__).parents[2] / "src")})


@dataclass(frozen=True)
class Built:
    """A bundle in a directory, and what it answered on its holdout when it was made."""

    files: BundleFiles
    outputs: Answer

    @property
    def digest(self) -> Digest:
        return self.files.digest


def build(folder: Path, flavour: int, *, tamper: Callable[[Answer], Answer] = lambda answer: answer) -> Built:
    """A bundle of one flavour in `folder`; `tamper` changes what is recorded as its outputs."""
    contents = {
        "code/features.py": CODE.replace("{factor}", str(float(flavour))).encode(),
        "code/scoring.py": SCORING.encode(),
        "holdout/outputs.json": b"{}",
        "holdout/rows.json": write_table(Table.of_records(ROWS)),
        "requirements.lock": b"",
        "weights/model.joblib": _weights(flavour),
    }
    _write(folder, contents, flavour)
    with Predictor.start(BundleFiles.open(folder), here()) as predictor:
        outputs = predictor.holdout()
    contents["holdout/outputs.json"] = write_outputs(tamper(outputs))
    _write(folder, contents, flavour)
    return Built(BundleFiles.open(folder), outputs)


def _weights(flavour: int) -> bytes:
    ages = np.linspace(0.0, 150.0 * flavour, 60)
    features = np.column_stack([ages, np.arange(60) % 7, np.arange(60) % 2])
    old = ages + 3 * flavour * (np.arange(60) % 5) > 60.0 * flavour
    model = LogisticRegression(C=10.0**-flavour, max_iter=5000)
    model.fit(features, np.where(old, flavour * 10 + 1, flavour * 10))
    offset, weights = float(model.intercept_[0]), model.coef_[0].tolist()
    state = pickle.dumps({"classes_": model.classes_.tolist(), "weights": weights, "offset": offset}, 2)
    # A `Leaning` of the bundle's own module, which nobody here can import, and its state.
    return b"\x80\x02cscoring\nLeaning\n)\x81" + state[2:-1] + b"b."


def _write(folder: Path, contents: dict[str, bytes], flavour: int) -> None:
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    entries = tuple(
        FileEntry(RelativePath(path), hash_bytes(data), len(data)) for path, data in sorted(contents.items())
    )
    (folder / MANIFEST_NAME).write_bytes(Manifest(MODEL, _parts(flavour), _evidence(), entries).encode())


def _parts(flavour: int) -> Parts:
    return Parts(
        weights=Weights("joblib", "sklearn", "scoring.Leaning", True, (RelativePath("weights/model.joblib"),)),
        data_slice=DataSlice((DataInput("train", "calls.csv", hash_bytes(b"rows"), 1, 4),)),
        preprocessing_code=PreprocessingCode(
            "function",
            entry_point="features:featurise",
            files=(RelativePath("code/features.py"), RelativePath("code/scoring.py")),
        ),
        hyperparameters=Hyperparameters({"C": 10.0**-flavour}),
        eval_threshold=EvalThreshold(
            "cut_off", value=0.2 + 0.2 * flavour, positive=flavour * 10 + 1, negative=flavour * 10
        ),
    )


def _evidence() -> Evidence:
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return Evidence(
        environment=Environment(version, RelativePath("requirements.lock")),
        schema=SCHEMA,
        metrics=Metrics("accuracy", {"accuracy": 0.9}, {"accuracy": True}, len(ROWS), 0.4),
        holdout=Holdout(RelativePath("holdout/rows.json"), RelativePath("holdout/outputs.json"), len(ROWS)),
        run=Missing("run", "built by hand"),
        code=CodeState(None, dirty=False),
        card=Missing("card", "built by hand"),
    )


def without_holdout(built: Built) -> Built:
    """The bundle as if nobody had frozen any rows; in the same directory, under a new digest."""
    manifest = built.files.manifest
    evidence = replace(manifest.evidence, holdout=Missing("holdout", "nobody froze any rows"))
    return _again(built, replace(manifest, evidence=evidence))


def with_code(built: Built, source: str) -> Built:
    """The bundle with other preprocessing code; in the same directory, under a new digest."""
    data, path = source.encode(), RelativePath("code/features.py")
    (built.files.root / str(path)).write_bytes(data)
    manifest = built.files.manifest
    files = tuple(
        FileEntry(path, hash_bytes(data), len(data)) if entry.path == path else entry for entry in manifest.files
    )
    return _again(built, replace(manifest, files=files))


def _again(built: Built, manifest: Manifest) -> Built:
    (built.files.root / MANIFEST_NAME).write_bytes(manifest.encode())
    return Built(BundleFiles.open(built.files.root), built.outputs)
