"""What waits for a version: what its worker is given, and what becomes of the rest when it dies or is slow."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

import pytest

from holdfast.errors import BundleFailed, Busy, InvalidInput, TooLate, Unavailable
from holdfast.runtime.frames import PREFIX, pack, split
from holdfast.serving import queueing
from holdfast.serving.pipe import Pipe
from holdfast.serving.queueing import Batching, Queue
from tests.patience import PATIENCE_SECONDS
from tests.serving.stages import run, until

PREDICT = b'{"op":"predict","shape":"invocations"}'
HOLDOUT = b'{"op":"holdout"}'


class Worker:
    """The other end of a pipe, played by hand."""

    def __init__(self, pipe: Pipe, theirs: socket.socket) -> None:
        self.pipe = pipe
        self._theirs = theirs
        self._held = b""

    async def has(self, frames: int) -> list[tuple[bytes, bytes]]:
        """What it has been sent, once there are so many frames; it takes no notice of them."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                found = split(self._held)
            except ValueError:
                found = []
            if len(found) >= frames:
                return found
            self._held += await loop.sock_recv(self._theirs, 1 << 20)

    async def idle(self) -> list[tuple[bytes, bytes]]:
        """What it has been sent by the time that nothing more comes."""
        for _ in range(20):
            await asyncio.sleep(0.005)
            try:
                self._held += self._theirs.recv(1 << 20)
            except BlockingIOError:
                continue
        return split(self._held)

    def answers(self, *bodies: bytes) -> None:
        """It answers as many frames as these, and forgets them."""
        for body in bodies:
            sent = split(self._held)[0]
            self._held = self._held[PREFIX.size + len(sent[0]) + len(sent[1]) :]
            self._theirs.sendall(pack({"ok": True}, body))

    def dies(self) -> None:
        self._theirs.close()


class Asked(Queue):
    """The queue, and all that a test put into it."""

    def __init__(self) -> None:
        super().__init__(patience_seconds=30.0)
        self.answers: list[asyncio.Future[bytes]] = []
        self.workers: list[Worker] = []

    def put(self, header: bytes, body: bytes, seconds: float) -> "asyncio.Future[bytes]":
        self.answers.append(super().put(header, body, seconds))
        return self.answers[-1]


async def worker_of(queue: Asked) -> Worker:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    pipe = Pipe(lambda _: queue.close())
    await asyncio.get_running_loop().create_unix_connection(lambda: pipe, sock=ours)
    queue.open(pipe)
    queue.workers.append(Worker(pipe, theirs))
    return queue.workers[-1]


def queued(work: Callable[[Asked], Awaitable[None]]) -> None:
    async def whole() -> None:
        queue = Asked()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await work(queue)
        finally:
            over = Unavailable("the test is over", hint="-")
            for worker in queue.workers:
                worker.pipe.give_up(over)
                worker.dies()
            await asyncio.sleep(0.01)
            queue.refuse(over)
            await asyncio.gather(*queue.answers, return_exceptions=True)

    run(whole)


def bodies(frames: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [body for _, body in frames]


def test_a_worker_has_the_request_it_is_at_and_the_next_and_the_others_wait() -> None:
    async def work(queue: Asked) -> None:
        worker = await worker_of(queue)
        waiting = [queue.put(PREDICT, b"%d" % n, 30.0) for n in range(5)]
        assert bodies(await worker.idle()) == [b"0", b"1"]
        assert len(queue) == 5
        worker.answers(b"zero")
        assert await waiting[0] == b"zero"
        assert bodies(await worker.idle()) == [b"1", b"2"]
        assert len(queue) == 4

    queued(work)


def test_a_death_costs_the_request_that_the_worker_was_at_and_the_others_wait_for_the_next_worker_in_order() -> None:
    async def work(queue: Asked) -> None:
        worker = await worker_of(queue)
        waiting = [queue.put(PREDICT, b"%d" % n, 30.0) for n in range(4)]
        await worker.has(2)
        worker.dies()
        with pytest.raises(BundleFailed):
            await waiting[0]
        waiting.append(queue.put(PREDICT, b"4", 30.0))
        other = await worker_of(queue)
        for n in range(1, 5):
            assert bodies(await other.has(1))[0] == b"%d" % n
            other.answers(b"%d" % n)
            assert await waiting[n] == b"%d" % n
        assert len(queue) == 0

    queued(work)


def test_a_request_whose_time_is_over_before_its_turn_is_never_given_to_the_worker() -> None:
    async def work(queue: Asked) -> None:
        worker = await worker_of(queue)
        first, second = queue.put(PREDICT, b"0", 30.0), queue.put(PREDICT, b"1", 30.0)
        hurried, last = queue.put(PREDICT, b"hurried", 0.05), queue.put(PREDICT, b"3", 30.0)
        with pytest.raises(TooLate, match=r"0\.05 s"):
            await hurried
        await worker.has(2)
        worker.answers(b"", b"")
        await asyncio.gather(first, second)
        assert bodies(await worker.has(1)) == [b"3"]
        worker.answers(b"three")
        assert await last == b"three"
        assert len(queue) == 0

    queued(work)


def test_one_whose_time_is_over_while_the_worker_is_at_it_keeps_its_place() -> None:
    async def work(queue: Asked) -> None:
        worker = await worker_of(queue)
        hurried, patient = queue.put(PREDICT, b"0", 0.05), queue.put(PREDICT, b"1", 30.0)
        with pytest.raises(TooLate):
            await hurried
        await worker.has(2)
        worker.answers(b"late", b"in time")
        assert await patient == b"in time"

    queued(work)


def test_as_many_as_may_wait_and_one_more_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "WAITING_MAX", 3)

    async def work(queue: Asked) -> None:
        worker = await worker_of(queue)
        waiting = [queue.put(PREDICT, b"", 30.0) for _ in range(3)]
        with pytest.raises(Busy):
            queue.put(PREDICT, b"", 30.0)
        await worker.has(2)
        worker.answers(b"", b"")
        await asyncio.gather(*waiting[:2])
        assert not queue.put(PREDICT, b"", 30.0).done()

    queued(work)


