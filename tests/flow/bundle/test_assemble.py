"""A bundle put together: with everything, and with each thing missing in turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import BundleFailed, CannotPackage, NoSpace, NotFound, TooLarge, UsageError
from holdfast.evidence import CodeState, Environment, FeatureSchema, Holdout, Metrics, RunReference
from holdfast.flow.bundle import Ingredients, assemble, infer_schema
from holdfast.manifest import MANIFEST_NAME, Manifest
from holdfast.names import ModelName, RelativePath
from holdfast.parts import DataInput, DataSlice, EvalThreshold, Hyperparameters, Missing, PreprocessingCode, Weights
from holdfast.parts.data_slice import HOLDOUT, TRAIN
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.smoke import read_outputs
from holdfast.wire import Project

CHURN = ModelName("churn")
FRAME = pd.DataFrame(
    {
        "age": np.linspace(18.0, 80.0, 40),
        "calls": np.arange(40) % 7,
        "plan": ["basic", "plus"] * 20,
        "churned": (np.arange(40) % 3 == 0).astype(int),
    }
)
SOURCE = """
import numpy as np

def featurise(rows):
    return np.column_stack([rows["age"] / 80, rows["calls"], rows["plan"] == "basic"])
"""


def model() -> LogisticRegression:
    features = np.column_stack([FRAME["age"] / 80, FRAME["calls"], FRAME["plan"] == "basic"])
    return LogisticRegression().fit(features, FRAME["churned"])


@contextmanager
def nobody(files: Any) -> Iterator[Any]:
    """An opener for bundles that must not be opened."""
    assert files is None, f"{files.root} was opened"
    yield files


def ingredients(project: Path, **changes: Any) -> Ingredients:
    (project / "features.py").write_text(SOURCE)
    base = Ingredients(
        name=CHURN,
        project=project,
        model=model(),
        preprocessing="features.py:featurise",
        threshold=0.3,
        holdout=FRAME,
        target="churned",
        metric="recall",
        inputs=(DataInput(TRAIN, "train.csv", Digest("1" * 64), 1, 10),),
        hyperparameters=Hyperparameters({"lr": 0.1}),
        code=CodeState("abc", True, None, {"branch": "main"}),
        patch=b"--- a\n",
        run=RunReference("run-1"),
    )
    return replace(base, **changes)


def put(folder: Path, given: Ingredients, opener: Any = nobody) -> BundleFiles:
    folder.mkdir()
    return assemble(given, folder, opener)


def whole(files: BundleFiles) -> None:
    """Every file is listed and as it is listed, and nothing else lies there."""
    lying = {str(path.relative_to(files.root)) for path in files.root.rglob("*") if path.is_file()}
    assert lying == {str(entry.path) for entry in files.manifest.files} | {MANIFEST_NAME}
    for entry in files.manifest.files:
        assert len(files.read(entry.path)) == entry.size
    assert BundleFiles.open(files.root, expected=files.digest).manifest == files.manifest


@pytest.mark.slow
def test_a_complete_bundle_has_all_parts_all_evidence_and_its_own_answers(
    registry_project: Project, tmp_path: Path
) -> None:
    files = put(tmp_path / "bundle", ingredients(registry_project.settings.project), registry_project.opener)
    whole(files)
    manifest = files.manifest
    parts, evidence = manifest.parts, manifest.evidence
    assert manifest.complete
    assert isinstance(parts.preprocessing_code, PreprocessingCode)
    assert parts.preprocessing_code.entry_point == "features:featurise"
    assert parts.preprocessing_code.commit == "abc"
    assert parts.eval_threshold == EvalThreshold("cut_off", 0.3, 1, 0, "recall", "holdout")
    assert isinstance(parts.hyperparameters, Hyperparameters)
    known = parts.hyperparameters.to_json()["values"]
    assert (known["lr"], known["estimator.C"]) == (0.1, 1.0)
    assert isinstance(evidence.schema, FeatureSchema)
    assert [column.name for column in evidence.schema.columns] == ["age", "calls", "plan"]
    assert isinstance(evidence.environment, Environment)
    lock = files.read(evidence.environment.lock).decode()
    for name in ("numpy==", "pandas==", "scikit-learn==", "joblib=="):
        assert name in lock
    assert isinstance(evidence.code, CodeState)
    assert evidence.code.patch == RelativePath("evidence/uncommitted.patch")
    assert isinstance(evidence.holdout, Holdout)
    assert (evidence.holdout.count, evidence.holdout.target, evidence.holdout.groups) == (40, "churned", ("plan",))
    outputs = read_outputs(files.read(evidence.holdout.outputs))
    features = np.column_stack([FRAME["age"] / 80, FRAME["calls"], FRAME["plan"] == "basic"])
    expected = model().predict_proba(features)
    assert np.allclose(outputs.scores, expected)
    assert outputs.predictions == [int(score >= 0.3) for score in expected[:, 1]]
    assert isinstance(evidence.metrics, Metrics)
    assert evidence.metrics.primary == "recall"
    assert evidence.metrics.rows == 40
    assert b"## Limits" in files.read(RelativePath("CARD.md"))
    assert b"judged by recall" in files.read(RelativePath("CARD.md"))


@pytest.mark.slow
def test_the_same_ingredients_give_the_same_version(registry_project: Project, tmp_path: Path) -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME[["age", "calls"]], FRAME["churned"])
    given = ingredients(
        registry_project.settings.project, model=pipeline, preprocessing=None, features=("age", "calls")
    )
    first = put(tmp_path / "first", given, registry_project.opener)
    second = put(tmp_path / "second", given, registry_project.opener)
    assert first.digest == second.digest
    third = put(tmp_path / "third", replace(given, threshold=0.31), registry_project.opener)
    assert third.digest != first.digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "changes"),
    [
        ("data_slice", {"inputs": ()}),
        ("data_slice", {"inputs": (DataInput(HOLDOUT, "h.csv", Digest("2" * 64), 1, 10),)}),
        ("metrics", {"target": None, "metric": None, "features": ("age", "calls", "plan")}),
        ("run", {"run": Missing("run", "registered outside a run")}),
        ("code", {"code": Missing("code", "not in Git"), "patch": b""}),
    ],
)
def test_what_scoring_does_not_need_is_missing_and_the_answers_are_there(
    registry_project: Project, tmp_path: Path, missing: str, changes: dict[str, Any]
) -> None:
    files = put(tmp_path / "bundle", ingredients(registry_project.settings.project, **changes), registry_project.opener)
    whole(files)
    parts, evidence = files.manifest.parts, files.manifest.evidence
    held: dict[str, Any] = {**parts.by_name(), **{name: getattr(evidence, name) for name in ("metrics", "run", "code")}}
    absent = [name for name, value in held.items() if isinstance(value, Missing)]
    assert absent == [missing]
    assert held[missing].why
    assert isinstance(files.manifest.evidence.holdout, Holdout)
    assert len(read_outputs(files.read(files.manifest.evidence.holdout.outputs)).predictions) == 40


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("weights", {"model": None}, "no model was given"),
        ("preprocessing_code", {"preprocessing": None}, "neither a function nor a transformer was given"),
        ("eval_threshold", {"threshold": None}, "no threshold was given"),
    ],
)
def test_without_a_part_that_scoring_needs_nothing_is_opened_and_all_else_is_kept(
    registry_project: Project, tmp_path: Path, part: str, changes: dict[str, Any], reason: str
) -> None:
    files = put(tmp_path / "bundle", ingredients(registry_project.settings.project, **changes))
    whole(files)
    manifest = files.manifest
    assert not manifest.complete
    assert [missing.name for missing in manifest.missing()] == [part, "metrics", "holdout"]
    assert manifest.missing()[0].why == reason
    assert "cannot answer without its missing parts" in manifest.missing()[1].why
    # The rows are kept for the day on which somebody supplies the part.
    assert b"holdfast.rows" in files.read(RelativePath("holdout/rows.json"))
    assert f"{part}: missing: {reason}".encode() in files.read(RelativePath("CARD.md"))


@pytest.mark.thorough
def test_without_a_holdout_there_is_no_schema_and_nothing_is_opened(registry_project: Project, tmp_path: Path) -> None:
    files = put(tmp_path / "bundle", ingredients(registry_project.settings.project, holdout=None))
    whole(files)
    assert [missing.name for missing in files.manifest.missing()] == ["schema", "metrics", "holdout"]
    schema = infer_schema(FRAME, target="churned")
    given = ingredients(registry_project.settings.project, holdout=None, schema=schema)
    again = put(tmp_path / "again", given)
    assert again.manifest.evidence.schema == schema


def test_nothing_at_all_is_still_a_version_that_says_what_it_lacks(tmp_path: Path) -> None:
    files = put(tmp_path / "bundle", Ingredients(name=CHURN, project=tmp_path))
    whole(files)
    assert len(files.manifest.missing()) == 9
    assert files.manifest.parts.hyperparameters == Missing("hyperparameters", "none were logged, given or found")
    assert all(missing.why for missing in files.manifest.missing())
    assert [str(entry.path) for entry in files.manifest.files] == ["CARD.md"]


def test_weights_that_nothing_here_opens_are_kept_with_their_rows(registry_project: Project, tmp_path: Path) -> None:
    (registry_project.settings.project / "model.pt").write_bytes(b"PK\x03\x04")
    files = put(tmp_path / "bundle", ingredients(registry_project.settings.project, model="model.pt"))
    whole(files)
    weights = files.manifest.parts.weights
    assert isinstance(weights, Weights)
    assert (weights.format, weights.loader) == ("torch", "none")
    assert isinstance(files.manifest.evidence.holdout, Missing)
    assert "nothing here opens weights written as torch" in files.manifest.evidence.holdout.why


def test_the_lock_of_a_run_is_completed_by_what_opening_needs(registry_project: Project, tmp_path: Path) -> None:
    given = ingredients(
        registry_project.settings.project, lock="numpy==1.26.0\n# pandas==2.0 was an editable folder\n", threshold=None
    )
    files = put(tmp_path / "bundle", given)
    lock = files.read(RelativePath("environment/requirements.lock")).decode().splitlines()
    assert lock[:2] == ["numpy==1.26.0", "# pandas==2.0 was an editable folder"]
    assert any(line.startswith("joblib==") for line in lock)
    assert any(line.startswith("scikit-learn==") for line in lock)
    assert sum(line.startswith("numpy==") for line in lock) == 1
    assert not any(line.startswith("pandas==") for line in lock)


def test_an_edited_schema_is_taken_as_it_is(registry_project: Project, tmp_path: Path) -> None:
    schema = infer_schema(FRAME, target="churned").with_column("age", minimum=0.0, maximum=120.0, enforce=True)
    files = put(tmp_path / "bundle", ingredients(registry_project.settings.project, schema=schema, threshold=None))
    assert files.manifest.evidence.schema == schema


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"target": "churn"}, UsageError),
        ({"groups": ("town",)}, UsageError),
        ({"features": ("age", "town")}, CannotPackage),
        ({"holdout": FRAME[:0]}, UsageError),
        ({"holdout": "absent.csv"}, NotFound),
        ({"model": "absent.joblib"}, NotFound),
        ({"model": object()}, CannotPackage),
        ({"preprocessing": lambda rows: rows}, CannotPackage),
        ({"preprocessing": "features.py:absent"}, NotFound),
        ({"threshold": "half"}, UsageError),
        ({"threshold": float("nan")}, UsageError),
        ({"positive": "yes"}, UsageError),
    ],
)  # fmt: skip
def test_ingredients_that_contradict_one_another_are_refused(
    registry_project: Project, tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        put(tmp_path / "bundle", ingredients(registry_project.settings.project, **changes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"metric": "auc"}, UsageError, "not known"),
        ({"model": LogisticRegression()}, BundleFailed, "not fitted"),
        ({"model": LinearRegression().fit([[0.0]], [1.0])}, BundleFailed, "features"),
        ({"threshold": "identity"}, UsageError, "numbers"),
    ],
)
def test_a_bundle_that_cannot_answer_its_own_holdout_is_refused(
    registry_project: Project, tmp_path: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        put(tmp_path / "bundle", ingredients(registry_project.settings.project, **changes), registry_project.opener)


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(registry_project: Project, tmp_path: Path) -> None:
    given = ingredients(registry_project.settings.project, holdout=None)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "CARD.md").symlink_to(full)
    with pytest.raises(NoSpace):
        assemble(given, folder, nobody)


def test_a_manifest_that_nobody_would_read_again_is_never_written(
    registry_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.manifest.MANIFEST_BYTES_MAX", 1000)
    with pytest.raises(TooLarge):
        put(tmp_path / "bundle", ingredients(registry_project.settings.project, holdout=None))


def test_the_slice_and_the_digest_of_the_holdout_are_named(registry_project: Project, tmp_path: Path) -> None:
    inputs = (DataInput(TRAIN, "a", Digest("1" * 64), 1, 1), DataInput(HOLDOUT, "b", Digest("2" * 64), 1, 1))
    files = put(
        tmp_path / "bundle",
        ingredients(registry_project.settings.project, inputs=inputs, holdout=None, threshold="argmax"),
    )
    assert files.manifest.parts.data_slice == DataSlice(inputs)
    assert files.digest == hash_bytes((files.root / MANIFEST_NAME).read_bytes())
    assert Manifest.parse((files.root / MANIFEST_NAME).read_bytes()) == files.manifest
