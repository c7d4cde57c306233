"""`server`: a project given to others over HTTP, and used from another folder as if it were there."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from blake3 import blake3

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.registry.checkpoints import Checkpoint, VerifierKey
from tests.cli.test_serve import answered, serving
from tests.commands import PROGRAM, Cli, holdfast
from tests.patience import PATIENCE_SECONDS, until
from tests.projects import HOLDOUT_ROWS, TARGET
from tests.servers import s3_server

pytestmark = pytest.mark.slow


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The URL of a server on the project in `folder`, and its first process."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(PROGRAM), "server", "--port", "0", "--json", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        value = json.loads(process.stdout.readline())
        assert value["pid"] == process.pid
        yield value["url"], process
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        process.communicate()


def get(url: str, **given: Any) -> httpx.Response:
    """The answer of a server in processes of its own, which may still be starting."""
    return httpx.get(url, timeout=PATIENCE_SECONDS, **given)


@pytest.fixture
def elsewhere(moved: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of another person, whose registry is the server's."""
    place = tmp_path_factory.mktemp("elsewhere")
    with server(moved) as (url, _):
        monkeypatch.setenv("HOLDFAST_URL", url)
        monkeypatch.chdir(place)
        yield place


def test_every_command_works_from_another_folder(cli: Cli, elsewhere: Path) -> None:
    cli.ok("init")
    assert not (elsewhere / ".holdfast" / "registry.db").exists()
    assert [one["version"] for one in cli.json("list")["versions"]] == [1, 2, 3, 4, 5]
    (elsewhere / "data.csv").write_text("a\n1\n")
    frozen = cli.json("snapshot", "data.csv")
    assert (frozen["files"], frozen["bytes_new"]) == (1, 4)
    assert cli.json("snapshot", "data.csv")["bytes_new"] == 0
    moved = cli.json("promote", "churn@3", "--to", "production", "--reason", "better")
    assert (moved["from"], moved["to"], moved["outcome"]) == (2, 3, "pass")
    assert cli.json("rollback", "churn", "--reason", "worse after all")["to"] == 2
    assert cli.json("live", "churn")["stages"]["production"]["version"] == 2
    assert cli.json("log", "--limit", "1")["events"][0]["action"] == "stage:pointer:rollback"
    cli.ok("checkout", "churn@1", "bundle")
    assert (elsewhere / "bundle" / "holdfast.json").is_file()
    cli.fails("not_found", "show", "churn@9")
    cli.fails("usage", "server")