def test_what_waits_for_a_worker_that_does_not_come_back_is_told_and_so_is_what_comes() -> None:
    async def work(queue: Asked) -> None:
        worker = await worker_of(queue)
        worker.dies()
        await until(lambda: not worker.pipe.open, "the death is seen")
        waiting = [queue.put(PREDICT, b"", 30.0) for _ in range(2)]
        queue.refuse(Unavailable("it cannot be started", hint="-"))
        for one in waiting:
            with pytest.raises(Unavailable, match="cannot be started"):
                await one
        with pytest.raises(Unavailable, match="cannot be started"):
            queue.put(PREDICT, b"", 30.0)
        assert len(queue) == 0

    queued(work)


def test_what_gathered_while_the_worker_was_busy_goes_to_it_in_one_frame() -> None:
    async def work(queue: Asked) -> None:
        queue.gather(Batching(rows=3))
        worker = await worker_of(queue)
        waiting = [queue.put(PREDICT, b"%d" % n, 30.0) for n in range(2)]
        waiting += [queue.put(PREDICT, b"%d" % n, 30.0) for n in range(2, 6)]
        await worker.has(2)
        worker.answers(b"0", b"1")
        header, together = (await worker.has(1))[0]
        assert json.loads(header) == {"op": "together", "rows": 3}
        assert split(together) == [(PREDICT, b"2"), (PREDICT, b"3"), (PREDICT, b"4")]
        refusal = pack({"ok": False, "error": InvalidInput("no such column", hint="-").to_json()})
        worker.answers(pack({"ok": True}, b"two") + refusal + pack({"ok": True}, b"four"))
        assert [await waiting[2], await waiting[4]] == [b"two", b"four"]
        with pytest.raises(InvalidInput):
            await waiting[3]
        assert len(queue) == 1

    queued(work)


def test_a_frame_that_is_no_prediction_shares_its_call_with_nobody() -> None:
    async def work(queue: Asked) -> None:
        queue.gather(Batching(rows=8))
        worker = await worker_of(queue)
        headers = (PREDICT, PREDICT, PREDICT, HOLDOUT, PREDICT, PREDICT)
        for header in headers:
            queue.put(header, b"", 30.0)
        seen = []
        for _ in range(5):
            seen.append((await worker.has(1))[0][0])
            worker.answers(b"")
        assert seen[2:4] == [PREDICT, HOLDOUT]
        assert json.loads(seen[4])["op"] == "together"

    queued(work)


def test_when_a_call_for_several_ends_the_worker_each_of_them_is_alone_with_the_next() -> None:
    async def work(queue: Asked) -> None:
        queue.gather(Batching(rows=8))
        worker = await worker_of(queue)
        first = [queue.put(PREDICT, b"", 30.0) for _ in range(2)]
        several = [queue.put(PREDICT, b"%d" % n, 30.0) for n in range(3)]
        await worker.has(2)
        worker.answers(b"", b"")
        await asyncio.gather(*first)
        await worker.has(1)
        worker.dies()
        await until(lambda: not worker.pipe.open, "the death is seen")
        other = await worker_of(queue)
        for n in range(3):
            assert (await other.has(1))[0] == (PREDICT, b"%d" % n)
            other.answers(b"alone")
            assert await several[n] == b"alone"

    queued(work)


@pytest.mark.parametrize("answer", [b"", pack({"ok": True}, b"one"), b"\x00\x00", pack({}, b"") * 2])
def test_an_answer_to_several_that_is_none_fails_all_of_them_and_ends_the_connection(answer: bytes) -> None:
    async def work(queue: Asked) -> None:
        queue.gather(Batching(rows=8))
        worker = await worker_of(queue)
        first = [queue.put(PREDICT, b"", 30.0) for _ in range(2)]
        several = [queue.put(PREDICT, b"", 30.0) for _ in range(2)]
        await worker.has(2)
        worker.answers(b"", b"")
        await asyncio.gather(*first)
        await worker.has(1)
        worker.answers(answer)
        for one in several:
            with pytest.raises(BundleFailed):
                await one
        assert not worker.pipe.open

    queued(work)


def test_who_wishes_it_waits_for_company_and_no_longer_than_until_it_is_there() -> None:
    async def work(queue: Asked) -> None:
        queue.gather(Batching(rows=3, wait_seconds=600.0))
        worker = await worker_of(queue)
        queue.put(PREDICT, b"", 30.0)
        queue.put(PREDICT, b"", 30.0)
        assert await worker.idle() == []
        queue.put(PREDICT, b"", 30.0)
        assert json.loads((await worker.has(1))[0][0])["op"] == "together"

    queued(work)


def test_company_that_does_not_come_is_waited_for_no_longer_than_was_said() -> None:
    async def work(queue: Asked) -> None:
        queue.gather(Batching(rows=3, wait_seconds=0.02))
        worker = await worker_of(queue)
        alone = queue.put(PREDICT, b"alone", 30.0)
        assert await worker.has(1) == [(PREDICT, b"alone")]
        worker.answers(b"answer")
        assert await alone == b"answer"

    queued(work)
