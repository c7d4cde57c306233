"""The asyncio end of a worker's socket: requests are written at once, answers come back in the same order.

The bytes of a request and of its answer are passed through as they are; only the small header of a frame is looked at.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import cast

from holdfast.errors import BundleFailed, HoldfastError, TooLarge, Unavailable, from_json
from holdfast.runtime.frames import BODY_BYTES_MAX, PREFIX, unpack_prefix

__all__ = ["IN_FLIGHT_BYTES_MAX", "IN_FLIGHT_MAX", "RETRY_SECONDS", "Pipe"]

IN_FLIGHT_MAX = 512
"""Requests that one worker may owe an answer. At the 2,000 to 4,000 a second of a small model the last of them waits a
quarter of a second; a longer queue adds waiting and no throughput."""

IN_FLIGHT_BYTES_MAX = BODY_BYTES_MAX
"""Bytes of requests that wait for one worker: as much memory as the largest single request may take anyway."""

RETRY_SECONDS = 1
"""What a caller that was turned away is told to wait: by then a full queue has been answered, or a worker restarted."""

_WATCH_SECONDS = 0.25
"""How often the oldest request is looked at; one timer for a worker costs less than one for each request."""

_ONE_WRITE_BYTES_MAX = 1 << 16
"""Up to here prefix, header and body are joined into one write; above, copying would cost more than a second one."""

_OK = b'{"ok":true}'


class _Asked:
    """One request that has been written and not been answered."""

    __slots__ = ("answer", "deadline", "seconds", "size")

    def __init__(self, answer: "asyncio.Future[bytes]", now: float, seconds: float, size: int) -> None:
        self.answer = answer
        self.deadline = now + seconds
        self.seconds = seconds
        self.size = size


class Pipe(asyncio.Protocol):
    """One connection to one worker.

    A request past its time fails and keeps its place in the queue, since the worker still answers it. A worker that is
    busy with one request for longer than that request's time is taken to hang: the connection is given up.
    """

    def __init__(self, lost: Callable[[HoldfastError], None]) -> None:
        """Args: lost: called once when the connection ends, with the reason, after every open request has failed."""
        self._loop = asyncio.get_running_loop()
        self._lost: Callable[[HoldfastError], None] | None = lost
        self._transport: asyncio.Transport | None = None
        self._asked: deque[_Asked] = deque()
        self._bytes = 0
        self._held = bytearray()
        self._head_since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._reason: HoldfastError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio hands over the transport."""
        # A stream's transport by asyncio's own promise; uvloop's classes are no subclasses of it.
        self._transport = cast("asyncio.Transport", transport)

    @property
    def open(self) -> bool:
        """Whether requests can be written."""
        return self._transport is not None and self._reason is None

    def ask(self, header: bytes, body: bytes, seconds: float) -> "asyncio.Future[bytes]":
        """Write a request; the future gets the body of the answer.

        Args:
            header: the encoded JSON header of the frame.
            body: the request's own bytes.
            seconds: how long the answer may take, waiting for its turn included.

        Raises:
            Unavailable: as many requests or bytes as may be are in flight, or the connection is lost. The future itself
                raises it when the time has passed.
        """
        if self._transport is None or self._reason is not None:
            raise _starting() if self._reason is None else _again(self._reason)
        size = len(body)
        if len(self._asked) >= IN_FLIGHT_MAX or self._bytes + size > IN_FLIGHT_BYTES_MAX:
            raise Unavailable(
                f"{len(self._asked)} requests are waiting for this version, which is as many as may",
                hint=f"Try again in {RETRY_SECONDS} s; start more replicas if it stays so.",
                limit=IN_FLIGHT_MAX,
            )
        answer = self.expect(seconds, size)
        prefix = PREFIX.pack(len(header), size) + header
        if size <= _ONE_WRITE_BYTES_MAX:
            self._transport.write(prefix + body)
        else:
            self._transport.writelines((prefix, body))
        return answer

    def expect(self, seconds: float, size: int = 0) -> "asyncio.Future[bytes]":
        """The future of the next answer that nobody waits for yet; used alone for a worker's first word."""
        now = self._loop.time()
        if not self._asked:
            self._head_since = now
        asked = _Asked(self._loop.create_future(), now, seconds, size)
        self._asked.append(asked)
        self._bytes += size
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_SECONDS, self._look)
        return asked.answer

    def give_up(self, reason: HoldfastError) -> None:
        """End the connection at once; every open request fails with `reason`."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Asyncio hands over bytes: none, one or several frames, and a piece of the next."""
        held, at = self._held, 0
        held += data
        while len(held) - at >= PREFIX.size:
            try:
                head, body = unpack_prefix(bytes(held[at : at + PREFIX.size]))
            except TooLarge as error:
                self.give_up(_nonsense(str(error)))
                return
            start = at + PREFIX.size
            end = start + head + body
            if len(held) < end:
                break
            if not self._asked:
                self.give_up(_nonsense("an answer that nobody asked for"))
                return
            self._answer(bytes(held[start : start + head]), bytes(held[start + head : end]))
            at = end
        del held[:at]

    def _answer(self, header: bytes, body: bytes) -> None:
        asked = self._asked.popleft()
        self._bytes -= asked.size
        self._head_since = self._loop.time()
        if asked.answer.done():
            return
        if header == _OK:
            asked.answer.set_result(body)
            return
        try:
            said = json.loads(header)
        except ValueError:
            said = None
        if isinstance(said, dict) and said.get("ok") is True:
            asked.answer.set_result(body)
        elif isinstance(said, dict) and isinstance(said.get("error"), dict):
            asked.answer.set_exception(from_json(said["error"]))
        else:
            reason = _nonsense("a frame whose header is no answer")
            asked.answer.set_exception(reason)
            self.give_up(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio says that the worker has closed its end, or that we have closed ours."""
        del exc
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        reason = self._reason = self._reason or BundleFailed(
            "the process that ran the version has ended",
            hint="The replica's log says why; a worker killed by signal 9 usually lacked memory.",
        )
        for asked in self._asked:
            if not asked.answer.done():
                asked.answer.set_exception(_again(reason))
        self._asked.clear()
        self._bytes = 0
        if self._lost is not None:
            lost, self._lost = self._lost, None
            lost(reason)

    def _look(self) -> None:
        """The watch: fail what is past its time; give up a worker that has been busy with one request for too long."""
        self._watch = None
        if not self._asked:
            return
        now = self._loop.time()
        for asked in self._asked:
            if now >= asked.deadline and not asked.answer.done():
                asked.answer.set_exception(_late(asked.seconds))
        head = self._asked[0]
        if now - self._head_since >= head.seconds:
            self.give_up(_late(head.seconds))
        self._watch = self._loop.call_later(_WATCH_SECONDS, self._look)


def _again(reason: HoldfastError) -> HoldfastError:
    """The same error as a value of its own: one that is raised many times would collect every traceback."""
    return from_json(reason.to_json())


def _starting() -> Unavailable:
    return Unavailable("the version is not open yet", hint=f"Try again in {RETRY_SECONDS} s.")


def _late(seconds: float) -> Unavailable:
    return Unavailable(
        f"the version did not answer within {seconds:g} s",
        hint="Send fewer rows at once; if single rows are slow too, look at the replica's log.",
    )


def _nonsense(what: str) -> BundleFailed:
    return BundleFailed(
        f"the process that ran the version sent {what}",
        hint="The bundle's code must not write to file descriptors that it did not open.",
    )
