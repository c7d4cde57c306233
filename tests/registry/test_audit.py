# ruff: noqa: S608 - statements are put together from constants: these tests reach around the registry.
"""What is done behind the log's back is found. The triggers are taken away first: an owner of the file can do that."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.canonical import encode
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, VersionNumber
from holdfast.registry import Audit
from holdfast.registry.merkle import Head, Tree, root
from holdfast.registry.sql import SqlRegistry
from tests.effort import examples
from tests.signatures import signature_of

EVENTS = 14


@contextmanager
def without_triggers(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    connection.close()


def audited(path: Path, *statements: str, seen: Sequence[Head] = ()) -> Audit:
    with without_triggers(path) as raw:
        for statement in statements:
            assert raw.execute(statement).rowcount > 0
    database = Database.open(f"sqlite:///{path}")
    try:
        return SqlRegistry(database, lambda: pytest.fail("an audit needs no clock"), str).audit_verify(seen)
    finally:
        database.close()


@pytest.fixture
def path(filled_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled_file, tmp_path / "filled.db"))


def test_a_registry_that_nobody_touched_is_whole_and_its_root_is_that_of_the_bodies(path: Path) -> None:
    audit = audited(path)
    assert (audit.ok, audit.size, audit.first_bad) == (True, EVENTS, None)
    with sqlite3.connect(path) as raw:
        bodies = [row[0] for row in raw.execute('SELECT body FROM events ORDER BY "index"')]
    raw.close()
    assert audit.root == root(bodies)
    assert str(EVENTS) in audit.sentence


def test_every_event_can_be_checked_by_hand_from_what_the_log_prints(filled: SqlRegistry) -> None:
    prev = None
    for event in reversed(filled.log()):
        shown = json.loads(json.dumps(event.to_json()))
        assert shown["prev"] == prev
        prev = shown.pop("hash")
        assert str(hash_bytes(encode(shown))) == prev == event.hash == str(hash_bytes(event.body()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE stages SET number = 3 WHERE name = 'production'", "stage production of churn is not as"),
        ("UPDATE stages SET last_known_good = 3 WHERE name = 'production'", "stage production of churn is not as"),
        ("UPDATE stages SET epoch = 9 WHERE name = 'staging'", "stage staging of churn is not as"),
        ("DELETE FROM stages WHERE name = 'canary'", "stage canary of churn is gone"),
        ("INSERT INTO stages VALUES ('churn', 'blue', 1, 1, NULL, 0, '')", "stage blue of churn is there"),
        ("UPDATE versions SET digest = 'sha256:" + "0" * 64 + "' WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET complete = 0 WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET missing = '[\"x\"]' WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET missing = 'x' WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET summary = '{}' WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET run_id = 'r9' WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET created_by = 'eve' WHERE number = 3", "version churn@3 is not as"),
        ("DELETE FROM versions WHERE number = 3", "version churn@3 is gone"),
        ("UPDATE version_counters SET value = 9", "count of versions of churn"),
        ("UPDATE models SET created_by = 'eve'", "model churn is not as"),
        ("UPDATE models SET description = 'x'", "model churn is not as"),
        ("INSERT INTO models VALUES ('other', '', 'eve', '')", "model other is there"),
        ("UPDATE approvals SET approver = 'eve'", "approval approval-1 is not as"),
        ("UPDATE approvals SET meaning = 'reject'", "approval approval-1 is not as"),
        ("DELETE FROM approvals", "approval approval-1 is gone"),
        ("DELETE FROM lineage WHERE child = (SELECT MIN(child) FROM lineage)", "edge of lineage"),
        ("INSERT INTO lineage VALUES ('a', 'b', 'c', 'd', 'e')", "edge of lineage"),
        ("UPDATE verdicts SET body = x'7b7d'", "holds other bytes"),
        ("UPDATE verdicts SET outcome = 'fail'", "filed as something else"),
        ("UPDATE rehearsals SET outcome = 'fail'", "is not as the events say"),
        ("UPDATE rehearsals SET created_by = 'eve'", "is not as the events say"),
        ("UPDATE rehearsals SET body = x'7b7d'", "holds other bytes"),
        ("DELETE FROM rehearsals", "is gone"),
        ("UPDATE rollouts SET state = 'running'", "row of a rollout, of event 12, is not as"),
        ("UPDATE rollouts SET figures = x'7b7d'", "row of a rollout, of event 12, is not as"),
        ("UPDATE rollouts SET plan = x'7b7d' WHERE plan IS NOT NULL", "row of a rollout, of event 11, is not as"),
        ("UPDATE rollouts SET number = 3", "row of a rollout, of event 11, is not as"),
        ("UPDATE rollouts SET created_by = 'eve' WHERE plan IS NULL", "row of a rollout, of event 12, is not as"),
        ("DELETE FROM rollouts WHERE plan IS NULL", "row of a rollout, of event 12, is gone"),
    ],
)
def test_a_state_that_no_event_made_is_found_and_named(path: Path, change: str, said: str) -> None:
    audit = audited(path, change)
    assert not audit.ok
    assert audit.first_bad is None
    assert said in audit.sentence


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE signatures SET body = x'7b7d'", "holds other bytes"),
        ("UPDATE signatures SET public_key = 'none'", "filed under a key that did not make it"),
        ("UPDATE signatures SET key = 'sha256:" + "0" * 64 + "'", "signature {} is not as"),
        ("UPDATE signatures SET number = 2", "signature {} is not as"),
        ("UPDATE signatures SET created_by = 'eve'", "signature {} is not as"),
        ("UPDATE signatures SET digest = 'other'", "signature other is there"),
        ("DELETE FROM signatures", "signature {} is gone"),
    ],
)
def test_a_signature_that_no_event_made_is_found_and_named(path: Path, change: str, said: str) -> None:
    new = signature_of(ModelName("churn"), VersionNumber(1), hash_bytes(b"1"))
    with closing(Database.open(f"sqlite:///{path}")) as database:
        SqlRegistry(database, lambda: datetime.now(UTC), str).put_signature(new, "ana")
    assert audited(path).ok
    found = audited(path, change)
    assert not found.ok
    assert found.first_bad is None
    assert said.format(new.digest) in found.sentence


def test_an_end_that_was_cut_off_is_found_by_what_it_had_made(path: Path) -> None:
    audit = audited(path, f'DELETE FROM events WHERE "index" > {EVENTS - 4}')
    assert not audit.ok
    assert audit.size == EVENTS - 3


def test_an_event_that_was_taken_out_is_found_at_its_place(path: Path) -> None:
    audit = audited(path, 'DELETE FROM events WHERE "index" = 4')
    assert (audit.ok, audit.first_bad) == (False, 4)


def test_two_events_that_changed_places_are_found(path: Path) -> None:
    audit = audited(
        path,
        'UPDATE events SET "index" = 99 WHERE "index" = 4',
        'UPDATE events SET "index" = 4 WHERE "index" = 5',
        'UPDATE events SET "index" = 5 WHERE "index" = 99',
    )
    assert (audit.ok, audit.first_bad) == (False, 4)


def write_anew(path: Path, since: int, **change: object) -> None:
    """A forger who changes one event and recomputes the whole chain behind it, hashes, bodies and all but the tree."""
    with without_triggers(path) as raw:
        raw.row_factory = sqlite3.Row
        prev = None
        for row in raw.execute('SELECT * FROM events ORDER BY "index"').fetchall():
            body = {**json.loads(row["body"]), "prev": prev}
            if row["index"] == since:
                body.update(change)
            written = encode(body)
            prev = str(hash_bytes(written))
            raw.execute(
                'UPDATE events SET body = ?, hash = ?, prev = ?, from_number = ?, reason = ? WHERE "index" = ?',
                (written, prev, body["prev"], body["from"], body["reason"], row["index"]),
            )


def grow_anew(path: Path) -> None:
    """And then the tree."""
    with without_triggers(path) as raw:
        tree = Tree()
        for index, body in raw.execute('SELECT "index", body FROM events ORDER BY "index"').fetchall():
            raw.execute("UPDATE event_nodes SET nodes = ? WHERE event = ?", (tree.append(body), index))


def head_of(path: Path, size: int) -> Head:
    with closing(sqlite3.connect(path)) as raw:
        bodies = [row[0] for row in raw.execute('SELECT body FROM events ORDER BY "index" LIMIT ?', (size,))]
    return Head(size, root(bodies))


def test_a_log_that_was_written_anew_must_still_make_sense(path: Path) -> None:
    """The move that the forger changes does not follow from the others."""
    write_anew(path, 7, **{"from": 3})
    grow_anew(path)
    audit = audited(path)
    assert not audit.ok
    assert audit.first_bad == 7
    assert "from 3" in audit.sentence


def test_a_log_that_was_written_anew_is_not_what_the_tree_remembers(path: Path) -> None:
    write_anew(path, 6, reason="another story")
    audit = audited(path)
    assert (audit.ok, audit.first_bad) == (False, 6)
    assert "the tree over the log" in audit.sentence


def test_a_log_that_was_written_anew_with_its_tree_is_not_what_was_seen(path: Path) -> None:
    seen = [head_of(path, size) for size in (0, 5, 8, 9)]
    write_anew(path, 7, reason="another story")
    grow_anew(path)
    assert audited(path).ok, "alone, such a log cannot be told from a true one"
    audit = audited(path, seen=seen)
    assert (audit.ok, audit.first_bad) == (False, None)
    assert audit.unlike == tuple(seen[2:])
    assert "from event 5 or a later one on" in audit.sentence
    assert str(seen[2].root) in audit.sentence
    assert str(head_of(path, 8).root) in audit.sentence
    assert audited(path, seen=seen[:2]).ok
    assert "from event 7 on" in audited(path, seen=[*seen, Head(7, head_of(path, 7).root)]).sentence


@pytest.mark.parametrize("left", [0, 1, 6, EVENTS - 1])
def test_an_end_that_was_cut_off_with_all_that_it_made_is_not_what_was_seen(path: Path, left: int) -> None:
    seen = head_of(path, EVENTS)
    audit = audited(path, f'DELETE FROM events WHERE "index" >= {left}', seen=[seen])
    assert (audit.ok, audit.first_bad, audit.unlike) == (False, left, (seen,))
    assert f"the tree over the log still has {EVENTS}" in audit.sentence
    audit = audited(path, f"DELETE FROM event_nodes WHERE event >= {left}", seen=[seen])
    assert (audit.ok, audit.first_bad, audit.unlike) == (False, left, (seen,))
    assert f"ends at {left} events, and {EVENTS} were seen before" in audit.sentence
    assert str(seen.root) in audit.sentence


def test_a_log_that_begins_with_all_that_was_seen_is_whole(path: Path) -> None:
    audit = audited(path, seen=[head_of(path, size) for size in range(EVENTS + 1)])
    assert audit.ok, audit.sentence
    assert audit.unlike == ()


@pytest.mark.parametrize("event", range(EVENTS))
def test_a_tree_that_was_edited_is_found_at_its_event(path: Path, event: int) -> None:
    audit = audited(path, f"UPDATE event_nodes SET nodes = zeroblob(length(nodes)) WHERE event = {event}")
    assert (audit.ok, audit.first_bad) == (False, event)
    audit = audited(path, f"DELETE FROM event_nodes WHERE event = {event}")
    assert (audit.ok, audit.first_bad) == (False, event)


@pytest.mark.parametrize(
    "details",
    [
        '{"a":1.0}', '{"a":-0.0}', '{"a":1e2}', '{"a":0.10}', '{"a":12345678901234567890}', '{"a":NaN}',
        '{"a":1, "b":2}', '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":"\\u0041"}', '{"a":"\\/"}', '{"a":1e-07}',
        '{"a":Infinity}',
    ],
)  # fmt: skip
def test_a_body_that_is_not_canonical_is_found_even_when_everything_fits_it(path: Path, details: str) -> None:
    """A forger who writes the last event in another form, and its hash with it."""
    with without_triggers(path) as raw:
        body = raw.execute(f'SELECT body FROM events WHERE "index" = {EVENTS - 1}').fetchone()[0].decode()
        written = body.replace('"details":{}', f'"details":{details}').encode()
        assert written.decode() != body
        raw.execute(
            f'UPDATE events SET body = ?, hash = ?, details = ? WHERE "index" = {EVENTS - 1}',
            (written, str(hash_bytes(written)), details),
        )
    grow_anew(path)
    audit = audited(path)
    assert (audit.ok, audit.first_bad) == (False, EVENTS - 1)


_COLUMNS = {
    "time": "'2026-03-01T09:00:00.500000Z'",
    "actor": "'eve'",
    "action": "'store:blob:damage'",
    "model": "'other'",
    "stage": "'blue'",
    "from_number": "7",
    "from_digest": "'sha256:x'",
    "to_number": "7",
    "to_digest": "'sha256:x'",
    "epoch": "7",
    "last_known_good": "7",
    "reason": "'no reason'",
    "verdict": "'sha256:x'",
    "approvals": "'[{}]'",
    "idempotency_key": "'key-9'",
    "details": "'{\"x\":1}'",
    "prev": "'sha256:x'",
    "hash": "'sha256:x'",
    "body": "x'7b7d'",
}
_GARBAGE = ["''", "'{'", "'[1'", "-1", "x'ff'", "1.5"]


@settings(max_examples=examples(150), deadline=None)
@given(
    index=st.integers(0, EVENTS - 1),
    column=st.sampled_from(sorted(_COLUMNS)),
    value=st.one_of(st.none(), st.sampled_from(_GARBAGE)),
)
def test_a_change_of_any_field_of_any_event_is_found_at_that_event(
    filled_file: Path, index: int, column: str, value: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(filled_file, Path(folder) / "registry.db"))
        said = _COLUMNS[column] if value is None else value
        with sqlite3.connect(path) as raw:
            same = raw.execute(f'SELECT "{column}" IS {said} FROM events WHERE "index" = {index}').fetchone()[0]
        raw.close()
        audit = audited(path, f'UPDATE events SET "{column}" = {said} WHERE "index" = {index}')
        assert audit.ok is bool(same)
        assert audit.first_bad == (None if same else index)
