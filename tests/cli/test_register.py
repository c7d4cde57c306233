"""`register` and `adopt`: what a person says on the command line arrives in the version, part by part."""

import random
from pathlib import Path

import pytest

from tests.commands import Cli
from tests.projects import HOLDOUT_ROWS, write_csv

FRAME_FEATURES = """\
def featurise(rows):
    return rows[["age", "calls"]].assign(basic=rows["plan"] == "basic").to_numpy(dtype=float)
"""

FIVE = ["weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold"]


def test_nothing_given_is_a_version_that_lacks_everything_and_says_how_to_add_it(cli: Cli, project: Path) -> None:
    value = cli.json("register", "churn")
    assert {"model", "version", "digest", "complete", "missing"} <= set(value)
    assert (value["model"], value["version"], value["complete"]) == ("churn", 1, False)
    assert value["missing"][:5] == FIVE
    shown = cli.ok("show", "churn@1").out
    assert [name for name in value["missing"] if f"  {name:<19} MISSING: " not in shown] == []
    assert "--threshold 0.42" in shown


def test_the_same_content_again_is_refused_and_named(cli: Cli, incomplete: Path) -> None:
    cli.fails("already_exists", "register", "churn", version=1)
    assert len(cli.json("list")["versions"]) == 1


def test_hyperparameters_and_data_come_from_the_command_line(cli: Cli, project: Path) -> None:
    (project / "train.csv").write_text("a\n1\n")
    arguments = ["--param", "lr=0.1", "--param", "depth=3", "--param", "name=x=y", "--train", "train.csv"]
    value = cli.json("register", "churn", *arguments, "--reason", "why not", "--semver", "1.2.3")
    assert not {"data_slice", "hyperparameters"} & set(value["missing"])
    parts = cli.json("show", "churn@1.2.3")["parts"]
    assert parts["hyperparameters"]["values"] == {"lr": 0.1, "depth": 3, "name": "x=y"}
    (data,) = parts["data_slice"]["inputs"]
    assert (data["role"], data["name"]) == ("train", "train.csv")
    assert cli.json("log")["events"][0]["reason"] == "why not"


def test_a_card_that_people_wrote_is_kept_with_the_numbers_of_this_version(cli: Cli, project: Path) -> None:
    (project / "card.md").write_text("# Churn\n\n## Limits\n\nNobody under 18.\n")
    cli.ok("register", "churn", "--param", "lr=0.1", "--card", "card.md")
    cli.ok("checkout", "churn@1", "there")
    card = (project / "there/CARD.md").read_text()
    assert "Nobody under 18." in card
    assert "hyperparameters: 1 values" in card


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("not_found", ["--weights", "nothing.joblib"]),
        ("usage", ["--weights", "features.py"]),
        ("cannot_package", ["--weights", "garbage.joblib"]),
        ("not_found", ["--preprocessing", "nothing.py:featurise"]),
        ("not_found", ["--preprocessing", "features.py:nothing"]),
        ("usage", ["--preprocessing", "features.py"]),
        ("not_found", ["--holdout", "nothing.csv", "--target", "b"]),
        ("usage", ["--holdout", "rows.csv", "--target", "nothing"]),
        ("usage", ["--holdout", "features.py"]),
        ("usage", ["--threshold", "high"]),
        ("not_found", ["--train", "nothing.csv"]),
        ("usage", ["--param", "lr"]),
        ("usage", ["--param", "=1"]),
        ("not_found", ["--lock", "nothing.txt"]),
        ("usage", ["--lock", "binary"]),
        ("not_found", ["--run", "nothing"]),
        ("usage", ["--semver", "first"]),
        ("not_found", ["--card", "nothing.md"]),
        ("usage", ["--card", "binary"]),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_registered(
    cli: Cli, project: Path, code: str, arguments: list[str]
) -> None:
    (project / "features.py").write_text("def featurise(rows):\n    return rows\n")
    (project / "rows.csv").write_text("a,b\n1,0\n2,1\n")
    (project / "garbage.joblib").write_text("garbage")
    (project / "binary").write_bytes(b"\xff\xfe\x00")
    cli.fails(code, "register", "churn", *arguments)
    if not {"--run", "--semver", "--card"} & set(arguments):
        cli.fails(code, "adopt", "churn", *arguments)
    assert cli.json("list") == {"versions": []}
    assert cli.json("log") == {"events": []}
    assert not list((project / ".holdfast/tmp").glob("*"))


