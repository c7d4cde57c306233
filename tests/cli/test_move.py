"""`gate`, `approve`, `promote` and `rollback`."""

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from tests.cli.conftest import QUICK
from tests.commands import PROGRAM, Cli
from tests.patience import PATIENCE_SECONDS

MOVE_KEYS = {"model", "stage", "from", "to", "event", "outcome", "verdict", "replicas"}


def test_a_version_without_its_parts_is_refused_with_every_reason(cli: Cli, incomplete: Path) -> None:
    told = cli("gate", "churn@1", "--json")
    value = told.value
    assert told.code == EXIT_CODES["gate_refused"]
    assert {"model", "version", "stage", "outcome", "findings", "verdict"} <= set(value)
    assert (value["model"], value["version"], value["stage"], value["outcome"]) == ("churn", 1, "production", "fail")
    assert all({"rule", "outcome", "sentence"} <= set(finding) for finding in value["findings"])
    spoken = cli("gate", "churn@1")
    assert spoken.code == told.code
    assert spoken.out.startswith("fail: churn@1 for production\n")
    assert "missing: weights" in spoken.out


def test_the_gate_moves_nothing(cli: Cli, incomplete: Path) -> None:
    before = cli.json("log")
    cli("gate", "churn@1")
    assert cli.json("log") == before
    assert cli.json("live", "churn")["stages"]["production"] is None


def test_a_refused_promotion_leaves_a_record_and_no_move(cli: Cli, incomplete: Path) -> None:
    error = cli.fails("gate_refused", "promote", "churn@1", "--reason", "try", model="churn", version=1, outcome="fail")
    assert error["findings"]
    events = cli.json("log")["events"]
    assert [event["action"] for event in events[:2]] == ["gate:verdict:refuse"] * 2
    assert events[1]["verdict"] == error["verdict"]
    assert cli.json("live", "churn")["stages"]["production"] is None


def test_an_approval_is_by_name_and_bound_to_the_digest(cli: Cli, incomplete: Path) -> None:
    value = cli.json("approve", "churn@1", "--reason", "looked at it")
    assert (value["approver"], value["meaning"], value["stage"]) == ("ana <ana@example.org>", "approve", "production")
    assert value["digest"] == cli.json("show", "churn@1")["digest"]
    said = cli.ok("approve", "churn@1", "--reject", "--stage", "staging").out
    assert said == "ana <ana@example.org> rejects churn@1 for staging\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["gate", "churn@9"], "not_found"),
        (["gate", "churn@1", "--to", "nowhere"], "not_found"),
        (["promote", "churn@9"], "not_found"),
        (["promote", "churn@1", "--to", "nowhere"], "not_found"),
        (["promote", "churn@1", "--expect", "7"], "stage_moved"),
        (["approve", "churn@9"], "not_found"),
        (["approve", "churn@1", "--stage", "nowhere"], "not_found"),
        (["rollback", "churn"], "not_found"),
        (["rollback", "churn", "--stage", "nowhere"], "not_found"),
        (["rollback", "churn", "--emergency"], "usage"),
        (["rollback", "churn", "--emergency", "--reason", "  "], "usage"),
    ],
)
def test_what_cannot_be_moved(cli: Cli, incomplete: Path, arguments: list[str], code: str) -> None:
    before = cli.json("log")
    cli.fails(code, *arguments)
    assert cli.json("log") == before


@pytest.mark.thorough
def test_a_version_that_holds_the_stage_is_not_promoted_again(cli: Cli, project: Path) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    cli.fails("already_exists", "promote", "churn@1", version=1)


