"""`snapshot` and `checkout`."""

import os
import shutil
from pathlib import Path

import pytest

from tests.commands import Cli

ROWS = "a,b\n1,2\n"


@pytest.fixture
def data(project: Path) -> Path:
    (project / "data").mkdir()
    (project / "data/train.csv").write_text(ROWS)
    (project / "data/holdout.csv").write_text("a,b\n3,4\n")
    return project / "data"


def test_a_snapshot_names_the_bytes_and_stores_them_once(cli: Cli, data: Path) -> None:
    first, again = cli.json("snapshot", "data/train.csv"), cli.json("snapshot", "data/train.csv")
    assert {"digest", "files", "bytes", "bytes_new"} <= set(first)
    assert (first["files"], first["bytes"]) == (1, len(ROWS))
    assert again["digest"] == first["digest"]
    assert again["bytes_new"] == 0


def test_a_person_sees_the_digest_on_a_line_of_its_own(cli: Cli, data: Path) -> None:
    digest, sizes = cli.ok("snapshot", "data").out.splitlines()
    assert digest == cli.json("snapshot", "data")["digest"]
    assert sizes == "2 file(s), 16 B, of which 16 B new"


def test_what_was_frozen_comes_back_byte_for_byte(cli: Cli, data: Path) -> None:
    digest = cli.json("snapshot", "data")["digest"]
    shutil.rmtree(data)
    value = cli.json("checkout", digest, "back")
    assert value == {"digest": digest, "folder": "back", "files": 2, "bytes": 16, "linked": 0}
    assert sorted(path.name for path in Path("back").rglob("*.csv")) == ["holdout.csv", "train.csv"]
    assert next(Path("back").rglob("train.csv")).read_text() == ROWS


def test_a_bundle_is_checked_out_with_its_manifest(cli: Cli, incomplete: Path) -> None:
    version = cli.json("show", "churn@1")
    value = cli.json("checkout", "churn@1", "bundle")
    assert value["digest"] == version["digest"]
    assert value["files"] == len(version["files"])
    assert (incomplete / "bundle/holdfast.json").is_file()


def test_checkout_writes_over_nothing(cli: Cli, incomplete: Path) -> None:
    (incomplete / "taken").mkdir()
    (incomplete / "taken/mine").write_text("mine")
    (incomplete / "file").write_text("mine")
    cli.fails("already_exists", "checkout", "churn@1", "taken")
    cli.fails("already_exists", "checkout", "churn@1", "file")
    assert [path.name for path in (incomplete / "taken").iterdir()] == ["mine"]
    assert (incomplete / "file").read_text() == "mine"


def test_checkout_into_a_place_that_cannot_be(cli: Cli, incomplete: Path) -> None:
    (incomplete / "file").write_text("mine")
    cli.fails("usage", "checkout", "churn@1", "file/below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_checkout_into_a_folder_of_somebody_else(cli: Cli, incomplete: Path) -> None:
    (incomplete / "theirs").mkdir(mode=0o500)
    cli.fails("permission_refused", "checkout", "churn@1", "theirs/new")


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("sha256:00", "usage"),
        ("sha256:" + "0" * 64, "not_found"),
        ("churn", "usage"),
        ("churn@9", "not_found"),
        ("churm@1", "not_found"),
    ],
)
def test_checkout_of_what_is_not_there(cli: Cli, incomplete: Path, what: str, code: str) -> None:
    cli.fails(code, "checkout", what, "there")
    assert not (incomplete / "there").exists()


def test_a_snapshot_of_what_is_not_there(cli: Cli, project: Path) -> None:
    assert "nothing.csv" in cli.fails("not_found", "snapshot", "nothing.csv")["message"]


def test_a_snapshot_of_a_device(cli: Cli, project: Path) -> None:
    cli.fails("usage", "snapshot", "/dev/null")


def test_large_files_of_a_snapshot_can_be_links(cli: Cli, data: Path) -> None:
    (data / "large.bin").write_bytes(os.urandom(1 << 20))
    digest = cli.json("snapshot", "data")["digest"]
    value = cli.json("checkout", digest, "linked", "--link")
    found = {path.name: path.stat().st_nlink > 1 for path in Path("linked").rglob("*.*")}
    assert value["linked"] == sum(found.values()) <= 1
    assert not found["train.csv"]
    assert f"{value['linked']} of them linked" in cli.ok("checkout", digest, "again", "--link").out
    assert Path("linked/large.bin").read_bytes() == (data / "large.bin").read_bytes()


def test_a_bundle_is_never_linked(cli: Cli, incomplete: Path) -> None:
    cli.fails("usage", "checkout", "churn@1", "there", "--link")
    assert not (incomplete / "there").exists()


def test_what_a_snapshot_remembers_may_be_deleted(cli: Cli, project: Path, data: Path) -> None:
    first = cli.json("snapshot", "data")
    assert list((project / ".holdfast/cache/seen").iterdir()) != []
    assert cli.json("snapshot", "data") == {**first, "bytes_new": 0}
    shutil.rmtree(project / ".holdfast/cache")
    assert cli.json("snapshot", "data") == {**first, "bytes_new": 0}


def test_a_checkout_that_is_refused_leaves_nothing_beside(cli: Cli, data: Path) -> None:
    digest = cli.json("snapshot", "data")["digest"]
    cli.ok("checkout", digest, "first")
    cli.fails("already_exists", "checkout", digest, "first")
    assert not list(Path().glob(".holdfast-checkout-*"))
