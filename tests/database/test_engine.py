"""Three kinds of access, and what the driver's errors become."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from holdfast.database.engine import Database
from holdfast.errors import IntegrityError, NoSpace, NotFound, PermissionRefused, Unavailable, UsageError
from tests.blank import blank_registry
from tests.patience import PATIENCE_SECONDS

ADD = text("INSERT INTO lineage VALUES (:name, '', '', '', '')")
COUNT = text("SELECT count(*) FROM lineage")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database.open(blank_registry(path), busy_timeout_seconds=0.2)
    yield database
    database.close()


def add(connection: Connection, name: str) -> int:
    return connection.execute(ADD, {"name": name}).rowcount


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


def test_what_is_written_is_there_at_the_end_and_not_before(database: Database) -> None:
    with database.write() as connection:
        add(connection, "a")
        assert count(database) == 0
    assert count(database) == 1


def test_an_exception_takes_back_the_whole_write(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        raise ZeroDivisionError(add(connection, "a"))
    assert count(database) == 0
    with database.write() as connection:
        add(connection, "b")
    assert count(database) == 1


def test_every_connection_is_durable_and_keeps_foreign_keys(database: Database) -> None:
    for access in (database.read, database.view, database.write):
        with access() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 200


def test_processes_that_write_without_a_pause_take_turns(path: Path, database: Database) -> None:
    """Two handles on one file are to each other what two processes are: neither knows of the other's queue."""
    written: list[str] = []

    def write(which: Database, name: str) -> None:
        while min(written.count("a"), written.count("b")) < 64:
            with which.write() as connection:
                add(connection, f"{name}{len(written)}")
                written.append(name)

    with closing(Database.open(f"sqlite:///{path}")) as other:
        threads = [threading.Thread(target=write, args=pair) for pair in ((database, "a"), (other, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    changes = sum(before != after for before, after in pairwise(written))
    assert changes >= len(written) // 64


def test_a_read_sees_the_newest_state_and_a_view_sees_one_moment(database: Database) -> None:
    with database.read() as newest, database.view() as moment:
        assert moment.execute(COUNT).scalar_one() == newest.execute(COUNT).scalar_one() == 0
        with database.write() as connection:
            add(connection, "a")
        assert newest.execute(COUNT).scalar_one() == 1
        assert moment.execute(COUNT).scalar_one() == 0


def test_readers_do_not_wait_for_the_writer_of_another_process(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO lineage VALUES ('x', '', '', '', '')")
        assert count(database) == 0
        with database.view() as connection:
            assert connection.execute(COUNT).scalar_one() == 0
        other.execute("ROLLBACK")


def test_a_writer_that_waits_too_long_for_another_process_is_unavailable(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"), database.write():
            pass
        other.execute("ROLLBACK")
    with database.write() as connection:
        add(connection, "a")


def test_a_writer_that_waits_too_long_for_another_thread_is_unavailable(database: Database) -> None:
    holds, release = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            holds.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    try:
        with pytest.raises(Unavailable, match="busy"), database.write():
            pass
    finally:
        release.set()
        thread.join()
    with database.write() as connection:
        add(connection, "a")


def test_a_full_disk_is_no_space(database: Database) -> None:
    with database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpace), database.write() as connection:
        add(connection, "x" * 100_000)
    assert count(database) == 0


def test_what_a_trigger_refuses_is_an_integrity_error_that_says_so(database: Database) -> None:
    with database.write() as connection:
        add(connection, "a")
    with pytest.raises(IntegrityError, match="never changed or deleted"), database.write() as connection:
        connection.exec_driver_sql("DELETE FROM lineage")


def test_a_mistake_in_a_statement_is_not_dressed_up(database: Database) -> None:
    with pytest.raises(OperationalError), database.read() as connection:
        connection.exec_driver_sql("SELECT nonsense")


def test_a_damaged_page_is_an_integrity_error(path: Path) -> None:
    Database.open(f"sqlite:///{path}").close()
    content = bytearray(path.read_bytes())
    content[4096 + 16 :] = b"\xff" * len(content[4096 + 16 :])
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="damaged"):
        Database.open(f"sqlite:///{path}")


def test_a_write_that_the_file_does_not_allow_is_refused(database: Database) -> None:
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(PermissionRefused), database.write() as connection:
        add(connection, "a")
    assert count(database) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_written_is_refused(path: Path) -> None:
    Database.open(f"sqlite:///{path}").close()
    path.chmod(0o000)
    with pytest.raises(PermissionRefused):
        Database.open(f"sqlite:///{path}")


def test_a_folder_in_the_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(PermissionRefused):
        Database.open(f"sqlite:///{path}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        Database.open(f"sqlite:///{tmp_path}/nowhere/registry.db")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "url",
    ["", "not a url", "sqlite://", "sqlite:///:memory:", "sqlite:///x.db?mode=ro", "mysql://u:secret@h/d", "file:x.db"],
)
def test_what_is_no_sqlite_file_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        Database.open(url)
    assert "secret" not in str(raised.value.to_json())


@pytest.mark.slow
def test_a_child_of_a_fork_uses_connections_of_its_own(path: Path) -> None:
    code = """
import os, sys
from sqlalchemy import text
from holdfast.database.engine import Database
database = Database.open(f"sqlite:///{sys.argv[1]}")
add = text("INSERT INTO lineage VALUES (:name, '', '', '', '')")
with database.write() as connection:
    connection.execute(add, {"name": "before"})
    child = os.fork()
    if child == 0:
        # The parent holds the writer's place and a transaction; neither is the child's.
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
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert found.stdout == "0 after before child\n", found.stderr
