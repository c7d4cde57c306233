"""`archive` and `restore`, as a person and a program meet them."""

from pathlib import Path

import pytest

from tests.commands import Cli
from tests.store.collecting import age

AT_ONCE = "[retention]\nversions = 1\nincident_days = 0\nrecent_days = 0\n"


@pytest.fixture
def three(cli: Cli, project: Path, tmp_path: Path) -> Path:
    """churn@1 to @3, which hold nothing; served@1 in production; a remote; and rules without patience."""
    for number in (1, 2, 3):
        cli.ok("register", "churn", "--param", f"n={number}", "--reason", "a start")
    cli.ok("adopt", "served", "--stage", "production", "--reason", "in service")
    cli.ok("remote", "add", "cold", str(tmp_path / "cold"))
    (project / "holdfast.toml").write_text(AT_ONCE)
    return project


@pytest.mark.thorough
def test_what_is_due_is_told_archived_and_listed(cli: Cli, three: Path) -> None:
    plan = cli.json("archive", "--due", "--dry-run")
    assert [one["what"] for one in plan["due"]] == ["churn@1", "churn@2", "churn@3"]
    assert plan["kept"] == [{"what": "served@1", "why": "live in production"}]
    assert "no: live in production" in cli.ok("archive", "--due", "--dry-run").out
    cli.fails("usage", "archive", "--due")
    done = cli.json("archive", "--due", "--to", "cold", "--reason", "old")
    assert [(one["what"], one["new"]) for one in done["archived"]] == [(f"churn@{n}", True) for n in (1, 2, 3)]
    assert (done["remote"], done["left"]) == ("cold", [])
    assert cli.json("archive", "--due", "--to", "cold")["archived"] == []
    assert "nothing is due" in cli.ok("archive", "--due", "--to", "cold").out
    rows = {(one["model"], one["version"]): one["archived"] for one in cli.json("list")["versions"]}
    assert rows["churn", 1] == "cold"
    assert rows["served", 1] is None
    assert "(archived in cold)" in cli.ok("list").out
    assert cli.json("show", "churn@1")["archived"]["reason"] == "old"
    assert "holdfast restore churn@1" in cli.ok("show", "churn@1").out
    assert cli.json("check")["archived"][0]["what"] == "churn@1"
    assert "churn@1 is archived in cold: 0 of its" in cli.ok("check").out
    assert [one["action"] for one in cli.json("log", "churn")["events"]][:1] == ["store:bytes:archive"]
    assert any(sign["name"] == "archive" and sign["ok"] for sign in cli.json("doctor")["signs"])
    assert cli.json("audit", "verify")["ok"]


@pytest.mark.thorough
def test_the_remote_may_stand_in_the_policy(cli: Cli, three: Path) -> None:
    (three / "holdfast.toml").write_text(AT_ONCE + 'archive = "cold"\n')
    said = cli.ok("archive", "churn@1").out
    assert "churn@1 is archived in cold; sent" in said
    assert "holdfast gc --apply" in said
    assert "it was before" in cli.ok("archive", "churn@1").out
    (three / "holdfast.toml").write_text('[retention]\narchive = "nowhere"\nrecent_days = 0\n')
    cli.fails("not_found", "archive", "churn@2")


@pytest.mark.thorough
def test_what_cannot_be_archived_is_refused(cli: Cli, three: Path) -> None:
    cli.fails("usage", "archive")
    cli.fails("usage", "archive", "churn@1", "--due")
    cli.fails("not_found", "archive", "churn@9", "--to", "cold")
    cli.fails("not_found", "archive", "sha256:" + "0" * 64, "--to", "cold")
    error = cli.fails("permission_refused", "archive", "served@1", "--to", "cold")
    assert error["kept_by"] == "live in production"
    cli.ok("hold", "add", "churn@1", "--reason", "an audit")
    assert cli.fails("permission_refused", "archive", "churn@1", "--to", "cold")["kept_by"].startswith("hold ")
    (three / "holdfast.toml").write_text("[retention]\nversion = 3\n")
    for command in (["archive", "churn@2", "--to", "cold"], ["gc"]):
        assert "Did you mean versions?" in cli.fails("usage", *command)["hint"]
    cli.ok("list")


@pytest.mark.thorough
def test_what_went_comes_back(cli: Cli, three: Path) -> None:
    (three / "data.csv").write_bytes(b"a,b\n" * 5000)
    tree = cli.json("snapshot", "data.csv")["digest"]
    cli.fails("not_found", "restore", tree)
    cli.ok("archive", tree, "churn@1", "--to", "cold")
    for path in (three / ".holdfast/store/packs").rglob("*/*"):
        path.unlink()
    cli.fails("archived", "checkout", "churn@1", "there")
    cli.fails("archived", "show", "churn@1")
    cli.fails("archived", "push", "churn@1", "--remote", "cold")
    cli.fails("archived", "promote", "churn@1")
    cli.fails("archived", "gate", "churn@1")
    noted = cli.ok("hold", "add", "churn@1", "--reason", "an audit").err
    assert "note: churn@1 is archived in cold" in noted
    assert "holdfast restore churn@1" in noted
    back = cli.json("restore", "churn@1")
    assert (back["what"], back["new"], back["remote"]) == ("churn@1", True, "cold")
    assert back["blobs"] > 0
    cli.fails("not_found", "restore", "churn@1")
    assert "churn@1 is here: fetched 0 blob(s)" in cli.ok("restore", "churn@1", "--from", "cold").out
    cli.ok("restore", tree)
    cli.ok("checkout", tree, "data")
    assert Path("data/data.csv").read_bytes() == b"a,b\n" * 5000
    cli.fails("not_found", "restore", "churn@9")
    assert cli.json("audit", "verify")["ok"]


@pytest.mark.thorough
def test_gc_tells_a_person_what_may_go(cli: Cli, three: Path) -> None:
    (three / "data.csv").write_bytes(b"a,b\n" * 5000)
    tree = cli.json("snapshot", "data.csv")["digest"]
    cli.ok("archive", tree, "--to", "cold")
    age(three / ".holdfast/store")
    assert f"{tree} is archived and whole there: 1 blob(s)" in cli.ok("gc").out
