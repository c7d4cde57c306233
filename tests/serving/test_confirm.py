"""Waiting for replicas, over a real registry."""

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import NotConfirmed
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion, Registry, Replica, ReplicaState
from holdfast.registry.sql import SqlRegistry
from holdfast.serving.confirm import wait_for_replicas
from holdfast.serving.source import Pointer, Pointers, RegistrySource
from tests.blank import blank_registry
from tests.patience import PATIENCE_SECONDS

MODEL, STAGE = ModelName("churn"), StageName("production")
ONE, TWO = hash_bytes(b"one"), hash_bytes(b"two")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    ids = itertools.count(1)
    database = Database.open(blank_registry(tmp_path / "registry.db"))
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"id-{next(ids)}")
    registry.create_model(MODEL, "ana")
    for digest in (ONE, TWO):
        registry.register(NewVersion(MODEL, digest, complete=True), "ana")
    yield registry
    database.close()


def said(id_: str, epoch: int | None, state: ReplicaState = ReplicaState.READY, **changes: object) -> Replica:
    given = {"number": VersionNumber(1), "digest": ONE, "error": None, **changes}
    return Replica(
        id=id_, model=MODEL, stage=STAGE, host="here", pid=1, url=f"http://{id_}", epoch=epoch, state=state,
        started_at=START, reported_at=START, **given,  # type: ignore[arg-type]
    )  # fmt: skip


def test_without_a_replica_there_is_nothing_to_wait_for(registry: Registry) -> None:
    begun = time.monotonic()
    assert wait_for_replicas(registry, MODEL, STAGE, 1, ONE, timeout_seconds=PATIENCE_SECONDS) == ()
    registry.report(said("gone", 0, ReplicaState.STOPPED))
    assert wait_for_replicas(registry, MODEL, STAGE, 1, ONE, timeout_seconds=PATIENCE_SECONDS) == ()
    assert time.monotonic() - begun < PATIENCE_SECONDS


def test_it_returns_when_the_last_replica_has_reported_the_move_or_a_later_one(registry: Registry) -> None:
    registry.report(said("a", 1))
    registry.report(said("b", 5))
    registry.report(said("c", 0))

    def catch_up() -> None:
        time.sleep(0.3)
        registry.report(said("c", 1, ReplicaState.LOADING))
        time.sleep(0.3)
        registry.report(said("c", 1))

    late = threading.Thread(target=catch_up)
    late.start()
    begun = time.monotonic()
    found = wait_for_replicas(registry, MODEL, STAGE, 1, ONE, timeout_seconds=PATIENCE_SECONDS)
    assert time.monotonic() - begun >= 0.5
    late.join()
    assert {replica.id for replica in found} == {"a", "b", "c"}


@pytest.mark.parametrize(
    "lagging",
    [
        said("slow", 0),
        said("slow", None, number=None, digest=None),
        said("slow", 1, ReplicaState.LOADING),
        said("slow", 1, digest=TWO),
    ],
    ids=["older", "nothing-yet", "loading", "another-digest"],
)
def test_a_replica_that_lags_is_named_when_the_time_has_passed(registry: Registry, lagging: Replica) -> None:
    registry.report(said("quick", 1))
    registry.report(lagging)
    with pytest.raises(NotConfirmed, match="http://slow") as refused:
        wait_for_replicas(registry, MODEL, STAGE, 1, ONE, timeout_seconds=0.2)
    assert [one["id"] for one in refused.value.details["replicas"]] == ["slow"]


def test_a_replica_that_failed_ends_the_waiting_at_once_and_says_why(registry: Registry) -> None:
    registry.report(said("bad", 1, ReplicaState.FAILED, error="bundle_failed: no module named plans"))
    begun = time.monotonic()
    with pytest.raises(NotConfirmed, match="no module named plans"):
        wait_for_replicas(registry, MODEL, STAGE, 1, ONE, timeout_seconds=PATIENCE_SECONDS)
    assert time.monotonic() - begun < PATIENCE_SECONDS


def test_a_failure_of_an_older_move_is_waited_out(registry: Registry) -> None:
    registry.report(said("bad", 1, ReplicaState.FAILED, error="integrity: damaged"))
    threading.Timer(0.2, registry.report, [said("bad", 2)]).start()
    (found,) = wait_for_replicas(registry, MODEL, STAGE, 2, ONE, timeout_seconds=PATIENCE_SECONDS)
    assert found.epoch == 2


def test_a_stage_is_read_with_its_digests(registry: Registry) -> None:
    source = RegistrySource(registry, MODEL, STAGE)
    assert source.mark(None).epoch == 0
    assert source.read() == Pointers(0, None, None)
    one, two = VersionNumber(1), VersionNumber(2)
    registry.move_stage(MoveStage(MODEL, STAGE, one, None, Action.STAGE_PROMOTE), "ana")
    registry.move_stage(MoveStage(MODEL, STAGE, two, one, Action.STAGE_PROMOTE), "ana")
    assert source.mark(None).epoch == 2
    assert source.read() == Pointers(2, Pointer(two, TWO), Pointer(one, ONE))
    registry.move_stage(MoveStage(MODEL, STAGE, one, two, Action.STAGE_ROLLBACK), "ana")
    assert source.read() == Pointers(3, Pointer(one, ONE), None)
