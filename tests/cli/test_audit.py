"""`audit`: what it prints is what auditors keep, check and compare; byte for byte."""

import json
import shutil
import sqlite3
import subprocess
import sys
from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.digest import Digest
from holdfast.registry.checkpoints import Checkpoint, VerifierKey
from holdfast.registry.merkle import root_by_inclusion
from tests.commands import Cli, holdfast
from tests.patience import PATIENCE_SECONDS


def test_the_checkpoint_is_signed_by_the_key_that_is_printed(cli: Cli, incomplete: Path) -> None:
    key = VerifierKey.parse(cli.ok("audit", "key").out)
    note = cli.ok("audit", "checkpoint").out.encode()
    value = cli.json("audit", "checkpoint")
    assert value["checkpoint"].encode() == note
    said = key.open(note)
    assert (said.origin, said.head.size, str(said.head.root)) == (value["origin"], 2, value["root"])
    assert cli.json("audit", "key") == {"key": str(key), "origin": key.name, "retired": []}
    assert cli.json("audit", "verify")["root"] == value["root"]


def test_a_log_keeps_the_name_that_was_chosen_for_it(cli: Cli, folder: Path) -> None:
    cli.ok("init", "--log-name", "example.org/churn")
    assert cli.ok("audit", "checkpoint").out.startswith(
        "example.org/churn\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
    )


def test_a_name_that_no_log_can_have_makes_no_project(cli: Cli, folder: Path) -> None:
    cli.fails("usage", "init", "--log-name", "a b")
    assert list(folder.iterdir()) == []


def test_an_event_is_proven_for_people_and_for_programs(cli: Cli, incomplete: Path) -> None:
    value = cli.json("audit", "proof", "1")
    path = [b64decode(node) for node in value["path"]]
    assert root_by_inclusion(value["body"].encode(), 1, value["size"], path) == Digest.parse(value["root"])
    assert json.loads(value["body"])["action"] == "model:version:register"
    text = cli.ok("audit", "proof", "1").out
    assert (
        text
        == "c2sp.org/tlog-proof@v1\nindex 1\n" + "".join(f"{n}\n" for n in value["path"]) + "\n" + value["checkpoint"]
    )
    growth = cli.json("audit", "proof", "--since", "1")
    assert (growth["old"]["size"], growth["new"]["size"], growth["checkpoint"]) == (1, 2, value["checkpoint"])
    cli.fails("not_found", "audit", "proof", "2")
    cli.fails("not_found", "audit", "proof", "--since", "3")
    cli.fails("usage", "audit", "proof")
    cli.fails("usage", "audit", "proof", "1", "--since", "1")


def test_an_export_is_the_bodies_between_a_head_and_a_checkpoint(cli: Cli, incomplete: Path) -> None:
    lines = cli.ok("audit", "export").out.splitlines()
    events = cli.json("log")["events"]
    begin, *bodies, end = (json.loads(line) for line in lines)
    assert begin == {"format": "holdfast.log", "version": "1.0", "origin": begin["origin"], "since": 0, "edge": []}
    assert [{**body, "hash": event["hash"]} for body, event in zip(bodies, reversed(events), strict=True)] == events[
        ::-1
    ]
    assert end["last"] == events[0]["hash"]
    assert Checkpoint.parse(end["checkpoint"]).head.size == 2
    assert len(cli.ok("audit", "export", "--since", "1").out.splitlines()) == 3
    cli.fails("not_found", "audit", "export", "--since", "3")


