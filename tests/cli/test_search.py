"""`search`: versions by what they are, and runs by what they logged."""

import math
from pathlib import Path

import pytest

import holdfast
from holdfast.config import Settings
from holdfast.wire import open_project
from holdfast.wire.mlflow import open_shelf
from tests.commands import Cli


@pytest.mark.thorough
def test_a_run_is_searched_by_what_it_logged(cli: Cli, project: Path) -> None:
    for value, rate in ((0.5, 0.5), (0.9, 0.9), (math.nan, "none")):
        with holdfast.run("churn", params={"lr": rate}) as live:
            live.log_metrics({"recall": value})
    found = cli.json("search", "--runs", "metrics.recall > 0.4", "--order-by", "metrics.recall desc")["runs"]
    assert [run["metrics"]["recall"] for run in found] == [0.9, 0.5]
    assert cli.json("search", "--runs", "--limit", "1")["runs"][0]["metrics"] == {"recall": "NaN"}
    head, *rows = cli.ok("search", "--runs", "params.lr = 0.9").out.splitlines()
    assert head.split()[0] == "run"
    assert len(rows) == 1
    assert "recall=0.9" in rows[0]
    assert "lr=0.9" in rows[0]


@pytest.mark.thorough
def test_a_search_of_runs_says_when_nothing_fits_and_when_it_stops_at_its_limit(cli: Cli, project: Path) -> None:
    for rate in (0.5, 0.9):
        with holdfast.run("churn", params={"lr": rate}):
            pass
    assert cli.ok("search", "--runs", "params.lr = 7").out == "no run fits\n"
    assert "there may be more: add --limit 4" in cli.ok("search", "--runs", "--limit", "2").err
    assert "more" not in cli.ok("search", "--runs", "--limit", "3").err


@pytest.mark.parametrize(
    "arguments",
    [["metrics.recall >"], ["nonsense = 1"], ["--order-by", "x y z"], ["--limit", "0"], ["--limit", "-1"]],
)
@pytest.mark.parametrize("scope", [[], ["--runs"]])
def test_a_search_that_cannot_be_read(cli: Cli, project: Path, scope: list[str], arguments: list[str]) -> None:
    cli.fails("usage", "search", *scope, *arguments)


@pytest.mark.thorough
def test_a_run_of_an_mlflow_client_is_searched_by_its_experiment(cli: Cli, project: Path) -> None:
    with open_project(Settings.find(project)) as opened:
        shelf = open_shelf(opened, opened.store)
        shelf.runs.create(shelf.experiments.create("Churn 2026", "ana"), "ana", 5, "first")
    with holdfast.run("churn"):
        pass
    (found,) = cli.json("search", "--runs", "experiment = 'Churn 2026'")["runs"]
    assert (found["name"], found["experiment"]) == ("first", "Churn 2026")
    head, _, first = cli.ok("search", "--runs").out.splitlines()
    assert head.split()[:3] == ["run", "experiment", "model"]
    assert "Churn 2026" in first


def names(found: dict[str, object]) -> list[str]:
    return [f"{row['model']}@{row['version']}" for row in found["versions"]]  # type: ignore[attr-defined]


def test_real_versions_are_found_by_what_their_bundles_say(cli: Cli, moved: Path) -> None:
    assert names(cli.json("search", "live")) == ["churn@2"]
    every = cli.json("search", "--order-by", "metrics.recall desc")
    values = {name: row["value"] for name, row in zip(names(every), every["versions"], strict=True)}
    known = [value for value in values.values() if value is not None]
    assert len(values) == 5
    assert known == sorted(known, reverse=True)
    assert list(values.values())[: len(known)] == known
    assert every["not_indexed"] == every["in_part"] == 0
    best = {name for name, value in values.items() if value == known[0]}
    assert set(names(cli.json("search", f"metrics.recall >= {known[0]}"))) == best
    shown = cli.json("show", "churn@2")
    data = shown["parts"]["data_slice"]["inputs"][0]["digest"]
    assert "churn@2" in names(cli.json("search", f"data = {data}"))
    pinned = f"package.scikit-learn = {sklearn_version()} and live"
    assert names(cli.json("search", pinned)) == ["churn@2"]
    assert names(cli.json("search", f"not ({pinned})", "--model", "churn")) == [
        "churn@5",
        "churn@4",
        "churn@3",
        "churn@1",
    ]


def sklearn_version() -> str:
    import sklearn

    return str(sklearn.__version__)


def test_a_file_of_a_bundle_names_the_versions_that_hold_it(cli: Cli, moved: Path, tmp_path: Path) -> None:
    cli.ok("checkout", "churn@2", str(tmp_path / "there"))
    weights = next(path for path in (tmp_path / "there").rglob("*") if path.suffix in {".joblib", ".skops", ".pkl"})
    assert names(cli.json("search", "--file", str(weights))) == ["churn@5", "churn@2"]
    assert names(cli.json("search", "live", "--file", str(weights))) == ["churn@2"]


def test_a_file_of_the_data_is_found_in_snapshots_when_asked(cli: Cli, project: Path) -> None:
    Path("data").mkdir()
    Path("data/a.csv").write_text("x\n1\n")
    Path("data/b.csv").write_text("x\n2\n")
    cli.ok("register", "churn", "--train", "data")
    assert names(cli.json("search", "--file", "data/b.csv")) == []
    assert names(cli.json("search", "--file", "data/b.csv", "--in-data")) == ["churn@1"]
    Path("data/b.csv").write_text("x\n3\n")
    assert names(cli.json("search", "--file", "data/b.csv", "--in-data")) == []


def test_a_table_says_what_was_sorted_by_and_how_to_go_on(cli: Cli, moved: Path) -> None:
    shown = cli.ok("search", "--order-by", "metrics.recall desc", "--limit", "2")
    head, *rows = shown.out.splitlines()
    assert head.split()[:4] == ["version", "stages", "complete", "metrics.recall"]
    assert len(rows) == 2
    after = shown.err.split("--after ")[1].split()[0]
    rest = cli.json("search", "--order-by", "metrics.recall desc", "--limit", "9", "--after", after)
    assert len(rest["versions"]) == 3
    assert cli.ok("search", "metrics.recall > 7").out == "no version fits\n"


@pytest.mark.parametrize("option", ["--model", "--after", "--file"])
def test_what_is_asked_of_versions_is_not_asked_of_runs(cli: Cli, project: Path, option: str) -> None:
    cli.fails("usage", "search", "--runs", option, "x")


def test_python_searches_as_the_command_does(moved: Path) -> None:
    (found,) = holdfast.search("live", model="churn")
    assert (found.version.number, [str(name) for name in found.stages]) == (2, ["production"])
