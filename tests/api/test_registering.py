"""`run.register`: what a training made becomes a version, from inside."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import holdfast
from holdfast.errors import BundleFailed, Incomplete, InvalidInput, NotFound
from holdfast.parts import DataSlice, PreprocessingCode
from holdfast.registry.values import Version
from holdfast.tracking.values import RunStatus
from holdfast.wire import Project
from tests.projects import HOLDOUT_ROWS, TARGET, manifest, tables, trained

pytestmark = pytest.mark.slow

Opener = Callable[[], Project]

NUMERIC = ["age", "calls"]


def frame(path: str = "data/train.csv") -> pd.DataFrame:
    return pd.read_csv(path)


def fitted() -> LogisticRegression:
    rows = frame()
    return LogisticRegression().fit(rows[NUMERIC].to_numpy(), rows[TARGET])


def test_a_function_a_threshold_and_a_holdout_make_a_whole_version(
    folder: Path, features: ModuleType, project: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    holdfast.snapshot("data")
    caplog.clear()
    with holdfast.run("churn", params={"C": 0.1}) as run:
        train = run.snapshot("data/train.csv")
        run.log_metrics({"accuracy": 0.94})
        version = run.register(
            trained(3),
            preprocessing=features.featurise,
            threshold=0.4,
            holdout=HOLDOUT_ROWS,
            target=TARGET,
            metric="recall",
            semver="1.0.0",
            reason="first try",
        )
    assert isinstance(version, Version)
    assert (version.number, version.complete, version.run_id, version.semver) == (1, True, run.id, "1.0.0")
    assert version.created_by == "ana <ana@example.org>"
    known = manifest(project(), 1)
    assert isinstance(known.parts.data_slice, DataSlice)
    assert [(item.role, item.source) for item in known.parts.data_slice.inputs] == [("train", "data/train.csv")]
    assert known.evidence.to_json()["run"]["id"] == run.id
    assert known.evidence.to_json()["metrics"]["primary"] == "recall"
    assert known.parts.to_json()["hyperparameters"]["values"]["C"] == 0.1
    edges = project().registry.lineage("version", str(version.digest))
    assert {(edge.parent_kind, edge.parent) for edge in edges} >= {("run", run.id), ("snapshot", train.digest)}
    assert project().registry.log()[0].reason == "first try"
    assert caplog.text == ""


def test_a_fitted_transformer_is_carried_as_it_was_fitted(folder: Path, project: Opener) -> None:
    rows = frame()
    scaler = StandardScaler().fit(rows[NUMERIC].to_numpy())
    with holdfast.run("churn") as run:
        run.snapshot("data/train.csv")
        run.register(
            LogisticRegression().fit(scaler.transform(rows[NUMERIC].to_numpy()), rows[TARGET]),
            preprocessing=scaler,
            threshold=0.5,
            holdout=(frame("data/holdout.csv")[NUMERIC].to_numpy(), frame("data/holdout.csv")[TARGET]),
        )
    part = manifest(project(), 1).parts.preprocessing_code
    assert isinstance(part, PreprocessingCode)
    assert (part.kind, part.executes_code) == ("transformer", True)


def test_a_pipeline_is_taken_apart_into_preprocessing_and_weights(folder: Path, project: Opener) -> None:
    rows = frame()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[NUMERIC], rows[TARGET])
    with holdfast.run("churn") as run:
        run.snapshot("data/train.csv")
        version = run.register(model, threshold=0.5, holdout="data/holdout.csv", target=TARGET, features=tuple(NUMERIC))
    assert version.complete
    known = manifest(project(), 1).parts.to_json()
    assert known["preprocessing_code"]["kind"] == "transformer"
    assert known["weights"]["model_class"].endswith("LogisticRegression")
    holdout = frame("data/holdout.csv")
    with holdfast.load("churn@1") as loaded:
        assert loaded.predict(holdout) == model.predict(holdout[NUMERIC]).tolist()


def test_an_adapter_names_its_base(folder: Path, project: Opener) -> None:
    (folder / "lora").mkdir()
    for name in ("llama.safetensors", "lora/adapter_model.safetensors"):
        (folder / name).write_bytes(b"\x02\0\0\0\0\0\0\0{}" + name.encode())
    (folder / "lora/adapter_config.json").write_text("{}")
    with holdfast.run("llama") as run:
        base = run.register("llama.safetensors")
    with holdfast.run("churn") as run:
        with pytest.raises(Incomplete, match="an adapter"):
            run.register("lora")
        with pytest.raises(NotFound):
            run.register("lora", base="llama@2")
        run.register("lora", base="llama@1")
    named = manifest(project(), 1).parts.to_json()["weights"]["base"]
    assert (named["digest"], named["files"]) == (str(base.digest), ["weights/base/llama.safetensors"])


def test_an_edited_schema_is_pinned_and_enforced(folder: Path, features: ModuleType) -> None:
    rows = frame("data/holdout.csv").drop(columns=TARGET)
    schema = holdfast.infer_schema(HOLDOUT_ROWS, target=TARGET).with_column("age", minimum=18, enforce=True)
    with holdfast.run("churn") as run:
        run.snapshot("data/train.csv")
        run.register(
            trained(3),
            preprocessing=features.featurise,
            threshold=0.4,
            holdout=HOLDOUT_ROWS,
            target=TARGET,
            schema=schema,
        )
    with holdfast.load("churn@1") as loaded:
        assert len(loaded.predict(rows.head(3))) == 3
        with pytest.raises(InvalidInput, match=r"'age', row 1: 17\.0 is below 18"):
            loaded.predict([{"age": 18.0, "calls": 1, "plan": "pro"}, {"age": 17.0, "calls": 1, "plan": "pro"}])
        with pytest.raises(InvalidInput, match="lack plan"):
            loaded.predict(rows[NUMERIC])


def test_what_is_missing_is_named_and_kept(folder: Path, features: ModuleType) -> None:
    with holdfast.run("churn") as run:
        run.snapshot("data/train.csv")
        version = run.register(trained(3), preprocessing=features.featurise, holdout=HOLDOUT_ROWS, target=TARGET)
    assert not version.complete
    assert "eval_threshold" in version.missing


def test_paths_are_found_from_where_the_script_is_or_from_the_project(
    folder: Path, features: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    holdfast.snapshot("data")
    (folder / "src").mkdir()
    monkeypatch.chdir(folder / "src")
    for place, number in (("../data/holdout.csv", 1), ("data/holdout.csv", 2), (folder / "data/holdout.csv", 3)):
        with holdfast.run("churn", params={"place": str(place)}) as run:
            run.snapshot("../data/train.csv")
            version = run.register(
                trained(3), preprocessing="none", threshold=None, holdout=place, target=TARGET, features=tuple(NUMERIC)
            )
            assert version.number == number
    with holdfast.run("churn") as run, pytest.raises(NotFound, match="nowhere"):
        run.register(trained(3), holdout="nowhere.csv", target=TARGET)


def test_a_bundle_that_cannot_answer_is_refused_and_the_registry_is_as_before(
    folder: Path, project: Opener, features: ModuleType
) -> None:
    (folder / "broken.py").write_text("def featurise(rows):\n    raise KeyError('age')\n", encoding="utf-8")
    with holdfast.run("churn") as run:
        run.snapshot("data/train.csv")
        before = tables(project(), but=("run_tags", "run_inputs", "tags", "inputs", "runs"))
        with pytest.raises(BundleFailed, match="KeyError: 'age'"):
            run.register(
                trained(3),
                preprocessing="broken.py:featurise",
                threshold=0.4,
                holdout=HOLDOUT_ROWS,
                target=TARGET,
            )
        assert tables(project(), but=("run_tags", "run_inputs", "tags", "inputs", "runs")) == before
        version = run.register(
            trained(3), preprocessing=features.featurise, threshold=0.4, holdout=HOLDOUT_ROWS, target=TARGET
        )
    assert version.number == 1
    assert holdfast.search_runs()[0].status is RunStatus.FINISHED
    assert list((folder / ".holdfast/tmp").iterdir()) == []
