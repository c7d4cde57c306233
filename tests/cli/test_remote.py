"""`remote`, `push`, `pull` and `clone`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.store.remote.address import Address
from holdfast.wire import open_transport
from tests.blank import blank_project
from tests.commands import Cli
from tests.patience import until
from tests.servers import S3Server, s3_server


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "remote")


@pytest.fixture
def pushed(cli: Cli, churn: Path, url: str) -> str:
    """A remote to which a project with five real versions was pushed."""
    cli.ok("remote", "add", "origin", url)
    cli.ok("push")
    return url


def somewhere_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "else").mkdir()
    monkeypatch.chdir(folder / "else")
    return folder / "else"


def test_a_remote_is_added_listed_and_forgotten(cli: Cli, project: Path, url: str) -> None:
    added = cli.json("remote", "add", "origin", url)
    assert added == {"name": "origin", "url": url, "endpoint": None, "storage_class": None}
    assert cli.json("remote", "list") == {"remotes": [added]}
    assert url in cli.ok("remote", "list").out
    cli.fails("already_exists", "remote", "add", "origin", url)
    assert cli.json("remote", "remove", "origin") == added
    assert cli.json("remote", "list") == {"remotes": []}
    cli.fails("not_found", "remote", "remove", "origin")


def test_no_password_is_kept_or_repeated(cli: Cli, project: Path) -> None:
    told = cli.fails("usage", "remote", "add", "origin", "s3://key:hunter2@models")
    assert "hunter2" not in json.dumps(told)
    cli.fails("usage", "remote", "add", "origin", "s3://models", "--endpoint", "https://key:hunter2@server")
    cli.fails("usage", "remote", "add", "origin", "s3://models", "--endpoint", "http://server.example")
    cli.fails("usage", "remote", "add", "origin", "/srv/models", "--endpoint", "https://server.example")
    cli.fails("usage", "remote", "add", "NO SUCH NAME", "s3://models")
    assert not (project / ".holdfast/remotes.json").exists()


def test_a_folder_of_other_things_is_refused(cli: Cli, project: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("mine")
    cli.fails("unsupported_format", "remote", "add", "origin", str(tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_a_push_says_what_travelled_and_a_second_one_sends_nothing(cli: Cli, churn: Path, url: str) -> None:
    cli.ok("remote", "add", "origin", url)
    first = cli.json("push", "churn@1")
    assert [(one["model"], one["version"], one["new"]) for one in first["versions"]] == [("churn", 1, True)]
    assert first["bytes"] > 0
    again = cli.json("push", "churn@1")
    assert (again["blobs"], again["bytes"], again["versions"][0]["new"]) == (0, 0, False)
    everything = cli.json("push")
    assert [one["new"] for one in everything["versions"]] == [False, True, True, True, True]


def test_a_clone_is_the_same_versions_under_the_same_numbers(
    cli: Cli, pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {one["version"]: one for one in cli.json("list", "churn")["versions"]}
    there = somewhere_else(folder, monkeypatch)
    cloned = cli.json("clone", pushed, "team")
    assert [one["version"] for one in cloned["versions"]] == [1, 2, 3, 4, 5]
    monkeypatch.chdir(there / "team")
    after = {one["version"]: one for one in cli.json("list", "churn")["versions"]}
    for field in ("digest", "complete", "missing", "summary", "run", "semver"):
        assert {number: one[field] for number, one in after.items()} == {
            number: one[field] for number, one in before.items()
        }
    assert cli.json("audit", "verify")["ok"]
    assert cli.json("check")["ok"]
    assert cli.json("checkout", "churn@3", "bundle")["digest"] == before[3]["digest"]
    assert cli.json("pull")["blobs"] == 0
    event = cli.json("log", "churn")["events"][0]
    assert event["action"] == "model:version:import"
    assert event["details"]["origin"]["created_by"] == before[1]["created_by"]
    cli.fails("already_exists", "clone", pushed, ".")


def test_one_version_may_be_pulled_and_leaves_a_gap_that_is_filled_later(
    cli: Cli, pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank_project(somewhere_else(folder, monkeypatch))
    cli.fails("not_found", "pull", "churn@4")
    cli.ok("remote", "add", "origin", pushed)
    cli.ok("pull", "churn@4")
    assert [one["version"] for one in cli.json("list", "churn")["versions"]] == [4]
    assert cli.json("register", "churn", "--reason", "ours")["version"] == 5
    cli.ok("pull", "churn@2")
    assert [one["version"] for one in cli.json("list", "churn")["versions"]] == [2, 4, 5]
    assert cli.json("audit", "verify")["ok"]
    size = len(cli.json("log", "churn")["events"])
    error = cli.fails("already_exists", "pull", "churn@5")
    assert error["version"] == 5
    assert error["digest"] != error["asked"]
    cli.fails("already_exists", "pull", "churn")
    assert len(cli.json("log", "churn")["events"]) == size
    cli.fails("already_exists", "push", "churn@5")
    for text, code in (("churn@9", "not_found"), ("churn@production", "usage"), ("nobody", "not_found")):
        cli.fails(code, "pull", text)


@pytest.mark.thorough
def test_a_version_that_has_another_number_here_is_not_taken_in_twice(
    cli: Cli, incomplete: Path, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("register", "churn", "--param", "rate=2", "--reason", "the second")
    cli.ok("remote", "add", "origin", url)
    cli.ok("push")
    blank_project(somewhere_else(folder, monkeypatch))
    cli.ok("register", "churn", "--param", "rate=2", "--reason", "the first here")
    cli.ok("remote", "add", "origin", url)
    size = len(cli.json("log")["events"])
    error = cli.fails("already_exists", "pull", "churn@2")
    assert (error["version"], error["digest"]) == (1, error["asked"])
    assert len(cli.json("log")["events"]) == size


def test_a_clone_of_one_model_only(cli: Cli, pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok("register", "other", "--reason", "a start")
    cli.ok("push", "other")
    somewhere_else(folder, monkeypatch)
    assert {one["model"] for one in cli.json("clone", pushed, "all")["versions"]} == {"churn", "other"}
    assert {one["model"] for one in cli.json("clone", pushed, "one", "--only", "other")["versions"]} == {"other"}


@pytest.mark.thorough
def test_a_snapshot_travels_by_its_digest(
    cli: Cli, project: Path, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data.csv").write_text("a,b\n1,2\n")
    digest = cli.json("snapshot", "data.csv")["digest"]
    cli.ok("remote", "add", "origin", url)
    assert cli.json("push", digest)["snapshots"] == [{"digest": digest, "new": True}]
    there = somewhere_else(folder, monkeypatch)
    cli.ok("clone", url, "team")
    monkeypatch.chdir(there / "team")
    cli.ok("checkout", digest, "data")
    assert Path("data/data.csv").read_text() == "a,b\n1,2\n"
    cli.fails("not_found", "pull", "sha256:" + "0" * 64)
    cli.fails("not_found", "push", "sha256:" + "0" * 64)


def test_a_place_without_a_store_is_not_cloned(cli: Cli, folder: Path, url: str) -> None:
    cli.fails("not_found", "clone", url, "team")
    assert list(folder.iterdir()) == []


def test_a_ref_that_says_what_the_manifest_does_not_is_refused(
    cli: Cli, pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = Path(pushed) / "refs/versions/churn/000000000002"
    ref.chmod(0o644)
    ref.write_text(ref.read_text().replace('"complete":true', '"complete":false'))
    blank_project(somewhere_else(folder, monkeypatch))
    cli.ok("remote", "add", "origin", pushed)
    cli.fails("integrity", "pull", "churn@2")
    cli.fails("not_found", "show", "churn@2")
    other = Path(pushed) / "refs/versions/churn/000000000007"
    other.write_text((Path(pushed) / "refs/versions/churn/000000000001").read_text())
    cli.fails("unsupported_format", "pull", "churn@7")


def test_with_several_remotes_one_is_named_or_origin(cli: Cli, incomplete: Path, tmp_path: Path) -> None:
    cli.fails("not_found", "push")
    cli.ok("remote", "add", "one", str(tmp_path / "one"))
    assert cli.json("push")["url"] == str(tmp_path / "one")
    cli.ok("remote", "add", "two", str(tmp_path / "two"))
    assert cli.fails("not_found", "push")["remotes"] == ["one", "two"]
    assert cli.json("push", "--remote", "two")["url"] == str(tmp_path / "two")
    cli.ok("remote", "add", "origin", str(tmp_path / "three"))
    assert cli.json("push")["url"] == str(tmp_path / "three")


@pytest.mark.slow
@pytest.mark.parametrize("wait_ms", [5, 30, 60, 100, 150])
def test_a_push_that_is_killed_is_finished_by_the_next_one(
    cli: Cli, project: Path, url: str, monkeypatch: pytest.MonkeyPatch, wait_ms: int
) -> None:
    (project / "data").mkdir()
    for number in range(40):
        (project / f"data/{number}").write_bytes(os.urandom(400_000))
    digest = cli.json("snapshot", "data")["digest"]
    cli.ok("remote", "add", "origin", url)
    process = subprocess.Popen([sys.executable, "-m", "holdfast", "push", digest], stdout=subprocess.DEVNULL)
    until(lambda: Path(url, "config.json").exists() or process.poll() is not None, pause_seconds=0.001)
    time.sleep(wait_ms / 1000)
    process.kill()
    process.wait()
    there = somewhere_else(project, monkeypatch)
    if process.returncode != 0:
        assert cli("clone", url, "early").code in {0, EXIT_CODES["not_found"]}
    monkeypatch.chdir(project)
    cli.ok("push", digest)
    monkeypatch.chdir(there)
    cli.ok("clone", url, "team")
    monkeypatch.chdir(there / "team")
    cli.ok("checkout", digest, "data")
    for number in range(40):
        assert Path(f"data/{number}").read_bytes() == (project / f"data/{number}").read_bytes()
    assert list(Path(url, "tmp").iterdir()) == []


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.mark.slow
def test_a_bucket_is_a_remote(
    cli: Cli, incomplete: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Server
) -> None:
    bucket = s3.bucket()
    s3.use(monkeypatch)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    given = ["--endpoint", s3.endpoint]
    cli.ok("remote", "add", "origin", f"s3://{bucket}/team", *given)
    assert cli.json("push")["blobs"] > 0
    there = somewhere_else(folder, monkeypatch)
    cli.ok("clone", f"s3://{bucket}/team", "team", *given)
    monkeypatch.chdir(there / "team")
    assert [one["version"] for one in cli.json("list", "churn")["versions"]] == [1]
    assert cli.json("check")["ok"]
    refused = cli("remote", "add", "gone", "s3://nobody-made-this-one", *given)
    assert refused.code == EXIT_CODES["not_found"]


@pytest.mark.slow
def test_a_bucket_keeps_data_in_the_storage_class_that_was_chosen(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Server
) -> None:
    bucket = s3.bucket()
    s3.use(monkeypatch)
    url = f"s3://{bucket}/team"
    cli.fails("usage", "remote", "add", "cold", url, "--storage-class", "DEEP_ARCHIVE")
    assert cli.json("remote", "add", "cold", url, "--storage-class", "glacier_ir")["storage_class"] == "GLACIER_IR"
    assert "GLACIER_IR" in cli.ok("remote", "list").out
    cli.ok("push")
    transport = open_transport(Address.parse(url))
    found = {one.key: s3.storage_class(bucket, f"team/{one.key}") for one in transport.list("")}
    assert {kind for key, kind in found.items() if key.startswith("packs/")} == {"GLACIER_IR"}
    assert {kind for key, kind in found.items() if not key.startswith("packs/")} == {"STANDARD"}


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("what", ["packs", "index"])
def test_damage_in_a_remote_is_named_and_healed_from_a_project_that_has_the_bytes(
    cli: Cli, pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    assert cli.json("check", "--remote", "origin")["ok"] is True
    for path in Path(pushed, what).rglob("*"):
        if path.is_file():
            flipped(path)
    told = cli("check", "--remote", "origin", "--json")
    assert told.code == EXIT_CODES["integrity"]
    assert told.value["damaged"]
    assert any("churn@1" in one["versions"] for one in told.value["damaged"])
    assert cli("check", "--remote", "origin").code == told.code
    assert cli.json("check", "--remote", "origin", "--repair")["ok"] is True
    assert cli.json("check", "--remote", "origin")["repaired"] == []
    somewhere_else(folder, monkeypatch)
    cli.ok("clone", pushed, "theirs")
    monkeypatch.chdir("theirs")
    assert cli.json("check")["ok"] is True
    assert cli.json("check", "--remote", "origin")["ok"] is True


def test_a_remote_that_is_no_store_cannot_be_checked(cli: Cli, project: Path, url: str) -> None:
    cli.ok("remote", "add", "origin", url)
    cli.fails("not_found", "check", "--remote", "origin")
    cli.fails("not_found", "check", "--remote", "other")
