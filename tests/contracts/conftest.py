import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from holdfast.database.engine import Database
from holdfast.registry import Registry
from holdfast.registry.http import HttpRegistry
from holdfast.registry.sql import SqlRegistry
from holdfast.service import Line
from tests.contracts.turns import InTurns
from tests.proxy import losing_way_to
from tests.servers import S3Server, s3_server
from tests.serving_api import api_server

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Clock:
    """Begins at a known moment and goes one second further each time it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(
    params=[
        "one handle",
        pytest.param("two handles", marks=pytest.mark.thorough),
        pytest.param("two handles, postgres", marks=pytest.mark.slow),
        pytest.param("http, postgres", marks=pytest.mark.slow),
        pytest.param("http, lost answers", marks=pytest.mark.slow),
    ]
)
def kept(request: pytest.FixtureRequest) -> str:
    """Where names and runs are, and who asks for them; over HTTP two servers of ours are on one database.

    Each way is there for what no other has: nothing that one handle on PostgreSQL does is left undone by two.
    """
    return str(request.param)


@pytest.fixture
def way(kept: str) -> Callable[[str], AbstractContextManager[Line]]:
    """A client's line to one of our servers; it may lead through a network that loses questions and answers."""

    @contextmanager
    def line_to(url: str) -> Iterator[Line]:
        with losing_way_to(url) if "lost" in kept else nullcontext(url) as there, closing(_line(there)) as line:
            yield line

    def _line(there: str) -> Line:
        return Line(there, sleep=lambda _: None) if "lost" in kept else Line(there)

    return line_to


@pytest.fixture
def handles(request: pytest.FixtureRequest, kept: str) -> Iterator[list[Database]]:
    """One database, opened once or twice."""
    on_a_server = "postgres" in kept
    found = request.getfixturevalue("postgres_url" if on_a_server else "database_path")
    url = found if on_a_server else f"sqlite:///{found}"
    databases = [Database.open(url) for _ in range(1 if "one" in kept else 2)]
    yield databases
    for database in databases:
        database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(
    handles: list[Database],
    kept: str,
    clock: Callable[[], datetime],
    way: Callable[[str], AbstractContextManager[Line]],
) -> Iterator[Registry]:
    ids = itertools.count(1)
    registries = [SqlRegistry(database, clock, lambda: f"approval-{next(ids)}") for database in handles]
    with ExitStack() as serving:
        adapters: list[Registry] = [*registries]
        if "http" in kept:
            urls = [serving.enter_context(api_server(registry=one)) for one in registries]
            lines = [serving.enter_context(way(url)) for url in urls]
            adapters = [HttpRegistry(line, lambda: f"key-{next(ids)}") for line in lines]
        yield cast("Registry", InTurns(*adapters))


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server
