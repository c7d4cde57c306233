import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import encode
from holdfast.errors import NotFound
from holdfast.flow import inventory as inventory_module
from holdfast.flow.inventory import PARTS, Inventory, inventory
from holdfast.flow.inventory import judging as judging_module
from holdfast.flow.inventory import walking as walk_module
from holdfast.flow.inventory.formats import Kind, executes_code, kind_of
from holdfast.flow.inventory.sources import Topic, read_source

TRAIN = """
import argparse
import random
import joblib
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from features import featurise

parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
random.seed(3)
THRESHOLD = 0.4

def main():
    data = pd.read_csv("data/train.csv")
    model = RandomForestClassifier(n_estimators=300, random_state=7)
    model.fit(featurise(data), data.y)
    joblib.dump(model, "models/churn.pkl")

main()
"""
FEATURES = """
def featurise(rows):
    return rows.assign(ratio=rows.a / rows.b)
"""
SERVICE = """
from fastapi import FastAPI
import joblib, os
app = FastAPI()
model = joblib.load("models/churn.pkl")

def featurise(rows):
    return rows

@app.post("/score")
def score(rows: list):
    return [bool(p >= 0.5) for p in model.predict_proba(featurise(rows))[:, 1]]
"""
REGISTER = (
    "holdfast register churn --weights models/churn.pkl --preprocessing features.py:featurise "
    "--holdout data/holdout.csv --target COLUMN"
)
Write = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture(autouse=True)
def no_git_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(files: dict[str, str | bytes]) -> Path:
        project = tmp_path / "churn"
        project.mkdir(exist_ok=True)
        for name, content in files.items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return project

    return write


@pytest.fixture
def project(write: Write) -> Path:
    """A project as they are found: a script, a service, a pickle, two tables."""
    return write(
        {
            "train.py": TRAIN,
            "features.py": FEATURES,
            "app.py": SERVICE,
            "models/churn.pkl": b"weights",
            "data/train.csv": "a,b,y\n1,2,0\n",
            "data/holdout.csv": "a,b,y\n1,2,0\n",
            "conf/params.yaml": "depth: 3\nthreshold: 0.5\n",
            "requirements.txt": "scikit-learn\n",
            ".venv/lib/x.py": "broken (",
            "node_modules/x/model.pkl": b"x",
            "tests/test_train.py": "threshold = 0.9\nmodel.fit(1)\n",
        }
    )


def found(one: Inventory, part: str) -> list[str]:
    return [f"{entry.path}:{entry.line}" if entry.line else entry.path for entry in one.parts[part].found]


def gaps(one: Inventory, part: str) -> str:
    return "\n".join(gap.sentence for gap in one.parts[part].gaps)


def test_all_five_parts_are_reported_in_their_order(project: Path) -> None:
    one = inventory(project)
    assert tuple(one.parts) == PARTS
    assert one.complete
    assert one.project == str(project)
    assert one.notes == ()


def test_what_exists_is_found_where_it_stands(project: Path) -> None:
    one = inventory(project)
    assert found(one, "weights") == ["models/churn.pkl"]
    assert one.parts["weights"].found[0].executes_code
    assert found(one, "data_slice") == ["data/holdout.csv", "data/train.csv"]
    assert found(one, "preprocessing_code") == ["app.py:7", "features.py:2"]
    assert found(one, "hyperparameters") == ["conf/params.yaml", "train.py:10", "train.py:16"]
    assert found(one, "eval_threshold") == ["app.py:12", "train.py:12", "conf/params.yaml:2"]
    evidence = one.evidence
    assert evidence.training_scripts == ("train.py",)
    assert evidence.serving_files == ("app.py",)
    assert evidence.holdout == ("data/holdout.csv",)
    assert evidence.lock_files == ("requirements.txt",)
    assert [(seed.path, seed.line) for seed in evidence.seeds] == [("train.py", 11), ("train.py", 16)]


