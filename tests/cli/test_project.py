"""`init`, `inventory`, `doctor`, and every command where there is no project."""

import json
from pathlib import Path

import pytest

from holdfast.cli.exit_codes import ENDINGS, EXIT_CODES
from tests.commands import Cli

WITHOUT_A_PROJECT = {
    "user add": ["ana"],
    "user list": [],
    "user grant": ["ana", "viewer"],
    "user revoke": ["ana"],
    "user disable": ["ana"],
    "token create": [],
    "token list": [],
    "token revoke": ["id"],
    "whoami": [],
    "adopt": ["churn"],
    "approve": ["churn@1"],
    "archive": ["churn@1"],
    "decision": ["r1"],
    "audit accept": ["--reason", "restored"],
    "audit checkpoint": [],
    "audit export": [],
    "audit key": [],
    "audit proof": ["0"],
    "audit verify": [],
    "backup make": ["there"],
    "check": [],
    "checkout": ["churn@1", "there"],
    "sign": ["churn@1"],
    "verify": ["churn@1"],
    "gate judge": ["churn@1"],
    "gate show": ["churn@1"],
    "gate replay": ["churn@1"],
    "ci": ["churn@1"],
    "canary": ["churn"],
    "truth": ["churn", "truths.csv"],
    "history": ["churn"],
    "lineage": ["churn@1"],
    "export image": ["churn@1", "there"],
    "export kserve": ["churn@1"],
    "export mlflow": ["http://127.0.0.1:1"],
    "export oci": ["churn@1", "there"],
    "import mlflow": ["mlruns"],
    "gc": [],
    "hold add": ["churn@1", "--reason", "an audit"],
    "hold lift": ["12", "--reason", "it is over"],
    "hold list": [],
    "list": [],
    "live": ["churn"],
    "log": [],
    "policy show": [],
    "policy set": ["holdfast.toml", "--reason", "why"],
    "policy history": [],
    "policy check": ["holdfast.toml"],
    "promote": ["churn@1"],
    "pull": ["churn@1"],
    "push": [],
    "register": ["churn"],
    "remote add": ["origin", "there"],
    "remote list": [],
    "remote remove": ["origin"],
    "rehearse": ["churn"],
    "shadow": ["churn"],
    "watch": ["churn"],
    "restore": ["churn@1"],
    "rollback": ["churn"],
    "clear": ["churn", "--reason", "over"],
    "run": ["--", "true"],
    "search": [],
    "serve": ["churn"],
    "server": [],
    "show": ["churn@1"],
    "snapshot": ["."],
    "webhook add": ["https://ci.example.org/"],
    "webhook list": [],
    "webhook remove": ["wh_1"],
    "webhook resume": ["wh_1"],
    "webhook rotate": ["wh_1"],
    "webhook test": ["wh_1"],
}


def test_init_makes_a_project_that_ignores_itself(cli: Cli, folder: Path) -> None:
    value = cli.json("init")
    assert value == {"home": str(folder / ".holdfast"), "policy": str(folder / "holdfast.toml")}
    assert (folder / ".holdfast/.gitignore").read_text() == "*\n"
    assert "[gate.production]" in (folder / "holdfast.toml").read_text()


def test_init_says_what_it_made_and_what_comes_next(cli: Cli, folder: Path) -> None:
    assert cli.ok("init", "sub").out.splitlines() == [
        f"made {folder / 'sub/.holdfast'} (ignored by Git) and holdfast.toml (commit it)",
        "next: holdfast inventory",
    ]


def test_a_second_init_changes_nothing(cli: Cli, incomplete: Path) -> None:
    before = cli.json("log")
    cli.fails("already_exists", "init", home=str(incomplete / ".holdfast"))
    assert cli.json("log") == before


