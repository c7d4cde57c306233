import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import (
    Action,
    Edge,
    Facts,
    MoveStage,
    NewApproval,
    NewEvent,
    NewRollout,
    NewVerdict,
    NewVersion,
    RolloutKind,
    RolloutState,
    Tally,
    Truth,
    Turn,
)
from holdfast.registry.sql import SqlRegistry
from tests.blank import blank_registry
from tests.certificates import certificate

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Clock:
    """Begins at a known moment and goes one second further each time it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def counted(prefix: str) -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers)}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(database: Database, clock: Clock) -> SqlRegistry:
    return SqlRegistry(database, clock, counted("approval-"))


@pytest.fixture
def filled(registry: SqlRegistry) -> SqlRegistry:
    fill(registry)
    return registry


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "registry.db"
    database = Database.open(blank_registry(path))
    fill(SqlRegistry(database, Clock(), counted("approval-")))
    database.close()
    return path


def fill(registry: SqlRegistry) -> None:
    """Something of every kind: three versions, two moves and a rollback, evidence, lineage."""
    churn, production = ModelName("churn"), StageName("production")
    registry.create_model(churn, "ana", description="who leaves")
    registry.define_stage(churn, StageName("canary"), "ana")
    for count in (1, 2, 3):
        digest = hash_bytes(str(count).encode())
        edge = Edge("version", str(digest), "trained_on", "snapshot", str(hash_bytes(b"data")))
        facts = Facts((("metrics.recall", 0.9),), (("data", str(hash_bytes(b"data"))),)) if count < 3 else None
        new = NewVersion(churn, digest, True, (), f"r{count}", None, {"recall": 0.9}, (edge,), facts)
        registry.register(new, "ana", f"try {count}")
    one, two = VersionNumber(1), VersionNumber(2)
    registry.move_stage(MoveStage(churn, production, one, None, Action.STAGE_ADOPT, "what was there"), "ana")
    said = {"outcome": "pass", "model": "churn", "version": 2, "stage": "production"}
    verdict = registry.put_verdict(NewVerdict(churn, two, production, "pass", said))
    judged = NewApproval(churn, two, hash_bytes(b"2"), production, reason="looked at it", verdict=verdict.digest)
    approval = registry.approve(judged, "bob")
    registry.move_stage(
        MoveStage(
            churn,
            production,
            two,
            one,
            Action.STAGE_PROMOTE,
            "better",
            verdict.digest,
            (approval.id,),
            "key-1",
            {"ticket": "T-1"},
        ),
        "ana",
    )
    registry.move_stage(MoveStage(churn, production, one, two, Action.STAGE_ROLLBACK, "latency"), "bob")
    way = (2, hash_bytes(b"2")), (1, hash_bytes(b"1"))
    registry.put_rehearsal(certificate(*way), "ana")
    registry.put_rehearsal(certificate(*way, outcome="fail", failed=None), "bob")
    begun = registry.begin_rollout(
        NewRollout(RolloutKind.CANARY, churn, production, two, one, {"steps": [0.1]}, "try it"), "ana"
    )
    turn = Turn(begun.id, begun.event, RolloutState.HELD, 0, "7 errors in 90", {"errors": 7})
    registry.turn_rollout(turn, "replica")
    registry.tally(Tally(begun.id, 0, "r1", {"requests": 90}))
    registry.tally(Tally(begun.id, 0, "r1", {"requests": 91}))
    registry.put_truths(churn, [Truth("q1", value=True), Truth("q1", value=0.5, place=1)], "ana")
    registry.record(NewEvent(Action.ROLLBACK_EXPLAIN, churn, production, reason="a slow index"), "bob")


@pytest.fixture
def registry_at() -> Iterator[Callable[[Path | str], SqlRegistry]]:
    """Opens registries by path or URL, with the real clock, and closes their databases at the end."""
    opened: list[Database] = []

    def at(place: Path | str) -> SqlRegistry:
        opened.append(Database.open(place if isinstance(place, str) else f"sqlite:///{place}"))
        return SqlRegistry(opened[-1], lambda: datetime.now(UTC), counted("approval-"))

    yield at
    for database in opened:
        database.close()
