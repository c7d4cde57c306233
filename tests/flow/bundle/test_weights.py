"""The weights and the preprocessing code, as files of a bundle."""

import io
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from holdfast.errors import CannotPackage, NotFound, UsageError
from holdfast.flow.bundle.preprocessing import write_preprocessing
from holdfast.flow.bundle.weights import write_weights
from holdfast.names import RelativePath
from holdfast.parts import Missing, PreprocessingCode, Weights
from holdfast.runtime.loaders import FORMATS, loader_for, loader_named
from tests.flow.bundle.conftest import SmallProject

X, Y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])


class Files(dict[str, bytes]):
    def write(self, path: RelativePath, data: bytes) -> None:
        self[str(path)] = data


def weights(model: Any, project: Path, preprocessing: Any = None) -> tuple[Any, Any, Any, Files]:
    files = Files()
    part, code, inner = write_weights(model, preprocessing, project, files.write)
    return part, code, inner, files


def test_no_model_is_missing_and_keeps_the_preprocessing(tmp_path: Path) -> None:
    part, code, inner, files = weights(None, tmp_path, "none")
    assert part == Missing("weights", "no model was given")
    assert (code, inner, files) == ("none", None, {})


def test_an_estimator_is_written_and_says_that_loading_runs_code(tmp_path: Path) -> None:
    model = LogisticRegression().fit(X, Y)
    part, code, inner, files = weights(model, tmp_path)
    assert part == Weights(
        "joblib",
        "sklearn",
        "sklearn.linear_model._logistic.LogisticRegression",
        True,
        (RelativePath("weights/model.joblib"),),
    )
    assert (code, inner) == (None, model)
    assert joblib.load(io.BytesIO(files["weights/model.joblib"])).predict(X).tolist() == Y.tolist()


def test_the_same_estimator_has_the_same_bytes(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    assert weights(model, tmp_path)[3] == weights(model, tmp_path)[3]


def test_a_pipeline_without_preprocessing_is_taken_apart(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression()).fit(X, Y)
    part, code, inner, _ = weights(model, tmp_path)
    assert part.model_class.endswith("LogisticRegression")
    assert isinstance(inner, LogisticRegression)
    assert isinstance(code, Pipeline)
    assert inner.predict(code.transform(X)).tolist() == model.predict(X).tolist()


@pytest.mark.parametrize("given", ["none", "features.py:featurise"])
def test_a_pipeline_with_preprocessing_of_its_own_stays_whole(tmp_path: Path, given: str) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    part, code, inner, _ = weights(model, tmp_path, given)
    assert part.model_class.endswith("Pipeline")
    assert (code, inner) == (given, model)


def test_a_pipeline_of_one_step_stays_whole(tmp_path: Path) -> None:
    part, code, _, _ = weights(make_pipeline(LogisticRegression()).fit(X, Y), tmp_path)
    assert part.model_class.endswith("Pipeline")
    assert code is None


def test_a_pipeline_with_classes_of_the_project_carries_them(project: SmallProject) -> None:
    project.write(
        steps="from names import FACTOR\nfrom sklearn.base import BaseEstimator, TransformerMixin\n"
        "class Times(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, x, y=None): return self\n"
        "    def transform(self, x): return x * FACTOR\n",
        names="FACTOR = 3\n",
    )
    times = project.load("steps").Times()
    model = make_pipeline(FeatureUnion([("times", times)]), LogisticRegression()).fit(X, Y)
    _, code, _, files = weights(model, project.root)
    part = write_preprocessing(code, project.root, files.write, commit="abc")
    assert isinstance(part, PreprocessingCode)
    assert {"code/steps.py", "code/names.py", "code/transformer.joblib"} <= set(files)
    assert {str(path) for path in part.files} == {"code/steps.py", "code/names.py", "code/transformer.joblib"}
    assert (part.kind, part.executes_code, part.commit) == ("transformer", True, "abc")
    whole = weights(model, project.root, "none")[3]
    assert {"code/steps.py", "code/names.py", "weights/model.joblib"} == set(whole)


def test_a_class_of_the_script_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type("Scaled", (LogisticRegression,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Scaled", kind, raising=False)
    files = Files()
    with pytest.raises(CannotPackage, match="defined in the training script"):
        write_weights(kind(), None, tmp_path, files.write)
    assert files == {}


class Locked(LogisticRegression):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize("model", [LogisticRegression, 3, [1], object(), StandardScaler, {"weights": 1}])
def test_what_is_no_estimator_is_refused(tmp_path: Path, model: Any) -> None:
    with pytest.raises(CannotPackage, match="no loader knows"):
        weights(model, tmp_path)


def test_what_cannot_be_pickled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotPackage, match="cannot be pickled"):
        weights(Locked(), tmp_path)


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "models/final.pickle", "MODEL.PKL"])
@pytest.mark.parametrize("as_path", [True, False])
def test_a_file_of_an_estimator_is_taken_byte_for_byte(tmp_path: Path, name: str, as_path: bool) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    model = LogisticRegression().fit(X, Y)
    if file.suffix == ".joblib":
        joblib.dump(model, file, compress=3)
    else:
        file.write_bytes(pickle.dumps(model, protocol=2))
    part, _, inner, files = weights(Path(name) if as_path else name, tmp_path)
    assert files == {f"weights/{file.name}": file.read_bytes()}
    assert part.loader == "sklearn"
    assert part.executes_code
    assert part.model_class.endswith("LogisticRegression")
    assert inner.C == 1.0


