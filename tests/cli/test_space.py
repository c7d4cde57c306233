"""`gc` and `hold`, as a person and a program meet them."""

from pathlib import Path

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.config import Settings
from holdfast.wire import open_project
from holdfast.wire.mlflow import open_shelf
from tests.commands import Cli
from tests.store.collecting import age


def freeze(cli: Cli, folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    return str(cli.json("snapshot", name)["digest"])


def old(folder: Path) -> None:
    age(folder / ".holdfast/store")


def test_a_dry_run_says_what_stays_why_and_what_would_go(cli: Cli, incomplete: Path) -> None:
    freeze(cli, incomplete, "dropped.csv")
    value = cli.json("gc")
    assert (value["applied"], value["doomed"]) == (False, [])
    assert [one["why"] for one in value["kept"]] == ["churn@1", "in use"]
    old(incomplete)
    value = cli.json("gc")
    assert [one["why"] for one in value["kept"] if one["blobs"]] == ["churn@1"]
    (doomed,) = value["doomed"]
    assert (doomed["kind"], doomed["bytes_needed"], doomed["condemned_at"]) == ("pack", 0, None)
    spoken = cli.ok("gc").out
    assert "no version, run or hold needs them" in spoken
    assert "nothing was changed" in spoken
    assert cli.json("gc")["doomed"][0]["condemned_at"] is None


@pytest.mark.thorough
def test_applying_condemns_first(cli: Cli, incomplete: Path) -> None:
    tree = freeze(cli, incomplete, "dropped.csv")
    old(incomplete)
    value = cli.json("gc", "--apply")
    assert (value["applied"], len(value["condemned"]), value["deleted"]) == (True, 1, [])
    assert "deleted 0 segment(s)" in cli.ok("gc", "--apply").out
    assert cli.json("gc")["doomed"][0]["condemned_at"] is not None
    cli.ok("hold", "add", tree, "--reason", "back again")
    assert len(cli.json("gc", "--apply")["pardoned"]) == 1
    assert cli.json("check")["ok"]
    freeze(cli, incomplete, "young.csv")
    said = cli.ok("gc", "--unreferenced-days", "0", "--apply").out
    assert "they go with the first holdfast gc --unreferenced-days 0 --apply after" in said


def deleted_run(folder: Path) -> str:
    """A run with one file, made and deleted as MLflow's clients do it."""
    with open_project(Settings.find(folder)) as project:
        shelf = open_shelf(project, project.store)
        run = str(shelf.runs.create("0", "ana", 5)["info"]["run_id"])
        shelf.files.put(f"0/{run}/artifacts/weights", [b"w" * 100_000])
        shelf.runs.delete(run)
    return run


@pytest.mark.thorough
def test_bytes_of_a_run_that_an_mlflow_client_deleted_go_when_its_files_have_lost_their_names(
    cli: Cli, incomplete: Path
) -> None:
    run = deleted_run(incomplete)
    old(incomplete)
    told = [{"what": f"run {run}", "files": 1, "bytes": 100_000}]
    assert cli.json("gc", "--deleted-days", "30")["deleted_names"] == []
    value = cli.json("gc", "--deleted-days", "0")
    assert (value["deleted_names"], value["doomed"]) == (told, [])
    value = cli.json("gc", "--deleted-days", "0", "--apply")
    assert (value["deleted_names"], len(value["condemned"])) == (told, 1)
    assert cli.json("gc", "--deleted-days", "0")["deleted_names"] == []
    assert cli.json("check")["ok"]


def test_a_dry_run_names_the_command_that_does_the_same(cli: Cli, incomplete: Path) -> None:
    deleted_run(incomplete)
    asked = ("gc", "--unreferenced-days", "0.5", "--deleted-days", "0", "--sole-registry")
    said = cli.ok(*asked).out
    assert "would lose their names" in said
    assert "nothing would go but the names below" in said
    assert "is then condemned by the same run" in said
    assert said.endswith(f"nothing was changed; do it with: holdfast {' '.join(asked)} --apply\n")
    assert "nothing would go;" in cli.ok("gc").out
    freeze(cli, incomplete, "dropped.csv")
    old(incomplete)
    assert cli.ok("gc").out.endswith("nothing was changed; do it with: holdfast gc --apply\n")


def test_what_lost_its_name_is_told_though_nothing_else_is_done(cli: Cli, incomplete: Path) -> None:
    run = deleted_run(incomplete)
    for pack in (incomplete / ".holdfast/store/packs").rglob("*/*"):
        pack.unlink()
    answer = cli("gc", "--deleted-days", "0", "--apply")
    assert (answer.code, answer.out) == (EXIT_CODES["integrity"], "")
    assert f"1 file(s) of run {run}, 100 kB, have lost their names: it was deleted" in answer.err


def test_a_store_elsewhere_asks_for_a_word(cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STORE_URL", str(incomplete / ".holdfast/store/../store"))
    cli.fails("usage", "gc", "--apply")
    cli.ok("gc", "--apply", "--sole-registry")


def test_no_file_loses_its_name_before_the_word_was_said(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted_run(incomplete)
    monkeypatch.setenv("HOLDFAST_STORE_URL", str(incomplete / ".holdfast/store/../store"))
    cli.fails("usage", "gc", "--deleted-days", "0", "--apply")
    assert len(cli.json("gc", "--deleted-days", "0")["deleted_names"]) == 1


def test_an_empty_registry_asks_for_a_word(cli: Cli, project: Path) -> None:
    freeze(cli, project, "data.csv")
    old(project)
    cli.fails("usage", "gc", "--apply")
    assert cli.json("gc", "--apply", "--nothing-needed")["condemned"]


def test_a_lost_blob_is_named_and_nothing_goes(cli: Cli, incomplete: Path) -> None:
    for pack in (incomplete / ".holdfast/store/packs").rglob("*/*"):
        pack.unlink()
    answer = cli("gc")
    assert answer.code == EXIT_CODES["integrity"]
    assert "LOST: sha256:" in answer.out
    cli.fails("integrity", "gc", "--apply")


def test_a_hold_is_added_listed_and_lifted(cli: Cli, incomplete: Path) -> None:
    assert cli.json("hold", "list") == {"holds": []}
    made = cli.json("hold", "add", "churn@1", "--reason", "an audit")
    assert (made["model"], made["version"], made["reason"], made["by"]) == (
        "churn",
        1,
        "an audit",
        "ana <ana@example.org>",
    )
    assert cli.json("hold", "list") == {"holds": [made]}
    assert "churn@1" in cli.ok("hold", "list").out
    assert cli.json("hold", "lift", str(made["hold"])) == made
    cli.fails("not_found", "hold", "lift", str(made["hold"]))
    assert [one["action"] for one in cli.json("log")["events"]][:2] == ["store:hold:lift", "store:hold:add"]
    assert cli.json("audit", "verify")["ok"]


def test_a_hold_needs_something_to_hold_and_a_reason(cli: Cli, incomplete: Path) -> None:
    cli.fails("not_found", "hold", "add", "churn@9", "--reason", "why")
    cli.fails("not_found", "hold", "add", f"sha256:{64 * '0'}", "--reason", "why")
    cli.fails("usage", "hold", "add", "churn@1", "--reason", " ")
