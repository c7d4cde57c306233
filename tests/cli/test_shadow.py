"""`shadow`: begun by a version without side effects, reported by its model, ended with a reason, asked by a gate."""

import json
import time
from pathlib import Path

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.config import HOME_NAME, Settings
from holdfast.wire import open_project
from tests.cli.test_serve import answered, serving
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS
from tests.projects import HOLDOUT_ROWS, TARGET, add_version

ROWS = [{name: cell for name, cell in row.items() if name != TARGET} for row in HOLDOUT_ROWS[:6]]

POLICY = """
[gate.production]
rules = ["shadow", "approver"]
shadow_requests_min = 6
shadow_agreement_min = 0.01
shadow_errors_max = 0.5
"""


def declared(folder: Path) -> int:
    """One more version, of which somebody says that it has no side effects."""
    with open_project(Settings.at(folder / HOME_NAME, {})) as project:
        return add_version(project, 3, threshold=0.41, side_effect_free=True).number


def test_only_a_version_without_side_effects_is_sent_copies(cli: Cli, moved: Path) -> None:
    error = cli.fails("usage", "shadow", "churn@3")
    assert error["hint"] == "If answering changes nothing elsewhere, register it again with --side-effect-free."
    error = cli.fails("not_found", "shadow", "churn")
    assert error["hint"] == "Begin with one: holdfast shadow churn@NUMBER --stage production"
    cli.fails("not_found", "shadow", "churn@3", "--stage", "staging")
    cli.fails("not_found", "shadow", "churn", "--stop", "--reason", "none goes on")
    cli.fails("usage", "shadow", "churn@3", "--stop")
    for share in ("0%", "120%", "much"):
        cli.fails("usage", "shadow", "churn@3", "--sample", share)


def test_pairs_are_told_apart_by_columns_that_rows_have_or_that_callers_send(cli: Cli, moved: Path) -> None:
    number = declared(moved)
    error = cli.fails("usage", "shadow", f"churn@{number}", "--by", "plan,region")
    assert (error["column"], "--any-column" in error["hint"]) == ("region", True)
    said = cli.json("shadow", f"churn@{number}", "--by", "plan,region", "--any-column")
    assert said["plan"]["by"] == ["plan", "region"]


def test_register_binds_the_promise_into_the_version(cli: Cli, project: Path) -> None:
    bare = cli.json("register", "churn", "--reason", "a start")
    pure = cli.json("register", "churn", "--side-effect-free", "--reason", "a start")
    assert bare["digest"] != pure["digest"]


@pytest.mark.slow
def test_a_shadow_from_its_beginning_to_the_gate_that_asks_for_it(cli: Cli, moved: Path) -> None:
    number = declared(moved)
    (moved / "holdfast.toml").write_text(POLICY)
    begun = cli.json("shadow", f"churn@{number}", "--by", "plan", "--requests", "6", "--reason", "a new cut-off")
    assert (begun["kind"], begun["state"], begun["against"]) == ("shadow", "running", 2)
    cli.fails("already_exists", "shadow", f"churn@{number}")
    assert cli.json("shadow", "churn")["sentence"].endswith("nothing was compared yet")
    undecided = cli("gate", "judge", f"churn@{number}", "--to", "production", "--json")
    assert (undecided.code, "6 more are needed" in undecided.out) == (EXIT_CODES["gate_inconclusive"], True)
    with serving(moved, "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        # A shadow yields to everything else that runs here.
        end, sent = time.monotonic() + PATIENCE_SECONDS, 0
        while cli.json("shadow", "churn")["figures"]["requests"] < 6:
            assert time.monotonic() < end, (moved / "serve.log").read_text()
            body, status = answered(f"{url}/invocations", {"dataframe_records": [ROWS[sent % 6]]})
            assert (status, body["version"]) == (200, 2)
            sent += 1
            time.sleep(0.2)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) is not None
    assert "Traceback" not in (moved / "serve.log").read_text()
    ended = cli.json("shadow", "churn", "--stop", "--reason", "enough")
    assert (ended["state"], ended["reason"]) == ("passed", "enough")
    assert {group["column"] for group in ended["figures"]["groups"]} == {"plan"}
    assert "requests compared" in cli.ok("shadow", "churn").out
    assert cli.ok("shadow", "churn", "--markdown").out.startswith("### Shadow of `churn` at `production`")
    judged = cli.json("gate", "judge", f"churn@{number}", "--to", "production")
    assert [finding["outcome"] for finding in judged["findings"] if finding["rule"] == "shadow"] == ["pass"]
    assert cli.json("gate", "replay", judged["verdict"])["standing"] == "holds"
