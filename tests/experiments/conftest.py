import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.experiments.files import SqlFiles
from holdfast.store.local import LocalStore


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "registry.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def database(empty_file: Path, tmp_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{shutil.copy(empty_file, tmp_path / 'registry.db')}")
    yield database
    database.close()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def files(database: Database, store: LocalStore) -> SqlFiles:
    return SqlFiles(database, store)
