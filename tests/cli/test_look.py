"""`list` and `show`."""

from pathlib import Path

import pytest

from holdfast.bridges.mlflow import Said, bundle_of
from holdfast.config import Settings
from holdfast.digest import Digest
from holdfast.flow.register_logged import register_logged
from holdfast.names import ModelName
from holdfast.wire import open_project
from holdfast.wire.mlflow import open_shelf
from tests.bridges.mlflow.logged import files_of, kept, recorded
from tests.commands import Cli
from tests.store.spoiling import alone


def test_an_empty_project_lists_nothing_and_says_what_to_do(cli: Cli, project: Path) -> None:
    assert cli.json("list") == {"versions": []}
    assert cli.ok("list").out == "no versions yet; register one with: holdfast register\n"


def test_the_list_names_versions_stages_and_what_is_missing(cli: Cli, project: Path) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    cli.ok("register", "churn", "--param", "a=1")
    cli.ok("register", "other")
    rows = cli.json("list")["versions"]
    assert [(row["model"], row["version"], row["stages"]) for row in rows] == [
        ("churn", 1, ["production"]),
        ("churn", 2, []),
        ("other", 1, []),
    ]
    assert [row["model"] for row in cli.json("list", "other")["versions"]] == ["other"]
    head, first, *_ = cli.ok("list").out.splitlines()
    assert head.split()[:3] == ["version", "stages", "complete"]
    assert first.split()[:2] == ["churn@1", "production"]
    assert "no: weights" in first


def test_a_model_that_mlflows_clients_call_otherwise_is_shown_with_that_name(cli: Cli, incomplete: Path) -> None:
    assert (cli.json("show", "churn@1")["known_as"], cli.json("list")["versions"][0]["known_as"]) == (None, None)
    with open_project(Settings.find(incomplete)) as opened:
        model = open_shelf(opened, opened.store).registered.names.create("Iris Model", "ana").model
    cli.ok("register", str(model), "--reason", "a start")
    assert "known as            'Iris Model' to MLflow's clients" in cli.ok("show", f"{model}@1").out
    assert [row["known_as"] for row in cli.json("list")["versions"]] == [None, "Iris Model"]
    assert [row["known_as"] for row in cli.json("list", str(model))["versions"]] == ["Iris Model"]
    assert "  Iris Model  " in cli.ok("list").out


@pytest.mark.parametrize("command", ["list", "log", "live", "rollback"])
def test_an_unknown_model_is_answered_with_the_nearest(cli: Cli, incomplete: Path, command: str) -> None:
    error = cli.fails("not_found", command, "churm", nearest=["churn"])
    assert error["hint"] == "Did you mean churn?"


@pytest.mark.parametrize("reference", ["churn@1", "churn@production", "models:/churn/1", "models:/churn@production"])
def test_a_version_is_shown_by_every_name_it_has(cli: Cli, project: Path, reference: str) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    value = cli.json("show", reference)
    assert {"model", "version", "digest", "complete", "missing", "parts", "evidence", "stages", "run"} <= set(value)
    assert (value["version"], value["stages"], value["run"]) == (1, ["production"], None)
    assert cli.json("show", f"churn@{value['digest'][:20]}")["version"] == 1
    assert cli.json("show", f"churn@{value['digest']}") == value
    assert set(value["parts"]) == {
        "weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("churn", "usage"),
        ("churn@", "usage"),
        ("churn@latest", "usage"),
        ("churn@2", "not_found"),
        ("churn@staging", "not_found"),
        ("churn@stagin", "not_found"),
        ("churn@9.9.9", "not_found"),
        ("churn@sha256:0123456789abcdef", "not_found"),
        ("other@1", "not_found"),
    ],
)
def test_a_version_that_is_not_there(cli: Cli, incomplete: Path, reference: str, code: str) -> None:
    cli.fails(code, "show", reference)


def test_a_version_points_back_to_its_run(cli: Cli, project: Path) -> None:
    made = cli.json("run", "--model", "churn", "--", "true")
    version = cli.json("register", "churn", "--run", made["id"])
    assert version["run"] == made["id"]
    assert cli.json("show", "churn@1")["run"] == made["id"]
    assert made["id"] in cli.ok("show", "churn@1").out


def test_a_version_whose_manifest_is_damaged_is_not_shown(cli: Cli, incomplete: Path) -> None:
    digest = Digest.parse(cli.json("list")["versions"][0]["digest"])
    blob = alone(incomplete / ".holdfast/store", digest)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    cli.fails("integrity", "show", "churn@1")


def test_a_model_that_mlflow_logged_is_shown_with_what_to_write_into_its_script(cli: Cli, project: Path) -> None:
    commit = {"mlflow.source.git.commit": "9f2c" * 10}
    with open_project(Settings.find(project)) as opened:
        files = {**files_of("probabilities"), **recorded()}
        prepared = bundle_of(Said(run_id="r1", tags=commit), kept(files, opened.store), ModelName("churn"))
        register_logged(prepared, opened.store, opened.registry, actor="ana")
    shown = cli.ok("show", "churn@1").out
    assert 'mlflow.set_tag("holdfast.threshold", "0.4")' in shown
    assert "pip install holdfast beside mlflow" in shown
    assert "--threshold" not in shown
    assert "whether the files differed from it is not known" in shown


@pytest.mark.parametrize(
    ("tags", "patch", "shown"),
    [
        ({}, {"holdfast/patch.diff": b"+x\n"}, "no commit; the files were kept as a patch"),
        ({"holdfast.git.dirty": "true"}, {}, "with uncommitted changes, not kept"),
        ({"holdfast.git.dirty": "false"}, {}, f"{'9f2c' * 10}\n"),
    ],
)
def test_what_is_known_of_the_code_is_shown(
    cli: Cli, project: Path, tags: dict[str, str], patch: dict[str, bytes], shown: str
) -> None:
    said = Said(run_id="r1", tags=tags and {"mlflow.source.git.commit": "9f2c" * 10, **tags})
    with open_project(Settings.find(project)) as opened:
        prepared = bundle_of(said, kept({**files_of("classifier"), **patch}, opened.store), ModelName("churn"))
        register_logged(prepared, opened.store, opened.registry, actor="ana")
    assert shown in cli.ok("show", "churn@1").out
