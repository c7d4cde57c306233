# ruff: noqa: S608 - statements are put together from constants: these tests reach around the registry.
"""What PostgreSQL itself refuses, whoever writes to it: its owner by mistake, and a role that owns nothing at all."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import PermissionRefused
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.uploads import SqlUploads
from holdfast.names import ModelName, VersionNumber
from holdfast.registry.sql import SqlRegistry
from holdfast.store.memory import MemoryStore
from holdfast.tracking import NewRun, Point, RunInput, RunStatus
from holdfast.tracking.sql import SqlTracking
from tests.postgres import PostgresServer
from tests.registry.conftest import Clock, counted, fill
from tests.signatures import signature_of

pytestmark = pytest.mark.slow

HOW_TO = Path(__file__).parents[2] / "docs/how-to/postgres.md"

FACTS = ["version_numbers", "version_texts"]
EVERY_ROW = [
    *("models", "versions", "events", "event_nodes", "verdicts", "approvals", "rehearsals", "signatures", "lineage"),
    *("rollouts", "truths", "version_entries", "version_indexes", *FACTS),
]


@pytest.fixture(scope="module")
def filled_once(postgres: PostgresServer) -> Iterator[str]:
    """Nothing is ever committed in it below, and so it does for all of them."""
    name = postgres.empty()
    database = Database.open(postgres.url(name))
    fill(SqlRegistry(database, Clock(), counted("approval-")))
    registry = SqlRegistry(database, Clock(), counted("approval-"))
    registry.put_signature(signature_of(ModelName("churn"), VersionNumber(1), hash_bytes(b"1")), "ana")
    tracking = SqlTracking(database, lambda: datetime.now(UTC), counted("r"))
    for end in (True, False):
        run = tracking.start_run(NewRun("one", params={"a": 1}, tags={"b": "c"}), "ana")
        tracking.log_metrics(run.id, {"m": 1.0})
        tracking.log_inputs(run.id, [RunInput("train", "rows")])
        if end:
            tracking.finish_run(run.id, RunStatus.FINISHED)
    database.close()
    yield name
    postgres.drop(name)


@pytest.fixture
def raw(postgres: PostgresServer, filled_once: str) -> Iterator[psycopg.Connection]:
    with closing(postgres.raw(filled_once)) as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


def execute(raw: psycopg.Connection, statement: str) -> psycopg.Cursor:
    return raw.execute(statement.encode())  # as bytes: the driver's types ask texts to be constants


def refused(raw: psycopg.Connection, *statements: str, why: str) -> None:
    """The last one is refused by a trigger or a constraint, and the others are not."""
    for statement in statements[:-1]:
        execute(raw, statement)
    with pytest.raises((psycopg.errors.RaiseException, psycopg.IntegrityError), match=why):
        execute(raw, statements[-1])
    raw.rollback()


@pytest.mark.parametrize("table", EVERY_ROW)
def test_a_row_is_never_deleted_and_no_column_of_it_updated(raw: psycopg.Connection, table: str) -> None:
    refused(raw, f"DELETE FROM {table}", why="never changed or deleted")
    refused(raw, f"DELETE FROM {table} WHERE false", why="never changed or deleted")
    refused(raw, f"TRUNCATE {table} CASCADE", why="never")
    columns = raw.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s", (table,)
    ).fetchall()
    assert columns
    for (column,) in columns:
        refused(raw, f'UPDATE {table} SET "{column}" = "{column}"', why="never changed or deleted")


@pytest.mark.parametrize("table", FACTS)
def test_an_indexed_version_gets_no_more_facts(raw: psycopg.Connection, table: str) -> None:
    indexed = "(SELECT MIN(event) FROM version_indexes)"
    refused(raw, f"INSERT INTO {table} VALUES ('more', '1', {indexed})", why="no more facts")


def test_an_entry_names_the_event_that_numbered_its_version(raw: psycopg.Connection) -> None:
    refused(raw, "INSERT INTO version_entries VALUES (0, 'churn', 9)", why="names the event")


@pytest.mark.parametrize("table", [*EVERY_ROW, "stages", "version_counters", "runs"])
def test_a_row_is_never_replaced_by_an_insert(raw: psycopg.Connection, table: str) -> None:
    key, column = raw.execute(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname), min(quote_ident(attname)) FROM pg_index "
        "JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) "
        "WHERE indrelid = %s::regclass AND indisprimary",
        (table,),
    ).fetchall()[0]
    refused(raw, f"INSERT INTO {table} SELECT * FROM {table}", why=".")
    again = f"ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column}"
    refused(
        raw, f"INSERT INTO {table} SELECT * FROM {table} {again}", why="never|begin|only behind|its event|no more facts"
    )


@pytest.mark.parametrize("table", ["stages", "version_counters", "runs", "run_params", "run_points", "run_tags"])
def test_a_table_is_never_emptied(raw: psycopg.Connection, table: str) -> None:
    refused(raw, f"TRUNCATE {table} CASCADE", why="never")
    refused(raw, f"DELETE FROM {table}", why="never")


def test_a_stage_does_not_move_without_an_event(raw: psycopg.Connection) -> None:
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


def event(raw: psycopg.Connection, **change: object) -> str:
    """An insertion of a well-chained event that promotes churn@3, with some of its columns changed."""
    [(index, prev, time)] = raw.execute(
        'SELECT "index", hash, time FROM events ORDER BY "index" DESC LIMIT 1'
    ).fetchall()
    [(digest,)] = raw.execute("SELECT digest FROM versions WHERE number = 3").fetchall()
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


def test_a_stage_moves_with_an_event_that_says_exactly_that(raw: psycopg.Connection) -> None:
    execute(raw, event(raw))
    assert raw.execute(MOVE).rowcount == 1


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
    raw: psycopg.Connection, change: dict[str, object]
) -> None:
    moved = MOVE.replace("(SELECT MAX(time) FROM events)", "(SELECT changed_at FROM stages WHERE name = 'production')")
    refused(raw, event(raw, **change), moved if "time" in change else MOVE, why="no stage moves")


EMPTIED = {"action": "stage:pointer:clear", "to_number": None, "last_known_good": 1}

EMPTY = MOVE.replace("number = 3", "number = NULL", 1)


def test_a_stage_is_emptied_with_an_event_that_says_exactly_that(raw: psycopg.Connection) -> None:
    execute(raw, event(raw, **EMPTIED))
    assert raw.execute(EMPTY).rowcount == 1


@pytest.mark.parametrize("change", [{"action": "stage:pointer:promote"}, {"to_number": 2}, {"last_known_good": None}])
def test_a_stage_is_not_emptied_with_an_event_that_says_something_else(
    raw: psycopg.Connection, change: dict[str, object]
) -> None:
    refused(raw, event(raw, **{**EMPTIED, **change}), EMPTY, why="no stage moves")
    refused(raw, event(raw, **EMPTIED), MOVE, why="no stage moves")


@pytest.mark.parametrize(
    "change",
    [{"index": 99}, {"index": 3}, {"prev": "sha256:y"}, {"prev": None}, {"time": "2000-01-01T00:00:00.000000Z"}],
)
def test_an_event_joins_the_log_only_behind_its_last_one(raw: psycopg.Connection, change: dict[str, object]) -> None:
    refused(raw, event(raw, **change), why="only behind its last one")


def test_an_idempotency_key_belongs_to_one_event(raw: psycopg.Connection) -> None:
    refused(raw, event(raw, idempotency_key="key-1"), why=".")


def test_two_who_write_past_the_registry_do_not_write_the_same_place(
    raw: psycopg.Connection, postgres: PostgresServer, filled_once: str
) -> None:
    execute(raw, event(raw))
    with closing(postgres.raw(filled_once)) as other:
        other.execute("SET lock_timeout = 100")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            execute(other, event(other))


def test_a_version_has_its_event_and_the_number_that_was_counted(raw: psycopg.Connection) -> None:
    row = (
        "INSERT INTO versions SELECT model, {0}, 'sha256:new', true, missing, run_id, NULL, summary, created_at, 'eve' "
    )
    insert = row + "FROM versions WHERE number = 3"
    refused(raw, insert.format(4), why="needs its event")
    refused(raw, insert.format(9), why="needs its event")
    refused(raw, "UPDATE version_counters SET value = 4", insert.format(4), why="needs its event")
    registered = event(raw, action="model:version:register", to_number=4, to_digest="sha256:new")
    refused(raw, registered, insert.format(4), why="needs its event")
    execute(raw, registered)
    raw.execute("UPDATE version_counters SET value = 4")
    assert execute(raw, insert.format(4)).rowcount == 1


def test_a_version_is_taken_in_with_its_event_only(raw: psycopg.Connection) -> None:
    row = (
        "INSERT INTO versions (model, number, digest, complete, missing, summary, created_at, created_by) "
        "VALUES ('churn', 2000, 'sha256:y', true, '[]', '{}', 't', 'eve')"
    )
    refused(raw, row, why="a version needs its event")
    refused(raw, "UPDATE version_counters SET value = 2000", why="go up by one")
    execute(raw, event(raw, action="model:version:import", to_number=2000, to_digest="sha256:y"))
    raw.execute("UPDATE version_counters SET value = 2000")
    assert raw.execute(row).rowcount == 1


@pytest.mark.parametrize("value", [2, 3, 5, "value + 2", "NULL"])
def test_a_version_number_goes_up_by_one(raw: psycopg.Connection, value: object) -> None:
    refused(raw, f"UPDATE version_counters SET value = {value}", why="go up by one")


def test_a_model_a_stage_and_an_approval_have_their_event(raw: psycopg.Connection) -> None:
    refused(raw, "INSERT INTO models VALUES ('other', '', 'eve', '')", why="needs its event")
    blue = "INSERT INTO stages VALUES ('churn', 'blue', {}, {}, NULL, {}, '2026-03-01T09:00:01.000000Z')"
    refused(raw, blue.format("NULL", 0, 5), why="with its event")
    refused(raw, blue.format("1", 0, 0), why="begins empty")
    refused(raw, blue.format("NULL", 3, 0), why="begins empty")
    row = (
        "INSERT INTO approvals SELECT 'new', model, number, digest, stage, verdict, 'eve', meaning, reason, created_at "
    )
    refused(raw, row + "FROM approvals", why="needs its event")
    row = "INSERT INTO signatures SELECT {}, model, {}, key, public_key, body, created_at, {} FROM signatures"
    for digest, number, by in (("'other'", "number", "created_by"), ("'x'", "2", "created_by"), ("'x'", "1", "'eve'")):
        refused(raw, row.format(digest, number, by), why="needs its event")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET name = 'x'",
        "UPDATE runs SET status = 'running' WHERE id = 'r1'",
        "DELETE FROM runs WHERE id = 'r1'",
        "UPDATE run_params SET value = '2'",
        "UPDATE run_params SET run = 'r1', key = 'z' WHERE run = 'r2'",
        "DELETE FROM run_params",
        "INSERT INTO run_params VALUES ('r2', 'z', '1', 1, '1'), ('r1', 'z', '1', 1, '1')",
        "UPDATE run_points SET value = 2",
        "INSERT INTO run_points (run, key, step, time, value) VALUES ('r1', 'm', 9, '', 1)",
        "DELETE FROM run_metrics",
        "INSERT INTO run_metrics VALUES ('r1', 'z', 0, '', 1)",
        "INSERT INTO run_tags VALUES ('r1', 'b', 'x', 'x') ON CONFLICT (run, key) DO UPDATE SET value = 'x'",
        "INSERT INTO run_inputs VALUES ('r1', 'train', 'z', NULL, '', NULL, NULL)",
        "INSERT INTO run_tags VALUES ('nobody', 'z', 'x', 'x')",
    ],
)
def test_a_run_that_has_ended_is_never_changed(raw: psycopg.Connection, statement: str) -> None:
    refused(raw, statement, why="has ended|foreign key")


def test_what_is_logged_past_the_registry_waits_for_the_end_of_the_run_and_is_refused(
    raw: psycopg.Connection, postgres: PostgresServer, filled_once: str
) -> None:
    raw.execute("UPDATE runs SET status = 'killed' WHERE id = 'r2'")
    with closing(postgres.raw(filled_once)) as other:
        other.execute("SET lock_timeout = 100")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("INSERT INTO run_tags VALUES ('r2', 'z', 'x', 'x')")


def test_a_temporary_table_does_not_stand_in_for_the_log(raw: psycopg.Connection) -> None:
    raw.execute("CREATE TEMPORARY TABLE events AS SELECT * FROM public.events")
    raw.execute("INSERT INTO events (model, action) VALUES ('other', 'model:line:create')")
    refused(raw, "INSERT INTO public.models VALUES ('other', '', 'eve', '')", why="needs its event")


class TestARoleThatOwnsNothing:
    @pytest.fixture
    def service_url(self, postgres: PostgresServer) -> Iterator[str]:
        """As the how-to makes it."""
        name = postgres.empty()
        [grants] = re.findall(r"<!-- grants: begin -->\n```sql\n(.*?)```", HOW_TO.read_text(), flags=re.DOTALL)
        with closing(postgres.raw(name)) as raw:
            raw.execute("CREATE ROLE holdfast_service LOGIN PASSWORD 'service'")
            raw.execute(grants)
        yield postgres.url(name, user="holdfast_service", password="service")
        postgres.drop(name)
        with closing(postgres.raw()) as raw:
            raw.execute("DROP ROLE holdfast_service")

    def test_does_everything_that_the_registry_and_runs_need(self, service_url: str) -> None:
        database = Database.open(service_url)
        registry = SqlRegistry(database, Clock(), counted("approval-"))
        fill(registry)
        assert registry.audit_verify().ok
        tracking = SqlTracking(database, lambda: datetime.now(UTC), counted("r"))
        run = tracking.start_run(NewRun("one", params={"a": 1}, tags={"b": "c"}), "ana")
        for step in (1, 2):
            tracking.log_points(run.id, [Point("m", 1.0, step)])
            tracking.set_tags(run.id, {"b": str(step)})
        tracking.log_inputs(run.id, [RunInput("train", "rows")])
        assert tracking.finish_run(run.id, RunStatus.FINISHED).tags == {"b": "2"}
        database.close()

    def test_does_everything_that_the_files_of_mlflows_clients_need(self, service_url: str) -> None:
        database, store = Database.open(service_url), MemoryStore()
        files = SqlFiles(database, store)
        uploads = SqlUploads(database, store, files)
        for word in (b"small", b"again"):
            files.put("3/run/artifacts/small", [word])
        assert [one.bytes for one in files.below("3")] == [5]
        files.forget()
        aborted, begun = (uploads.begin("3/run/artifacts/large", 1, "ana") for _ in range(2))
        said = [(1, str(uploads.put(begun.id, 1, [word]))) for word in (b"wrong", b"large")][1:]
        uploads.abort(aborted.id, aborted.path)
        uploads.complete(begun.id, begun.path, said)
        uploads.forget()
        files.remove("3/run/artifacts/small")
        files.freeze("3/run/artifacts", "it is registered")
        assert files.read("3/run/artifacts/large", bytes_max=5) == b"large"
        database.close()

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER TABLE events DISABLE TRIGGER ALL",
            "DROP TRIGGER events_refuse_delete ON events",
            "SET session_replication_role = replica",
            "CREATE OR REPLACE FUNCTION holdfast_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "DROP TABLE events",
            "TRUNCATE events CASCADE",
            "DELETE FROM events",
            "UPDATE versions SET digest = ''",
            "DELETE FROM runs",
            "UPDATE run_params SET value = ''",
            "UPDATE alembic_version SET version_num = '0001'",
        ],
    )
    def test_cannot_take_a_promise_away(self, service_url: str, statement: str) -> None:
        database = Database.open(service_url)
        with pytest.raises(PermissionRefused, match=r"permission denied|must be owner"), database.write() as connection:
            connection.exec_driver_sql(statement)
        database.close()

    def test_is_told_so_when_the_tables_are_not_there_yet(self, postgres: PostgresServer, service_url: str) -> None:
        name = postgres.database()
        with pytest.raises(PermissionRefused, match="permission denied"):
            Database.open(postgres.url(name, user="holdfast_service", password="service"))
        postgres.drop(name)