@pytest.mark.slow
def test_the_verifier_that_is_printed_checks_the_export_that_is_printed(
    cli: Cli, incomplete: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    for name, arguments in (
        ("verify.py", ["verifier"]),
        ("log.jsonl", ["export"]),
        ("key", ["key"]),
        ("kept", ["checkpoint"]),
    ):
        told = holdfast("audit", *arguments, folder=incomplete)
        assert (told.code, told.err) == (0, "")
        (away / name).write_text(told.out, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "log.jsonl", "key", "--checkpoint", "kept"],
        cwd=away, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    signer = (away / "key").read_text(encoding="utf-8").partition("+")[0]
    assert signer.startswith("project-"), "the folder in which a blank project is made"
    assert done.stdout == f"ok: 2 events, as signed by {signer}\n"
    assert cli.json("audit", "verifier")["program"] == (away / "verify.py").read_text(encoding="utf-8")


def test_a_restored_database_is_refused_until_somebody_says_why(cli: Cli, incomplete: Path) -> None:
    database = incomplete / ".holdfast/registry.db"
    with closing(sqlite3.connect(database)) as live, closing(sqlite3.connect("backup.db")) as backup:
        live.backup(backup)
    cli.ok("register", "churn", "--param", "a=1", "--reason", "more")
    kept = Path("kept.note")
    kept.write_text(cli.ok("audit", "checkpoint").out, encoding="utf-8")
    for path in database.parent.glob("registry.db*"):
        path.unlink()
    shutil.copy("backup.db", database)
    for arguments in (
        ["list"],
        ["log"],
        ["register", "churn", "--param", "a=2", "--reason", "x"],
        ["audit", "checkpoint"],
    ):
        error = cli.fails("integrity", *arguments)
        assert (error["seen"]["size"], error["found"]["size"]) == (3, 2)
        assert "holdfast audit accept" in error["hint"]
    told = cli("audit", "verify", "--json")
    assert told.code == EXIT_CODES["integrity"]
    assert (told.value["ok"], told.value["first_bad"]) == (False, 2)
    assert [one["agrees"] for one in told.value["compared"]] == [False, False]
    before = cli.json("audit", "key")["key"]
    cli.fails("usage", "audit", "accept", "--reason", "")
    value = cli.json("audit", "accept", "--reason", "the disk died")
    assert value["event"] == 2
    assert value["key"] != before
    assert cli.json("log")["events"][0]["action"] == "log:checkpoint:accept"
    assert cli.json("audit", "verify")["ok"] is True
    cli.fails("usage", "audit", "accept", "--reason", "again")
    told = cli("audit", "verify", "--checkpoint", str(kept), "--json")
    assert told.code == EXIT_CODES["integrity"], "who kept a checkpoint still sees that something is gone"


def test_a_log_that_was_written_anew_is_refused_by_the_next_command(cli: Cli, incomplete: Path) -> None:
    with closing(sqlite3.connect(incomplete / ".holdfast/registry.db")) as raw:
        raw.execute("DROP TRIGGER event_nodes_refuse_update")
        raw.execute("UPDATE event_nodes SET nodes = zeroblob(length(nodes)) WHERE event = 1")
        raw.commit()
    assert cli.fails("integrity", "list")["seen"]["size"] == 2


def test_a_project_that_begins_anew_is_no_rewritten_log(cli: Cli, incomplete: Path) -> None:
    shutil.rmtree(incomplete / ".holdfast")
    cli.ok("init")
    assert cli.json("audit", "verify")["size"] == 0


def test_a_file_that_holds_no_checkpoint_of_this_log_is_refused(cli: Cli, incomplete: Path, tmp_path: Path) -> None:
    cli.fails("not_found", "audit", "verify", "--checkpoint", "absent.note")
    Path("empty.note").write_text("")
    cli.fails("unsupported_format", "audit", "verify", "--checkpoint", "empty.note")
    note = cli.ok("audit", "checkpoint").out
    Path("edited.note").write_text(note.replace("\n2\n", "\n1\n"), encoding="utf-8")
    cli.fails("integrity", "audit", "verify", "--checkpoint", "edited.note")


@pytest.mark.slow
def test_nothing_of_cryptography_is_loaded_by_commands_that_sign_nothing(cli: Cli, incomplete: Path) -> None:
    code = "import sys; from holdfast.cli.app import run; run(['list']); sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=PATIENCE_SECONDS)
