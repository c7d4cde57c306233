"""`check` and `audit verify`: what is damaged, and what somebody edited."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.digest import Digest
from tests.commands import Cli
from tests.store.spoiling import alone


def flip_a_bit(blob: Path) -> None:
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)


def blob_of(project: Path, digest: str) -> Path:
    return alone(project / ".holdfast/store", Digest.parse(digest))


def test_a_whole_store_is_ok(cli: Cli, incomplete: Path) -> None:
    value = cli.json("check")
    assert (value["ok"], value["damaged"]) == (True, [])
    assert value["blobs"] > 0
    assert value["bytes"] > 0
    assert cli.ok("check").out.startswith(f"ok: {value['blobs']} blobs, ")


def test_a_flipped_bit_is_named_with_the_versions_that_it_hurts(cli: Cli, incomplete: Path) -> None:
    card = next(file for file in cli.json("show", "churn@1")["files"] if file["path"] == "CARD.md")
    flip_a_bit(blob_of(incomplete, card["digest"]))
    told = cli("check", "--json")
    assert told.code == EXIT_CODES["integrity"]
    assert told.value["ok"] is False
    (damaged,) = told.value["damaged"]
    assert (damaged["digest"], damaged["versions"]) == (card["digest"], ["churn@1"])
    spoken = cli("check")
    assert spoken.code == told.code
    assert f"{card['digest']}  hurts churn@1" in spoken.out


def test_a_lost_blob_is_named_too(cli: Cli, incomplete: Path) -> None:
    version = cli.json("show", "churn@1")
    blob_of(incomplete, version["digest"]).unlink()
    told = cli("check", "--json")
    assert told.code == EXIT_CODES["integrity"]
    assert version["digest"] in [one["digest"] for one in told.value["damaged"]]


def test_what_is_damaged_is_fetched_again_from_a_remote(cli: Cli, incomplete: Path, tmp_path: Path) -> None:
    cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
    cli.ok("push")
    card = next(file for file in cli.json("show", "churn@1")["files"] if file["path"] == "CARD.md")
    flip_a_bit(blob_of(incomplete, card["digest"]))
    assert cli("check").code == EXIT_CODES["integrity"]
    value = cli.json("check", "--repair")
    assert (value["ok"], value["damaged"]) == (True, [])
    assert any(card["digest"] in sentence for sentence in value["repaired"])
    assert cli.json("check")["repaired"] == []


def test_a_store_that_lost_everything_is_filled_again_from_a_remote(cli: Cli, incomplete: Path, tmp_path: Path) -> None:
    cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
    cli.ok("push")
    before = cli.json("check")
    for folder in ("packs", "index", "blobs"):
        shutil.rmtree(incomplete / ".holdfast/store" / folder)
    value = cli.json("check", "--repair")
    assert (value["ok"], value["blobs"]) == (True, before["blobs"])


def test_what_no_remote_has_stays_damaged(cli: Cli, incomplete: Path, tmp_path: Path) -> None:
    cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
    card = next(file for file in cli.json("show", "churn@1")["files"] if file["path"] == "CARD.md")
    flip_a_bit(blob_of(incomplete, card["digest"]))
    told = cli("check", "--repair", "--json")
    assert told.code == EXIT_CODES["integrity"]
    assert [one["digest"] for one in told.value["damaged"]] == [card["digest"]]


def test_a_lost_index_is_a_note_until_it_is_made_again(cli: Cli, incomplete: Path) -> None:
    for path in (incomplete / ".holdfast/store/index").iterdir():
        path.unlink()
    told = cli("check", "--json")
    assert (told.value["ok"], told.value["damaged"]) == (False, [])
    assert "no index" in told.value["notes"][0]
    assert cli.json("check", "--repair")["ok"] is True
    assert cli.json("check")["notes"] == []


def test_a_check_by_shares_reads_all_of_it_in_the_end(cli: Cli, incomplete: Path) -> None:
    whole = cli.json("check")["bytes_read"]
    assert sum(cli.json("check", "--subset", f"{share}/3")["bytes_read"] for share in (1, 2, 3)) == whole > 0
    assert cli.json("check", "--structure")["bytes_read"] == 0
    for wrong in ("4/3", "x", "1", "1/0"):
        cli.fails("usage", "check", "--subset", wrong)


def test_an_untouched_log_verifies(cli: Cli, incomplete: Path) -> None:
    value = cli.json("audit", "verify")
    assert {"ok", "size", "root", "first_bad"} <= set(value)
    assert (value["ok"], value["size"], value["first_bad"]) == (True, 2, None)
    assert cli.ok("audit", "verify").out.startswith("ok: ")


def test_an_edited_log_does_not(cli: Cli, incomplete: Path) -> None:
    with closing(sqlite3.connect(incomplete / ".holdfast/registry.db")) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        changed = connection.execute("UPDATE events SET reason = 'another story' WHERE \"index\" = 1")
        assert changed.rowcount == 1
        connection.commit()
    told = cli("audit", "verify", "--json")
    assert told.code == EXIT_CODES["integrity"]
    assert (told.value["ok"], told.value["first_bad"]) == (False, 1)
    spoken = cli("audit", "verify")
    assert (spoken.code, spoken.out[:6]) == (told.code, "BROKEN")


def test_the_database_itself_refuses_an_edit(incomplete: Path) -> None:
    with closing(sqlite3.connect(incomplete / ".holdfast/registry.db")) as connection:
        for statement in ("UPDATE events SET reason = 'x'", "DELETE FROM events", "DELETE FROM versions"):
            try:
                connection.execute(statement)
            except sqlite3.IntegrityError:
                continue
            raise AssertionError(statement)
