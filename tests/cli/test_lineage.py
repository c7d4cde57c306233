"""`lineage`: what a version was made from, and what was made from it."""

from pathlib import Path

import pytest

from tests.commands import Cli


@pytest.fixture
def related(cli: Cli, project: Path) -> str:
    """churn@1 and price@1, trained on the same file; its snapshot's digest."""
    Path("train.csv").write_text("x,y\n1,2\n")
    cli.ok("register", "churn", "--train", "train.csv")
    cli.ok("register", "price", "--train", "train.csv")
    digest = cli.json("show", "churn@1")["parts"]["data_slice"]["inputs"][0]["digest"]
    return str(digest)


def test_a_version_is_shown_between_what_it_came_from_and_what_came_of_it(cli: Cli, related: str) -> None:
    found = cli.json("lineage", "churn@1")
    assert found["root"]["versions"] == ["churn@1"]
    assert {(node["kind"], node["depth"]) for node in found["up"]["nodes"]} >= {("version", 0), ("snapshot", 1)}
    assert found["beside"] == [{"snapshot": related, "versions": ["price@1"], "count": 1}]
    assert found["down"]["edges"] == []
    lines = cli.ok("lineage", "churn@1").out.splitlines()
    assert lines[:2] == ["churn@1", "made from:"]
    assert any(f"trained_on snapshot {related[7:19]}  (also price@1)" in line for line in lines)
    assert lines[-1] == "what was made from it: nothing that is known"


def test_data_shows_the_versions_that_were_made_from_it(cli: Cli, related: str) -> None:
    found = cli.json("lineage", related, "--down")
    assert found["up"] is None
    assert sorted(name for node in found["down"]["nodes"] for name in node["versions"]) == ["churn@1", "price@1"]


def test_a_run_shows_the_versions_that_it_produced(cli: Cli, project: Path) -> None:
    made = cli.json("run", "--model", "churn", "--", "true")
    cli.ok("register", "churn", "--run", made["id"])
    shown = cli.ok("lineage", f"run:{made['id']}", "--down").out
    assert "produced_by churn@1" in shown


@pytest.mark.parametrize("depth", ["0", "17"])
def test_a_depth_that_nobody_walks(cli: Cli, related: str, depth: str) -> None:
    cli.fails("usage", "lineage", "churn@1", "--depth", depth)


def test_a_version_that_is_not_there(cli: Cli, project: Path) -> None:
    cli.fails("not_found", "lineage", "churn@9")
