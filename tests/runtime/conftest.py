"""Real bundles with whatever code a test wants, and real workers that open them."""

import io
import os
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from holdfast.digest import hash_bytes
from holdfast.evidence import Column, Environment, Evidence, FeatureSchema, Holdout, Metrics
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
from holdfast.runtime.rows import Table, write_table

SOURCE = Path(__file__).parents[2] / "src"
HERE = Interpreter(Path(sys.executable), {"PYTHONPATH": str(SOURCE)})

SCHEMA = FeatureSchema(
    "rows",
    (
        Column("age", "float64", minimum=0.0, maximum=120.0, enforce=True),
        Column("plan", "string", nullable=True, categories=("basic", "plus")),
    ),
)
CODE = "def featurise(rows):\n    return [[row['age'], float(row['plan'] == 'plus')] for row in rows]\n"
ROWS: list[dict[str, Any]] = [
    {"age": 20.0, "plan": "basic"},
    {"age": 70.0, "plan": "plus"},
    {"age": 40.0, "plan": None},
]


def fitted() -> LogisticRegression:
    return LogisticRegression().fit(
        np.array([[20.0, 0], [30, 0], [60, 1], [70, 1]]), ["stays", "stays", "leaves", "leaves"]
    )


def pickled(value: Any) -> bytes:
    held = io.BytesIO()
    joblib.dump(value, held)
    return held.getvalue()


SCORING = """
import math

class Leaning:
    classes_ = ["leaves", "stays"]

    def predict_proba(self, features):
        scores = [1 / (1 + math.exp((45 - age) / 10 - paid)) for age, paid in features]
        return [[score, 1 - score] for score in scores]
"""
LEANING = b"\x80\x02cscoring\nLeaning\n)\x81."
"""A pickle of a `Leaning`: a model of the bundle's own, so that a worker need not import scikit-learn to open it."""


class Bundles:
    """Makes bundles by hand, in folders of their own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0

    def __call__(
        self,
        code: str | dict[str, str] = CODE,
        model: Any = None,
        *,
        schema: FeatureSchema = SCHEMA,
        threshold: EvalThreshold | Missing | None = None,
        entry_point: str = "features:featurise",
        lock: str = "",
        python: str = f"{sys.version_info.major}.{sys.version_info.minor}.0",
        more: dict[str, bytes] | None = None,
        **changes: Any,
    ) -> BundleFiles:
        sources = {"features": code} if isinstance(code, str) else code
        sources = {**sources, "scoring": SCORING} if model is None else sources
        contents = {
            f"code/{name.replace('.', '/')}.py": textwrap.dedent(text).encode() for name, text in sources.items()
        }
        code_files = tuple(sorted(RelativePath(name) for name in contents))
        contents |= {
            "weights/model.joblib": LEANING if model is None else model if isinstance(model, bytes) else pickled(model),
            "requirements.lock": lock.encode(),
            "holdout/rows.json": write_table(Table.of_records(ROWS)),
            "holdout/outputs.json": b"{}",
            **(more or {}),
        }
        weights = Weights("joblib", "sklearn", "a model", True, (RelativePath("weights/model.joblib"),))
        preprocessing = PreprocessingCode("function", entry_point, files=code_files)
        parts = Parts(
            weights=weights,
            data_slice=DataSlice((DataInput("train", "t", hash_bytes(b"t"), 1, 1),)),
            preprocessing_code=preprocessing,
            hyperparameters=Hyperparameters({"C": 1.0}),
            eval_threshold=threshold or EvalThreshold("cut_off", 0.5, "leaves", "stays"),
        )
        evidence = Evidence(
            environment=Environment(python, RelativePath("requirements.lock")),
            schema=schema,
            metrics=Metrics("f1", {"f1": 1.0}, {"f1": True}, len(ROWS), 0.5),
            holdout=Holdout(RelativePath("holdout/rows.json"), RelativePath("holdout/outputs.json"), len(ROWS)),
            run=Missing("run", "by hand"),
            code=Missing("code", "by hand"),
            card=Missing("card", "by hand"),
        )
        files = tuple(FileEntry(RelativePath(n), hash_bytes(d), len(d)) for n, d in sorted(contents.items()))
        manifest = replace(Manifest(ModelName("churn"), parts, evidence, files), **changes)
        self._count += 1
        folder = self._root / f"bundle-{self._count}"
        for name, data in {**contents, MANIFEST_NAME: manifest.encode()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return BundleFiles.open(folder, expected=manifest.digest)


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    return Bundles(tmp_path)


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
