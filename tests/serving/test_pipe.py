"""The pipe to a worker that lies: nothing it sends is believed before it is bounded, and nobody waits for ever."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from holdfast.errors import BundleFailed, HoldfastError, InvalidInput, Unavailable
from holdfast.runtime.frames import BODY_BYTES_MAX, HEADER_BYTES_MAX, PREFIX, pack
from holdfast.serving.pipe import Pipe
from tests.serving.stages import run, until

OK = pack({"ok": True}, b"answer")


async def connect(lost: Callable[[HoldfastError], None]) -> tuple[Pipe, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    pipe = Pipe(lost)
    await asyncio.get_running_loop().create_unix_connection(lambda: pipe, sock=ours)
    return pipe, theirs


@pytest.mark.parametrize(
    "sent",
    [
        PREFIX.pack(HEADER_BYTES_MAX + 1, 0),
        PREFIX.pack(2, BODY_BYTES_MAX + 1),
        PREFIX.pack(2**32 - 1, 2**32 - 1),
        PREFIX.pack(3, 0) + b"{,}",
        PREFIX.pack(2, 0) + b"[]",
        PREFIX.pack(2, 0) + b"{}",
        PREFIX.pack(2, 0) + b"\xff\xff",
        pack({"ok": False}),
        pack({"ok": False, "error": "a string"}),
    ],
)
def test_a_frame_that_is_no_answer_ends_the_connection_and_fails_what_waits(sent: bytes) -> None:
    async def work() -> None:
        lost: list[HoldfastError] = []
        pipe, worker = await connect(lost.append)
        with worker:
            waiting = [pipe.ask(b"{}", b"", 30.0) for _ in range(3)]
            worker.sendall(sent)
            for answer in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(answer, BundleFailed)
            await asyncio.sleep(0)
        assert len(lost) == 1
        assert not pipe.open
        with pytest.raises(BundleFailed):
            pipe.ask(b"{}", b"", 30.0)

    run(work)


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async def work() -> None:
        lost: list[HoldfastError] = []
        pipe, worker = await connect(lost.append)
        with worker:
            answer = pipe.ask(b"{}", b"", 30.0)
            worker.sendall(OK + OK)
            assert await answer == b"answer"
            await until(lambda: bool(lost), "the connection is given up")
        assert isinstance(lost[0], BundleFailed)

    run(work)


def test_answers_in_any_number_of_pieces_reach_those_who_asked_in_order() -> None:
    async def work() -> None:
        pipe, worker = await connect(lambda _: None)
        with worker:
            waiting = [pipe.ask(b"{}", b"", 30.0) for _ in range(4)]
            refusal = InvalidInput("no such column", hint="Look.").to_json()
            stream = pack({"ok": True}, b"0") + pack({"ok": False, "error": refusal})
            stream += pack({"extra": 1, "ok": True}, b"x" * 3000) + pack({"ok": True})
            for place in range(0, len(stream), 7):
                worker.sendall(stream[place : place + 7])
                await asyncio.sleep(0)
            answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [answers[0], answers[2], answers[3]] == [b"0", b"x" * 3000, b""]
        assert isinstance(answers[1], InvalidInput)
        pipe.give_up(Unavailable("done", hint="-"))
        await asyncio.sleep(0.01)

    run(work)


def test_a_caller_who_left_keeps_its_place_so_that_nobody_gets_its_answer() -> None:
    async def work() -> None:
        pipe, worker = await connect(lambda _: None)
        with worker:
            gone, late, stays = (pipe.ask(b"{}", b"", seconds) for seconds in (30.0, 0.3, 30.0))
            gone.cancel()
            with pytest.raises(Unavailable, match=r"0\.3 s"):
                await late
            worker.sendall(pack({"ok": True}, b"gone") + pack({"ok": True}, b"late") + pack({"ok": True}, b"stays"))
            assert await stays == b"stays"
            pipe.give_up(Unavailable("done", hint="-"))
            await asyncio.sleep(0.01)

    run(work)


def test_a_worker_that_never_answers_is_given_up_after_the_time_of_the_request_it_is_at() -> None:
    async def work() -> None:
        lost: list[HoldfastError] = []
        pipe, worker = await connect(lost.append)
        with worker:
            begun = asyncio.get_running_loop().time()
            for answer in await asyncio.gather(
                pipe.ask(b"{}", b"", 0.3), pipe.ask(b"{}", b"", 30.0), return_exceptions=True
            ):
                assert isinstance(answer, Unavailable)
            assert asyncio.get_running_loop().time() - begun < 10.0
        assert len(lost) == 1

    run(work)
