"""`watch`: what replicas saw lately; and a promotion that a replica takes back without being asked."""

import json
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.digest import hash_bytes
from holdfast.names import VersionNumber
from holdfast.registry import Replica, ReplicaState
from holdfast.serving.looking import look
from tests.cli.test_serve import answered, serving
from tests.cli.test_server import get
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS, until
from tests.projects import CHURN, HOLDOUT_ROWS, PRODUCTION, TARGET

BUSY = """
[model.churn.serve.watch]
rollback_on = ["busy"]

[[model.churn.serve.watch.alerts]]
name = "busy"
metric = "requests"
above = 5
window_minutes = 1
"""
"""A rule that a healthy version breaks, too: a test needs no broken one."""


def replica(url: str) -> Replica:
    now = datetime.now(UTC)
    return Replica(
        id="a", model=CHURN, stage=PRODUCTION, host="here", pid=1, url=url, number=VersionNumber(1),
        digest=hash_bytes(b"one"), epoch=1, state=ReplicaState.READY, error=None, started_at=now, reported_at=now,
    )  # fmt: skip


def test_without_a_replica_there_is_nothing_to_see(cli: Cli, moved: Path) -> None:
    assert cli.json("watch", "churn")["replicas"] == []
    assert "no replica has reported lately" in cli.ok("watch", "churn").out
    cli.fails("usage", "watch", "churn", "--minutes", "7")
    cli.fails("not_found", "watch", "churn", "--stage", "nowhere")


def test_a_replica_that_does_not_say_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    (found,) = look([replica(f"http://127.0.0.1:{free}")])
    assert (found.said, found.why) == (None, "it could not be asked: ConnectError")
    (found,) = look([replica("nonsense")])
    assert found.said is None
    assert look([]) == []


@pytest.mark.slow
def test_a_promotion_that_breaks_a_named_rule_is_taken_back_and_everybody_can_see_why(cli: Cli, moved: Path) -> None:
    with (moved / "holdfast.toml").open("a") as policy:
        policy.write(BUSY)
    with serving(moved, "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
        cli.json("promote", "churn@3", "--reason", "better", "--wait")
        end = time.monotonic() + PATIENCE_SECONDS
        while cli.json("live", "churn")["stages"]["production"]["version"] == 3:
            assert time.monotonic() < end, (moved / "serve.log").read_text()
            for _ in range(5):
                answered(f"{url}/invocations", {"dataframe_records": [row]})
        event = cli.json("log", "churn", "--limit", "1")["events"][0]
        assert (event["action"], event["from"], event["to"]) == ("stage:pointer:rollback", 3, 2)
        assert event["actor"].startswith("replica on ")
        assert "taken back by itself" in event["reason"]
        assert "busy: requests of version 3 (primary) is" in event["reason"]
        until(lambda: watched(cli)["versions"][0]["compared_with"])
        seen = watched(cli)
        assert seen["versions"][0]["compared_with"] == "300 rows of train.csv, which it was trained on"
        told = {version["version"]: version for version in seen["versions"]}
        assert told[3]["windows"][0]["requests"] > 5
        assert told[3]["windows"][0]["error_share"] == 0
        out = cli.ok("watch", "churn").out
        assert "firing: busy: requests of version 3" in out
        assert "@2" in out


@pytest.mark.slow
def test_every_process_of_a_port_shows_what_all_of_them_counted(cli: Cli, moved: Path) -> None:
    with serving(moved, "churn", "--port", "0", "--processes", "2", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
        # Each request has a connection of its own, and the system chooses a process for it.
        for _ in range(16):
            answered(f"{url}/invocations", {"dataframe_records": [row]})

        def counted() -> set[float]:
            return {ok(get(f"{url}/metrics").text) for _ in range(8)}

        until(lambda: counted() == {16.0}, lambda: f"both have counted 16: {counted()}", pause_seconds=0.2)
        (seen,) = cli.json("watch", "churn")["replicas"]
        assert seen["watch"]["versions"][0]["windows"][2]["requests"] == 16


def watched(cli: Cli) -> Any:
    (seen,) = cli.json("watch", "churn", "--minutes", "1")["replicas"]
    return seen["watch"]


def ok(text: str) -> float:
    counted = (line for line in text.splitlines() if line.startswith("holdfast_serving_requests_total"))
    return sum(float(line.rpartition(" ")[2]) for line in counted if 'outcome="ok"' in line)
