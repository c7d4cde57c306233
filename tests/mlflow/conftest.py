"""The real clients, and one server for each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlflow.rooms import Room, ours, theirs
from tests.mlflow.venvs import CLIENTS, Client, client


@pytest.fixture(scope="session", params=CLIENTS)
def real(request: pytest.FixtureRequest) -> Client:
    """Each of the real clients in turn."""
    return client(str(request.param))


@pytest.fixture(scope="session")
def newest() -> Client:
    return client("new")


@pytest.fixture(scope="session")
def room(real: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A server of ours that one client has to itself."""
    with ours(tmp_path_factory.mktemp(f"ours-{real.name}")) as found:
        yield found


@pytest.fixture(scope="session")
def mlflow_server(newest: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of MLflow's own server, for whoever writes down what right answers are."""
    with theirs(newest, tmp_path_factory.mktemp("theirs")) as url:
        yield url


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder for a script to run in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder
