"""`live` and `log`."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.cli.output import duration_text
from holdfast.config import Settings
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import NewRollout, NewVersion, RolloutKind, RolloutState, Turn
from holdfast.wire import open_project
from tests.commands import Cli


@pytest.fixture
def moved(cli: Cli, project: Path) -> Path:
    """churn@1 holds production."""
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    return project


def test_live_names_every_stage_and_who_moved_it(cli: Cli, moved: Path) -> None:
    value = cli.json("live", "churn")
    assert value["model"] == "churn"
    assert set(value["stages"]) == {"archived", "production", "staging"}
    assert value["stages"]["staging"] is None
    held = value["stages"]["production"]
    assert {"version", "digest", "since", "by", "event"} <= set(held)
    assert (held["version"], held["by"]) == (1, "ana <ana@example.org>")
    rows = {line.split()[0]: line.split()[1] for line in cli.ok("live", "churn").out.splitlines()}
    assert rows == {"stage": "version", "archived": "nothing", "production": "churn@1", "staging": "nothing"}


def test_live_answers_for_the_past(cli: Cli, moved: Path) -> None:
    since = datetime.fromisoformat(cli.json("live", "churn")["stages"]["production"]["since"])
    before = (since - timedelta(microseconds=1)).isoformat()
    assert cli.json("live", "churn", "--at", before)["stages"]["production"] is None
    assert cli.json("live", "churn", "--at", since.isoformat())["stages"]["production"]["version"] == 1
    assert cli.ok("live", "churn", "--at", "2001-01-01").out == "churn had no stages yet\n"


@pytest.mark.parametrize(
    "moment", ["yesterday", "", "2026-13-01", "99999-01-01", "2999-01-01", "0001-01-01T00:00+23:59"]
)
def test_a_moment_that_cannot_be_or_has_not_come(cli: Cli, moved: Path, moment: str) -> None:
    cli.fails("usage", "live", "churn", "--at", moment)


def test_the_log_holds_every_event_newest_first(cli: Cli, moved: Path) -> None:
    events = cli.json("log")["events"]
    keys = {"index", "time", "actor", "action", "from", "to", "reason", "verdict", "hash"}
    assert all(keys <= set(event) for event in events)
    assert [event["index"] for event in events] == [2, 1, 0]
    assert [event["action"] for event in events] == [
        "stage:pointer:adopt",
        "model:version:adopt",
        "model:line:create",
    ]
    assert len({event["hash"] for event in events}) == 3


def test_the_log_comes_in_pages(cli: Cli, moved: Path) -> None:
    (newest,) = cli.json("log", "--limit", "1")["events"]
    rest = cli.json("log", "--before", str(newest["index"]))["events"]
    assert [newest, *rest] == cli.json("log")["events"]


def test_the_log_of_one_model(cli: Cli, moved: Path) -> None:
    cli.ok("register", "other")
    assert {event["model"] for event in cli.json("log", "other")["events"]} == {"other"}


@pytest.mark.parametrize("limit", ["0", "-3", "1000000"])
def test_a_page_that_cannot_be(cli: Cli, moved: Path, limit: str) -> None:
    cli.fails("usage", "log", "--limit", limit)


def test_a_person_reads_a_table(cli: Cli, moved: Path) -> None:
    head, first, *rest = cli.ok("log", "churn").out.splitlines()
    assert head.split()[:4] == ["event", "time", "actor", "action"]
    assert "stage:pointer:adopt" in first
    assert "in service" in first
    assert len(rest) == 2


def test_the_log_of_all_models_names_each_and_what_it_is_called_elsewhere(cli: Cli, moved: Path) -> None:
    churn = ModelName("churn")
    with open_project(Settings.find(moved)) as project:
        project.registry.create_model(ModelName("churn-eu-7d1b8e"), "ana", description="called 'Churn EU' elsewhere")
    head, first, *_ = cli.ok("log").out.splitlines()
    assert head.split()[4] == "model"
    assert "model:line:create" in first
    assert first.split()[5] == "churn-eu-7d1b8e"
    assert "called 'Churn EU' elsewhere" in first
    assert "model" not in cli.ok("log", str(churn)).out.splitlines()[0].split()


def test_a_rollout_is_told_with_how_it_stands(cli: Cli, moved: Path) -> None:
    churn, production, one = ModelName("churn"), StageName("production"), VersionNumber(1)
    with open_project(Settings.find(moved)) as project:
        two = project.registry.register(NewVersion(churn, hash_bytes(b"2"), complete=True), "ana").number
        new = NewRollout(RolloutKind.CANARY, churn, production, two, one, {}, "better")
        begun = project.registry.begin_rollout(new, "ana")
        turn = Turn(begun.id, begun.event, RolloutState.ABORTED, 1, "7 errors in 90", {})
        project.registry.turn_rollout(turn, "replica")
    _, ended, began, *_ = cli.ok("log", "churn").out.splitlines()
    assert "stage:rollout:begin" in began
    assert "canary running at step 0; better" in began
    assert "canary aborted at step 1; 7 errors in 90" in ended


def test_a_history_draws_each_spell_of_a_stage(cli: Cli, moved: Path) -> None:
    value = cli.json("history", "churn")
    (spell,) = value["spells"]
    assert (spell["version"], spell["stage"], spell["until"], spell["seconds"]) == (1, "production", None, None)
    assert (spell["action"], spell["reason"]) == ("stage:pointer:adopt", "in service")
    title, head, row = cli.ok("history", "churn", "--stage", "production").out.splitlines()
    assert title == "churn, production"
    assert head.split()[0] == "version"
    assert row.startswith("churn@1")
    assert "adopted" in row
    assert "still" in row
    assert "in service" in row
    assert cli.ok("history", "churn", "--stage", "staging").out == "no stage has held a version yet\n"


@pytest.mark.parametrize(("arguments", "code"), [(["--limit", "0"], "usage"), (["--stage", "prod"], "not_found")])
def test_a_history_that_cannot_be(cli: Cli, moved: Path, arguments: list[str], code: str) -> None:
    cli.fails(code, "history", "churn", *arguments)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.6, "1 min"), (3_600, "1 h"), (90_061, "1 d 1 h"), (86_400 * 400, "400 d")]
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said
