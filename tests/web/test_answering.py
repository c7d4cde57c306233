"""What scores requests, without any process: who is told of a request that was given up, and what may wait."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import httpx
import pytest

from holdfast.errors import Busy, TooLarge
from holdfast.registry.rollouts import Truth
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import V2
from holdfast.serving.observing import Observed
from holdfast.serving.route import Route
from holdfast.web.inference import truths
from holdfast.web.inference.answering import Answering, Asked
from holdfast.web.inference.app import replica_app
from holdfast.web.inference.override import anybody, nobody
from holdfast.web.inference.stamp import Spoken
from tests.patience import PATIENCE_SECONDS
from tests.serving.stages import HandMovedStage, Shelf, replica_of, run


class Silent:
    """Stands for a version that does not answer."""

    def predict(self, *_: object) -> "asyncio.Future[bytes]":
        return asyncio.get_running_loop().create_future()


class Seen:
    """An observer."""

    def __init__(self) -> None:
        self.errors: list[str | None] = []

    def see(self, observed: Observed) -> None:
        self.errors.append(observed.error)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""


def test_a_request_that_its_caller_gave_up_counts_as_too_late() -> None:
    seen, silent = Seen(), cast("Any", Silent())

    async def work() -> None:
        answering = Answering(replica_of(HandMovedStage(), Shelf(), observers=[seen]))
        spoken = Spoken(Route(1, silent), "r1")
        scoring = asyncio.create_task(answering.score(spoken, silent, Asked(V2, b"{}", Sent())))
        await asyncio.sleep(0)
        scoring.cancel()
        await asyncio.wait([scoring])
        assert scoring.cancelled()

    run(work)
    assert seen.errors == ["too_late"]


def test_there_are_threads_for_many_that_wait_for_a_registry_that_is_silent() -> None:
    together = threading.Barrier(16)

    async def work() -> None:
        app = replica_app(replica_of(HandMovedStage(), Shelf()))
        async with app.router.lifespan_context(app):
            await asyncio.gather(*(asyncio.to_thread(together.wait, PATIENCE_SECONDS) for _ in range(16)))

    run(work)


def test_few_truths_are_passed_on_at_once() -> None:
    class Slow(HandMovedStage):
        going_on = threading.Event()

        def learn(self, truths: Sequence[Truth]) -> int:
            assert self.going_on.wait(PATIENCE_SECONDS)
            return super().learn(truths)

    async def work() -> None:
        replica = replica_of(Slow(), Shelf())
        first = [asyncio.create_task(replica.learn([Truth("r1", 1)])) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await replica.learn([Truth("r2", 1)])
        Slow.going_on.set()
        await asyncio.gather(*first)
        assert await replica.learn([Truth("r3", 1)]) == 3

    run(work)


def test_truths_of_many_bytes_are_not_parsed() -> None:
    with pytest.raises(TooLarge):
        truths._parsed(b"[" * (5 << 20))


def test_truths_are_taken_from_nobody_unless_the_replica_is_told_from_whom() -> None:
    said = {"truths": [{"request": "r1", "value": 1}]}

    async def work() -> None:
        stage = HandMovedStage()
        for overriding, status in ((nobody, 403), (anybody, 200)):
            app = replica_app(replica_of(stage, Shelf()), overriding=overriding)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://replica") as client:
                assert (await client.post("/truth", json=said)).status_code == status

    run(work)


def test_who_watches_and_does_not_end_well_keeps_no_version_open(caplog: pytest.LogCaptureFixture) -> None:
    class Bad(Seen):
        async def stop(self) -> None:
            raise RuntimeError("never mind")

    async def work() -> None:
        stage, bad, good = HandMovedStage(), Bad(), Seen()
        replica = replica_of(stage, Shelf(), observers=(bad, good))
        await replica.start()
        await replica.stop()
        assert [report.state for report in stage.reports][-1] == "stopped"

    run(work)
    assert "did not end well" in caplog.text
