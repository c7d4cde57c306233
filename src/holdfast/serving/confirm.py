"""Waiting until every replica of a stage has reported a move: what `--wait` does.

A replica counts while it has reported within `ALIVE_SECONDS`; one that dies while it is waited for stops counting, and
one that says that it could not open the version ends the waiting at once.
"""

import time
from collections.abc import Sequence
from datetime import timedelta

from holdfast.digest import Digest
from holdfast.errors import NotConfirmed
from holdfast.names import ModelName, StageName
from holdfast.registry import Registry, Replica, ReplicaState

__all__ = ["ALIVE_SECONDS", "wait_for_replicas"]

ALIVE_SECONDS = 5.0
"""Five heartbeats: a replica that has missed so many has gone, or is cut off and cannot be waited for."""

_LOOK_SECONDS = 0.02
"""How often the reports are read while a person waits."""


def wait_for_replicas(
    registry: Registry, model: ModelName, stage: StageName, epoch: int, digest: Digest, *, timeout_seconds: float
) -> tuple[Replica, ...]:
    """The reports of all live replicas, once each serves this move of the stage or a later one.

    Args:
        registry: where replicas report.
        model: whose stage moved.
        stage: which stage moved.
        epoch: the stage's epoch after the move.
        digest: the version that holds the stage since then.
        timeout_seconds: how long to wait.

    Returns:
        One report for each live replica; empty, at once, when there is none.

    Raises:
        NotConfirmed: a replica could not open the version, or the time has passed; the details name each replica that
            has not confirmed, what it serves and why. The move itself stands.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        replicas = registry.live_replicas(model, stage, timedelta(seconds=ALIVE_SECONDS))
        failed = [replica for replica in replicas if _has_failed(replica, epoch)]
        behind = [replica for replica in replicas if not _has_confirmed(replica, epoch, digest)]
        if failed:
            raise NotConfirmed(
                f"{model}@{stage} has moved, but {_named(failed)} could not open the version: {failed[0].error}",
                hint="The old version still answers there. Roll back, or fix the cause: replicas keep trying.",
                replicas=[replica.to_json() for replica in failed],
            )
        if not behind:
            return tuple(replicas)
        if time.monotonic() >= end:
            raise NotConfirmed(
                f"{model}@{stage} has moved, but {_named(behind)} did not report it within {timeout_seconds:g} s",
                hint="Wait longer with --wait-seconds, or look at their logs; each says at /version what it serves.",
                replicas=[replica.to_json() for replica in behind],
            )
        time.sleep(_LOOK_SECONDS)


def _has_confirmed(replica: Replica, epoch: int, digest: Digest) -> bool:
    if replica.state is not ReplicaState.READY or replica.epoch is None:
        return False
    return replica.epoch > epoch or (replica.epoch == epoch and replica.digest == digest)


def _has_failed(replica: Replica, epoch: int) -> bool:
    return replica.state is ReplicaState.FAILED and replica.epoch is not None and replica.epoch >= epoch


def _named(replicas: Sequence[Replica]) -> str:
    first = f"the replica at {replicas[0].url}"
    return first if len(replicas) == 1 else f"{first} and {len(replicas) - 1} more"
