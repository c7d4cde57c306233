"""PostgreSQL as a database of Holdfast: four kinds of access, what its errors become, and connections that go away."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, MetaData, inspect, text

from holdfast.database import postgres as postgres_module
from holdfast.database import schema
from holdfast.database.engine import Database
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    MissingExtra,
    NoSpace,
    NotFound,
    PermissionRefused,
    TooLarge,
    Unavailable,
    UnsupportedFormat,
    UsageError,
)
from holdfast.experiments import tables as experiment_tables
from holdfast.registry import tables as registry_tables
from holdfast.tracking import tables as tracking_tables
from tests.patience import PATIENCE_SECONDS
from tests.postgres import PASSWORD, PostgresServer, postgres_server
from tests.proxy import proxy_to

pytestmark = pytest.mark.slow

ADD = text("INSERT INTO lineage VALUES (:name, '', '', '', '')")
COUNT = text("SELECT count(*) FROM lineage")


def add(connection: Connection, name: str) -> int:
    return connection.execute(ADD, {"name": name}).rowcount


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


def shown(connection: Connection, setting: str) -> str:
    return str(connection.exec_driver_sql(f"SHOW {setting}").scalar_one())


class TestAccess:
    def test_what_is_written_is_there_at_the_end_and_not_before(self, on_a_server: Database) -> None:
        for access in (on_a_server.write, on_a_server.change):
            before = count(on_a_server)
            with access() as connection:
                add(connection, f"a{before}")
                assert count(on_a_server) == before
            assert count(on_a_server) == before + 1

    def test_an_exception_takes_back_the_whole_write(self, on_a_server: Database) -> None:
        for access in (on_a_server.write, on_a_server.change):
            with pytest.raises(ZeroDivisionError), access() as connection:
                raise ZeroDivisionError(add(connection, "a"))
        assert count(on_a_server) == 0

    def test_a_read_opens_no_transaction_and_sees_the_newest_state(self, on_a_server: Database) -> None:
        with on_a_server.read() as newest, on_a_server.view() as moment:
            assert moment.execute(COUNT).scalar_one() == newest.execute(COUNT).scalar_one() == 0
            driver = newest.connection.driver_connection
            assert driver is not None
            assert driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            with on_a_server.write() as connection:
                add(connection, "a")
            assert newest.execute(COUNT).scalar_one() == 1
            assert moment.execute(COUNT).scalar_one() == 0

    def test_a_view_cannot_write(self, on_a_server: Database) -> None:
        with pytest.raises(Unavailable, match="read-only"), on_a_server.view() as connection:
            add(connection, "a")

    def test_each_kind_has_its_isolation_and_only_the_writer_the_lock(self, on_a_server: Database) -> None:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        for access, isolation, locks in (
            (on_a_server.view, "repeatable read", 0),
            (on_a_server.change, "read committed", 0),
            (on_a_server.write, "read committed", 1),
        ):
            with access() as connection:
                assert shown(connection, "transaction_isolation") == isolation
                assert connection.exec_driver_sql(held).scalar_one() == locks

    def test_a_statement_behind_the_lock_sees_what_the_writer_before_committed(self, postgres_url: str) -> None:
        databases = [Database.open(postgres_url) for _ in range(4)]

        def count_up(database: Database) -> None:
            for _ in range(10):
                with database.write() as connection:
                    add(connection, str(connection.execute(COUNT).scalar_one()))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count_up, databases))
        assert count(databases[0]) == 40
        for database in databases:
            database.close()

    def test_a_change_does_not_wait_for_the_writer(self, on_a_server: Database) -> None:
        with on_a_server.write() as writer:
            add(writer, "log")
            with on_a_server.change() as connection:
                add(connection, "run")
            assert count(on_a_server) == 1

    def test_a_writer_that_waits_too_long_for_another_process_is_unavailable(
        self, on_a_server: Database, postgres: PostgresServer, postgres_database: str
    ) -> None:
        with closing(postgres.raw(postgres_database)) as other:
            other.execute(f"SELECT pg_advisory_lock({postgres_module.WRITER_LOCK})")
            with pytest.raises(Unavailable, match="locked"), on_a_server.write():
                pass
        with on_a_server.write() as connection:
            add(connection, "a")

    def test_every_connection_has_its_limits_and_is_durable_whatever_the_database_says(
        self, postgres: PostgresServer
    ) -> None:
        name = postgres.empty()
        with closing(postgres.raw()) as raw:
            raw.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        database = Database.open(postgres.url(name), busy_timeout_seconds=0.3)
        for access in (database.read, database.view, database.write, database.change):
            with access() as connection:
                assert shown(connection, "synchronous_commit") == "on"
                assert shown(connection, "lock_timeout") == "300ms"
                assert shown(connection, "statement_timeout") == "2min"
                assert shown(connection, "idle_in_transaction_session_timeout") == "1min"
                assert shown(connection, "application_name") == "holdfast"
        database.close()
        postgres.drop(name)

    def test_what_the_url_says_wins(self, postgres_url: str) -> None:
        more = "?application_name=mine&options=-c%20statement_timeout%3D50"
        database = Database.open(postgres_url + more)
        with database.read() as connection:
            assert shown(connection, "application_name") == "mine"
            assert shown(connection, "idle_in_transaction_session_timeout") == "1min"
        with pytest.raises(Unavailable, match="ended a query"), database.read() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(10)")
        database.close()


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("53100", NoSpace),
            ("53200", Unavailable),
            ("53300", Unavailable),
            ("57014", Unavailable),
            ("57P01", Unavailable),
            ("57P03", Unavailable),
            ("08006", Unavailable),
            ("55P03", Unavailable),
            ("40001", Unavailable),
            ("40P01", Unavailable),
            ("P0001", IntegrityError),
            ("23505", IntegrityError),
            ("28000", PermissionRefused),
            ("42501", PermissionRefused),
            ("22003", UsageError),
            ("54000", TooLarge),
            ("58030", Unavailable),
            ("XX001", IntegrityError),
        ],
    )
    def test_each_has_its_kind(self, on_a_server: Database, code: str, expected: type[HoldfastError]) -> None:
        raising = f"DO $$ BEGIN RAISE EXCEPTION 'the reason' USING ERRCODE = '{code}'; END $$"
        with pytest.raises(HoldfastError) as caught, on_a_server.read() as connection:
            connection.exec_driver_sql(raising)
        assert type(caught.value) is expected
        assert caught.value.hint

    def test_a_mistake_in_a_statement_of_ours_is_let_through(self, on_a_server: Database) -> None:
        with pytest.raises(Exception, match="syntax error") as caught, on_a_server.read() as connection:
            connection.exec_driver_sql("SELEC 1")
        assert not isinstance(caught.value, HoldfastError)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"password": "wrong"}, PermissionRefused),
            ({"user": "somebody"}, PermissionRefused),
            ({"database": "nowhere"}, NotFound),
            ({"port": 1}, Unavailable),
        ],
    )
    def test_what_cannot_be_opened_says_why_and_never_the_password(
        self, postgres: PostgresServer, change: dict[str, object], expected: type[HoldfastError]
    ) -> None:
        asked: dict[str, object] = {"database": "postgres", **change}
        with pytest.raises(expected) as caught:
            Database.open(postgres.url(**asked))  # type: ignore[arg-type]
        assert PASSWORD not in f"{caught.value} {caught.value.to_json()}"

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://ana:secret@word@host/name",
            "postgresql://ana:secret-word@host",
            "postgresql://ana:secret-word@host:port/name",
            "postgresql://ana:secret-word@127.0.0.1/name?unheard_of=1",
            "postgresql+asyncpg://ana:secret-word@host/name",
            "mysql://ana:secret-word@host/name",
        ],
    )
    def test_a_url_that_cannot_be_meant_is_refused_without_telling_its_password(self, url: str) -> None:
        with pytest.raises(UsageError) as caught:
            Database.open(url)
        assert "secret" not in f"{caught.value} {caught.value.to_json()}"
        assert "word" not in f"{caught.value} {caught.value.details}"

    def test_without_its_driver_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(MissingExtra, match="psycopg") as caught:
            Database.open("postgresql://ana@127.0.0.1/name")
        assert "holdfast[server]" in caught.value.hint

    def test_a_server_that_is_full_is_unavailable(self, postgres: PostgresServer, postgres_database: str) -> None:
        with closing(postgres.raw()) as raw:
            raw.execute(f"ALTER DATABASE {postgres_database} CONNECTION LIMIT 0")
            raw.execute("CREATE ROLE visitor LOGIN PASSWORD 'visitor'")
            try:
                with pytest.raises(Unavailable, match="no room"):
                    Database.open(postgres.url(postgres_database, user="visitor", password="visitor"))
            finally:
                raw.execute(f"ALTER DATABASE {postgres_database} CONNECTION LIMIT -1")
                raw.execute("DROP ROLE visitor")

    @pytest.mark.parametrize("where", ["file", "server"])
    @pytest.mark.parametrize("character", ["\0", "\ud800"])
    def test_a_text_that_is_none_is_refused_alike_everywhere(
        self, request: pytest.FixtureRequest, tmp_path: Path, where: str, character: str
    ) -> None:
        url = f"sqlite:///{tmp_path}/registry.db" if where == "file" else request.getfixturevalue("postgres_url")
        database = Database.open(url)
        for access in (database.write, database.change):
            with pytest.raises(UsageError, match="cannot be kept"), access() as connection:  # noqa: PT012
                add(connection, "before")
                add(connection, f"a{character}b")
        assert count(database) == 0
        with pytest.raises(UsageError, match="cannot be kept"), database.read() as connection:
            connection.execute(text("SELECT 1 FROM lineage WHERE child = :name"), {"name": character})
        with database.write() as connection:
            add(connection, "ä 語 \U0001f600 \x01")
        assert count(database) == 1
        database.close()


class TestConnectionsThatGoAway:
    def test_one_that_the_server_closed_is_replaced_before_anybody_notices(
        self, on_a_server: Database, postgres: PostgresServer
    ) -> None:
        with on_a_server.read() as one, on_a_server.read() as other:
            pids = [c.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() for c in (one, other)]
        with closing(postgres.raw()) as raw:
            for pid in pids:
                raw.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        assert count(on_a_server) == 0
        with on_a_server.write() as connection:
            add(connection, "a")
        with on_a_server.view() as connection:
            assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() not in pids

    def test_in_the_middle_of_a_write_it_is_unavailable_and_nothing_is_written(
        self, on_a_server: Database, postgres: PostgresServer
    ) -> None:
        with pytest.raises(Unavailable) as caught, on_a_server.write() as connection:  # noqa: PT012 - the end counts
            add(connection, "a")
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with closing(postgres.raw()) as raw:
                raw.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            add(connection, "b")
        assert "outcome" not in caught.value.details
        assert count(on_a_server) == 0

    @pytest.mark.parametrize(("cut", "written"), [("answer", 1), ("question", 0)])
    def test_a_commit_whose_answer_is_lost_is_told_as_unknown(
        self, postgres: PostgresServer, postgres_database: str, cut: str, written: int
    ) -> None:
        with proxy_to(postgres.port) as proxy:
            database = Database.open(postgres.url(postgres_database, port=proxy.port))
            for nth, access in enumerate((database.write, database.change), 1):
                with pytest.raises(Unavailable, match="before its answer came") as caught, access() as connection:  # noqa: PT012
                    add(connection, f"a{nth}")
                    proxy.cut = cut  # type: ignore[assignment]
                assert caught.value.details["outcome"] == "unknown"
                assert "idempotency key" in caught.value.hint
                with database.write() as connection:  # behind the one that was cut off, if that still holds the lock
                    assert connection.execute(COUNT).scalar_one() == written * nth
            database.close()

    def test_reads_are_right_at_once_after_a_restart_and_unavailable_before(self) -> None:
        with postgres_server() as server:
            database = Database.open(server.url(server.empty()))
            with database.write() as connection:
                add(connection, "a")
            server.stop()
            with pytest.raises(Unavailable, match="does not answer"):
                count(database)
            server.start()
            assert count(database) == 1
            database.close()

    def test_a_fork_leaves_the_connections_of_its_parent_alone(self, postgres_url: str) -> None:
        code = """
