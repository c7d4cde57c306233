"""A stage in memory that a test moves by hand, and a replica that follows it."""

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import uvloop

from holdfast.digest import Digest
from holdfast.errors import HoldfastError, NotFound
from holdfast.names import StageName, VersionNumber
from holdfast.registry import Replica as Report
from holdfast.registry import ReplicaState
from holdfast.registry.rollouts import Rollout, RouteMark, Truth, Turn
from holdfast.serving.engine import LOCAL, Engine
from holdfast.serving.observing import Observer
from holdfast.serving.opening import Opened, Opener
from holdfast.serving.replica import Place, Replica
from holdfast.serving.source import Pointer, Pointers, StageSource
from tests.patience import until_async
from tests.serving.building import MODEL, Built, here

T = TypeVar("T")

STAGE = StageName("production")


class HandMovedStage:
    """A stage source: `move` moves it, `reports` is what the replica has said."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pointers = Pointers(0, None, None)
        self.broken: HoldfastError | None = None
        self.reports: list[Report] = []
        self.turns: list[Turn] = []
        self.truths: list[Truth] = []
        self._turns = 0

    def move(self, to: Pointer | None, good: Pointer | None = None) -> int:
        with self._lock:
            self._pointers = Pointers(self._pointers.epoch + 1, to, good)
            return self._pointers.epoch

    def try_out(self, rollout: Rollout | None) -> None:
        """Begin a canary, let it take a turn, or end it."""
        with self._lock:
            self._turns += 1
            self._pointers = replace(self._pointers, canary=rollout)

    def mark(self, known: RouteMark | None) -> RouteMark:
        del known
        return RouteMark(self.read().epoch, self._turns)

    def turn(self, turn: Turn) -> None:
        with self._lock:
            if self.broken is not None:
                raise self.broken
            self.turns.append(turn)

    def read(self) -> Pointers:
        with self._lock:
            if self.broken is not None:
                raise self.broken
            return self._pointers

    def learn(self, truths: Sequence[Truth]) -> int:
        self.truths += truths
        return len(self.truths)

    def report(self, replica: Report) -> None:
        with self._lock:
            if self.broken is not None:
                raise self.broken
            self.reports.append(replica)


class Shelf:
    """An opener over bundles that are already on the disk; it counts, and waits or fails where a test says so."""

    def __init__(self, *built: Built) -> None:
        self._built = {one.digest: one for one in built}
        self.fetched: list[Digest] = []
        self.errors: dict[Digest, Exception] = {}
        self.seconds: dict[Digest, float] = {}

    def __call__(self, digest: Digest) -> Opened:
        self.fetched.append(digest)
        time.sleep(self.seconds.get(digest, 0.0))
        if digest in self.errors:
            raise self.errors[digest]
        if digest not in self._built:
            raise NotFound(f"no bundle {digest.short} on the shelf", hint="Put it there.")
        return Opened(self._built[digest].files, here())


def pointer(number: int, built: Built) -> Pointer:
    return Pointer(VersionNumber(number), built.digest)


def replica_of(
    stage: StageSource, shelf: Opener, engine: Engine = LOCAL, observers: Sequence[Observer] = ()
) -> Replica:
    ids = (f"replica-{n}" for n in itertools.count(1))
    return Replica(
        stage,
        model=MODEL,
        stage=STAGE,
        opener=shelf,
        place=Place(url="http://127.0.0.1:1"),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: next(ids),
        observers=observers,
        engine=engine,
    )


@asynccontextmanager
async def running(
    stage: StageSource, shelf: Opener, engine: Engine = LOCAL, observers: Sequence[Observer] = ()
) -> AsyncIterator[Replica]:
    replica = replica_of(stage, shelf, engine, observers)
    await replica.start()
    try:
        yield replica
    finally:
        await replica.stop()


until = until_async
"""Wait for something that the replica does in its own time."""


async def until_epoch(replica: Replica, epoch: int) -> None:
    await until(
        lambda: replica.report().epoch == epoch and replica.report().state is ReplicaState.READY,
        f"epoch {epoch}; {replica.report()}",
    )


async def until_failed(replica: Replica, epoch: int) -> None:
    await until(
        lambda: replica.report().epoch == epoch and replica.report().state is ReplicaState.FAILED,
        f"epoch {epoch} fails",
    )


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a test's coroutine on the event loop that serves for real."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())