def test_paths_are_relative_to_the_current_folder(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project / "below"
    below.mkdir()
    (below / "features.py").write_text("def featurise(rows):\n    return rows\n")
    (below / "model.onnx").write_bytes(b"weights of another framework")
    (project / "train.csv").write_text("a\n1\n")
    monkeypatch.chdir(below)
    given = ["--weights", "model.onnx", "--preprocessing", "features.py:featurise", "--train", "../train.csv"]
    missing = cli.json("register", "churn", *given)["missing"]
    assert not {"weights", "preprocessing_code", "data_slice"} & set(missing)


def test_a_model_in_service_is_taken_over_with_its_stage(cli: Cli, project: Path) -> None:
    value = cli.json("adopt", "churn", "--stage", "production", "--reason", "in service since March")
    assert (value["version"], value["complete"], value["move"]["to"]) == (1, False, 1)
    assert cli.json("live", "churn")["stages"]["production"]["version"] == 1
    event = cli.json("log")["events"][0]
    assert (event["action"], event["reason"]) == ("stage:pointer:adopt", "in service since March")


def test_adopting_a_stage_needs_a_reason(cli: Cli, project: Path) -> None:
    assert cli("adopt", "churn", "--stage", "production", "--json").error["code"] == "usage"
    assert cli.json("live", "churn")["stages"]["production"] is None


def test_a_stage_that_has_moved_is_not_adopted_past_its_gate(cli: Cli, project: Path) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    again = cli("adopt", "churn", "--param", "a=1", "--stage", "production", "--reason", "again", "--json")
    assert again.error["code"] == "stage_moved"
    assert cli.json("live", "churn")["stages"]["production"]["version"] == 1


def test_a_person_is_told_what_is_missing(cli: Cli, project: Path) -> None:
    lines = cli.ok("adopt", "churn", "--stage", "staging", "--reason", "it is there").out.splitlines()
    assert lines[0].startswith("churn@1  sha256:")
    assert "  missing eval_threshold: no threshold was given" in lines
    assert lines[-1] == "staging holds it now, without a gate (event 2)"


@pytest.mark.slow
def test_a_complete_version_comes_from_files_alone(cli: Cli, churn: Path) -> None:
    write_csv(churn / "data/holdout.csv", HOLDOUT_ROWS)
    bundle = cli.json("checkout", "churn@3", "bundle")["folder"]
    weights = next(Path(bundle).rglob("*.joblib"))
    lock = next(Path(bundle).rglob("*.lock"))
    (churn / "features.py").write_text(FRAME_FEATURES)
    value = cli.json(
        *("register", "churn", "--weights", str(weights), "--preprocessing", "features.py:featurise"),
        *("--threshold", "0.3", "--positive", "1", "--holdout", "data/holdout.csv", "--target", "churned"),
        *("--metric", "recall", "--group", "plan", "--feature", "age", "--feature", "calls", "--feature", "plan"),
        *("--train", "data/train.csv", "--param", "C=0.1", "--lock", str(lock)),
    )
    assert (value["complete"], value["missing"]) == (True, [])
    shown = cli.json("show", f"churn@{value['version']}")
    threshold = shown["parts"]["eval_threshold"]
    assert (threshold["value"], threshold["positive"], threshold["metric"]) == (0.3, 1, "recall")
    assert shown["evidence"]["holdout"]["groups"] == ["plan"]
    assert [column["name"] for column in shown["evidence"]["schema"]["columns"]] == ["age", "calls", "plan"]


# Adapters


def tensors(size: int, seed: int) -> bytes:
    header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size)


