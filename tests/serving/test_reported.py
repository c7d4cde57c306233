"""What is truly answering, told to a person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Replica, ReplicaState, Stage
from holdfast.serving.reported import Reported

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DIGEST, OTHER = hash_bytes(b"four"), hash_bytes(b"three")
STAGE = Stage(
    model=ModelName("churn"),
    name=StageName("production"),
    number=VersionNumber(4),
    digest=DIGEST,
    epoch=7,
    last_known_good=VersionNumber(3),
    event=9,
    changed_at=NOW,
)


def replica(**more: Any) -> Replica:
    said: dict[str, Any] = {
        "id": "a",
        "model": STAGE.model,
        "stage": STAGE.name,
        "host": "h1",
        "pid": 7,
        "url": "http://127.0.0.1:8081",
        "number": VersionNumber(4),
        "digest": DIGEST,
        "epoch": 7,
        "state": ReplicaState.READY,
        "error": None,
        "started_at": NOW,
        "reported_at": NOW - timedelta(seconds=1),
        "since": NOW,
    }
    return Replica(**{**said, **more})


@pytest.mark.parametrize(
    ("said", "heard", "in_step", "how"),
    [
        ({}, True, True, "in step"),
        ({}, False, False, "silent"),
        ({"number": VersionNumber(3), "digest": OTHER, "epoch": 6}, True, False, "behind"),
        ({"epoch": 6}, True, False, "behind"),
        ({"state": ReplicaState.FAILED, "error": "no memory"}, True, False, "failed: no memory"),
        ({"state": ReplicaState.LOADING, "number": None, "digest": None, "epoch": None}, True, False, "loading"),
        ({"error": "unavailable: no answer"}, True, True, "no answer"),
    ],
    ids=["good", "silent", "old version", "old epoch", "failed", "loading", "cut off"],
)
def test_a_replica_is_in_step_only_when_it_answers_with_what_holds_the_stage(
    said: dict[str, Any], heard: bool, in_step: bool, how: str
) -> None:
    found = Reported.of(replica(**said), STAGE, 1.0, heard=heard)
    assert found.in_step is in_step
    assert how in found.how
    assert found.to_json()["silent_seconds"] == 1.0
