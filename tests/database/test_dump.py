"""A database as lines, and a database from lines: whatever kind and age either has."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, text

from holdfast.canonical import Reader, decode
from holdfast.database.dump import dump, load
from holdfast.database.engine import Database
from holdfast.errors import IntegrityError, UnsupportedFormat, UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry import Truth, audit
from holdfast.registry.sql import SqlRegistry
from tests.database.test_museum import EXHIBITS
from tests.postgres import PostgresServer
from tests.registry.conftest import Clock, counted, fill


def exhibit(path: Path, folder: Path) -> str:
    """A database as an old Holdfast left it."""
    file = folder / "old.db"
    with closing(sqlite3.connect(file)) as raw:
        raw.executescript(path.read_text(encoding="utf-8"))
    return f"sqlite:///{file}"


def lines_of(url: str) -> list[bytes]:
    database = Database.open(url)
    try:
        with database.view() as connection:
            return list(dump(connection, {}))
    finally:
        database.close()


def filling(lines: list[bytes]) -> Callable[[Connection, str], None]:
    def fill(connection: Connection, name: str) -> None:
        load(connection, Reader(decode(lines[0], what="head"), "head"), iter(lines[1:]), name)
        assert audit.verify(connection).ok

    return fill


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    return lines_of(exhibit(EXHIBITS[-1], tmp_path))


def tables_in(url: str) -> dict[str, int]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as raw:
        return {
            str(name): raw.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - its own names
            for (name,) in raw.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        }


@pytest.mark.thorough
def test_what_was_loaded_dumps_to_the_same_lines(lines: list[bytes], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    Database.filled(url, filling(lines)).close()
    assert lines_of(url) == lines


@pytest.mark.thorough
def test_every_table_with_rows_is_in_it(lines: list[bytes], tmp_path: Path) -> None:
    counted = decode(lines[-1], what="the last line")["rows"]
    there = tables_in(f"sqlite:///{tmp_path / 'old.db'}")
    del there["alembic_version"]
    assert counted == there
    assert sum(counted.values()) == len(lines) - 2


@pytest.mark.slow
def test_it_goes_from_sqlite_to_a_server_and_back(lines: list[bytes], postgres: PostgresServer, tmp_path: Path) -> None:
    name = postgres.database()
    url = postgres.url(name)
    try:
        Database.filled(url, filling(lines)).close()
        there = lines_of(url)
        back = f"sqlite:///{tmp_path / 'back.db'}"
        Database.filled(back, filling(there)).close()
        assert sorted(lines_of(back)) == sorted(lines)
        database = Database.open(url)
        with database.write() as connection:
            connection.execute(text("INSERT INTO runs VALUES ('new', NULL, 'n', 'running', 't', NULL, 'ana', '')"))
            connection.execute(text("INSERT INTO run_points (run, key, step, time) VALUES ('new', 'loss', 1, 't')"))
        database.close()
    finally:
        postgres.drop(name)


@pytest.mark.slow
def test_rollouts_go_to_a_server_with_what_was_counted_and_learned(postgres: PostgresServer, tmp_path: Path) -> None:
    url, name, churn = f"sqlite:///{tmp_path / 'registry.db'}", postgres.database(), ModelName("churn")
    try:
        with closing(Database.open(url)) as here:
            registry = SqlRegistry(here, Clock(), counted("approval-"))
            fill(registry)
            Database.filled(postgres.url(name), filling(lines_of(url))).close()
            with closing(Database.open(postgres.url(name))) as there:
                moved = SqlRegistry(there, Clock(), counted("approval-"))
                [rollout] = moved.rollouts(churn, StageName("production"))
                assert (rollout,) == registry.rollouts(churn, StageName("production"))
                assert moved.tallies(rollout.id) == registry.tallies(rollout.id)
                known = moved.truths(churn)
                assert known == registry.truths(churn)
                assert moved.put_truths(churn, [Truth("q2", value=1)], "ana") > known[-1].index
    finally:
        postgres.drop(name)


@pytest.mark.thorough
@pytest.mark.parametrize("path", EXHIBITS, ids=lambda path: path.parent.name)
def test_a_dump_of_any_age_becomes_a_database_of_today(path: Path, tmp_path: Path) -> None:
    old = exhibit(path, tmp_path)
    with closing(sqlite3.connect(old.removeprefix("sqlite:///"))) as raw:
        events = raw.execute("SELECT COUNT(*) FROM events").fetchone()[0]
    engine = create_engine(old)
    with engine.connect() as connection:
        lines = list(dump(connection, {}))
    engine.dispose()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    Database.filled(new, filling(lines)).close()
    assert tables_in(new)["events"] == events > 0


@pytest.mark.thorough
def test_the_triggers_are_back(lines: list[bytes], tmp_path: Path) -> None:
    def triggers(path: Path) -> set[tuple[str, str]]:
        with closing(sqlite3.connect(path)) as raw:
            return set(raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))

    Database.filled(f"sqlite:///{tmp_path / 'new.db'}", filling(lines)).close()
    assert triggers(tmp_path / "new.db") == triggers(tmp_path / "old.db") != set()


@pytest.mark.slow
def test_the_triggers_are_back_on_a_server(lines: list[bytes], postgres: PostgresServer) -> None:
    name = postgres.database()
    try:
        Database.filled(postgres.url(name), filling(lines)).close()
        with postgres.raw(name) as raw:
            off = raw.execute("SELECT COUNT(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'").fetchone()
            on = raw.execute("SELECT COUNT(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'").fetchone()
        raw.close()
        assert off == (0,)
        assert on is not None and on[0] > 20  # noqa: PT018 - so many promises
    finally:
        postgres.drop(name)


def _shortened(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if not line.startswith(b'["events",1,')]


def _without_end(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _going_on(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[1]]


@pytest.mark.thorough
@pytest.mark.parametrize("spoil", [_shortened, _without_end, _going_on])
def test_rows_that_are_missing_are_missed(
    spoil: Callable[[list[bytes]], list[bytes]], lines: list[bytes], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with pytest.raises(IntegrityError):
        Database.filled(url, filling(spoil(lines)))
    assert tables_in(url) == {}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "row", [b"17\n", b'["nowhere",1]\n', b'["models"]\n', b"[\n", b"[]\n", b'["verdicts",1,2,3,4,5,"?",7]\n']
)
def test_what_is_no_row_is_refused(row: bytes, lines: list[bytes], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with pytest.raises(UnsupportedFormat):
        Database.filled(url, filling([lines[0], row, lines[-1]]))
    assert tables_in(url) == {}


@pytest.mark.thorough
@pytest.mark.parametrize(("field", "value"), [("database", "9999"), ("columns", {"models": ["name"]}), ("columns", {})])
def test_another_schema_than_those_known_is_refused(field: str, value: Any, lines: list[bytes], tmp_path: Path) -> None:
    head = {**decode(lines[0], what="head"), field: value}

    def fill(connection: Connection, name: str) -> None:
        load(connection, Reader(head, "head"), iter(lines[1:]), name)

    with pytest.raises(UnsupportedFormat):
        Database.filled(f"sqlite:///{tmp_path / 'new.db'}", fill)


@pytest.mark.thorough
def test_a_database_that_is_in_use_stays_as_it_is(lines: list[bytes], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    Database.open(url).close()
    with pytest.raises(UsageError, match="holds tables already"):
        Database.filled(url, filling(lines))
    assert sum(tables_in(url).values()) == 1  # which schema it has


@pytest.mark.thorough
def test_memory_stays_flat(lines: list[bytes], tmp_path: Path) -> None:
    """Lines are asked for as they are written, and never all at once."""
    asked = 0

    def counted() -> Iterator[bytes]:
        nonlocal asked
        for line in lines[1:]:
            asked += 1
            yield line

    seen: list[int] = []

    def fill(connection: Connection, name: str) -> None:
        event.listen(connection, "before_cursor_execute", lambda *_: seen.append(asked))
        load(connection, Reader(decode(lines[0], what="head"), "head"), counted(), name)

    Database.filled(f"sqlite:///{tmp_path / 'new.db'}", fill).close()
    assert len(set(seen)) > 5