def test_a_file_of_a_pipeline_is_taken_apart_like_the_pipeline(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    joblib.dump(model, tmp_path / "model.joblib")
    part, code, _, files = weights("model.joblib", tmp_path)
    assert part.model_class.endswith("LogisticRegression")
    assert isinstance(code, Pipeline)
    assert files.keys() == {"weights/model.joblib"}
    whole, code, _, files = weights("model.joblib", tmp_path, "none")
    assert whole.model_class.endswith("Pipeline")
    assert files["weights/model.joblib"] == (tmp_path / "model.joblib").read_bytes()


@pytest.mark.parametrize("root", [".", "src"])
def test_a_file_whose_classes_lie_in_the_project(project: SmallProject, root: str) -> None:
    source = "from sklearn.linear_model import LogisticRegression\nclass Mine(LogisticRegression):\n    pass\n"
    project.put({f"{root}/mine.py": source})
    joblib.dump(project.load("mine", root=root).Mine().fit(X, Y), project.root / "model.joblib")
    path = sys.path.copy()
    sys.path.remove(str((project.root / root).resolve()))
    del sys.modules["mine"]
    part, _, _, files = weights("model.joblib", project.root)
    assert part.model_class == "mine.Mine"
    assert files.keys() == {"weights/model.joblib", "code/mine.py"}
    assert len(sys.path) == len(path) - 1


@pytest.mark.parametrize("suffix", [suffix for suffix, (_, loader, _) in FORMATS.items() if loader == "none"])
def test_a_file_that_nothing_here_opens_is_kept_as_it_is(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"model{suffix}").write_bytes(b"anything")
    part, _, inner, files = weights(f"model{suffix}", tmp_path)
    assert (part.loader, part.model_class, inner) == ("none", "unknown", None)
    assert part.executes_code == FORMATS[suffix][2]
    assert files == {f"weights/model{suffix}": b"anything"}


def damaged(data: bytes) -> list[bytes]:
    return [
        b"",
        data[: len(data) // 2],
        data[:10],
        b"\x00" * 100,
        b"cos\nnothing_of_this_name\n.",
        b"cnot_there\nX\n.",
        data[:-1] + b"x",
        b"\x80\x05K",
    ]


@pytest.mark.parametrize("place", range(8))
def test_a_damaged_file_is_refused(tmp_path: Path, place: int) -> None:
    whole = io.BytesIO()
    joblib.dump(LogisticRegression().fit(X, Y), whole)
    (tmp_path / "model.joblib").write_bytes(damaged(whole.getvalue())[place])
    with pytest.raises(CannotPackage, match=r"model\.joblib cannot be loaded here"):
        weights("model.joblib", tmp_path)


def test_a_file_that_is_not_there_or_of_no_known_kind(tmp_path: Path) -> None:
    (tmp_path / "folder.joblib").mkdir()
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(NotFound):
        weights("absent.joblib", tmp_path)
    with pytest.raises(UsageError, match="should hold weights"):
        weights("folder.joblib", tmp_path)
    with pytest.raises(UsageError, match="not a known kind of weights") as error:
        weights("model.bin", tmp_path)
    assert ".joblib" in error.value.hint


def test_a_file_whose_name_some_platform_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "a\\b.pt").write_bytes(b"x")
    with pytest.raises(UsageError):
        weights("a\\b.pt", tmp_path)


# Preprocessing


def test_nothing_said_is_missing_and_none_is_a_statement(tmp_path: Path) -> None:
    files = Files()
    assert write_preprocessing(None, tmp_path, files.write, commit=None) == Missing(
        "preprocessing_code", "neither a function nor a transformer was given"
    )
    assert write_preprocessing("none", tmp_path, files.write, commit="abc") == PreprocessingCode(
        "identity", commit="abc"
    )
    assert files == {}


@pytest.mark.parametrize("given", [3, ["a"], {"a": 1}, object()])
def test_what_is_no_preprocessing_is_refused(tmp_path: Path, given: Any) -> None:
    with pytest.raises(UsageError, match="is no preprocessing"):
        write_preprocessing(given, tmp_path, Files().write, commit=None)


def test_a_function_comes_with_its_modules(project: SmallProject) -> None:
    project.write(features="import names\ndef featurise(rows):\n    return rows\n", names="")
    files = Files()
    part = write_preprocessing(project.load("features").featurise, project.root, files.write, commit="abc")
    assert part == PreprocessingCode(
        "function",
        "features:featurise",
        None,
        (RelativePath("code/features.py"), RelativePath("code/names.py")),
        "abc",
        executes_code=False,
    )
    assert set(files) == {"code/features.py", "code/names.py"}


def test_loaders_are_chosen_by_what_they_recognise() -> None:
    assert loader_for(LogisticRegression()).name == "sklearn"
    assert loader_named("sklearn").name == "sklearn"
    with pytest.raises(CannotPackage, match="no loader 'none'"):
        loader_named("none")


def test_weights_of_another_scikit_learn_say_so_when_they_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    now = sklearn.__version__
    same, before = io.BytesIO(), io.BytesIO()
    joblib.dump(model, same)
    monkeypatch.setattr("sklearn.base.__version__", "0.9")
    joblib.dump(model, before)
    monkeypatch.undo()
    loader = loader_named("sklearn")
    assert loader.load({"model": same.getvalue()}, "joblib").foreign is None
    assert loader.load({"model": before.getvalue()}, "joblib").foreign == f"saved by scikit-learn 0.9, opened by {now}"
