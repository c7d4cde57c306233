"""From a model in memory to a registered version and back: what it answers is what the model answered."""

import ast
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from holdfast.config import HOME_NAME, Settings
from holdfast.errors import InvalidInput
from holdfast.evidence import FeatureSchema, Holdout, Metrics
from holdfast.flow.bundle import Ingredients, infer_schema
from holdfast.flow.register import register
from holdfast.names import ModelName, Reference
from holdfast.parts import DataInput, PreprocessingCode
from holdfast.parts.data_slice import TRAIN
from holdfast.runtime.materialise import materialise
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import table_of
from holdfast.runtime.smoke import compare, read_outputs
from holdfast.wire import Project, open_project

pytestmark = pytest.mark.slow

CHURN = ModelName("churn")
COUNT = 60
START = datetime(2026, 1, 1)  # noqa: DTZ001 - times without a zone are what many tables hold
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(COUNT, 3))
BINARY = (X[:, 0] + X[:, 1] > 0).astype(int)
SEVERAL = np.array(["low", "mid", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
FRAME = pd.DataFrame(
    {
        "age": np.round(40 + 10 * X[:, 0], 3),
        "calls": RANDOM.integers(0, 9, COUNT),
        "plan": np.array(["basic", "plus", "pro"])[RANDOM.integers(0, 3, COUNT)],
        "member": BINARY.astype(bool),
    }
)


def answers(project: Project, *tables: Any, **given: Any) -> tuple[list[Answer], Any]:
    """Register, take the version out of the store again, and ask it about each table; and its manifest."""
    with project.store.writer() as writer:
        digest = writer.add_bytes(b"train").digest
        writer.commit()
    ingredients = Ingredients(
        name=CHURN, project=project.settings.project, inputs=(DataInput(TRAIN, "train", digest, 1, 5),), **given
    )
    made = register(ingredients, project.workshop, project.registry, actor="ana")
    assert made.manifest.complete, made.manifest.missing()
    files = materialise(project.store, made.version.digest, project.settings.cache)
    holdout = made.manifest.evidence.holdout
    assert isinstance(holdout, Holdout)
    with project.opener(files) as predictor:
        assert compare(read_outputs(files.read(holdout.outputs)), predictor.holdout()).within_tolerance
        return [predictor.predict(table_of(rows)) for rows in tables], made.manifest


def test_a_model_on_arrays(registry_project: Project) -> None:
    model = LogisticRegression().fit(X, BINARY)
    (answer,), manifest = answers(
        registry_project, X[:7], model=model, preprocessing="none", threshold=0.3, holdout=(X, BINARY), metric="recall"
    )
    assert manifest.evidence.schema.container == "numpy"
    assert np.array_equal(answer.scores, model.predict_proba(X[:7]))
    assert answer.predictions == (model.predict_proba(X[:7])[:, 1] >= 0.3).astype(int).tolist()


def test_a_model_on_arrays_of_single_precision(registry_project: Project) -> None:
    small = X.astype("float32")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(small, BINARY)
    (answer,), manifest = answers(registry_project, small[:7], model=model, threshold=0.5, holdout=(small, BINARY))
    assert manifest.parts.preprocessing_code.kind == "transformer"
    assert np.allclose(answer.scores, model.predict_proba(small[:7]), atol=1e-7)


def test_a_regression(registry_project: Project) -> None:
    y = X @ [1.0, 2.0, 3.0] + 0.5
    model = LinearRegression().fit(X, y)
    (answer,), manifest = answers(
        registry_project, X[:5], model=model, preprocessing="none", threshold="identity", holdout=(X, y)
    )
    assert np.allclose(answer.predictions, y[:5])
    metrics = manifest.evidence.metrics
    assert isinstance(metrics, Metrics)
    assert metrics.primary == "root_mean_squared_error"
    assert metrics.values["root_mean_squared_error"] < 1e-9  # noqa: PD011 - no frame
    assert metrics.threshold is None


@pytest.mark.parametrize("threshold", ["argmax", "argmax:0.6"])
def test_several_classes(registry_project: Project, threshold: str) -> None:
    model = RandomForestClassifier(n_estimators=5, random_state=1).fit(X, SEVERAL)
    (answer,), manifest = answers(
        registry_project, X[:20], model=model, preprocessing="none", threshold=threshold, holdout=(X, SEVERAL)
    )
    scores = model.predict_proba(X[:20])
    expected = [model.classes_[row.argmax()] if threshold == "argmax" or row.max() >= 0.6 else None for row in scores]
    assert answer.predictions == expected
    assert answer.classes == ["high", "low", "mid"]
    assert manifest.evidence.metrics.primary == "accuracy"
    assert manifest.parts.eval_threshold.value == (None if threshold == "argmax" else 0.6)


@pytest.mark.parametrize("positive", ["no", "yes"])
def test_a_model_that_only_decides(registry_project: Project, positive: str) -> None:
    labels = np.where(BINARY == 1, "yes", "no")
    model = LinearSVC().fit(X, labels)
    (answer,), manifest = answers(
        registry_project, X, model=model, preprocessing="none", threshold=0, positive=positive, holdout=(X, labels)
    )
    assert answer.predictions == model.predict(X).tolist()
    assert manifest.evidence.metrics.values["roc_auc"] > 0.9  # noqa: PD011 - no frame


def encoder() -> Any:
    return make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["plan"]), remainder="passthrough")


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string"])
def test_words_of_every_dtype_through_a_column_transformer(registry_project: Project, dtype: str) -> None:
    frame = FRAME.astype({"plan": dtype})
    model = make_pipeline(encoder(), LogisticRegression(max_iter=1000)).fit(frame, BINARY)
    (answer,), manifest = answers(registry_project, frame[:9], model=model, threshold=0.5, holdout=(frame, BINARY))
    assert np.allclose(answer.scores, model.predict_proba(frame[:9]))
    column = manifest.evidence.schema.column("plan")
    assert column.categories == ("basic", "plus", "pro")
    assert column.dtype == ("category" if dtype == "category" else "string")