@pytest.fixture
def lora(project: Path, cli: Cli) -> Path:
    """A project with llama@1, and a folder with an adapter on it."""
    (project / "llama.safetensors").write_bytes(tensors(2 << 20, 1))
    (project / "lora").mkdir()
    (project / "lora/adapter_model.safetensors").write_bytes(tensors(5000, 2))
    (project / "lora/adapter_config.json").write_text('{"base_model_name_or_path": "somebody/llama"}')
    cli.ok("register", "llama", "--weights", "llama.safetensors")
    return project


@pytest.mark.thorough
def test_an_adapter_is_registered_with_its_base_and_shown_with_it(cli: Cli, lora: Path) -> None:
    value = cli.json("register", "churn-adapter", "--weights", "lora/", "--base", "llama@1")
    assert (value["version"], value["summary"]["base"]) == (1, "llama@1")
    assert "weights" not in value["missing"]
    base = cli.json("show", "llama@1")
    part = cli.json("show", "churn-adapter@1")["parts"]["weights"]
    assert (part["base"]["digest"], part["base"]["model"], part["base"]["number"]) == (base["digest"], "llama", 1)
    assert part["base"]["files"] == ["weights/base/llama.safetensors"]
    assert f"an adapter on llama@1 ({base['digest'][7:19]})" in cli.ok("show", "churn-adapter@1").out


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["register", "adopt"])
def test_an_adapter_without_its_base_is_refused_with_what_to_say(cli: Cli, lora: Path, command: str) -> None:
    told = cli.fails("incomplete_version", command, "churn-adapter", "--weights", "lora", adapts="somebody/llama")
    assert "--base" in told["hint"]
    cli.fails("not_found", command, "churn-adapter", "--weights", "lora", "--base", "llama@2")
    cli.fails("usage", command, "churn-adapter", "--base", "llama@1")
    assert [one["model"] for one in cli.json("list")["versions"]] == ["llama"]
    cli.ok(command, "churn-adapter", "--weights", "lora", "--base", "llama@1")


@pytest.mark.thorough
def test_an_adapter_travels_without_its_base_to_who_has_it_and_with_it_to_who_has_not(
    cli: Cli, lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
    assert cli.json("push", "llama@1")["bytes"] > 2 << 20
    cli.ok("register", "churn-adapter", "--weights", "lora", "--base", "llama@1")
    assert 5000 < cli.json("push", "churn-adapter@1")["bytes"] < 15_000

    for name, first in (("with", ["llama@1"]), ("without", [])):
        (lora / name).mkdir()
        monkeypatch.chdir(lora / name)
        cli.ok("init")
        cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
        for one in first:
            cli.ok("pull", one)
        pulled = cli.json("pull", "churn-adapter@1")["bytes"]
        assert (pulled < 15_000) is (name == "with")
        cli.ok("checkout", "churn-adapter@1", "bundle")
        assert Path("bundle/weights/base/llama.safetensors").read_bytes() == tensors(2 << 20, 1)
        assert Path("bundle/weights/adapter_model.safetensors").read_bytes() == tensors(5000, 2)
        assert cli.json("check")["ok"]


@pytest.mark.thorough
def test_gc_keeps_the_base_of_an_adapter_where_nothing_else_needs_it(
    cli: Cli, lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("register", "churn-adapter", "--weights", "lora", "--base", "llama@1")
    cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
    cli.ok("push", "churn-adapter@1")
    (lora / "else").mkdir()
    monkeypatch.chdir(lora / "else")
    cli.ok("clone", str(tmp_path / "remote"), ".")
    assert [one["model"] for one in cli.json("list")["versions"]] == ["churn-adapter"]
    found = cli.json("gc", "--unreferenced-days", "0")
    assert found["doomed"] == []
    assert {one["why"]: one["bytes"] > 2 << 20 for one in found["kept"]}["churn-adapter@1"]
