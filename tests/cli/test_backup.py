"""`backup`: everything in one more place, and everything back from there."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.errors import NotFound
from holdfast.store.remote import mirror as mirroring
from tests.commands import Cli, holdfast
from tests.postgres import PostgresServer
from tests.servers import s3_server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


def names_in(place: Path) -> Path:
    return max((place / "backups").iterdir())


def doctored(place: Path, old: bytes, new: bytes) -> None:
    """Change a backup of the names, and give it the name that its bytes then want."""
    file = names_in(place)
    text = zstandard.ZstdDecompressor().decompress(file.read_bytes(), max_output_size=1 << 30)
    assert old in text
    data = zstandard.ZstdCompressor().compress(text.replace(old, new))
    made_at = file.name.rpartition(".")[0]
    file.unlink()
    (place / "backups" / f"{made_at}.{hashlib.sha256(data).hexdigest()}").write_bytes(data)


def said(cli: Cli) -> dict[str, Any]:
    """What a person would look at first."""
    return {
        "list": cli.json("list"),
        "live": cli.json("live", "churn"),
        "log": [one for one in cli.json("log")["events"] if one["action"] != "log:backup:restore"],
        "search": cli.json("search", ""),
    }


def test_a_project_comes_back_as_it_was(cli: Cli, moved: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.ok("remote", "add", "origin", str(place.parent / "remote"))
    before, made = said(cli), cli.json("backup", "make", str(place))
    shutil.rmtree(moved)
    again = moved.parent / "again"
    again.mkdir()
    monkeypatch.chdir(again.parent)
    back = cli.json("backup", "restore", str(place), "again", "--reason", "the disk died")
    monkeypatch.chdir(again)
    assert (back["backup"], back["events"], back["files_new"]) == (made["backup"], made["events"], made["files"])
    assert said(cli) == before
    assert (again / "holdfast.toml").read_text().startswith("[gate.production]")
    assert [one["name"] for one in cli.json("remote", "list")["remotes"]] == ["origin"]
    assert cli.json("check")["ok"] is True
    assert cli.json("audit", "verify")["ok"] is True
    last = cli.json("log")["events"][0]
    assert (last["action"], last["reason"]) == ("log:backup:restore", "the disk died")
    assert cli.ok("rollback", "churn", "--reason", "it goes on").out


def test_only_what_is_new_is_copied(cli: Cli, incomplete: Path, place: Path) -> None:
    first = cli.json("backup", "make", str(place))
    second = cli.json("backup", "make", str(place))
    (incomplete / "more.csv").write_text("a\n1\n")
    cli.ok("snapshot", "more.csv")
    third = cli.json("backup", "make", str(place))
    assert first["files_new"] == first["files"] > 0
    assert second["files_new"] == second["bytes_new"] == 0
    assert 0 < third["files_new"] == third["files"] - first["files"]
    listed = cli.json("backup", "list", str(place))["backups"]
    assert [one["backup"] for one in listed] == [one["backup"] for one in (third, second, first)]


def test_an_older_one_is_chosen_by_how_it_begins(cli: Cli, incomplete: Path, place: Path) -> None:
    first = cli.json("backup", "make", str(place))["backup"]
    cli.ok("register", "churn", "--reason", "more", "--param", "rate=1")
    cli.ok("backup", "make", str(place))
    back = cli.json("backup", "restore", str(place), "old", "--backup", first)
    assert back["backup"] == first
    assert back["events"] == 2
    cli.fails("not_found", "backup", "restore", str(place), "older", "--backup", "19990101")
    assert not (incomplete / "older").exists()


def test_a_place_without_backups_says_how_to_make_one(cli: Cli, place: Path) -> None:
    assert cli.json("backup", "list", str(place)) == {"backups": []}
    error = cli.fails("not_found", "backup", "restore", str(place), "again")
    assert error["hint"].startswith("Make one")


def test_a_folder_with_something_else_in_it_is_no_place(cli: Cli, incomplete: Path, place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").write_text("mine")
    cli.fails("unsupported_format", "backup", "make", str(place))
    assert [one.name for one in place.iterdir()] == ["thesis.txt"]


def test_names_alone(cli: Cli, incomplete: Path, place: Path) -> None:
    made = cli.json("backup", "make", str(place), "--names-only")
    assert made["files"] is None
    assert [one.name for one in place.iterdir() if one.name not in {"tmp", "probe"}] == ["backups"]


def test_a_registry_in_use_is_not_written_over(cli: Cli, incomplete: Path, place: Path) -> None:
    cli.ok("backup", "make", str(place))
    cli.fails("usage", "backup", "restore", str(place), ".")
    assert len(cli.json("log")["events"]) == 2


def test_damaged_names_are_not_put_back(cli: Cli, incomplete: Path, place: Path) -> None:
    cli.ok("backup", "make", str(place))
    file = names_in(place)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    cli.fails("integrity", "backup", "restore", str(place), "again")
    assert not (incomplete / "again/.holdfast/registry.db").exists()


def test_names_that_were_edited_are_not_put_back(cli: Cli, incomplete: Path, place: Path) -> None:
    cli.ok("backup", "make", str(place))
    doctored(place, b'"a start"', b'"a crime"')
    error = cli.fails("integrity", "backup", "restore", str(place), "again")
    assert error["first_bad"] == 1
    cli.fails("integrity", "backup", "restore", str(place), "again")  # the first time left nothing behind


def test_a_backup_of_something_else_is_refused(cli: Cli, incomplete: Path, place: Path) -> None:
    cli.ok("backup", "make", str(place))
    doctored(place, b'"holdfast.backup"', b'"somebody.elses"')
    cli.fails("unsupported_format", "backup", "restore", str(place), "again")


def test_a_damaged_pack_is_named_and_all_else_is_kept(cli: Cli, churn: Path, place: Path) -> None:
    victim = max((churn / ".holdfast/store/packs").rglob("*"), key=lambda one: one.stat().st_size * one.is_file())
    victim.chmod(0o644)
    with victim.open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    answer = cli("backup", "make", str(place), "--json")
    assert answer.code == EXIT_CODES["integrity"]
    assert answer.value["damaged"] == [f"packs/{victim.parent.name}/{victim.name}"]
    assert answer.value["files_new"] == answer.value["files"] - 1
    cli.ok("backup", "restore", str(place), "again")


def test_a_damaged_pack_in_the_place_is_named_when_it_is_put_back(cli: Cli, churn: Path, place: Path) -> None:
    cli.ok("backup", "make", str(place))
    victim = max((one for one in (place / "packs").rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
    victim.chmod(0o644)
    with victim.open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    answer = cli("backup", "restore", str(place), "again", "--json")
    assert answer.code == EXIT_CODES["integrity"]
    assert answer.value["damaged"] == [f"packs/{victim.parent.name}/{victim.name}"]


def test_an_interrupted_one_goes_on_where_it_ended(
    cli: Cli, churn: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(BaseException):
        pass

    left, copied = 3, mirroring._copied

    def some(*arguments: Any, **named: Any) -> bool | NotFound:
        nonlocal left
        left -= 1
        if left < 0:
            raise Enough
        return copied(*arguments, **named)

    monkeypatch.setattr(mirroring, "_copied", some)
    with pytest.raises(Enough):
        cli("backup", "make", str(place))
    monkeypatch.undo()
    assert cli.json("backup", "list", str(place)) == {"backups": []}
    os.chdir(churn)
    made = cli.json("backup", "make", str(place))
    assert made["files_new"] == made["files"] - 3


def test_a_client_of_a_server_is_sent_there(
    cli: Cli, incomplete: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_URL", "http://127.0.0.1:9")
    assert "where the server runs" in cli.fails("usage", "backup", "make", str(place))["hint"]
    assert "HOLDFAST_URL" in cli.fails("usage", "backup", "restore", str(place), "again")["message"]


def test_what_was_seen_of_the_log_is_not_forgotten(cli: Cli, incomplete: Path, place: Path) -> None:
    """Putting back yesterday's is no way to have people forget what they saw today."""
    cli.ok("backup", "make", str(place))
    cli.ok("register", "churn", "--reason", "more", "--param", "rate=1")
    shutil.rmtree(incomplete / ".holdfast")
    cli.ok("backup", "restore", str(place), ".", "--reason", "the disk died")
    cli.fails("integrity", "list")
    cli.ok("audit", "accept", "--reason", "one version was lost with the disk")
    assert len(cli.json("list")["versions"]) == 1


