"""Step 5: an unchanged script is captured whole, and its version points back to its run."""

import pytest

from tests.story.tumour import Person

pytestmark = pytest.mark.slow


def test_an_unchanged_script_leaves_a_run_with_everything_in_it(bare: Person) -> None:
    script = (bare.folder / "train.py").read_text()
    assert "holdfast" not in script.replace("This script knows nothing of Holdfast", "")
    bare.ok("init")
    answer = bare("run", "--model", "tumour", "--", "python", "train.py", "--C", "0.1")
    assert (answer.code, answer.out) == (0, "trained on 341 rows\n")
    (run,) = bare.json("search", "--runs", "params.C = 0.1")["runs"]
    assert (run["status"], run["model"], run["params"]) == ("finished", "tumour", {"C": 0.1})
    assert [item["source"] for item in run["inputs"]] == ["data/train.csv"]
    assert run["actor"] == "ana <ana@example.org>"
    assert (bare.folder / "train.py").read_text() == script


def test_the_environment_is_in_the_version(held: Person) -> None:
    held.ok("checkout", "tumour@1", "bundle")
    lock = (held.folder / "bundle/environment/requirements.lock").read_text()
    assert "scikit-learn==" in lock
    environment = held.json("show", "tumour@1")["evidence"]["environment"]
    assert environment["python"].startswith("3.")
    assert {"interpreter", "packages", "system", "hardware", "seeds"} <= set(environment["values"])


def test_a_version_points_back_to_its_run_and_shows_it(held: Person) -> None:
    version = held.json("show", "tumour@2")
    assert version["evidence"]["run"]["id"] == version["run"]
    (run,) = held.json("search", "--runs", "params.data = 'data/train_bad_export.csv'")["runs"]
    assert run["id"] == version["run"]
    assert version["run"] in held.ok("show", "tumour@2")


def test_a_training_that_fails_is_a_failed_run_with_its_own_exit_code(held: Person) -> None:
    answer = held("run", "--model", "tumour", "--json", "--", "python", "train.py", "--data", "nowhere.csv")
    assert answer.code == 1
    assert answer.value["status"] == "failed"
    assert "FileNotFoundError" in answer.err