def test_whoever_asks_a_server_can_prove_its_log(cli: Cli, elsewhere: Path, moved: Path) -> None:
    cli.ok("init")
    key = cli.ok("audit", "key").out
    note = cli.ok("audit", "checkpoint").out
    assert VerifierKey.parse(key).open(note.encode()) == Checkpoint.parse(note)
    (elsewhere / "kept.note").write_text(note)
    cli.ok("hold", "add", "churn@1", "--reason", "an audit")
    verified = cli.json("audit", "verify", "--checkpoint", "kept.note")
    assert verified["ok"]
    assert {one["source"]: one["agrees"] for one in verified["compared"]} == {"seen": True, "kept.note": True}
    size = Checkpoint.parse(note).head.size
    growth = cli.json("audit", "proof", "--since", str(size))
    assert (growth["old"]["size"], growth["new"]["size"]) == (size, size + 1)
    assert cli.json("audit", "proof", str(size))["index"] == size
    (elsewhere / "log.jsonl").write_text(cli.ok("audit", "export").out)
    (elsewhere / "log.key").write_text(key)
    (elsewhere / "verify.py").write_text(cli.ok("audit", "verifier").out)
    checked = [sys.executable, "-I", "verify.py", "log.jsonl", "log.key", "--checkpoint", "kept.note"]
    done = subprocess.run(checked, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(f"ok: {size + 1} events")
    cli.fails("usage", "audit", "accept", "--reason", "why not")
    (elsewhere / "other.note").write_text(note.replace(str(size), str(size - 1), 1))
    cli.fails("integrity", "audit", "verify", "--checkpoint", "other.note")
    assert key == (moved / ".holdfast" / "log" / "verifier").read_text()


def test_a_replica_follows_a_stage_of_the_server(cli: Cli, elsewhere: Path) -> None:
    cli.ok("init")
    row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
    with serving(elsewhere, "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        assert answered(f"{url}/invocations", {"dataframe_records": [row]})[0]["version"] == 2
        (replica,) = cli.json("rollback", "churn", "--reason", "try the way back", "--wait")["replicas"]
        assert (replica["url"], replica["version"]) == (url, 1)
        assert answered(f"{url}/invocations", {"dataframe_records": [row]})[0]["version"] == 1


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    with suppress(FileNotFoundError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def test_a_process_that_is_killed_is_replaced_and_all_end_when_told(moved: Path) -> None:
    with server(moved, "--workers", "2") as (url, process):
        assert get(f"{url}/readyz").json() == {"status": "ok"}
        first = children(process.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        until(lambda: first[0] not in (now := children(process.pid)) and len(now) >= 2, "another takes its place")
        for _ in range(20):
            assert get(f"{url}/api/v1/models/churn/stages/production").json()["version"] == 2
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert children(process.pid) == []
    log = (moved / "server.log").read_text()
    assert "another takes its place" in log
    assert "Traceback" not in log


def test_a_server_whose_bytes_are_in_a_bucket_answers(
    cli: Cli, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as bucket:
        bucket.use(monkeypatch)
        monkeypatch.setenv("HOLDFAST_STORE_URL", f"s3://{bucket.bucket()}/store")
        monkeypatch.setenv("HOLDFAST_DIRECT_READS", "true")
        with server(project, "--workers", "2") as (url, _):
            # Every process asks the bucket by itself: one that had what its parent has begun would wait for ever.
            for _ in range(6):
                assert get(f"{url}/readyz").json() == {"status": "ok"}
            mine = tmp_path / "mine"
            mine.mkdir()
            (mine / "data.csv").write_text("a\n1\n")
            monkeypatch.delenv("HOLDFAST_STORE_URL")
            monkeypatch.setenv("HOLDFAST_URL", url)
            monkeypatch.chdir(mine)
            cli.ok("init")
            assert cli.json("snapshot", "data.csv")["bytes_new"] == 4
            found = get(f"{url}/api/v1/store/files", params={"prefix": "packs/"}).json()["files"]
            assert found
            for key in (one["key"] for one in found):
                signed = get(f"{url}/api/v1/store/signed/{key}").json()["url"]
                assert blake3(get(signed).content).hexdigest() == key.rpartition("/")[2]
        assert "Traceback" not in (project / "server.log").read_text()


def test_what_is_wrong_with_a_bucket_is_said_before_anything_is_served(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as bucket:
        bucket.use(monkeypatch)
        monkeypatch.setenv("HOLDFAST_STORE_URL", "s3://nobody-made-this-one/store")
        told = holdfast("server", "--port", "0", "--json", folder=project)
    assert told.code == EXIT_CODES[told.error["code"]]
    assert "nobody-made-this-one" in told.error["message"]
    assert "Traceback" not in told.err


def test_a_server_that_asks_nobody_who_they_are_stays_on_its_machine(cli: Cli, moved: Path) -> None:
    assert moved
    cli.fails("usage", "server", "--host", "192.0.2.1")
    cli.fails("usage", "server", "--host", "registry.example.org")


def test_a_server_that_is_not_there_is_told_of(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.service.line.ATTEMPTS_MAX", 1)
    monkeypatch.setenv("HOLDFAST_URL", "http://127.0.0.1:9")
    cli.fails("unavailable", "init")
    assert not (folder / ".holdfast").exists()
    monkeypatch.setenv("HOLDFAST_URL", "ftp://registry.example.org")
    cli.fails("usage", "init")
    monkeypatch.setenv("HOLDFAST_URL", "http://registry.example.org")
    monkeypatch.setenv("HOLDFAST_TOKEN", "secret")
    assert "secret" not in str(cli.fails("usage", "init"))
