"""A real version behind its gate, asked for by an MLflow client: the alias is the stage, and the gate judges."""

from pathlib import Path

import pytest

from holdfast.config import Settings
from holdfast.wire import open_project
from tests.commands import Cli
from tests.web.mlflow.served import serving

pytestmark = pytest.mark.slow

ALIASES = """
[mlflow]
aliases = { champion = "production" }
"""


def test_an_alias_goes_through_the_gate_of_the_stage_that_it_means(cli: Cli, moved: Path) -> None:
    policy = moved / "holdfast.toml"
    policy.write_text(policy.read_text() + ALIASES)
    alias = {"name": "churn", "alias": "champion", "version": "3"}
    with open_project(Settings.find(moved)) as project, serving(project) as server:
        named = server.ask("GET", "registered-models/alias", {"name": "churn", "alias": "champion"})["model_version"]
        assert (named["version"], named["aliases"], named["current_stage"]) == ("2", ["champion"], "Production")
        assert server.ask("POST", "registered-models/alias", alias) == {}
        error = server.ask("POST", "registered-models/alias", {**alias, "version": "4"}, status=403)
        assert "churn@4 may not have production: not_worse: f1 " in error["message"]
    live = cli.json("live", "churn")["stages"]["production"]
    assert live["version"] == 3
    moved_by = cli.json("log", "churn")["events"][1]
    assert (moved_by["action"], moved_by["reason"]) == (
        "stage:pointer:promote",
        "an MLflow client moved the alias champion",
    )
    assert moved_by["verdict"].startswith("sha256:")
    assert cli.json("rollback", "churn")["to"] == 2
    assert cli.json("audit", "verify")["ok"] is True