import os, sys
from sqlalchemy import text
from holdfast.database.engine import Database
database = Database.open(sys.argv[1])
add = text("INSERT INTO lineage VALUES (:name, '', '', '', '')")
with database.write() as connection:
    connection.execute(add, {"name": "before"})
    child = os.fork()
    if child == 0:
        with database.read() as own:
            os._exit(own.execute(text("SELECT count(*) FROM lineage")).scalar_one())
    seen = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
child = os.fork()
if child == 0:
    with database.write() as connection:
        connection.execute(add, {"name": "child"})
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
with database.write() as connection:
    connection.execute(add, {"name": "after"})
    names = sorted(connection.scalars(text("SELECT child_kind FROM lineage")))
database.close()
print(seen, *names)
"""
        found = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, postgres_url],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert found.stdout == "0 after before child\n", found.stderr


class TestSchema:
    @pytest.fixture
    def new(self, postgres: PostgresServer) -> Iterator[str]:
        name = postgres.database()
        yield name
        postgres.drop(name)

    @pytest.mark.parametrize(
        "metadata",
        [registry_tables.TABLES, tracking_tables.TABLES, experiment_tables.TABLES],
        ids=["registry", "tracking", "experiments"],
    )
    def test_the_tables_of_the_statements_are_those_of_the_migrations(
        self, on_a_server: Database, metadata: MetaData
    ) -> None:
        with on_a_server.view() as connection:
            found = inspect(connection)
            for table in metadata.sorted_tables:
                columns = {column["name"]: column for column in found.get_columns(table.name)}
                assert set(columns) == {column.name for column in table.columns}
                for column in table.columns:
                    there, dialect = columns[column.name], on_a_server.engine.dialect
                    said = column.type.compile(dialect).removesuffix(' COLLATE "C"')
                    assert there["type"].compile(dialect).removesuffix(' COLLATE "C"') == said
                    assert there["nullable"] == column.nullable
                keys = [column.name for column in table.primary_key.columns]
                assert found.get_pk_constraint(table.name)["constrained_columns"] == keys

    def test_every_text_sorts_by_code_points_and_every_integer_has_64_bits(self, on_a_server: Database) -> None:
        told = (
            "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        )
        with on_a_server.view() as connection:
            rows = connection.exec_driver_sql(told).all()
        assert len(rows) > 90
        for row in rows:
            assert row.data_type in {"text", "bigint", "bytea", "boolean", "double precision"}, row
            assert row.data_type != "text" or row.collation_name == "C", row

    def test_a_database_of_a_newer_holdfast_is_refused(self, postgres: PostgresServer, new: str) -> None:
        Database.open(postgres.url(new)).close()
        with closing(postgres.raw(new)) as raw:
            raw.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(UnsupportedFormat, match="9999"):
            Database.open(postgres.url(new))

    def test_a_database_of_something_else_is_refused_and_left_alone(self, postgres: PostgresServer, new: str) -> None:
        with closing(postgres.raw(new)) as raw:
            raw.execute("CREATE TABLE theirs (x int)")
            with pytest.raises(UnsupportedFormat, match="not one of Holdfast's"):
                Database.open(postgres.url(new))
            assert raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall() == [
                ("theirs",)
            ]

    def test_one_that_cannot_hold_every_character_is_refused(self, postgres: PostgresServer) -> None:
        with closing(postgres.raw()) as raw:
            raw.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
        with pytest.raises(UsageError, match="SQL_ASCII"):
            Database.open(postgres.url("bytes"))
        postgres.drop("bytes")

    def test_a_schema_of_its_own_beside_something_else(self, postgres: PostgresServer, new: str) -> None:
        with closing(postgres.raw(new)) as raw:
            raw.execute('CREATE TABLE events (x int); CREATE SCHEMA "our names"')
        url = postgres.url(new) + "?options=-c%20search_path%3D%22our%5C%20names%22"
        for _ in range(2):
            database = Database.open(url)
            with pytest.raises(IntegrityError, match="behind its last one"), database.write() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO events (index, time, actor, action, reason, approvals, details, hash, body) "
                    "VALUES (7, '', '', '', '', '', '', '', '')"
                )
            database.close()

    def test_an_upgrade_that_fails_leaves_nothing(
        self, postgres: PostgresServer, new: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("holdfast.database.migrations.promises_0001_postgres._LOGGED", "nonsense")
            with pytest.raises(Exception, match="syntax error"):
                Database.open(postgres.url(new))
        with closing(postgres.raw(new)) as raw:
            assert raw.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall() == [(0,)]
        database = Database.open(postgres.url(new))
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == schema.HEAD
        database.close()

    def test_many_that_open_one_empty_database_together_all_succeed(self, postgres: PostgresServer, new: str) -> None:
        ready = threading.Barrier(6)

        def open_it(_: int) -> int:
            ready.wait()
            database = Database.open(postgres.url(new))
            try:
                return count(database)
            finally:
                database.close()

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(open_it, range(6))) == [0] * 6
