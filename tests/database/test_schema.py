"""Which schema a file holds, who may open it, and how it comes to the newest."""

import importlib
import pkgutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect

import holdfast.database.migrations
import holdfast.database.migrations.steps
from holdfast.access import tables as access_tables
from holdfast.database import schema
from holdfast.database.engine import Database
from holdfast.errors import IntegrityError, UnsupportedFormat
from holdfast.experiments import tables as experiment_tables
from holdfast.registry import tables as registry_tables
from holdfast.tracking import tables as tracking_tables
from tests.patience import PATIENCE_SECONDS


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{path}")
    try:
        yield database
    finally:
        database.close()


def scripts() -> ScriptDirectory:
    folder = Path(holdfast.database.migrations.__file__).parent
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder / "steps"))
    config.set_main_option("path_separator", "newline")
    return ScriptDirectory.from_config(config)


def test_the_known_schemas_are_those_of_the_steps() -> None:
    found = [step.revision for step in scripts().walk_revisions()]
    assert tuple(reversed(found)) == schema.KNOWN
    assert scripts().get_current_head() == schema.HEAD


def test_no_step_goes_back() -> None:
    folder = holdfast.database.migrations.steps
    names = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    assert len(names) == len(schema.KNOWN)
    for name in names:
        with pytest.raises(NotImplementedError, match="only go forward"):
            importlib.import_module(f"{folder.__name__}.{name}").downgrade()


ALL_TABLES = {
    "registry": registry_tables.TABLES,
    "tracking": tracking_tables.TABLES,
    "access": access_tables.TABLES,
    "experiments": experiment_tables.TABLES,
}


@pytest.mark.parametrize("metadata", ALL_TABLES.values(), ids=ALL_TABLES)
def test_the_tables_of_the_statements_are_those_of_the_migrations(tmp_path: Path, metadata: MetaData) -> None:
    with opened(tmp_path / "registry.db") as database, database.view() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert set(columns) == {column.name for column in table.columns}
            for column in table.columns:
                there = columns[column.name]
                assert str(there["type"]) == str(column.type.compile(database.engine.dialect)), column
                assert there["nullable"] == column.nullable or column.primary_key, column
            keys = [column.name for column in table.primary_key.columns]
            assert found.get_pk_constraint(table.name)["constrained_columns"] == keys
            foreign = {tuple(key["constrained_columns"]) for key in found.get_foreign_keys(table.name)}
            assert foreign == {tuple(key.column_keys) for key in table.foreign_key_constraints}


def test_every_table_belongs_to_names_runs_or_people(tmp_path: Path) -> None:
    known = {"alembic_version"}.union(*(metadata.tables for metadata in ALL_TABLES.values()))
    with opened(tmp_path / "registry.db") as database, database.view() as connection:
        assert set(inspect(connection).get_table_names()) == known


def test_a_new_file_is_made_at_the_newest_schema(tmp_path: Path) -> None:
    with opened(tmp_path / "registry.db") as database, database.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == schema.HEAD
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_file_of_a_newer_holdfast_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with opened(path), closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnsupportedFormat, match="9999") as raised, opened(path):
        pass
    assert "newer" in raised.value.hint
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(UnsupportedFormat, match="not one of Holdfast's"), opened(path):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello, world " * 500, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_file_that_is_no_database_is_an_integrity_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged"), opened(path):
        pass
    assert path.read_bytes() == content


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "registry.db"
    broken = "holdfast.database.migrations.promises_0001._runs"
    with monkeypatch.context() as patch:
        patch.setattr(broken, lambda: iter(["CREATE TRIGGER nonsense"]))
        with pytest.raises(Exception, match="incomplete input"), opened(path):
            pass
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    with opened(path) as database, database.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == schema.HEAD


@pytest.mark.slow
def test_an_ordinary_open_loads_no_alembic(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with opened(path):
        pass
    code = (
        "import sys; from holdfast.database.engine import Database; "
        f"Database.open('sqlite:///{path}').close(); "
        "sys.exit([name for name in sys.modules if name.partition('.')[0] in ('alembic', 'mako')] != [])"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_the_values_of_the_registry_and_of_tracking_load_no_sqlalchemy() -> None:
    code = "import sys, holdfast.registry, holdfast.tracking; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_processes_that_open_one_new_file_together_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    code = (
        "import sys; from holdfast.database.engine import Database; sys.stdin.readline(); "
        "database = Database.open(f'sqlite:///{sys.argv[1]}'); "
        "connection = database.engine.connect(); "
        "print(connection.exec_driver_sql('SELECT count(*) FROM events').scalar_one()); "
        "connection.close(); database.close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in started] == ["0\n"] * 5