def test_gaps_say_what_is_wrong_and_which_command_is_next(project: Path) -> None:
    one = inventory(project)
    assert "the threshold lives in the service: app.py:12" in gaps(one, "eval_threshold")
    assert "more than one threshold: 0.4 in train.py:12, 0.5 in app.py:12" in gaps(one, "eval_threshold")
    assert "function featurise is written twice, in app.py and in features.py" in gaps(one, "preprocessing_code")
    assert "1 weights file without a version" in gaps(one, "weights")
    assert "2 data files can change unseen" in gaps(one, "data_slice")
    assert one.parts["data_slice"].gaps[0].command == "holdfast snapshot data"
    assert one.parts["weights"].gaps[0].command == "holdfast adopt churn --weights models/churn.pkl"
    assert one.next == (
        "holdfast init",
        "holdfast snapshot data",
        "holdfast run --model churn -- python train.py",
        REGISTER,
    )


def test_an_empty_folder_has_a_gap_in_every_part(write: Write) -> None:
    one = inventory(write({}))
    assert not one.complete
    assert all(report.found == () and report.gaps for report in one.parts.values())
    assert one.evidence.code_state == "not_a_repository"
    assert one.next[0] == "holdfast init"


def test_every_command_that_is_proposed_exists(project: Path, write: Write) -> None:
    commands = {
        "init",
        "inventory",
        "run",
        "snapshot",
        "register",
        "adopt",
        "list",
        "show",
        "gate",
        "promote",
        "doctor",
    }
    for one in (inventory(project), inventory(write({"x.ipynb": "fit_transform"}))):
        proposed = [*one.next, *(gap.command for report in one.parts.values() for gap in report.gaps)]
        proposed += [gap.command for gap in one.evidence.gaps]
        for command in proposed:
            first, second, *_ = command.split()
            assert (first == "holdfast" and second in commands) or command in {"git init", "git commit"}, command


def test_json_is_canonical_and_has_its_public_keys(project: Path) -> None:
    value = json.loads(encode(inventory(project).to_json()))
    assert set(value) == {"project", "complete", "parts", "evidence", "next", "notes"}
    assert tuple(value["parts"]) == tuple(sorted(PARTS))
    weights = value["parts"]["weights"]
    assert weights["found"] == [{"path": "models/churn.pkl", "what": "weights", "bytes": 7, "executes_code": True}]
    assert set(weights["gaps"][0]) == {"gap", "next"}


def test_lines_tell_people_the_same(project: Path) -> None:
    text = "\n".join(inventory(project).lines())
    assert "models/churn.pkl  weights, 7 bytes, runs code when loaded" in text
    assert "! the threshold lives in the service" in text
    assert text.index("+ weights") < text.index("+ eval threshold") < text.index("next:")


def test_a_set_up_project_need_not_be_initialised(project: Path) -> None:
    (project / ".holdfast").mkdir()
    assert "holdfast init" not in inventory(project).next


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        inventory(tmp_path / "absent")


@pytest.mark.slow
def test_git_is_read_and_large_files_in_it_are_a_gap(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging_module, "_IN_GIT_BYTES_MAX", 10)
    for words in (["init", "--quiet"], ["add", "data", "train.py"], ["commit", "--quiet", "--message=x"]):
        who = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
        subprocess.run(["git", *who, *words], cwd=project, check=True)
    one = inventory(project)
    assert one.evidence.code_state == "git"
    assert one.evidence.dirty
    assert {entry.path: entry.in_git for entry in one.parts["data_slice"].found}["data/train.csv"] is True
    assert one.parts["weights"].found[0].in_git is False
    assert "data/train.csv has 0 MB and is in Git" in gaps(one, "data_slice")
    assert "the working tree differs" in "\n".join(gap.sentence for gap in one.evidence.gaps)


