"""`serve`: what it says before it serves, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc as over_grpc
from tritonclient.utils import InferenceServerException

from tests.commands import PROGRAM, Cli
from tests.patience import PATIENCE_SECONDS, until
from tests.projects import HOLDOUT_ROWS, TARGET


@contextmanager
def serving(folder: Path, *arguments: str, command: str = "serve") -> Iterator["subprocess.Popen[str]"]:
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [str(PROGRAM), command, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_nothing_to_serve(cli: Cli, incomplete: Path) -> None:
    error = cli.fails("not_found", "serve", "churn")
    assert error["hint"] == "Promote a version first: holdfast promote churn@1 --to production"
    cli.fails("not_found", "serve", "other")
    cli.fails("not_found", "serve", "churn", "--stage", "nowhere")


def test_a_key_that_is_asked_for_and_not_there(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    monkeypatch.setenv("HOLDFAST_SIGNED_BY", "keys/release.pub")
    assert "keys/release.pub" in cli.fails("not_found", "serve", "churn", "--port", "0")["message"]
    monkeypatch.setenv("HOLDFAST_SIGNED_BY", " , ")
    cli.fails("usage", "serve", "churn", "--port", "0")


def test_a_port_that_is_taken(cli: Cli, project: Path) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cli.fails("unavailable", "serve", "churn", "--port", str(taken.getsockname()[1]))


def test_what_says_who_may_choose_the_version_is_looked_at_before_anything_starts(cli: Cli, project: Path) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    (project / "token").write_text("short")
    cli.fails("usage", "serve", "churn", "--port", "0", "--override-token-file", "token")
    cli.fails("not_found", "serve", "churn", "--port", "0", "--override-token-file", "nowhere")
    cli.fails("usage", "serve", "churn", "--port", "0", "--override-token-file", "token", "--allow-override")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cli.fails("unavailable", "serve", "churn", "--port", "0", "--grpc-port", str(taken.getsockname()[1]))


@pytest.mark.slow
def test_several_processes_speak_grpc_on_one_port(cli: Cli, moved: Path) -> None:
    with serving(moved, "churn", "--port", "0", "--grpc-port", "0", "--processes", "2", "--json") as process:
        assert process.stdout is not None
        value = json.loads(process.stdout.readline())
        answered(f"{value['url']}/predict", {"rows": []})
        end = time.monotonic() + PATIENCE_SECONDS
        versions: list[str] = []
        own_connection = [("grpc.use_local_subchannel_pool", 1)]
        while len(versions) < 4:
            with (
                suppress(InferenceServerException),
                over_grpc.InferenceServerClient(value["grpc"], channel_args=own_connection) as one,
            ):
                versions.append(one.get_model_metadata("churn").versions[0])
            assert time.monotonic() < end
        assert set(versions) == {"2"}
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
    log = (moved / "serve.log").read_text()
    assert "Traceback" not in log
    assert log.count(f"gRPC at {value['grpc']}") == 2


def test_options_that_would_do_nothing_are_refused(cli: Cli, project: Path) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    for useless in (["--batch-wait-ms", "5"], ["--ray-replicas", "2"], ["--engine", "ray", "--processes", "2"]):
        cli.fails("usage", "serve", "churn", "--port", "0", *useless)
    (project / "holdfast.toml").write_text("[serve.batching]\nrows = 9999\n")
    assert "4096" in str(cli.fails("usage", "serve", "churn", "--port", "0"))


@pytest.mark.slow
def test_it_says_where_it_listens_serves_and_ends_when_told(cli: Cli, moved: Path) -> None:
    with serving(moved, "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        value = json.loads(process.stdout.readline())
        assert (value["model"], value["stage"], value["pid"]) == ("churn", "production", process.pid)
        row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
        body, status = answered(f"{value['url']}/invocations", {"dataframe_records": [row]})
        assert (status, body["version"], len(body["predictions"])) == (200, 2, 1)
        (replica,) = cli.json("promote", "churn@3", "--reason", "better", "--wait")["replicas"]
        assert (replica["url"], replica["version"]) == (value["url"], 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert process.stdout.read() == ""
    assert "Traceback" not in (moved / "serve.log").read_text()


@pytest.mark.slow
def test_a_person_is_told_the_address_and_may_end_it_with_sigterm(
    cli: Cli, moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with serving(moved, "churn", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("churn@production at http://127.0.0.1:")
        until(lambda: "serves version 2" in (moved / "serve.log").read_text(), (moved / "serve.log").read_text)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert list(scratch.glob("holdfast-serve-*")) == []
    log = (moved / "serve.log").read_text()
    assert "serves version 2" in log
    assert "Traceback" not in log


@pytest.mark.slow
def test_several_processes_answer_at_one_port_and_one_that_dies_is_replaced(cli: Cli, moved: Path) -> None:
    with serving(moved, "churn", "--port", "0", "--json", "--processes", "2", "--batch-rows", "8") as process:
        assert process.stdout is not None
        value = json.loads(process.stdout.readline())
        assert (value["pid"], value["processes"]) == (process.pid, 2)
        row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
        body, status = answered(f"{value['url']}/invocations", {"dataframe_records": [row]})
        assert (status, body["version"]) == (200, 2)
        replicas = cli.json("promote", "churn@3", "--reason", "better", "--wait")["replicas"]
        assert [(one["url"], one["version"]) for one in replicas] == [(value["url"], 3)] * 2
        before = processes_below(process.pid)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(set(processes_below(process.pid)) | set(before)) >= 3, "another takes its place")
        assert len(processes_below(process.pid)) == 2
        body, status = answered(f"{value['url']}/invocations", {"dataframe_records": [row]})
        assert (status, body["version"]) == (200, 3)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def processes_below(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def answered(url: str, body: object) -> tuple[dict[str, Any], int]:
    """The answer, once the replica is ready: until then it says 503."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                return json.loads(response.read()), response.status
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > end:
                raise
            error.close()
            time.sleep(0.05)
