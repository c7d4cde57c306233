"""Step 8: one command back; weights, preprocessing and threshold come back together, because they are one version."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.story.tumour import Person, recorded

pytestmark = pytest.mark.slow


def answers(person: Person, rows: list[dict[str, Any]]) -> list[Any]:
    """What whatever holds production says about the rows, asked in Python as a service would."""
    (person.folder / "rows.json").write_text(json.dumps(rows))
    script = (
        "import holdfast, json, pandas\n"
        "rows = pandas.DataFrame(json.load(open('rows.json')))\n"
        "with holdfast.load('tumour@production') as model:\n"
        "    print(json.dumps(model.predict(rows)))\n"
    )
    (person.folder / "ask.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "ask.py"],
        cwd=person.folder, env=dict(person.environment), capture_output=True, text=True, check=True,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    return list(json.loads(done.stdout))


def test_rollback_brings_the_whole_version_back(moved: Person) -> None:
    rows, first = recorded(moved, "tumour@1", "one")
    _, third = recorded(moved, "tumour@3", "three")
    assert first != third
    assert answers(moved, rows) == third
    back = moved.json("rollback", "tumour", "--reason", "complaints about version 3")
    assert (back["from"], back["to"]) == (3, 1)
    assert answers(moved, rows) == first
    assert moved.json("show", "tumour@production")["parts"]["eval_threshold"]["value"] == 0.5
    event = moved.json("log")["events"][0]
    assert (event["action"], event["reason"]) == ("stage:pointer:rollback", "complaints about version 3")


def test_rollback_needs_nothing_but_the_registry_and_the_store(moved: Person) -> None:
    for path in ("train.py", "features.py", "model.joblib", "data/train.csv", "data/holdout.csv"):
        (moved.folder / path).unlink()
    shutil.rmtree(moved.folder / ".holdfast/cache")
    assert moved.json("rollback", "tumour")["to"] == 1


def test_a_first_version_has_nothing_to_go_back_to(held: Person) -> None:
    assert held("rollback", "tumour", "--json").error["code"] == "not_found"
    assert held.json("live", "tumour")["stages"]["production"]["version"] == 1
