import itertools
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry
from holdfast.service import Line
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.turns import undisturbed
from holdfast.tracking.sql import SqlTracking
from holdfast.web.api.depot import Depot
from tests.serving_api import api_server


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
def embedded(database: Database) -> SqlRegistry:
    """The registry behind the server."""
    ids = itertools.count(1)
    return SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"approval-{next(ids)}")


@pytest.fixture
def kept(tmp_path: Path) -> LocalStore:
    """The store behind the server."""
    return LocalStore(tmp_path / "store")


@pytest.fixture
def url(database: Database, embedded: SqlRegistry, kept: LocalStore) -> Iterator[str]:
    """Where the server answers."""
    ids = itertools.count(1)
    tracking = SqlTracking(database, lambda: datetime.now(UTC), lambda: f"run-{next(ids)}")
    depot = Depot(kept, FolderTransport(kept.root), partial(undisturbed, Layout(kept.root)))
    with api_server(embedded, tracking, depot) as url:
        yield url


@pytest.fixture
def line(url: str) -> Iterator[Line]:
    """A client's line to the server."""
    with closing(Line(url)) as line:
        yield line


@pytest.fixture
def registry(line: Line) -> HttpRegistry:
    """The registry as a client sees it."""
    ids = itertools.count(1)
    return HttpRegistry(line, lambda: f"key-{next(ids)}")