def test_codes_of_categories_are_those_of_training(registry_project: Project) -> None:
    source = (
        "def featurise(rows):\n"
        "    return rows.assign(plan=rows['plan'].cat.codes)[['age', 'plan']].to_numpy(dtype=float)\n"
    )
    (registry_project.settings.project / "features.py").write_text(source)
    kinds = pd.CategoricalDtype(["unused", "pro", "plus", "basic"], ordered=True)
    frame = FRAME.astype({"plan": kinds})
    features = np.column_stack([frame["age"], frame["plan"].cat.codes]).astype(float)
    model = LogisticRegression(max_iter=1000).fit(features, BINARY)
    rows = frame[frame["plan"] == "pro"][:3]
    (answer,), _ = answers(
        registry_project,
        rows,
        model=model,
        preprocessing="features.py:featurise",
        threshold=0.5,
        holdout=(frame, BINARY),
    )
    assert np.allclose(answer.scores, model.predict_proba(features)[rows.index])


def test_a_holdout_from_a_csv_file(registry_project: Project) -> None:
    project = registry_project.settings.project
    FRAME.assign(churned=BINARY, note=["seen", None] * (COUNT // 2)).to_csv(project / "holdout.csv", index=False)
    frame = pd.read_csv(project / "holdout.csv")
    features = ["age", "calls", "plan", "member"]
    model = make_pipeline(encoder(), LogisticRegression(max_iter=1000)).fit(frame[features], frame["churned"])
    (answer,), manifest = answers(
        registry_project,
        frame[:9].to_dict("records"),
        model=model,
        threshold=0.5,
        holdout="holdout.csv",
        target="churned",
        features=tuple(features),
    )
    assert np.allclose(answer.scores, model.predict_proba(frame[features][:9]))
    assert manifest.evidence.holdout.groups == ("plan", "member", "note")
    lock = registry_project.store.read(manifest.file(manifest.evidence.environment.lock).digest, bytes_max=10_000)
    assert b"pandas==" in lock


def test_missing_values_times_and_large_identifiers_in_a_frame(registry_project: Project) -> None:
    source = """
import numpy as np
import pandas as pd

def featurise(rows):
    kinds = [str(dtype) for dtype in rows.dtypes]
    assert kinds == ["Int64", "boolean", "datetime64[us, UTC]", "int64", "float64"], kinds
    days = (rows["seen"] - pd.Timestamp("2026-01-01", tz="UTC")).dt.days.fillna(-1)
    return np.column_stack([
        rows["calls"].fillna(-1).astype(float), rows["member"].fillna(False).astype(float), days, rows["id"] % 7,
        rows["score"].fillna(0),
    ])
"""
    (registry_project.settings.project / "features.py").write_text(source)
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = pd.DataFrame(
        {
            "calls": pd.Series([None if n % 5 == 0 else n for n in range(COUNT)], dtype="Int64"),
            "member": pd.Series([None if n % 4 == 0 else n % 2 == 0 for n in range(COUNT)], dtype="boolean"),
            "seen": pd.Series([pd.NaT if n % 6 == 0 else start + pd.Timedelta(days=n) for n in range(COUNT)]).astype(
                "datetime64[us, UTC]"
            ),
            "id": np.arange(COUNT, dtype="int64") + 2**62,
            "score": [np.nan if n % 3 == 0 else n / 10 for n in range(COUNT)],
        }
    )
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102 - our own text
    model = LogisticRegression(max_iter=5000).fit(space["featurise"](frame), BINARY)
    tables = (frame[:9], frame[1:2], frame[:1])
    found, manifest = answers(
        registry_project,
        *tables,
        model=model,
        preprocessing="features.py:featurise",
        threshold=0.5,
        holdout=(frame, BINARY),
    )
    for rows, answer in zip(tables, found, strict=True):
        assert np.allclose(answer.scores, model.predict_proba(space["featurise"](rows)))
    assert manifest.evidence.schema.column("id").maximum >= 2**62 + COUNT - 1


def test_a_polars_frame(registry_project: Project) -> None:
    source = """
import polars as pl

def featurise(rows):
    return rows.select(
        pl.col("age"), pl.col("plan").cast(pl.String) == "plus", pl.col("seen").dt.day(), pl.col("calls").fill_null(0)
    ).cast(pl.Float64).to_numpy()
"""
    (registry_project.settings.project / "features.py").write_text(source)
    frame = pl.DataFrame(
        {
            "age": FRAME["age"].to_numpy(),
            "plan": pl.Series(FRAME["plan"].to_list(), dtype=pl.Categorical),
            "seen": [START + timedelta(days=n) for n in range(COUNT)],
            "calls": [None if n % 5 == 0 else n for n in range(COUNT)],
        }
    )
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102 - our own text
    model = LogisticRegression(max_iter=1000).fit(space["featurise"](frame), BINARY)
    (answer,), manifest = answers(
        registry_project,
        frame[:9],
        model=model,
        preprocessing="features.py:featurise",
        threshold=0.5,
        holdout=(frame, pl.Series(BINARY)),
    )
    assert manifest.evidence.schema.container == "polars"
    assert np.allclose(answer.scores, model.predict_proba(space["featurise"](frame[:9])))


def test_an_edited_schema_is_enforced_by_the_version(registry_project: Project) -> None:
    schema: FeatureSchema = infer_schema(X).with_column("x0", minimum=-3.0, maximum=3.0, enforce=True)
    model = LogisticRegression().fit(X, BINARY)
    inside = np.clip(X, -2.9, 2.9)
    given = {"model": model, "preprocessing": "none", "threshold": 0.5, "holdout": (inside, BINARY), "schema": schema}
    answers(registry_project, inside[:2], **given)
    with pytest.raises(InvalidInput, match="above 3"):
        answers(registry_project, [[3.5, 0.0, 0.0]], **{**given, "threshold": 0.6})


SCRIPT = '''
"""Trains on data that it makes itself, and registers with a function that only this script has."""
import math
import re

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import holdfast
from names import COLUMNS

WORD = re.compile("plus|pro")
SCALE = {"age": 10.0}
rng = np.random.default_rng(3)

def scaled(value, by=SCALE["age"]):
    return value / by

def featurise(rows):
    rng = len(rows)
    paid = [float(bool(WORD.match(plan))) for plan in rows["plan"]]
    return np.column_stack([scaled(rows[COLUMNS[0]]), paid, [math.log1p(rng) * 0] * rng])

with holdfast.run("churn", params={"C": 0.5}, seed=7) as run:
    frame = pd.DataFrame({"age": rng.normal(40, 10, 80), "plan": rng.choice(["basic", "plus", "pro"], 80)})
    frame["churned"] = (frame["age"] > 40).astype(int)
    frame.to_csv("train.csv", index=False)
    run.snapshot("train.csv")
    model = LogisticRegression(C=0.5).fit(featurise(frame), frame["churned"])
    version = run.register(
        model, preprocessing=featurise, threshold=0.4, holdout=frame[:40], target="churned", metric="f1"
    )
    print("registered", version.number, version.complete, version.missing)
    again = featurise(frame[:40])
    print("scores", model.predict_proba(again)[:, 1].round(9).tolist())
'''


def test_a_script_registers_a_function_of_its_own(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / HOME_NAME).mkdir(parents=True)
    (project / "train.py").write_text(SCRIPT)
    (project / "names.py").write_text("COLUMNS = ('age', 'plan')\n")
    source = Path(__file__).parents[3] / "src"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=project,
        env={**clean, "PYTHONPATH": str(source)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "registered 1 True ()" in done.stdout
    with open_project(Settings.at(project / HOME_NAME, {})) as opened:
        version = opened.registry.resolve(Reference.parse("churn@1"))
        files = materialise(opened.store, version.digest, opened.settings.cache)
        code = files.manifest.parts.preprocessing_code
        assert isinstance(code, PreprocessingCode)
        assert code.entry_point == "train_preprocessing:featurise"
        text = files.read(code.files[1]).decode()
        assert {str(path) for path in code.files} == {"code/names.py", "code/train_preprocessing.py"}
        for absent in ("holdfast", "default_rng", "LogisticRegression", "print"):
            assert absent not in text
        with opened.opener(files) as predictor:
            scores = [row[1] for row in predictor.holdout().scores]
    said = done.stdout.partition("scores ")[2]
    assert np.allclose(scores, ast.literal_eval(said.strip()), atol=1e-8)
