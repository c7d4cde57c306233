"""What waits for a version: requests in the order of their coming, bounded, handed to its worker as it gets free.

    queue = Queue(patience_seconds=30.0)
    queue.open(pipe)                         the worker is there …
    answer = await queue.put(header, body, seconds=2.0)
    queue.close()                            … it has died: what waits goes on waiting for the next one
    queue.refuse(reason)                     nobody will come: what waits is told

The worker is given one request more than it is at, so that it never waits for the next; the others stay here. So a
worker that dies takes the one request with it that it was at, and a request whose time is over before its turn costs
the worker nothing.

With `Batching` those that gathered while the worker was busy go to it in one frame, and it answers them in one call.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.canonical import encode
from holdfast.errors import Busy, HoldfastError, TooLarge, Unavailable
from holdfast.runtime.frames import BODY_BYTES_MAX, PREFIX, split
from holdfast.serving.pipe import OK, RETRY_SECONDS, WATCH_SECONDS, Pipe, again, late, nonsense, refusal_in

__all__ = ["BATCH_ROWS_MAX", "BATCH_WAIT_MS_MAX", "WAITING_BYTES_MAX", "WAITING_MAX", "Batching", "Queue"]

WAITING_MAX = 512
"""Requests that may be owed an answer by one version. At the 1,000 to 4,000 a second of a small model the last of them
waits a quarter or half a second; a longer queue adds waiting and no throughput."""

WAITING_BYTES_MAX = BODY_BYTES_MAX
"""Bytes of requests that wait for one version: as much memory as the largest single request may take anyway."""

BATCH_ROWS_MAX = 4096
"""Past some hundred rows a call costs what its rows cost, and every request in it waits for all of them."""

BATCH_WAIT_MS_MAX = 1000
"""Nobody who waits longer than this for company does it to be quick."""

_AHEAD = 2
"""Frames that a worker has at a time: the one that it is at, and the next."""

_TOGETHER_BYTES_MAX = 1 << 20
"""Bytes of requests that travel in one frame; what is larger costs so much by itself that company saves nothing."""


_PREDICTS = b'"op":"predict"'
"""In the header of every frame that may share a call with others; canonical JSON has one way to write it."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests are answered together.

    Attributes:
        rows: how many rows one call of the version's code takes at most, and how many requests one frame.
        wait_seconds: how long the first of them waits for others while the worker is free.
    """

    rows: int
    wait_seconds: float = 0.0

    @property
    def header(self) -> bytes:
        """Of a frame that holds several requests."""
        return encode({"op": "together", "rows": self.rows})


class _Request:
    """One request and whoever waits for its answer."""

    __slots__ = ("alone", "answer", "body", "came", "deadline", "header", "seconds", "timer")

    def __init__(self, answer: "asyncio.Future[bytes]", header: bytes, body: bytes, now: float, seconds: float) -> None:
        self.answer = answer
        self.header = header
        self.body = body
        self.came = now
        self.seconds = seconds
        self.deadline = now + seconds
        self.timer: asyncio.TimerHandle | None = None
        self.alone = False

    def fail(self, error: HoldfastError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def look(self, now: float) -> None:
        if now >= self.deadline:
            self.fail(late(self.seconds))


class _Call:
    """One frame that a worker has: a request, or several."""

    __slots__ = ("_answered", "_failed", "requests", "seconds")

    def __init__(
        self,
        requests: list[_Request],
        seconds: float,
        answered: "Callable[[_Call, bytes], None]",
        failed: "Callable[[_Call, HoldfastError, bool], None]",
    ) -> None:
        self.requests = requests
        self.seconds = seconds
        self._answered = answered
        self._failed = failed

    def answered(self, body: bytes) -> None:
        self._answered(self, body)

    def failed(self, error: HoldfastError, *, begun: bool) -> None:
        self._failed(self, error, begun)

    def look(self, now: float) -> None:
        for request in self.requests:
            request.look(now)


class Queue:
    """The requests of one version, from their coming to their answer; everything runs on one event loop.

    Attributes:
        has_answered: whether the worker has answered anything since it was there.
    """

    def __init__(self, patience_seconds: float) -> None:
        """Args: patience_seconds: how long a worker may be busy with one frame before it is taken to hang."""
        self.has_answered = False
        self._batching: Batching | None = None
        self._loop = asyncio.get_running_loop()
        self._patience = patience_seconds
        self._waiting: deque[_Request] = deque()
        self._pipe: Pipe | None = None
        self._under_way = 0
        self._count = 0
        self._bytes = 0
        self._refusal: HoldfastError | None = Unavailable(
            "the version is not open yet", hint=f"Try again in {RETRY_SECONDS} s."
        )
        self._watch: asyncio.TimerHandle | None = None
        self._gathering: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many requests are owed an answer."""
        return self._count

    def put(self, header: bytes, body: bytes, seconds: float) -> "asyncio.Future[bytes]":
        """One request more; the future gets the body of its answer.

        Args:
            header: the encoded JSON header of the frame.
            body: the request's own bytes.
            seconds: how long the answer may take, waiting for its turn included.

        Raises:
            Busy: as many requests or bytes as may wait already.
            Unavailable: no worker is there, and none is coming soon.
            TooLate: raised by the future, when the time has passed.
        """
        if self._refusal is not None:
            raise again(self._refusal)
        size = len(body)
        if self._count >= WAITING_MAX or self._bytes + size > WAITING_BYTES_MAX:
            raise Busy(
                f"{self._count} requests are waiting for this version, which is as many as may",
                hint=f"Try again in {RETRY_SECONDS} s; start more processes or replicas if it stays so.",
                limit=WAITING_MAX,
            )
        now = self._loop.time()
        request = _Request(self._loop.create_future(), header, body, now, seconds)
        request.alone = _PREDICTS not in header
        if seconds < self._patience:
            # The watch is too slow for who is in a hurry.
            request.timer = self._loop.call_later(seconds, request.fail, late(seconds))
        self._count += 1
        self._bytes += size
        self._waiting.append(request)
        self._hand_over()
        self._keep_watch()
        return request.answer

    def gather(self, batching: Batching) -> None:
        """From now on hand over together what has gathered."""
        self._batching = batching

    def open(self, pipe: Pipe) -> None:
        """A worker is there: what waits goes to it."""
        self._pipe, self._refusal, self._under_way, self.has_answered = pipe, None, 0, False
        self._hand_over()

    def close(self) -> None:
        """The worker is gone, and another one is being started: what waits goes on waiting for it."""
        self._pipe, self._under_way = None, 0
        self._keep_watch()

    def refuse(self, reason: HoldfastError) -> None:
        """The worker is gone, and none is coming soon: what waits is told, and so is what comes."""
        self._pipe, self._under_way, self._refusal = None, 0, reason
        while self._waiting:
            request = self._waiting.popleft()
            request.fail(again(reason))
            self._drop(request)

    def _drop(self, request: _Request) -> None:
        """The request is finished, one way or the other."""
        self._count -= 1
        self._bytes -= len(request.body)
        if request.timer is not None:
            request.timer.cancel()

    def _hand_over(self) -> None:
        """Give the worker what it may have."""
        pipe = self._pipe
        while pipe is not None and pipe.open and self._under_way < _AHEAD and self._waiting:
            if self._is_gathering():
                return
            requests = self._next()
            if not requests:
                return
            patience = max(self._patience, *(request.seconds for request in requests))
            call = _Call(requests, patience, self._answered, self._failed)
            self._under_way += 1
            if len(requests) == 1:
                pipe.send(call, requests[0].header, requests[0].body)
            elif self._batching is not None:
                parts = [PREFIX.pack(len(one.header), len(one.body)) + one.header + one.body for one in requests]
                pipe.send(call, self._batching.header, b"".join(parts))

    def _is_gathering(self) -> bool:
        """Whether the first request waits for others, as somebody wished; a timer ends that."""
        batching = self._batching
        if batching is None or batching.wait_seconds <= 0 or len(self._waiting) >= batching.rows:
            return False
        left = self._waiting[0].came + batching.wait_seconds - self._loop.time()
        if left <= 0:
            return False
        if self._gathering is None:
            self._gathering = self._loop.call_later(left, self._gathered)
        return True

    def _gathered(self) -> None:
        self._gathering = None
        self._hand_over()

    def _next(self) -> list[_Request]:
        """What goes into the next frame; requests that nobody waits for any more are left out. It may be nothing."""
        most = 1 if self._batching is None else self._batching.rows
        now, size = self._loop.time(), 0
        found: list[_Request] = []
        while self._waiting and len(found) < most:
            request = self._waiting[0]
            request.look(now)
            if request.answer.done():
                self._drop(self._waiting.popleft())
                continue
            size += len(request.body)
            if found and (request.alone or size > _TOGETHER_BYTES_MAX):
                break
            found.append(self._waiting.popleft())
            if request.alone:
                break
        return found

    def _answered(self, call: _Call, body: bytes) -> None:
        self._under_way -= 1
        self.has_answered = True
        requests = call.requests
        if len(requests) == 1:
            if not requests[0].answer.done():
                requests[0].answer.set_result(body)
        else:
            self._share_out(requests, body)
        for request in requests:
            self._drop(request)
        self._hand_over()

    def _share_out(self, requests: list[_Request], body: bytes) -> None:
        """Give each of several requests its own part of the answer."""
        try:
            answers = _answers_in(body, len(requests))
        except (ValueError, TooLarge) as error:
            reason = nonsense(str(error))
            for request in requests:
                request.fail(again(reason))
            if self._pipe is not None:
                self._pipe.give_up(reason)
            return
        for request, (refusal, part) in zip(requests, answers, strict=True):
            if refusal is not None:
                request.fail(refusal)
            elif not request.answer.done():
                request.answer.set_result(part)

    def _failed(self, call: _Call, error: HoldfastError, begun: bool) -> None:
        self._under_way -= 1
        if begun and len(call.requests) == 1:
            call.requests[0].fail(error)
            self._drop(call.requests[0])
        else:
            # Nobody looked at them, or one of several ended the worker: that one will be alone with it the next time.
            for request in reversed(call.requests):
                request.alone = request.alone or begun
                self._waiting.appendleft(request)
        self._hand_over()

    def _look(self) -> None:
        """Fail what is past its time while it waits; the pipe looks at what a worker has."""
        now = self._loop.time()
        for request in self._waiting:
            request.look(now)
        while self._waiting and self._waiting[0].answer.done():
            self._drop(self._waiting.popleft())
        self._watch = None
        self._keep_watch()

    def _keep_watch(self) -> None:
        if self._watch is None and self._waiting:
            self._watch = self._loop.call_later(WATCH_SECONDS, self._look)


def _answers_in(body: bytes, count: int) -> list[tuple[HoldfastError | None, bytes]]:
    """The answers in the body of a frame: of each why it is none, and its bytes.

    Raises:
        ValueError: it is no such body, or has another number of them.
    """
    answers = [(None if header == OK else refusal_in(header), part) for header, part in split(body)]
    if len(answers) != count:
        raise ValueError(f"{len(answers)} answers to {count} requests")
    return answers
