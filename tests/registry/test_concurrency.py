"""Many at once, in a file and on a server: threads of one process, and processes that share only the database."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import StageMoved
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry
from tests.patience import PATIENCE_SECONDS
from tests.postgres import PostgresServer

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
ONE = VersionNumber(1)

WRITER = """
import json, sys, uuid
from datetime import UTC, datetime
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import StageMoved
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry

url, who, task = sys.argv[1:]
registry = SqlRegistry(Database.open(url), lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
model, stage = ModelName("churn"), StageName("production")
print("ready", flush=True)
sys.stdin.readline()
done = []
if task == "register":
    registry.ensure_model(model, who)
    for n in range(25):
        digest = hash_bytes(f"{who} {n}".encode())
        done.append(registry.register(NewVersion(model, digest, complete=True), who).number)
elif task == "promote":
    for to in range(2, 8):
        asked = MoveStage(model, stage, VersionNumber(to), VersionNumber(1), Action.STAGE_PROMOTE)
        try:
            done.append(registry.move_stage(asked, who).event)
        except StageMoved as error:
            assert error.details["expected"] == 1 and error.details["found"] and error.details["moved_by"]
print(json.dumps(done), flush=True)
"""


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> str:
    if request.param == "server":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{request.getfixturevalue('database_path')}"


@pytest.fixture(params=["file", "server"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Nobody has opened it yet."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.database()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def registry(database_url: str, clock: Callable[[], datetime]) -> Iterator[SqlRegistry]:
    database = Database.open(database_url)
    yield SqlRegistry(database, clock, lambda: "unused")
    database.close()


def in_processes(url: str, task: str, count: int) -> list[list[int]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, url, f"writer-{n}", task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    answers = []
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        answers.append(json.loads(out))
    return answers


def with_versions(registry: SqlRegistry, count: int) -> None:
    registry.ensure_model(CHURN, "ana")
    for n in range(count):
        registry.register(NewVersion(CHURN, hash_bytes(str(n).encode()), complete=True), "ana")


def at_once(work: Callable[[int], bool], count: int) -> list[bool]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


@pytest.mark.thorough
def test_of_fifty_promotions_at_once_exactly_one_wins(registry: SqlRegistry) -> None:
    with_versions(registry, 51)
    registry.move_stage(MoveStage(CHURN, PRODUCTION, ONE, None, Action.STAGE_PROMOTE), "ana")

    lost: list[StageMoved] = []

    def promote(n: int) -> bool:
        asked = MoveStage(CHURN, PRODUCTION, VersionNumber(n + 2), ONE, Action.STAGE_PROMOTE)
        try:
            registry.move_stage(asked, f"writer {n}")
        except StageMoved as error:
            lost.append(error)
            return False
        return True

    assert at_once(promote, 50).count(True) == 1
    assert len(lost) == 49
    for error in lost:
        assert error.details["expected"] == 1
        assert error.details["found"] == error.details["moved_to"]
        assert error.details["moved_by"].startswith("writer")
    stage = registry.stage(CHURN, PRODUCTION)
    assert (stage.epoch, stage.last_known_good) == (2, 1)
    assert registry.audit_verify().ok


@pytest.mark.thorough
def test_registrations_of_many_threads_get_numbers_without_a_gap(registry: SqlRegistry) -> None:
    registry.ensure_model(CHURN, "ana")

    def register(n: int) -> bool:
        digests = [hash_bytes(f"{n} {m}".encode()) for m in range(5)]
        return all(registry.register(NewVersion(CHURN, digest, complete=True), f"t{n}") for digest in digests)

    assert all(at_once(register, 16))
    assert [version.number for version in registry.versions(CHURN)] == list(range(1, 81))
    assert registry.audit_verify().ok


def test_readers_never_see_a_stage_between_two_states(registry: SqlRegistry) -> None:
    with_versions(registry, 2)
    registry.move_stage(MoveStage(CHURN, PRODUCTION, ONE, None, Action.STAGE_PROMOTE), "ana")

    def work(n: int) -> bool:
        for turn in range(40):
            if n == 0:
                held = VersionNumber(1 + turn % 2)
                to = VersionNumber(2 - turn % 2)
                registry.move_stage(MoveStage(CHURN, PRODUCTION, to, held, Action.STAGE_PROMOTE), "ana")
            else:
                stage = registry.stage(CHURN, PRODUCTION)
                assert stage.number == 2 - stage.epoch % 2
                assert stage.digest == hash_bytes(str((stage.number or 0) - 1).encode())
        return True

    assert all(at_once(work, 8))


@pytest.mark.slow
def test_of_many_processes_that_promote_exactly_one_wins(
    registry_at: Callable[[str], SqlRegistry], database_url: str
) -> None:
    registry = registry_at(database_url)
    with_versions(registry, 8)
    registry.move_stage(MoveStage(CHURN, PRODUCTION, ONE, None, Action.STAGE_PROMOTE), "ana")
    won = [event for events in in_processes(database_url, "promote", 4) for event in events]
    assert len(won) == 1
    assert registry.stage(CHURN, PRODUCTION).event == won[0]
    assert registry.audit_verify().ok


@pytest.mark.slow
def test_processes_that_begin_a_model_together_get_numbers_without_a_gap(
    registry_at: Callable[[str], SqlRegistry], new_url: str
) -> None:
    numbers = [number for answer in in_processes(new_url, "register", 4) for number in answer]
    assert sorted(numbers) == list(range(1, 101))
    registry = registry_at(new_url)
    assert len(registry.models()) == 1
    assert registry.audit_verify().ok
