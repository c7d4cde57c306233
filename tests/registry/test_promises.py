# ruff: noqa: S608 - statements are put together from constants: these tests reach around the registry.
"""What the database itself refuses, whoever writes to it and with whatever program."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.canonical import encode
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import RolloutState, Turn
from holdfast.registry.sql import SqlRegistry
from tests.blank import blank_registry
from tests.registry.conftest import Clock, counted, fill
from tests.signatures import signature_of


@pytest.fixture(scope="module")
def signed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with something of every kind, and a signature."""
    path = tmp_path_factory.mktemp("signed") / "registry.db"
    with closing(Database.open(blank_registry(path))) as database:
        registry = SqlRegistry(database, Clock(), counted("approval-"))
        fill(registry)
        registry.put_signature(signature_of(ModelName("churn"), VersionNumber(1), hash_bytes(b"1")), "ana")
    return path


@pytest.fixture
def raw(signed_file: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(shutil.copy(signed_file, tmp_path / "registry.db"), isolation_level=None)) as raw:
        yield raw


def execute(raw: sqlite3.Connection, *statements: str) -> None:
    for statement in statements:
        raw.execute(statement)


def refused(raw: sqlite3.Connection, *statements: str, why: str) -> None:
    before = list(raw.iterdump())
    with pytest.raises(sqlite3.IntegrityError, match=why):
        execute(raw, *statements)
    if raw.in_transaction:
        raw.execute("ROLLBACK")
    assert list(raw.iterdump()) == before


FACTS = ["version_numbers", "version_texts"]
EVERY_ROW = [
    *("models", "versions", "events", "event_nodes", "verdicts", "approvals", "rehearsals", "signatures", "lineage"),
    *("rollouts", "truths", "version_entries", "version_indexes", *FACTS),
]


@pytest.mark.parametrize("table", EVERY_ROW)
def test_a_row_is_never_deleted(raw: sqlite3.Connection, table: str) -> None:
    refused(raw, f"DELETE FROM {table}", why="never changed or deleted")


@pytest.mark.parametrize("table", EVERY_ROW)
def test_no_column_of_a_row_is_ever_updated(raw: sqlite3.Connection, table: str) -> None:
    columns = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
    assert columns
    for column in columns:
        refused(raw, f'UPDATE {table} SET "{column}" = "{column}"', why="never changed or deleted")


@pytest.mark.parametrize(
    "table",
    [
        *("models", "versions", "version_entries", "version_indexes", *FACTS),
        *("events", "event_nodes", "verdicts", "approvals", "rehearsals", "signatures", "stages", "version_counters"),
        *("rollouts", "truths"),
    ],
)
def test_a_row_is_never_replaced_by_an_insert(raw: sqlite3.Connection, table: str) -> None:
    refused(raw, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}", why=".")


@pytest.mark.parametrize("table", FACTS)
def test_an_indexed_version_gets_no_more_facts(raw: sqlite3.Connection, table: str) -> None:
    [(indexed, bare)] = raw.execute(
        "SELECT MIN(i.event), MAX(e.event) FROM version_entries e LEFT JOIN version_indexes i ON i.event = e.event"
    )
    assert indexed != bare
    refused(raw, f"INSERT INTO {table} VALUES ('more', 1, {indexed})", why="no more facts")
    raw.execute(f"INSERT INTO {table} VALUES ('more', 1, {bare})")


def test_an_entry_names_the_event_that_numbered_its_version(raw: sqlite3.Connection) -> None:
    [(other,)] = raw.execute("SELECT MAX(event) FROM version_entries")
    raw.execute("PRAGMA foreign_keys = ON")
    refused(raw, f"INSERT INTO version_entries VALUES ({other}, 'churn', 9)", why="once")
    refused(raw, "INSERT INTO version_entries VALUES (0, 'churn', 9)", why="names the event")


def test_a_signature_comes_with_its_event(raw: sqlite3.Connection) -> None:
    row = "INSERT INTO signatures SELECT {}, model, {}, {}, public_key, body, created_at, {} FROM signatures"
    for digest, number, key, by in (
        ("'other'", "number", "key", "created_by"),
        ("digest", "2", "key", "created_by"),
        ("digest", "number", "'other'", "created_by"),
        ("digest", "number", "key", "'eve'"),
    ):
        refused(raw, row.format(digest, number, key, by), why="a signature needs its event, and is never replaced")


ROW = (
    'INSERT INTO rollouts SELECT (SELECT MAX("index") FROM events), {rollout}, model, stage, {epoch}, kind, {number}, '
    "digest, against, against_digest, '{state}', {step}, NULL, figures, '', NULL, "
    "(SELECT MAX(time) FROM events), '{by}' FROM rollouts WHERE event = rollout"
)


