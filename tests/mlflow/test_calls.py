"""Every public call of MLflow's client, asked of our server; right is what MLflow's own server answers.

That stands in `answers.json`, one call a line. `--update-goldens` has MLflow's server write it again, and writes what
ours answers into the table of `docs/mlflow.md`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.mlflow.calls.families import FAMILIES, family_of
from tests.mlflow.differences import DIFFERENCES
from tests.mlflow.differences import FAMILIES as REASONS
from tests.mlflow.rooms import ours
from tests.mlflow.table import placed, table
from tests.mlflow.venvs import ROOT, Client, client
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).with_name("answers.json")
PAGE = ROOT / "docs/mlflow.md"

Walked = dict[str, Any]
_NOT_HERE = {"", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""How calls of families that are not offered end; some ask for what nobody could have made."""


def walk(client: Client, url: str, folder: Path) -> Walked:
    """What a walk with one client over one server found."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "said.json"
    more = {
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [str(client.python), "-W", "ignore", "-m", "tests.mlflow.calls", str(said)],
        cwd=folder,
        env={**client.environment(), "MLFLOW_TRACKING_URI": url, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(said.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def found(newest: Client, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """The newest client on our server."""
    with ours(tmp_path_factory.mktemp("walk")) as room:
        return walk(newest, room.url, room.folder / "walk")


@pytest.fixture(scope="module")
def right(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What MLflow's own server answers."""
    if request.config.getoption("--update-goldens"):
        folder = request.getfixturevalue("tmp_path_factory").mktemp("right")
        answers = walk(request.getfixturevalue("newest"), request.getfixturevalue("mlflow_server"), folder)["answers"]
        lines = (f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in answers.items())
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return dict(json.loads(GOLDEN.read_text(encoding="utf-8")))


def test_no_public_call_is_left_out(found: Walked) -> None:
    assert found["missed"] == []


def test_calls_are_answered_as_mlflow_answers_them(found: Walked, right: dict[str, Any]) -> None:
    answers = found["answers"]
    assert list(answers) == list(right)
    asked = {name for name in answers if family_of(name) is None}
    otherwise = {
        name: (answers[name], right[name]) for name in asked - set(DIFFERENCES) if answers[name] != right[name]
    }
    assert otherwise == {}


def test_every_difference_is_one_and_is_of_its_kind(found: Walked, right: dict[str, Any]) -> None:
    answers = found["answers"]
    assert set(DIFFERENCES) <= set(answers)
    assert [name for name in DIFFERENCES if answers[name] == right[name]] == []
    for name, known in DIFFERENCES.items():
        worse = "answer" in right[name] and "answer" not in answers[name]
        assert known.kind != "works" or not worse, (name, answers[name])
        assert known.kind == "works" or "answer" not in answers[name], (name, answers[name])
        assert (known.kind == "not offered") == (answers[name].get("refused") == "ENDPOINT_NOT_FOUND"), (
            name,
            answers[name],
        )


def test_families_that_are_not_offered_say_so(found: Walked) -> None:
    assert set(REASONS) == set(FAMILIES)
    for name, answer in found["answers"].items():
        if family_of(name) is not None:
            assert answer.get("answer") in (None, [], "<server>"), name
            assert "failed" in answer or answer.get("refused", "") in _NOT_HERE, (name, answer)


def test_the_table_in_the_documentation_is_what_was_found(
    found: Walked, right: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = placed(text, table(found["answers"]))
    if request.config.getoption("--update-goldens"):
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written


def test_the_older_client_gets_the_same_answers(tmp_path: Path, right: dict[str, Any]) -> None:
    """Where it has the call at all; what it makes of an answer may be older too. Its traces are not offered."""
    order = list(right)
    traces = set(order[order.index("client.start_trace") : order.index("client.register_prompt")])
    with ours(tmp_path / "walk") as room:
        answers = walk(client("old"), room.url, tmp_path / "older")["answers"]
    lost = {
        name: answer
        for name, answer in answers.items()
        if family_of(name) is None
        and name in set(right) - set(DIFFERENCES) - traces
        and answer.get("failed") not in {"AttributeError", "TypeError"}
        and ("answer" in right[name]) != ("answer" in answer)
    }
    assert lost == {}