@pytest.mark.slow
def test_it_goes_to_a_bucket_and_from_there_to_a_server(
    cli: Cli, moved: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, home = moved.parent / "again", moved.parent / "home"

    def done(folder: Path, *arguments: str) -> Any:
        """By the program: its connections to the server end with it."""
        answer = holdfast(*arguments, "--json", folder=folder)
        assert answer.code == 0, answer.err
        return answer.value

    with s3_server() as server:
        server.use(monkeypatch)
        first, second = (f"s3://{server.bucket()}/backups" for _ in range(2))
        before = said(cli)
        done(moved, "backup", "make", first)
        name = postgres.database()
        try:
            with monkeypatch.context() as patch:
                patch.setenv("HOLDFAST_DATABASE_URL", postgres.url(name))
                patch.setenv("HOLDFAST_STORE_URL", f"s3://{server.bucket()}/bytes")
                done(moved, "backup", "restore", first, str(again))
                assert done(again, "live", "churn") == before["live"]
                assert done(again, "audit", "verify")["ok"] is True
                assert done(again, "check")["ok"] is True
                done(again, "checkout", "churn@2", "there")
                done(again, "backup", "make", second)  # from a server and a bucket, to another bucket
            done(moved, "backup", "restore", second, str(home))
        finally:
            postgres.drop(name)
    monkeypatch.chdir(home)
    assert said(cli) == before
    assert cli.json("check")["ok"] is True


@pytest.mark.slow
def test_what_is_made_while_others_write_is_whole(cli: Cli, incomplete: Path, place: Path) -> None:
    """Every version whose name is in a backup has its bytes in it, whatever is registered meanwhile."""
    script = (
        "from holdfast.cli.app import run\nfor i in range(1000): run(['register', 'churn', '--param', f'rate={i}'])"
    )
    writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert writer.stdout is not None
        made = []
        for _ in range(4):
            writer.stdout.read(1)  # it is at work
            made.append(cli.json("backup", "make", str(place)))
    finally:
        writer.kill()
        writer.communicate()
    assert made[-1]["events"] > made[0]["events"]
    for one in made:
        cli.ok("backup", "restore", str(place), one["backup"], "--backup", one["backup"])
        os.chdir(one["backup"])
        assert cli.json("check")["ok"] is True
        os.chdir(incomplete)
