"""Rehearsals, held for real: workers, a replica on a socket, clients, and everything that can go wrong on the way."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.config import Settings
from holdfast.evidence import Environment
from holdfast.flow.promote import adopt_stage
from holdfast.names import StageName
from holdfast.registry import Action, MoveStage, Version
from holdfast.wire import Project, open_project
from tests.cli.test_server import server
from tests.commands import Cli
from tests.patience import until
from tests.projects import (
    CHURN,
    PRODUCTION,
    TWO,
    add_forgetful,
    add_with_file,
    blob,
    flip_bit,
    manifest,
    tables,
    version,
    workers_of,
)

pytestmark = pytest.mark.slow

STEPS = [
    (1, "find"),
    (2, "verify"),
    (3, "build"),
    (3, "smoke"),
    (4, "serve"),
    (4, "move"),
    (5, "pick up"),
    (6, "watch"),
    (7, "return"),
]
CANARY = StageName("canary")


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """The project whose production holds churn@2, with churn@1 as last-known-good."""
    with open_project(Settings.at(request.getfixturevalue("moved") / ".holdfast")) as opened:
        yield opened


def failed(cli: Cli, code: str, *arguments: str) -> dict[str, Any]:
    """A rehearsal that fails: the certificate is the answer, and the exit code is that of what went wrong."""
    answer = cli("rehearse", "churn", *arguments, "--json")
    assert answer.code == EXIT_CODES[code], answer
    value = answer.value
    assert value["outcome"] == "fail"
    assert value["body"]["failed"]["code"] == code
    assert value["body"]["steps"][-1]["outcome"] == "fail"
    return dict(value)


def put_behind(project: Project, found: Version) -> None:
    """Another stage of the same kind, whose way back leads to this version."""
    project.registry.define_stage(CHURN, CANARY, "ana")
    adopt_stage(found, CANARY, project.registry, actor="ana", reason="in service before")
    move = MoveStage(CHURN, CANARY, TWO, found.number, Action.STAGE_PROMOTE, "better")
    project.registry.move_stage(move, "ana")


def add_with_lock(project: Project, lock: str) -> Version:
    """churn@1 once more, pinned to something else."""
    known = manifest(project, 1)
    environment = known.evidence.environment
    assert isinstance(environment, Environment)
    return add_with_file(project, known, str(environment.lock), lock.encode())


def left_over(project: Project) -> list[str]:
    return [path.name for path in project.settings.scratch.glob("rehearsal-*")]


def test_a_rehearsal_takes_every_step_and_leaves_nothing_but_its_certificate(cli: Cli, project: Project) -> None:
    before = tables(project, but=("events", "event_nodes", "rehearsals"))
    running = set(workers_of(os.getpid()))  # other tests of this process may keep some
    kept = cli.json("rehearse", "churn")
    body = kept["body"]
    assert (kept["outcome"], kept["from"], kept["to"], body["failed"]) == ("pass", 2, 1, None)
    assert [(step["step"], step["name"]) for step in body["steps"]] == STEPS
    assert all(step["outcome"] == "pass" and step["seconds"] >= 0 and step["sentence"] for step in body["steps"])
    load = body["load"]
    assert (load["failed"], load["mixed"], load["why"]) == (0, 0, [])
    assert load["requests"] == sum(load["answers"].values())
    assert set(load["answers"]) == {"1", "2"}
    assert 0 <= body["switch_ms"] <= 1000 * body["seconds"]
    assert body["confirmed_ms"] > 0
    assert body["to"]["digest"] == str(version(project, 1).digest)
    assert body["to"]["environment"]["lock"].startswith("sha256:")
    assert body["machine"]["cpu_count"] >= 1
    assert (body["asked_by"], kept["created_by"]) == (project.actor, project.actor)
    # Nothing but the certificate and its event is new, and nothing runs or lies about any more.
    assert tables(project, but=("events", "event_nodes", "rehearsals")) == before
    [event] = project.registry.log(CHURN, limit=1)
    assert (event.action, event.index) == (Action.ROLLBACK_REHEARSE, kept["event"])
    [found] = project.registry.rehearsals(CHURN, PRODUCTION)
    assert found.to_json() == kept
    assert set(workers_of(os.getpid())) <= running
    assert left_over(project) == []
    assert project.registry.audit_verify().ok


def test_each_step_is_told_while_it_comes_about(cli: Cli, project: Project) -> None:
    told = cli.ok("rehearse", "churn")
    assert [line[:3] for line in told.err.splitlines() if line.startswith("(")] == [f"({step})" for step, _ in STEPS]
    assert told.out.startswith("pass: production of churn, @2 -> @1, rehearsed\n")
    assert "0 failed, 0 mixed" in told.out
    [shown] = cli.json("show", "churn@1")["rehearsals"]
    assert (shown["stage"], shown["from"], shown["outcome"]) == ("production", 2, "pass")
    assert "gone back to from @2 for production: pass" in cli.ok("show", "churn@1").out
    assert cli.json("show", "churn@2")["rehearsals"] == []


def test_the_way_back_to_what_is_live_is_rehearsed_before_something_is_promoted(cli: Cli, project: Project) -> None:
    kept = cli.json("rehearse", "churn", "--from", "churn@3")
    assert (kept["from"], kept["to"], kept["outcome"]) == (3, 2, "pass")
    assert project.registry.stage(CHURN, PRODUCTION).number == TWO
    again = cli.json("rehearse", "churn", "--to", "churn@2")
    assert (again["from"], again["to"]) == (1, 2)


def test_a_promotion_waits_for_a_fresh_rehearsal_of_the_way_back_from_it(cli: Cli, project: Project) -> None:
    policy = project.settings.policy_path
    policy.write_text(policy.read_text() + "rehearsal_days_max = 7\n")
    cli.ok("rehearse", "churn")  # of another way: back to churn@1
    refused = cli.fails("gate_refused", "promote", "churn@3")
    [finding] = [one for one in refused["findings"] if one["rule"] == "rehearsed"]
    assert finding["sentence"] == "going back to churn@2, which holds the stage, was never rehearsed"
    assert finding["hint"].endswith("holdfast rehearse churn --stage production --from churn@3")
    kept = cli.json(*finding["hint"].partition("holdfast ")[2].split())
    moved = cli.json("promote", "churn@3", "--reason", "rehearsed")
    [finding] = [one for one in moved["findings"] if one["rule"] == "rehearsed"]
    assert (finding["outcome"], finding["values"]["certificate"]) == ("pass", kept["certificate"])
    assert cli.json("rollback", "churn", "--reason", "as rehearsed")["to"] == 2


def test_what_cannot_be_rehearsed_is_an_error_and_no_certificate(cli: Cli, project: Project) -> None:
    cli.fails("not_found", "rehearse", "churn", "--stage", "staging")
    cli.fails("usage", "rehearse", "churn", "--to", "churn@1", "--from", "churn@1")
    cli.fails("not_found", "rehearse", "churn", "--to", "churn@99")
    cli.fails("not_found", "rehearse", "nobody")
    put_behind(project, version(project, 3))
    project.registry.move_stage(
        MoveStage(CHURN, CANARY, version(project, 3).number, TWO, Action.STAGE_ROLLBACK, "no"), "ana"
    )
    assert "nothing to go back to" in cli.fails("not_found", "rehearse", "churn", "--stage", "canary")["message"]
    assert project.registry.rehearsals(CHURN, PRODUCTION) == ()


def test_damaged_bytes_are_found_at_the_second_step(cli: Cli, project: Project) -> None:
    flip_bit(blob(project, manifest(project, 1).files[0].digest))
    kept = failed(cli, "integrity")
    assert (kept["body"]["failed"]["step"], kept["body"]["failed"]["name"]) == (2, "verify")
    assert kept["body"]["switch_ms"] is None
    assert kept["body"]["load"]["requests"] == 0


def test_outputs_that_drifted_are_found_by_the_smoke(cli: Cli, project: Project) -> None:
    put_behind(project, add_forgetful(project))
    kept = failed(cli, "gate_refused", "--stage", "canary")
    assert (kept["body"]["failed"]["step"], kept["body"]["failed"]["name"]) == (3, "smoke")
    assert "180 of 180 predictions differ" in kept["body"]["failed"]["why"]


def test_an_environment_that_cannot_be_built_is_found(
    cli: Cli, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    put_behind(project, add_with_lock(project, "a-distribution-that-nobody-made==9.9.9\n"))
    kept = failed(cli, "bundle_failed", "--stage", "canary")
    assert (kept["body"]["failed"]["step"], kept["body"]["failed"]["name"]) == (3, "build")
    assert "a-distribution-that-nobody-made" in kept["body"]["failed"]["why"]


def test_a_version_that_cannot_be_served_any_more_fails_the_rehearsal_of_leaving_it(cli: Cli, project: Project) -> None:
    assert failed(cli, "bundle_failed", "--from", "churn@5", "--to", "churn@1")["body"]["failed"]["step"] == 4


def test_a_rehearsal_that_is_killed_leaves_no_process_and_no_row(cli: Cli, project: Project, tmp_path: Path) -> None:
    before = tables(project)
    log = tmp_path / "talk"
    with log.open("w") as talk:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "rehearse", "churn"],
            cwd=project.settings.project,
            stdout=talk,
            stderr=talk,
        )
        try:
            until(lambda: "(4) serve" in log.read_text() or process.poll() is not None, "the replica answers")
            assert process.poll() is None, log.read_text()
            workers = workers_of(process.pid)
            assert len(workers) == 2
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers), "the workers end")
    assert tables(project) == before
    assert len(left_over(project)) == 1
    cli.ok("rehearse", "churn")  # sweeps what the killed one left
    assert left_over(project) == []


def test_a_rehearsal_is_held_against_a_server(cli: Cli, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(project.settings.project) as (url, _):
        monkeypatch.setenv("HOLDFAST_URL", url)
        kept = cli.json("rehearse", "churn")
        assert (kept["outcome"], kept["from"], kept["to"]) == ("pass", 2, 1)
    monkeypatch.delenv("HOLDFAST_URL")
    [found] = project.registry.rehearsals(CHURN, PRODUCTION)
    assert found.to_json() == kept
