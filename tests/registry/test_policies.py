# ruff: noqa: S608 - statements are put together from constants: these tests reach around the registry.
"""Policies in a database: what it refuses itself, and what an audit finds that was done behind its back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from holdfast.canonical import Reader, decode
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError
from holdfast.names import ModelName
from holdfast.registry import Action, NewPolicy
from holdfast.registry.events import Entry
from holdfast.registry.lines import filled as put_back
from holdfast.registry.lines import written
from holdfast.registry.sql import SqlRegistry
from tests.postgres import PostgresServer
from tests.registry.conftest import Clock, counted, fill

CHURN = ModelName("churn")
FIRST, SECOND = "[gate.production]\n", "[gate.production]\nmargin = 0.01\n"

NEVER = "never changed or deleted"
NEEDS = "a policy needs its event, and the next number"

_ALL = "reason, created_at, created_by"

FORGED = [
    f"INSERT INTO policies SELECT scope, 3, digest, body, {_ALL}, event FROM policies WHERE number = 2",
    f"INSERT INTO policies SELECT 'churn', 1, digest, body, {_ALL}, event FROM policies WHERE number = 1",
    f"INSERT INTO policies SELECT scope, 3, digest, body, {_ALL}, 0 FROM policies WHERE number = 2",
]
"""A policy without an event of its own, one whose event sets another, and one under the first event of all."""

COLUMNS = ("scope", "number", "digest", "body", "reason", "created_at", "created_by", "event")


def set_two(registry: SqlRegistry) -> None:
    registry.set_policy(NewPolicy(FIRST, None, "a beginning"), "ana")
    registry.set_policy(NewPolicy(SECOND, None, "a little air", expect=1), "bob")


@pytest.fixture
def raw(filled: SqlRegistry, database_path: Path) -> Iterator[sqlite3.Connection]:
    set_two(filled)
    with closing(sqlite3.connect(database_path, isolation_level=None)) as connection:
        yield connection


def test_a_policy_is_never_changed_or_deleted(raw: sqlite3.Connection) -> None:
    for statement in ("DELETE FROM policies", *(f"UPDATE policies SET {name} = {name}" for name in COLUMNS)):
        with pytest.raises(sqlite3.IntegrityError, match=NEVER):
            raw.execute(statement)


@pytest.mark.parametrize("statement", FORGED)
def test_no_policy_stands_without_the_event_that_sets_it(raw: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=NEEDS):
        raw.execute(statement)
    with pytest.raises(sqlite3.IntegrityError, match=NEEDS):
        raw.execute(statement.replace("INSERT", "INSERT OR REPLACE"))


TAMPERED = [
    (f"UPDATE policies SET body = {{other}}, digest = '{hash_bytes(b'x')}' WHERE number = 2", "is not as the events"),
    ("UPDATE policies SET body = {other} WHERE number = 2", "holds other bytes"),
    ("UPDATE policies SET created_by = 'eve' WHERE number = 2", "is not as the events"),
    ("UPDATE policies SET scope = 'churn' WHERE number = 2", "policy 2 of '' is gone"),
    ("DELETE FROM policies WHERE number = 2", "policy 2 of '' is gone"),
]


@pytest.mark.parametrize(("statement", "says"), TAMPERED)
def test_a_policy_that_was_changed_behind_the_log_is_found_and_named(
    raw: sqlite3.Connection, filled: SqlRegistry, statement: str, says: str
) -> None:
    assert filled.audit_verify().ok
    for change in ("update", "delete"):
        raw.execute(f"DROP TRIGGER policies_refuse_{change}")
    raw.execute(statement.format(other="x'78'"))
    found = filled.audit_verify()
    assert not found.ok
    assert says in found.sentence


def test_a_policy_that_is_not_what_it_is_named_by_is_in_force_for_nobody(
    raw: sqlite3.Connection, filled: SqlRegistry
) -> None:
    raw.execute("DROP TRIGGER policies_refuse_update")
    raw.execute("UPDATE policies SET body = x'78' WHERE number = 2")
    with pytest.raises(IntegrityError, match="hash to"):
        filled.policy(CHURN)
    with pytest.raises(IntegrityError, match="hash to"):
        filled.policies()


@pytest.mark.slow
def test_a_server_of_databases_keeps_the_same_promises(postgres: PostgresServer) -> None:
    name = postgres.empty()
    with closing(Database.open(postgres.url(name))) as database:
        registry = SqlRegistry(database, Clock(), counted("approval-"))
        fill(registry)
        set_two(registry)
        assert registry.audit_verify().ok
    with closing(postgres.raw(name)) as raw:
        refused = [(statement, NEEDS) for statement in FORGED]
        refused += [(f"UPDATE policies SET {column} = {column}", NEVER) for column in COLUMNS]
        refused += [("DELETE FROM policies", NEVER), ("TRUNCATE policies", NEVER)]
        for statement, why in refused:
            with pytest.raises(psycopg.errors.Error, match=why):
                raw.execute(statement.encode())
            raw.rollback()
    postgres.drop(name)


@pytest.mark.thorough
def test_policies_are_in_a_backup_and_come_back_as_they_were(
    filled: SqlRegistry, database: Database, tmp_path: Path
) -> None:
    set_two(filled)
    head, *rows = written(database, {"about": "a test"})

    @contextmanager
    def lines() -> Iterator[tuple[Reader, Iterator[bytes]]]:
        yield Reader(decode(head, what="the first line"), "the first line"), iter(rows)

    url = f"sqlite:///{tmp_path / 'back.db'}"
    put_back(url, lines, Entry(Action.LOG_RESTORE, reason="a test"), datetime(2026, 4, 1, tzinfo=UTC), "ana")
    with closing(Database.open(url)) as again:
        registry = SqlRegistry(again, Clock(), counted("approval-"))
        assert registry.policies() == filled.policies()
        assert registry.policy(CHURN) == filled.policy(CHURN)
        assert registry.audit_verify().ok
        third = registry.set_policy(NewPolicy(FIRST, None, "back again", expect=2), "ana")
    assert third.number == 3