def test_other_tools_leave_traces(write: Write) -> None:
    one = inventory(
        write(
            {
                "dvc.yaml": "",
                "data/train.csv": "x",
                "data/train.csv.dvc": "outs:",
                "data/images.dvc": "outs:",
                "mlruns/0/meta.yaml": "",
                "train.py": "import hydra, wandb\nimport lakefs_client\nmodel.fit(x)",
            }
        )
    )
    assert one.evidence.tools == ("dvc", "hydra", "lakefs", "mlflow", "wandb")
    assert [(entry.path, entry.what) for entry in one.parts["data_slice"].found] == [
        ("data/train.csv", "data, pinned by DVC"),
        ("data/images", "data, pinned by DVC, not here now"),
    ]
    assert "can change unseen" not in gaps(one, "data_slice")


def test_a_folder_of_images_is_one_entry(write: Write) -> None:
    files: dict[str, str | bytes] = {f"data/cats/{number}.png": b"12" for number in range(6)}
    one = inventory(write({**files, "logo.png": b"x", "docs/images/a.png": b"x"}))
    assert [str(entry) for entry in one.parts["data_slice"].found] == ["data/cats/  6 images, 12 bytes"]
    assert one.parts["data_slice"].gaps[0].command == "holdfast snapshot data/cats/"


def test_preprocessing_in_a_notebook_or_at_the_top_of_a_script_is_a_gap(write: Write) -> None:
    notebook = json.dumps({"cells": [{"source": ["x = scaler.fit_transform(x)"]}]})
    one = inventory(write({"explore.ipynb": notebook, "train.py": "x = s.fit_transform(x)\nm.fit(x)"}))
    assert "explore.ipynb preprocesses in a notebook" in gaps(one, "preprocessing_code")
    assert "train.py:1 transforms outside any function" in gaps(one, "preprocessing_code")
    assert one.evidence.notebooks == ("explore.ipynb",)


def test_many_entries_are_counted_and_not_listed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging_module, "_SHOWN_MAX", 3)
    one = inventory(write({f"data/{number}.csv": "12" for number in range(5)}))
    assert [str(entry) for entry in one.parts["data_slice"].found][-1] == "…  2 more, 4 bytes"


def test_limits_are_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_module, "ENTRIES_MAX", 4)
    monkeypatch.setattr(inventory_module, "_SOURCES_MAX", 1)
    notes = "\n".join(inventory(project).notes)
    assert "files were looked at" in notes
    assert "Python files were read" in notes


def test_files_that_cannot_be_read_are_noted(write: Write) -> None:
    one = inventory(write({"old.py": "print 'x'", "bytes.py": b"\xff\xfe\x00", "nul.py": "\0", "fine.py": "x = 1"}))
    assert {note.split()[0] for note in one.notes} == {"old.py", "bytes.py", "nul.py"}


def test_links_that_lead_in_a_circle_come_to_an_end(write: Write) -> None:
    project = write({"data/train.csv": "x"})
    (project / "data" / "again").symlink_to(project)
    (project / "dangling.csv").symlink_to("absent")
    assert found(inventory(project), "data_slice") == ["data/train.csv"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("model.safetensors", Kind.WEIGHTS),
        ("models/m.onnx", Kind.WEIGHTS),
        ("churn.pkl", Kind.WEIGHTS),
        ("data/train_features.pkl", Kind.DATA),
        ("models/train_features.pkl", Kind.DATA),
        ("data/model.pkl", Kind.WEIGHTS),
        ("pytorch_model.bin", Kind.WEIGHTS),
        ("firmware.bin", Kind.OTHER),
        ("best_model.h5", Kind.WEIGHTS),
        ("survey.h5", Kind.DATA),
        ("train.csv.gz", Kind.DATA),
        ("rows.jsonl", Kind.DATA),
        ("config.json", Kind.CONFIGURATION),
        ("data/rows.json", Kind.DATA),
        ("package.json", Kind.OTHER),
        ("pyproject.toml", Kind.OTHER),
        ("train.py", Kind.PYTHON),
        ("explore.ipynb", Kind.NOTEBOOK),
        ("cat.JPG", Kind.IMAGE),
        ("README.md", Kind.OTHER),
    ],
)
def test_a_name_says_what_a_file_is(path: str, kind: Kind) -> None:
    assert kind_of(path, 100) is kind


