"""Bundles of models that the real clients wrote, opened by the real MLflow behind the walls of a gate."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from holdfast.bridges.mlflow import LoggedFiles, Said, bundle_of
from holdfast.evidence import Holdout
from holdfast.names import ModelName, RelativePath
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.limits import Limits
from holdfast.runtime.materialise import checkout_bundle
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.smoke import compare, read_outputs
from holdfast.store.interface import Store
from holdfast.store.memory import MemoryStore
from tests.mlflow.venvs import Client
from tests.patience import PATIENCE_SECONDS

SCRIPT = Path(__file__).parent / "scripts/write_models.py"

pytestmark = pytest.mark.slow


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    """A folder that leads to this Holdfast, and to nothing else that is installed with it."""
    folder = tmp_path / "carried"
    folder.mkdir()
    for name in ("holdfast", "rfc8785"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        (folder / name).symlink_to(spec.submodule_search_locations[0])
    return folder


@pytest.fixture
def written(real: Client, carried: Path, tmp_path: Path) -> Path:
    """The folder with the models."""
    folder = tmp_path / "models"
    folder.mkdir()
    done = subprocess.run(
        [str(real.python), "-W", "ignore", str(SCRIPT), str(folder)],
        env={**real.environment(), "PYTHONPATH": str(carried)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def bundle(folder: Path, target: Path, tags: Mapping[str, str]) -> BundleFiles:
    """The bundle of a logged model, checked out."""
    store: Store = MemoryStore()
    files = {}
    with store.writer() as writer:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found = writer.add_bytes(path.read_bytes())
                files[RelativePath(str(path.relative_to(folder)))] = (found.digest, found.size)
        logged = LoggedFiles(files, lambda digest, bytes_max: store.read(digest, bytes_max=bytes_max))
        writer.commit()
        prepared = bundle_of(Said(params={"C": "1.0"}, tags=tags), logged, ModelName("churn"))
        for data in prepared.small.values():
            writer.add_bytes(data)
        manifest = writer.add_bytes(prepared.manifest.encode()).digest
        writer.commit()
    return checkout_bundle(store, manifest, target)


def test_a_logged_model_answers_in_a_gates_worker_what_it_answered_when_it_was_logged(
    real: Client, written: Path, carried: Path, tmp_path: Path
) -> None:
    interpreter = Interpreter(real.python, {"PYTHONPATH": str(carried), "HOME": str(tmp_path)})
    cases = {
        ("classifier", ""): "mlflow-labels",
        ("classifier", "0.4"): "mlflow-scores",
        ("own_code", "identity"): "mlflow",
        ("from_code", "identity"): "mlflow",
    }
    for (name, threshold), loader in cases.items():
        files = bundle(
            written / name, tmp_path / f"{name}{threshold}", {"holdfast.threshold": threshold} if threshold else {}
        )
        weights, holdout = files.manifest.parts.weights, files.manifest.evidence.holdout
        assert getattr(weights, "loader", None) == loader
        assert isinstance(holdout, Holdout), holdout
        largest = max(files.manifest.file(path).size for path in getattr(weights, "files", ()))
        short = replace(Limits.of_gate(), file_bytes_max=1)
        with Predictor.start(files, interpreter, limits=short) as predictor:
            assert predictor.limits.file_bytes_max == largest
            answer = predictor.holdout()
        assert compare(read_outputs(files.read(holdout.outputs)), answer).within_tolerance
    assert {type(value) for value in answer.predictions} == {float}