def turn(raw: sqlite3.Connection, **change: object) -> str:
    """An insertion of a well-chained event that goes on with the rollout of the registry, some of it changed."""
    [columns] = raw.execute("SELECT rollout, number, digest, against, against_digest, epoch FROM rollouts LIMIT 1")
    rollout, number, digest, against, against_digest, epoch = columns
    details: dict[str, object] = {"kind": "canary", "rollout": rollout, "state": "running", "step": 1, **change}
    more: dict[str, object] = {name: details.pop(name) for name in ("action", "model", "stage") if name in details}
    said: dict[str, object] = {
        "from_number": against,
        "from_digest": against_digest,
        "to_number": number,
        "to_digest": digest,
    }
    places: dict[str, object] = {
        "epoch": epoch,
        "last_known_good": None,
        "action": "stage:rollout:turn",
        **said,
        **more,
    }
    return event(raw, details=encode(details).decode(), **places)


def row(raw: sqlite3.Connection, **change: object) -> str:
    [(rollout, epoch, number)] = raw.execute("SELECT rollout, epoch, number FROM rollouts LIMIT 1")
    said = {"rollout": rollout, "epoch": epoch, "number": number, "state": "running", "step": 1, "by": "eve"}
    return ROW.format(**(said | change))


def test_a_rollout_goes_on_with_an_event_that_says_exactly_that(raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN")
    raw.execute(turn(raw))
    assert raw.execute(row(raw)).rowcount == 1
    raw.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ({"action": "stage:rollout:begin"}, {}),
        ({"action": "stage:pointer:define"}, {}),
        ({"stage": "staging"}, {}),
        ({"kind": "shadow"}, {}),
        ({"state": "held"}, {}),
        ({"step": 2}, {}),
        ({"rollout": 3}, {}),
        ({}, {"rollout": 3}),
        ({}, {"epoch": 9}),
        ({}, {"number": 3}),
        ({}, {"by": "ana"}),
    ],
    ids=str,
)
def test_a_rollout_does_not_go_on_with_an_event_that_says_something_else(
    raw: sqlite3.Connection, said: dict[str, object], written: dict[str, object]
) -> None:
    refused(raw, "BEGIN", turn(raw, **said), row(raw, **written), why="a row of a rollout needs its event")


def test_a_rollout_that_is_over_does_not_go_on_whatever_an_event_says(
    raw: sqlite3.Connection, registry_at: Callable[[Path], SqlRegistry], tmp_path: Path
) -> None:
    registry = registry_at(tmp_path / "registry.db")
    [there] = registry.rollouts(ModelName("churn"), StageName("production"))
    registry.turn_rollout(Turn(there.id, there.event, RolloutState.ABORTED, 0, "", {}), "ana")
    refused(raw, "BEGIN", turn(raw), row(raw), why="a row of a rollout needs its event")


def test_no_second_word_about_a_row_of_a_request_is_kept(raw: sqlite3.Connection) -> None:
    refused(raw, "INSERT INTO truths VALUES (99, 'churn', 'q1', 0, 'false', '', 'eve')", why="first word")


def test_a_stage_is_never_deleted(raw: sqlite3.Connection) -> None:
    refused(raw, "DELETE FROM stages", why="never deleted")


def test_a_stage_does_not_move_without_an_event(raw: sqlite3.Connection) -> None:
    for change in (
        "number = 3",
        "number = 3, epoch = epoch + 1",
        "number = 3, epoch = epoch + 1, event = event + 1",
        "number = 3, epoch = epoch + 1, event = 999",
        "last_known_good = 3",
        "changed_at = '2000-01-01T00:00:00.000000Z'",
        "name = 'other'",
        "model = 'other'",
        "number = NULL, epoch = epoch + 1",
    ):
        refused(raw, f"UPDATE stages SET {change} WHERE name = 'production'", why="no stage moves without its event")


def event(raw: sqlite3.Connection, **change: object) -> str:
    """An insertion of a well-chained event that promotes churn@3, with some of its columns changed."""
    index, prev, time = raw.execute('SELECT "index", hash, time FROM events ORDER BY "index" DESC LIMIT 1').fetchone()
    digest = raw.execute("SELECT digest FROM versions WHERE number = 3").fetchone()[0]
    columns = {
        "index": index + 1,
        "time": time,
        "actor": "eve",
        "action": "stage:pointer:promote",
        "model": "churn",
        "stage": "production",
        "from_number": 1,
        "to_number": 3,
        "to_digest": digest,
        "epoch": 4,
        "last_known_good": 1,
        "reason": "",
        "approvals": "[]",
        "details": "{}",
        "prev": prev,
        "hash": "sha256:x",
        "body": "",
        **change,
    }
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join("NULL" if value is None else repr(value) for value in columns.values())
    return f"INSERT INTO events ({names}) VALUES ({values})"


MOVE = (
    'UPDATE stages SET number = 3, epoch = 4, last_known_good = 1, event = (SELECT MAX("index") FROM events), '
    "changed_at = (SELECT MAX(time) FROM events) WHERE model = 'churn' AND name = 'production'"
)