def test_formats_that_run_code_are_marked() -> None:
    marked = ["m.pkl", "m.joblib", "m.pt", "m.pth", "m.ckpt", "m.h5", "m.keras", "pytorch_model.bin"]
    assert all(executes_code(path) for path in marked)
    assert not any(executes_code(path) for path in ["m.safetensors", "m.onnx", "m.ubj", "m.gguf", "m.skops"])


def sights(text: str, topic: Topic) -> list[str]:
    return [sight.text for sight in read_source("x.py", text).sights if sight.topic is topic]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("threshold = 0.3", ["threshold = 0.3"]),
        ("self.decision_threshold: float = 0.3", ["decision_threshold = 0.3"]),
        ("def decide(p, cutoff=0.3): ...", ["cutoff = 0.3"]),
        ("def decide(p, *, cutoff=0.3): ...", ["cutoff = 0.3"]),
        ("decide(p, threshold=-0.3)", ["threshold = -0.3"]),
        ("T = float(os.environ.get('THRESHOLD', '0.3'))", ["os.environ.get('THRESHOLD', '0.3')"]),
        ("y = m.predict_proba(x)[:, 1] > 0.3", ["m.predict_proba(x)[:, 1] > 0.3"]),
        ("m.predict_proba(x)\nassert accuracy > 0.9", []),
        ("if x > 0.3: pass", []),
        ("threshold = compute()", []),
        ("throughput = 0.3", []),
    ],
)
def test_thresholds_are_read_from_the_syntax(text: str, found: list[str]) -> None:
    assert sights(text, Topic.THRESHOLD) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def build_features(x): ...", ["function build_features"]),
        ("class FeatureBuilder: ...", ["class FeatureBuilder"]),
        ("async def preprocess(x): ...", ["function preprocess"]),
        ("class TransformerEncoder(nn.Module): ...", []),
        ("def main(): ...", []),
        ("def f(x):\n    return s.fit_transform(x)", ["s.fit_transform(x)"]),
    ],
)
def test_preprocessing_is_read_from_the_syntax(text: str, found: list[str]) -> None:
    assert sights(text, Topic.PREPROCESSING) == found


@pytest.mark.parametrize(
    ("text", "trains"),
    [
        ("model.fit(x, y)", True),
        ("loss.backward()", True),
        ("import xgboost as xgb\nxgb.train({}, d)", True),
        ("trainer.train()", True),
        ("import fastapi\nmodel.fit(x)", False),
        ("fit(x)", False),
        ("model.predict(x)", False),
    ],
)
def test_training_is_known_by_its_calls(text: str, trains: bool) -> None:
    assert read_source("x.py", text).trains is trains


@given(st.text())
def test_any_text_is_read_or_marked_unreadable(text: str) -> None:
    source = read_source("x.py", text)
    assert source.readable or source.sights == ()


def test_deeply_nested_code_is_unreadable_and_no_error() -> None:
    assert not read_source("x.py", "(" * 5000 + ")" * 5000).readable


def test_nothing_of_the_project_runs(write: Write, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    inventory(write({"train.py": trap, "setup.py": trap, "sitecustomize.py": trap, "model.pkl": b"cos\nsystem\n"}))
    assert not (tmp_path / "ran").exists()


def test_a_seed_that_is_computed_is_a_seed(tmp_path: Path) -> None:
    script = "from sklearn.svm import SVC\nm = SVC(random_state=args.seed).fit(x, y)\n"
    (tmp_path / "train.py").write_text(script)
    assert [str(seed) for seed in inventory(tmp_path).evidence.seeds] == ["train.py:2  random_state = args.seed"]


def test_no_seed_is_not_a_seed(tmp_path: Path) -> None:
    script = "from sklearn.svm import SVC\nm = SVC(random_state=None).fit(x, y)\n"
    (tmp_path / "train.py").write_text(script)
    assert inventory(tmp_path).evidence.seeds == ()
