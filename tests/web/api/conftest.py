import itertools
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from holdfast.access.sql import SqlAccess
from holdfast.access.standing import StageAsks, standing
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewRollout, NewVersion, RolloutKind
from holdfast.registry.guard import Evidence
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry
from holdfast.service import Line
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.turns import undisturbed
from holdfast.tracking.sql import SqlTracking
from holdfast.web.api.depot import Depot
from holdfast.web.api.desk import Around
from tests.blank import blank_registry
from tests.serving_api import api_server
from tests.web.api.people import People, asks


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


@contextmanager
def served(database: Database, folder: Path, asks: Callable[[Evidence], StageAsks] = asks) -> Iterator[People]:
    """A server that asks who one is, and people with tokens; its stages are guarded."""
    ids = itertools.count(1)
    access = SqlAccess(database, lambda: datetime.now(UTC), lambda: f"token-{next(ids)}")
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"approval-{next(ids)}", guard=standing(asks))
    tracking = SqlTracking(database, lambda: datetime.now(UTC), lambda: f"run-{next(ids)}")
    kept = LocalStore(folder / "store")
    depot = Depot(kept, FolderTransport(kept.root), partial(undisturbed, Layout(kept.root)))
    with api_server(registry, tracking, depot, Around(access=access)) as url:
        yield People.of(url, access, kept)


@pytest.fixture
def people(database: Database, tmp_path: Path) -> Iterator[People]:
    """A server of this test's own."""
    with served(database, tmp_path) as found:
        yield found
        found.client.close()


def begin_a_shadow(database: Database) -> None:
    """Beside the first version of churn in production."""
    names = SqlRegistry(database, lambda: datetime.now(UTC), lambda: "unused")
    churn, production, one, two = ModelName("churn"), StageName("production"), VersionNumber(1), VersionNumber(2)
    for text in (b"1", b"2"):
        names.register(NewVersion(churn, hash_bytes(text), complete=True), "root")
    names.move_stage(MoveStage(churn, production, one, None, Action.STAGE_ADOPT), "root")
    names.begin_rollout(NewRollout(RolloutKind.SHADOW, churn, production, two, one, {}, "why"), "root")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """A server for all tests of a module, with a model, a run and a rollout."""
    folder = tmp_path_factory.mktemp("shared")
    database = Database.open(blank_registry(folder / "registry.db"))
    with served(database, folder) as found:
        assert found.ask("contributor", "PUT", "/models/churn", {}).status_code == 200
        assert found.ask("contributor", "POST", "/runs", {"model": "churn"}).status_code == 201
        begin_a_shadow(database)
        yield found
        found.client.close()
    database.close()
