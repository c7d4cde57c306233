"""The asyncio end of a worker's socket: requests are written at once, answers come back in the same order.

The bytes of a request and of its answer are passed through as they are; only the small header of a frame is looked at.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from holdfast.errors import BundleFailed, HoldfastError, TooLarge, TooLate, Unavailable, from_json
from holdfast.runtime.frames import PREFIX, unpack_prefix

__all__ = ["ENDED", "OK", "RETRY_SECONDS", "Owed", "Pipe", "again", "late", "nonsense", "refusal_in"]

RETRY_SECONDS = 1
"""What a caller that was turned away is told to wait: by then a full queue has been answered, or a worker restarted."""

WATCH_SECONDS = 0.25
"""How often the oldest request is looked at; one timer for a worker costs less than one for each request."""

_ONE_WRITE_BYTES_MAX = 1 << 16
"""Up to here prefix, header and body are joined into one write; above, copying would cost more than a second one."""

ENDED = "process_ended"
"""The key in the details of an error that says that nothing failed by itself: the process that was at it is gone."""

OK = b'{"ok":true}'
"""The header of a good answer, as every worker writes it."""


class Owed(Protocol):
    """A frame that has been written and not been answered.

    Attributes:
        seconds: how long the worker may be busy with it before it is taken to hang.
    """

    seconds: float

    def answered(self, body: bytes) -> None:
        """The worker's answer."""
        ...

    def failed(self, error: HoldfastError, *, begun: bool) -> None:
        """There is none; `begun` says whether the worker may have looked at it."""
        ...

    def look(self, now: float) -> None:
        """Time has passed."""
        ...


class _Asked:
    """A frame that somebody waits for with a future."""

    __slots__ = ("_deadline", "answer", "seconds")

    def __init__(self, answer: "asyncio.Future[bytes]", now: float, seconds: float) -> None:
        self.answer = answer
        self.seconds = seconds
        self._deadline = now + seconds

    def answered(self, body: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(body)

    def failed(self, error: HoldfastError, *, begun: bool) -> None:
        del begun
        if not self.answer.done():
            self.answer.set_exception(error)

    def look(self, now: float) -> None:
        if now >= self._deadline:
            self.failed(late(self.seconds), begun=True)


class Pipe(asyncio.Protocol):
    """One connection to one worker.

    A request past its time fails and keeps its place, since the worker still answers it. A worker that is busy with one
    request for longer than that request's time is taken to hang: the connection is given up.
    """

    def __init__(self, lost: Callable[[HoldfastError], None]) -> None:
        """Args: lost: called once when the connection ends, with the reason, after every open request has failed."""
        self._loop = asyncio.get_running_loop()
        self._lost: Callable[[HoldfastError], None] | None = lost
        self._transport: asyncio.Transport | None = None
        self._owed: deque[Owed] = deque()
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
            Unavailable: the connection is lost. The future itself raises it too, when the time has passed.
        """
        asked = _Asked(self._loop.create_future(), self._loop.time(), seconds)
        self.send(asked, header, body)
        return asked.answer

    def expect(self, seconds: float) -> "asyncio.Future[bytes]":
        """The future of a worker's first word, which nobody asks for."""
        asked = _Asked(self._loop.create_future(), self._loop.time(), seconds)
        self._owe(asked)
        return asked.answer

    def send(self, owed: Owed, header: bytes, body: bytes) -> None:
        """Write a request for somebody who is told what becomes of it.

        Raises:
            Unavailable: the connection is lost.
        """
        if self._transport is None or self._reason is not None:
            raise _starting() if self._reason is None else again(self._reason)
        self._owe(owed)
        size = len(body)
        prefix = PREFIX.pack(len(header), size) + header
        if size <= _ONE_WRITE_BYTES_MAX:
            self._transport.write(prefix + body)
        else:
            self._transport.writelines((prefix, body))

    def _owe(self, owed: Owed) -> None:
        if not self._owed:
            self._head_since = self._loop.time()
        self._owed.append(owed)
        if self._watch is None:
            self._watch = self._loop.call_later(WATCH_SECONDS, self._look)

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
                self.give_up(nonsense(str(error)))
                return
            start = at + PREFIX.size
            end = start + head + body
            if len(held) < end:
                break
            if not self._owed:
                self.give_up(nonsense("an answer that nobody asked for"))
                return
            self._answer(bytes(held[start : start + head]), bytes(held[start + head : end]))
            at = end
        del held[:at]

    def _answer(self, header: bytes, body: bytes) -> None:
        owed = self._owed.popleft()
        self._head_since = self._loop.time()
        try:
            refusal = None if header == OK else refusal_in(header)
        except ValueError as error:
            reason = nonsense(str(error))
            owed.failed(reason, begun=True)
            self.give_up(reason)
            return
        if refusal is None:
            owed.answered(body)
        else:
            owed.failed(refusal, begun=True)

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
            **{ENDED: True},
        )
        open_ones, self._owed = self._owed, deque()
        # A worker answers one after the other, so it was at the first of them. The last is told first: whoever puts
        # them back at the head of a queue has them in order again.
        for place in reversed(range(len(open_ones))):
            open_ones[place].failed(again(reason), begun=place == 0)
        if self._lost is not None:
            lost, self._lost = self._lost, None
            lost(reason)

    def _look(self) -> None:
        """The watch: fail what is past its time; give up a worker that has been busy with one request for too long."""
        self._watch = None
        if not self._owed:
            return
        now = self._loop.time()
        for owed in self._owed:
            owed.look(now)
        head = self._owed[0]
        if now - self._head_since >= head.seconds:
            self.give_up(late(head.seconds))
        self._watch = self._loop.call_later(WATCH_SECONDS, self._look)


def refusal_in(header: bytes) -> HoldfastError | None:
    """The error that the header of an answer describes; None for a good answer.

    Raises:
        ValueError: it is neither.
    """
    try:
        said = json.loads(header)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and said.get("ok") is True:
        return None
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        return from_json(said["error"])
    raise ValueError("a frame whose header is no answer")


def again(reason: HoldfastError) -> HoldfastError:
    """The same error as a value of its own: one that is raised many times would collect every traceback."""
    return from_json(reason.to_json())


def _starting() -> Unavailable:
    return Unavailable("the version is not open yet", hint=f"Try again in {RETRY_SECONDS} s.")


def late(seconds: float) -> TooLate:
    """What a caller is told whose time is over."""
    return TooLate(
        f"the version did not answer within {seconds:g} s",
        hint="Send fewer rows at once; if single rows are slow too, look at the replica's log.",
    )


def nonsense(what: str) -> BundleFailed:
    """What is wrong with a worker that says what no worker says."""
    return BundleFailed(
        f"the process that ran the version sent {what}",
        hint="The bundle's code must not write to file descriptors that it did not open.",
    )
