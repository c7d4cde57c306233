import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.experiments.experiments import SqlExperiments
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.runs import SqlRuns
from holdfast.store.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def files(database: Database, store: LocalStore) -> SqlFiles:
    return SqlFiles(database, store)


def moment() -> datetime:
    """When everything happens."""
    return datetime(2026, 3, 1, 9, tzinfo=UTC)


def ids() -> Callable[[], str]:
    """What gives an id that was not there: they go up, so that runs of one moment have an order."""
    counted = itertools.count(1)
    return lambda: f"{next(counted):032x}"


@pytest.fixture
def made(anywhere: Database) -> SqlExperiments:
    """Experiments, in a database of each kind."""
    return SqlExperiments(anywhere, moment)


@pytest.fixture
def logged_runs(anywhere: Database, made: SqlExperiments) -> SqlRuns:
    """Runs of them."""
    return SqlRuns(anywhere, moment, ids(), made.require_default)