def test_a_stage_moves_with_an_event_that_says_exactly_that(raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN")
    raw.execute(event(raw))
    assert raw.execute(MOVE).rowcount == 1
    raw.execute("ROLLBACK")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"stage": "staging"},
        {"from_number": 2},
        {"from_number": None},
        {"to_number": 2},
        {"epoch": 5},
        {"last_known_good": 2},
        {"action": "gate:verdict:refuse"},
        {"action": "stage:pointer:define"},
        {"time": "2030-01-01T00:00:00.000000Z"},
    ],
)
def test_a_stage_does_not_move_with_an_event_that_says_something_else(
    raw: sqlite3.Connection, change: dict[str, object]
) -> None:
    moved = MOVE.replace("(SELECT MAX(time) FROM events)", "(SELECT changed_at FROM stages WHERE name = 'production')")
    refused(raw, "BEGIN", event(raw, **change), moved if "time" in change else MOVE, why="no stage moves")


EMPTIED = {"action": "stage:pointer:clear", "to_number": None, "last_known_good": 1}

EMPTY = MOVE.replace("number = 3", "number = NULL", 1)


def test_a_stage_is_emptied_with_an_event_that_says_exactly_that(raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN")
    raw.execute(event(raw, **EMPTIED))
    assert raw.execute(EMPTY).rowcount == 1
    raw.execute("ROLLBACK")


@pytest.mark.parametrize("change", [{"action": "stage:pointer:promote"}, {"to_number": 2}, {"last_known_good": None}])
def test_a_stage_is_not_emptied_with_an_event_that_says_something_else(
    raw: sqlite3.Connection, change: dict[str, object]
) -> None:
    refused(raw, "BEGIN", event(raw, **{**EMPTIED, **change}), EMPTY, why="no stage moves")
    refused(raw, "BEGIN", event(raw, **EMPTIED), MOVE, why="no stage moves")


@pytest.mark.parametrize(
    "change",
    [{"index": 99}, {"index": 3}, {"prev": "sha256:y"}, {"prev": None}, {"time": "2000-01-01T00:00:00.000000Z"}],
)
def test_an_event_joins_the_log_only_behind_its_last_one(raw: sqlite3.Connection, change: dict[str, object]) -> None:
    refused(raw, event(raw, **change), why="only behind its last one")


def test_an_idempotency_key_belongs_to_one_event(raw: sqlite3.Connection) -> None:
    refused(raw, event(raw, idempotency_key="key-1"), why=".")


def test_a_version_has_its_event_and_the_number_that_was_counted(raw: sqlite3.Connection) -> None:
    row = "INSERT INTO versions SELECT model, {0}, 'sha256:new', 1, missing, run_id, NULL, summary, created_at, 'eve' "
    insert = row + "FROM versions WHERE number = 3"
    refused(raw, insert.format(4), why="needs its event")
    refused(raw, insert.format(9), why="needs its event")
    refused(raw, "BEGIN", "UPDATE version_counters SET value = 4", insert.format(4), why="needs its event")
    registered = event(raw, action="model:version:register", to_number=4, to_digest="sha256:new")
    refused(raw, "BEGIN", registered, insert.format(4), why="needs its event")


@pytest.mark.parametrize("value", [2, 3, 5, "value + 2", "NULL"])
def test_a_version_number_goes_up_by_one(raw: sqlite3.Connection, value: object) -> None:
    refused(raw, f"UPDATE version_counters SET value = {value}", why="go up by one")


def test_a_counter_is_never_deleted(raw: sqlite3.Connection) -> None:
    refused(raw, "DELETE FROM version_counters", why="never given again")


def test_a_model_and_a_stage_have_their_event(raw: sqlite3.Connection) -> None:
    refused(raw, "INSERT INTO models VALUES ('other', '', 'eve', '')", why="needs its event")
    blue = "INSERT INTO stages VALUES ('churn', 'blue', {}, {}, NULL, {}, '2026-03-01T09:00:01.000000Z')"
    refused(raw, blue.format("NULL", 0, 5), why="with its event")
    refused(raw, blue.format("1", 0, 0), why="begins empty")
    refused(raw, blue.format("NULL", 3, 0), why="begins empty")


def test_an_approval_has_its_event(raw: sqlite3.Connection) -> None:
    row = (
        "INSERT INTO approvals SELECT 'new', model, number, digest, stage, verdict, 'eve', meaning, reason, created_at "
    )
    refused(raw, row + "FROM approvals", why="needs its event")


def test_a_version_is_taken_in_with_its_event_only(raw: sqlite3.Connection) -> None:
    row = (
        "INSERT INTO versions (model, number, digest, complete, missing, summary, created_at, created_by) "
        "VALUES ('churn', 2000, 'sha256:y', 1, '[]', '{}', 't', 'eve')"
    )
    refused(raw, row, why="a version needs its event")
    refused(raw, "UPDATE version_counters SET value = 2000", why="go up by one")
