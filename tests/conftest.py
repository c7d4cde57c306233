"""Options of `pytest` itself, which only the outermost conftest can add, and what all processes of tests inherit."""

import os
import signal
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore interrupts, and so would all that they start:
    # tests of what an interrupt does would then test nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the golden files instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    """What tests see of logs is nothing that the person who runs them should remember."""
    folder = tempfile.TemporaryDirectory(prefix="holdfast-state-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_STATE_HOME"] = folder.name


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """One for each process of tests; it is started by the first test that asks."""
    from tests.postgres import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: "PostgresServer") -> Iterator[str]:
    """The name of a database with the tables of Holdfast and nothing in them."""
    name = postgres.lend()
    yield name
    postgres.give_back(name)


@pytest.fixture
def postgres_url(postgres: "PostgresServer", postgres_database: str) -> str:
    """The same as a URL."""
    return postgres.url(postgres_database)
