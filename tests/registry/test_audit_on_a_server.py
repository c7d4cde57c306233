"""What an owner of the server's tables did behind the log's back is found there too."""

from collections.abc import Iterator

import pytest

from holdfast.database.engine import Database
from holdfast.registry import Audit, audit
from holdfast.registry.sql import SqlRegistry
from tests.postgres import PostgresServer
from tests.registry.conftest import Clock, counted, fill

pytestmark = pytest.mark.slow

EVENTS = 14


@pytest.fixture(scope="module")
def on_the_server(postgres: PostgresServer) -> Iterator[Database]:
    """Nothing below commits a change to it. Its events carry the keys that those in a file do: only what was given."""
    name = postgres.empty()
    database = Database.open(postgres.url(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.registry.sql.fresh_key", lambda: None)
        fill(SqlRegistry(database, Clock(), counted("approval-")))
    yield database
    database.close()
    postgres.drop(name)


class TakenBack(Exception):
    """Ends a write that shall leave nothing."""


def audited(on_the_server: Database, *statements: str) -> Audit:
    """What the audit says in a transaction that changed something without triggers and without foreign keys."""
    found: list[Audit] = []
    with pytest.raises(TakenBack), on_the_server.write() as connection:  # noqa: PT012 - the end takes all of it back
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0
        found.append(audit.verify(connection))
        raise TakenBack
    return found[0]


def test_a_registry_that_nobody_touched_is_whole(on_the_server: Database) -> None:
    found = audited(on_the_server)
    assert (found.ok, found.size, found.first_bad) == (True, EVENTS, None)
    assert found == SqlRegistry(on_the_server, Clock(), str).audit_verify()


def test_its_root_is_that_of_the_same_registry_in_a_file(on_the_server: Database, filled: SqlRegistry) -> None:
    assert audited(on_the_server).root == filled.audit_verify().root
    there = SqlRegistry(on_the_server, Clock(), str)
    assert there.log(limit=50) == filled.log(limit=50)
    assert there.versions() == filled.versions()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE stages SET number = 3 WHERE name = 'production'", "stage production of churn is not as"),
        ("DELETE FROM stages WHERE name = 'canary'", "stage canary of churn is gone"),
        ("UPDATE versions SET complete = false WHERE number = 3", "version churn@3 is not as"),
        ("UPDATE versions SET missing = 'x' WHERE number = 3", "version churn@3 is not as"),
        ("DELETE FROM versions WHERE number = 3", "version churn@3 is gone"),
        ("UPDATE version_counters SET value = 9", "count of versions of churn"),
        ("INSERT INTO models VALUES ('other', '', 'eve', '')", "model other is there"),
        ("UPDATE approvals SET approver = 'eve'", "approval approval-1 is not as"),
        ("INSERT INTO lineage VALUES ('a', 'b', 'c', 'd', 'e')", "edge of lineage"),
        ("UPDATE verdicts SET body = '{}'", "holds other bytes"),
        ("UPDATE rehearsals SET body = '{}'", "holds other bytes"),
        ("UPDATE rehearsals SET to_number = 3", "is not as the events say"),
        ("UPDATE rollouts SET reason = 'x'", "row of a rollout, of event 11, is not as"),
    ],
)
def test_a_state_that_no_event_made_is_found_and_named(on_the_server: Database, change: str, said: str) -> None:
    found = audited(on_the_server, change)
    assert (found.ok, found.first_bad) == (False, None)
    assert said in found.sentence


@pytest.mark.parametrize("column", ["actor", "reason", "time", "details", "approvals", "prev", "hash"])
def test_a_change_of_an_event_is_found_at_that_event(on_the_server: Database, column: str) -> None:
    found = audited(on_the_server, f'UPDATE events SET {column} = \'{{"x"\' WHERE "index" = 4')  # noqa: S608 - constants
    assert (found.ok, found.first_bad) == (False, 4)


def test_an_end_that_was_cut_off_is_found_by_what_it_had_made(on_the_server: Database) -> None:
    assert not audited(on_the_server, f'DELETE FROM events WHERE "index" > {EVENTS - 4}').ok  # noqa: S608 - a constant
