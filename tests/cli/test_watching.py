"""A server as those see it who watch it: metrics, log lines, webhooks, the log followed, and its end."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.test_server import children, get, server
from tests.commands import PROGRAM, Cli
from tests.patience import PATIENCE_SECONDS, until
from tests.webhooks.receivers import receiver

pytestmark = pytest.mark.slow


def counted(url: str, name: str) -> float:
    """The sum over all labels of one counter."""
    text = get(f"{url}/metrics").text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "server.log").read_text().splitlines()]


def test_counters_are_sums_over_all_processes_and_outlive_each_of_them(moved: Path) -> None:
    with server(moved, "--workers", "2") as (url, process):
        scratch = moved / ".holdfast" / "tmp"

        def ask(count: int) -> None:
            for _ in range(count):
                assert get(f"{url}/api/v1/models").status_code == 200  # each on a connection of its own

        ask(20)
        name = 'holdfast_requests_total{method="GET",route="/api/v1/models",status="200"}'
        assert counted(url, name[: name.index("{")]) >= 20
        before = {line for line in get(f"{url}/metrics").text.splitlines() if line.startswith(name)}
        assert before == {f"{name} 20.0"}
        for worker in children(process.pid):
            os.kill(worker, signal.SIGKILL)
            until(lambda gone=worker: gone not in children(process.pid) and len(children(process.pid)) == 2)  # type: ignore[misc]
            until(lambda: get(f"{url}/readyz").status_code == 200)
        ask(10)
        after = {line for line in get(f"{url}/metrics").text.splitlines() if line.startswith(name)}
        assert after == {f"{name} 30.0"}
        assert counted(url, "holdfast_requests_in_flight") == 1
        (folder,) = scratch.glob("counters-*")
        assert {path.stem.rpartition("_")[2] for path in folder.glob("*.db")} <= {"0", "1"}
    assert list(scratch.glob("counters-*")) == []


def test_counters_that_a_killed_server_left_are_swept(moved: Path) -> None:
    left = moved / ".holdfast" / "tmp" / "counters-0123456789abcdef"
    left.mkdir(parents=True)
    with server(moved, "--workers", "1"):
        until(lambda: not left.exists())


def test_metrics_may_have_a_port_of_their_own(moved: Path) -> None:
    with server(moved, "--workers", "1", "--metrics-port", "0") as (url, process):
        assert process.stdout is not None
        assert get(f"{url}/metrics").status_code == 404
        with (moved / "server.log").open() as log:
            assert "Traceback" not in log.read()
        port = own_port(process.pid, url)
        assert get(f"http://127.0.0.1:{port}/metrics").status_code == 200
        assert get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        assert get(f"http://127.0.0.1:{port}/api/v1/models").status_code == 404


def own_port(pid: int, url: str) -> int:
    """The other port on which the process listens."""
    inodes = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    (port,) = ports - {int(url.rpartition(":")[2])}
    return port


def test_a_server_writes_one_object_a_line(cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(moved, "--workers", "1", "--log-format", "json") as (url, _):
        monkeypatch.setenv("HOLDFAST_URL", url)
        cli.ok("log", "--limit", "1")
        until(lambda: any(one["event"] == "request" for one in lines(moved)))
    requests = [one for one in lines(moved) if one["event"] == "request"]
    assert "/api/v1/events" in {one["route"] for one in requests}
    assert all(len(one["request"]) == 32 for one in requests)


def test_a_server_that_is_to_end_says_so_first_and_sends_away_who_waits(moved: Path) -> None:
    with server(moved, "--workers", "1", "--drain-seconds", "1.5") as (url, process):
        stage = f"{url}/api/v1/models/churn/stages/production"
        tag = get(stage).headers["etag"]
        ended: dict[str, Any] = {}

        def wait() -> None:
            ended["poll"] = get(f"{stage}?wait_seconds=50", headers={"if-none-match": tag}).status_code

        def stream() -> None:
            with httpx.stream("GET", f"{url}/api/v1/events/stream", timeout=PATIENCE_SECONDS) as answer:
                ended["stream"] = list(answer.iter_lines())

        waiting = [threading.Thread(target=wait, daemon=True), threading.Thread(target=stream, daemon=True)]
        for one in waiting:
            one.start()
        until(lambda: counted(url, "holdfast_requests_in_flight") == 3)
        begun = time.monotonic()
        process.terminate()
        until(lambda: get(f"{url}/readyz").status_code == 503)
        assert get(f"{url}/readyz").json() == {"status": "draining"}
        assert get(stage).status_code == 200
        for one in waiting:
            one.join(PATIENCE_SECONDS)
        assert ended["poll"] == 304
        assert ended["stream"][0] == "retry: 1000"
        assert process.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - begun >= 1.5
    assert "Traceback" not in (moved / "server.log").read_text()


def test_a_webhook_is_told_through_all_of_it(cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_WEBHOOK_HOSTS", "127.0.0.1")
    with receiver() as taker, server(moved, "--workers", "2") as (url, process):
        monkeypatch.setenv("HOLDFAST_URL", url)
        where = taker.url.replace("localhost", "127.0.0.1")
        made = cli.json("webhook", "add", where, "--action", "stage:pointer:*", "--model", "churn")
        name, secret = made["webhook"], made["secret"]
        cli.fails("usage", "webhook", "add", "http://127.0.0.2/")
        cli.ok("webhook", "test", name)
        for words in (("promote", "churn@3"), ("rollback", "churn"), ("promote", "churn@3"), ("rollback", "churn")):
            cli.ok(*words, "--reason", "try it")
            for worker in children(process.pid) if "promote" in words else ():
                os.kill(worker, signal.SIGKILL)  # whoever delivers is gone; another one takes its place
        until(lambda: cli.json("webhook", "list")["webhooks"][0]["delivered"] == 4)
        found = {one.id: one.said(secret) for one in taker.received}
        moves = [one["data"]["to"] for one in found.values() if one["type"].startswith("stage.pointer.")]
        assert moves == [3, 2, 3, 2]
        again = cli.json("webhook", "rotate", name, "--overlap-hours", "0")
        assert again["secret"] != secret
        cli.fails("usage", "webhook", "resume", name, "--skip")
        assert "active" in cli.ok("webhook", "list").out
        assert cli.json("webhook", "remove", name)["url"] == where
        cli.fails("not_found", "webhook", "test", name)
    assert secret not in (moved / "server.log").read_text()


@pytest.mark.parametrize("kind", ["embedded", "server"])
def test_the_log_is_followed_until_nobody_reads_it(cli: Cli, moved: Path, kind: str) -> None:
    if kind == "embedded":
        _followed(moved, {})
        return
    with server(moved, "--workers", "1") as (url, _):
        _followed(moved, {"HOLDFAST_URL": url})


def _followed(folder: Path, environment: dict[str, str]) -> None:
    command = [str(PROGRAM), "log", "churn", "--follow", "--json"]
    following = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert following.stdout is not None
        last = json.loads(following.stdout.readline())
        done = [str(PROGRAM), "rollback", "churn", "--reason", "to be heard of"]
        subprocess.run(done, cwd=folder, check=True, capture_output=True)
        heard = json.loads(following.stdout.readline())
        assert (heard["index"] > last["index"], heard["reason"]) == (True, "to be heard of")
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE_SECONDS) == 130
    finally:
        following.kill()
        following.communicate()