@pytest.mark.slow
def test_promote_moves_and_rollback_moves_back(cli: Cli, churn: Path) -> None:
    gate = cli.json("gate", "churn@1")
    assert gate["outcome"] == "pass"
    first = cli.json("promote", "churn@1", "--reason", "the first")
    assert set(first) >= MOVE_KEYS
    assert (first["from"], first["to"], first["outcome"], first["replicas"]) == (None, 1, "pass", [])
    said = cli.ok("promote", "churn@2", "--reason", "better", "--expect", "1", "--wait").out.splitlines()
    assert said[0].startswith("production of churn: @1 -> @2  (event ")
    assert said[-1] == "  last-known-good is @1; back to it with: holdfast rollback churn"
    back = cli.json("rollback", "churn", "--reason", "complaints", "--wait")
    assert set(back) >= MOVE_KEYS
    assert (back["from"], back["to"], back["stage"]) == (2, 1, "production")
    events = cli.json("log")["events"]
    assert (events[0]["action"], events[0]["reason"], events[0]["verdict"]) == (
        "stage:pointer:rollback",
        "complaints",
        back["verdict"],
    )
    assert cli.json("audit", "verify")["ok"] is True


@pytest.mark.slow
def test_a_stage_is_cleared_and_what_held_it_comes_back_by_a_rollback(cli: Cli, moved: Path) -> None:
    held = cli.json("live", "churn")["stages"]["production"]["version"]
    assert cli.fails("stage_moved", "clear", "churn", "--expect", "9", "--reason", "over")["found"] == held
    value = cli.json("clear", "churn", "--reason", "the contract has ended")
    assert (value["from"], value["to"], value["last_known_good"]) == (held, None, held)
    assert cli.json("live", "churn")["stages"]["production"] is None
    assert "cleared" in cli.ok("history", "churn").out
    assert "nothing holds production" in cli.fails("not_found", "clear", "churn", "--reason", "again")["message"]
    assert cli.json("rollback", "churn")["to"] == held


@pytest.mark.slow
def test_a_worse_version_is_refused_for_being_worse(cli: Cli, moved: Path) -> None:
    spoken = cli("promote", "churn@4", "--reason", "fresh data")
    assert (spoken.code, spoken.out) == (EXIT_CODES["gate_refused"], "")
    assert "  fail          not_worse: f1 " in spoken.err
    assert "error: churn@4 may not have production\n" in spoken.err
    assert cli.json("live", "churn")["stages"]["production"]["version"] == 2


@pytest.mark.slow
def test_the_same_key_twice_moves_once(cli: Cli, moved: Path) -> None:
    first = cli.json("promote", "churn@3", "--idempotency-key", "k1", "--reason", "once")
    again = cli.json("promote", "churn@3", "--idempotency-key", "k1", "--reason", "once")
    assert again["event"] == first["event"]
    cli.fails("usage", "promote", "churn@1", "--idempotency-key", "k1", event=first["event"])


@pytest.mark.slow
def test_a_second_person_can_be_asked_for(cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (moved / "holdfast.toml").write_text(QUICK + "second_person = true\n")
    monkeypatch.delenv("GIT_AUTHOR_EMAIL")  # the versions were registered by `ana`, without an address
    refused = cli("promote", "churn@3", "--json")
    assert (refused.code, refused.error["code"]) == (EXIT_CODES["approval_required"], "approval_required")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "ben")
    cli.ok("approve", "churn@3", "--reason", "looked at it")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "ana")
    assert cli.json("promote", "churn@3", "--reason", "together")["to"] == 3


@pytest.mark.slow
def test_an_emergency_asks_nothing_and_says_so(cli: Cli, moved: Path) -> None:
    value = cli.json("rollback", "churn", "--emergency", "--reason", "error rate 30 %")
    assert (value["to"], value["findings"]) == (1, [])
    assert cli.json("log")["events"][0]["reason"] == "error rate 30 %"


@pytest.mark.slow
@pytest.mark.parametrize("said", ["complaints", "", None])
def test_a_rollback_at_a_terminal_asks_why_once_the_stage_is_safe(cli: Cli, moved: Path, said: str | None) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(PROGRAM), "rollback", "churn"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        asked = ""
        while "What made it necessary?" not in asked:
            asked += process.stderr.read(1)
        if said is None:
            process.send_signal(signal.SIGINT)
        else:
            os.write(ours, f"{said}\n".encode())
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)
    assert process.returncode == 0, err
    assert out.startswith("production of churn: @2 -> @1")
    newest, before = cli.json("log", "--limit", "2")["events"]
    if said:
        assert (newest["reason"], before["action"]) == (said, "stage:pointer:rollback")
    else:
        assert newest["action"] == "stage:pointer:rollback"
