"""Many promote one model through two servers on one PostgreSQL, while what answers them is killed: nothing is lost."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.registry.sql import SqlRegistry
from tests.fire.clients import promoted
from tests.fire.history import History, faults, faults_of_the_log
from tests.fire.replicas import Replica, replicas
from tests.patience import until
from tests.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.slow

CLIENTS = 16
SECONDS = 8.0


@dataclass(frozen=True)
class Cluster:
    """Two servers of ours on one of PostgreSQL."""

    postgres: PostgresServer
    database_url: str
    servers: list[Replica]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    # It waits for the disk: what it acknowledged survives its end.
    with postgres_server(durable=True) as postgres:
        url = postgres.url(postgres.empty())
        with replicas(tmp_path, url, workers=2) as servers:
            yield Cluster(postgres, url, servers)


def under_fire(cluster: Cluster, meanwhile: Callable[[], object] = lambda: None) -> History:
    """What happened while the clients were at work, found to be without a fault."""
    with closing(Database.open(cluster.database_url)) as database:
        registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
        urls = [server.url for server in cluster.servers]
        history, seen = promoted(
            registry, urls, clients=CLIENTS, seconds=SECONDS, moves=CLIENTS + 1, meanwhile=meanwhile
        )
        found = [*faults(history), *faults_of_the_log(registry, seen)]
    assert not found, "\n".join(found[:20])
    assert all(attempt.move or attempt.refusal for attempt in history.attempts), "somebody was never answered"
    assert len({attempt.actor for attempt in history.acknowledged}) > CLIENTS / 2
    return history


def goes_on_after(history: History, moment: float) -> bool:
    """Whether clients began moves behind the moment, and were told that they were made."""
    return any(attempt.begun > moment for attempt in history.acknowledged)


def test_many_promote_one_model_through_two_servers(cluster: Cluster) -> None:
    history = under_fire(cluster)
    assert any(attempt.refusal for attempt in history.attempts)
    assert len(history.acknowledged) == len(history.moves) > CLIENTS


def test_nothing_is_lost_when_postgresql_is_stopped_and_started_again(cluster: Cluster) -> None:
    moments = []

    def meanwhile() -> None:
        for how in (signal.SIGQUIT, signal.SIGINT):
            time.sleep(2)
            cluster.postgres.stop(how)
            time.sleep(0.5)
            cluster.postgres.start()
            moments.append(time.monotonic())

    assert goes_on_after(under_fire(cluster, meanwhile), moments[-1])


def test_nothing_is_lost_when_processes_of_a_server_are_killed(cluster: Cluster) -> None:
    killed: list[int] = []
    moments = []

    def unhurt(server: Replica) -> int:
        return until(lambda: set(server.workers()) - set(killed), server.said).pop()

    def meanwhile() -> None:
        for nth in range(6):
            time.sleep(1)
            worker = unhurt(cluster.servers[nth % 2])
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)
            moments.append(time.monotonic())

    assert goes_on_after(under_fire(cluster, meanwhile), moments[-1])
    assert len(set(killed)) == 6
    assert all("another takes its place" in server.said() for server in cluster.servers)


def test_nothing_is_lost_when_a_whole_server_is_killed_and_another_started(cluster: Cluster) -> None:
    moments = []

    def meanwhile() -> None:
        for server in cluster.servers:
            time.sleep(1.5)
            server.kill()
            time.sleep(1)
            server.start()
            moments.append(time.monotonic())

    assert goes_on_after(under_fire(cluster, meanwhile), moments[-1])