def test_init_keeps_a_policy_that_is_there(cli: Cli, folder: Path) -> None:
    (folder / "holdfast.toml").write_text("[gate.production]\nmargin = 0.1\n")
    cli.ok("init")
    assert (folder / "holdfast.toml").read_text() == "[gate.production]\nmargin = 0.1\n"


def test_init_where_a_file_stands_in_the_way(cli: Cli, folder: Path) -> None:
    (folder / "taken").touch()
    cli.fails("usage", "init", "taken")


@pytest.mark.parametrize("command", sorted(WITHOUT_A_PROJECT))
def test_without_a_project_every_command_says_how_to_make_one(cli: Cli, command: str) -> None:
    error = cli.fails("no_project", *command.split(), *WITHOUT_A_PROJECT[command])
    assert error["hint"] == "Make one here with: holdfast init"


def test_every_command_that_needs_a_project_is_tried_without_one() -> None:
    assert set(WITHOUT_A_PROJECT) == {name for name, codes in ENDINGS.items() if "no_project" in codes}


def test_a_project_is_found_from_a_folder_below(cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (incomplete / "a/b").mkdir(parents=True)
    monkeypatch.chdir(incomplete / "a/b")
    assert len(cli.json("list")["versions"]) == 1


def test_a_home_that_is_named_and_not_there(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", "/no/such/home")
    assert "/no/such/home" in cli.fails("no_project", "list")["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOLDFAST_URL", "ftp://registry.example.org"),
        ("HOLDFAST_STORE_URL", "ftp://bucket"),
        ("HOLDFAST_STORE_CACHE_BYTES_MAX", "a lot"),
        ("HOLDFAST_DATABASE_URL", "nonsense"),
        ("HOLDFAST_DATABASE_URL", "mysql://localhost/x"),
    ],
)
def test_a_setting_that_cannot_be_followed_is_refused_and_not_ignored(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    cli.fails("usage", "list")


def test_a_policy_with_a_mistake_is_told_by_its_place(cli: Cli, incomplete: Path) -> None:
    (incomplete / "holdfast.toml").write_text("[gate.production]\nmarign = 0.1\n")
    assert "marign" in cli.fails("usage", "gate", "churn@1")["message"]


def test_inventory_needs_no_project_and_makes_none(cli: Cli, folder: Path) -> None:
    (folder / "train.py").write_text("from sklearn.linear_model import LogisticRegression\nLogisticRegression(C=3)\n")
    value = cli.json("inventory")
    assert isinstance(value, dict)
    assert "train.py" in json.dumps(value)
    assert "weights" in cli.ok("inventory").out
    assert not (folder / ".holdfast").exists()


def test_inventory_of_what_is_no_folder(cli: Cli, folder: Path) -> None:
    (folder / "file").touch()
    cli.fails("not_found", "inventory", "nowhere")
    cli.fails("not_found", "inventory", "file")


def test_doctor_finds_a_good_project_well(cli: Cli, project: Path) -> None:
    value = cli.json("doctor")
    assert value["ok"] is True
    names = [sign["name"] for sign in value["signs"]]
    assert {"python", "git", "uv", "disk", "home", "registry", "store", "audit log"} <= set(names)
    assert cli.ok("doctor").out.count("\n") == len(names)


def test_doctor_works_where_there_is_no_project(cli: Cli) -> None:
    value = cli.json("doctor")
    assert value["ok"] is True
    (sign,) = [sign for sign in value["signs"] if sign["name"] == "project"]
    assert (sign["ok"], sign["needed"], sign["hint"]) == (False, False, "Make one here with: holdfast init")


def test_doctor_names_what_is_ill_and_does_not_end_well(cli: Cli, project: Path) -> None:
    (project / ".holdfast/registry.db").write_bytes(b"not a database, and long enough to be looked at" * 10)
    told = cli("doctor", "--json")
    assert told.code == EXIT_CODES["unexpected"]
    assert told.value["ok"] is False
    spoken = cli("doctor")
    assert spoken.code == told.code
    assert "ILL" in spoken.out
