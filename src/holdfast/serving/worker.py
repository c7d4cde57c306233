"""A bundle open in a worker process of its own on this machine, asked over a pipe, started again when it dies."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from holdfast.canonical import JsonObject
from holdfast.errors import BundleFailed, HoldfastError, Unavailable
from holdfast.runtime.limits import SECONDS_MAX
from holdfast.runtime.predictor import Spawned, spawn
from holdfast.serving.opening import Opened
from holdfast.serving.pipe import RETRY_SECONDS, Pipe
from holdfast.serving.queueing import Batching, Queue

__all__ = ["Worker"]

_LOG = logging.getLogger("holdfast.serving")

_RESTART_SECONDS_MIN = 0.1
"""The first pause of a worker that dies again at once; each further one is twice as long."""

_RESTART_SECONDS_MAX = 10.0
"""The longest pause: a worker that cannot start costs the machine one attempt in ten seconds, and never gives up."""

_ANSWERED_PAUSE_SECONDS_MAX = 1.0
"""The longest pause after one that has answered: it can start, and callers wait for it."""

_FAILED_STARTS_MAX = 3
"""So many starts may fail in a row before callers are told to go elsewhere: one may have been killed as it started."""

_STEADY_SECONDS = 5.0
"""A worker that has lived this long did not die of starting; the next restart is immediate again."""

_PATIENCE_SECONDS = 30.0
"""How long a worker may be busy with one frame that nobody gave more time, before it is taken to hang."""

_END_SECONDS_MAX = 1.0
"""A worker that has lost its socket has nothing left to do but its one open request; past this it is killed."""


class Worker:
    """The process that runs one bundle: `holdfast.serving.engine.Runner` on this machine.

    Attributes:
        error: why it is not up; None while it is.
    """

    def __init__(self, name: str, opened: Opened, stamp: JsonObject, changed: Callable[[], None]) -> None:
        """Args: name: of the version, for messages; changed: called when the process goes down or comes up again."""
        self.error: HoldfastError | None = None
        self._name = name
        self._opened = opened
        self._stamp = stamp
        self._changed = changed
        self._pipe: Pipe | None = None
        self._queue = Queue(_PATIENCE_SECONDS)
        self._spawned: Spawned | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._closing = False
        self._pause = 0.0
        self._up = asyncio.Event()
        self._up_since = 0.0

    @property
    def up(self) -> bool:
        """Whether the process is there and has opened the bundle."""
        return self._pipe is not None

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._spawned is None else self._spawned.process.pid

    async def open(self) -> None:
        """See `Runner.open`."""
        await self._start()

    def ask(self, header: bytes, body: bytes, seconds: float) -> "asyncio.Future[bytes]":
        """See `Runner.ask`. What comes while the process is being started again waits for it."""
        return self._queue.put(header, body, seconds)

    def gather(self, batching: Batching) -> None:
        """From now on answer together what gathers while the process is busy."""
        self._queue.gather(batching)

    @property
    def waiting(self) -> int:
        """Requests that were handed over and not answered."""
        return len(self._queue)

    async def until_up(self) -> None:
        """Wait for a process that is being restarted.

        Raises:
            Unavailable: it did not come back within `SECONDS_MAX`.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_MAX):
                await self._up.wait()
        if not self.up:
            raise self._down()

    async def close(self) -> None:
        """End the worker; safe to call twice."""
        self._closing = True
        if self._reviving is not None:
            self._reviving.cancel()
            await asyncio.wait([self._reviving])
        gone = Unavailable("the version is being closed", hint="Ask again: another one answers now.")
        if self._pipe is not None:
            self._pipe.give_up(gone)
        self._queue.refuse(gone)
        await self._reap()

    def _down(self) -> Unavailable:
        why = f": {self.error.message}" if self.error is not None else ""
        return Unavailable(
            f"the process that runs {self._name} is being restarted{why}", hint=f"Try again in {RETRY_SECONDS} s."
        )

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        spawned = await self._spawn()
        self._spawned = spawned
        spawned.connection.setblocking(False)
        pipe = Pipe(self._lost)
        try:
            await loop.create_unix_connection(lambda: pipe, sock=spawned.connection)
            await pipe.expect(SECONDS_MAX)
            _require_open(pipe)
        except BaseException:
            pipe.give_up(_stopped())
            spawned.connection.close()
            spawned.process.kill()
            await self._reap()
            raise
        self._pipe, self.error, self._up_since = pipe, None, loop.time()
        self._up.set()
        self._queue.open(pipe)

    async def _spawn(self) -> Spawned:
        files, interpreter, limits = self._opened.files, self._opened.interpreter, self._opened.limits
        starting = asyncio.ensure_future(asyncio.to_thread(spawn, files, interpreter, self._stamp, limits))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be stopped; what it starts is ended as soon as it is there.
            with suppress(OSError):
                spawned = await starting
                spawned.connection.close()
                await asyncio.to_thread(spawned.end, _END_SECONDS_MAX)
            raise
        except OSError as error:
            raise BundleFailed(
                f"the process that runs {self._name} could not be started: {error.strerror}",
                hint="Look at the limits of processes, files and memory on this machine.",
            ) from error

    def _lost(self, reason: HoldfastError) -> None:
        was_up, self._pipe = self.up, None
        self._up.clear()
        if self._closing:
            self._queue.refuse(reason)
            return
        self._queue.close()
        if not was_up:
            return
        self.error = reason
        lived = asyncio.get_running_loop().time() - self._up_since
        self._pause = 0.0 if lived >= _STEADY_SECONDS else self._longer()
        if self._queue.has_answered:
            self._pause = min(self._pause, _ANSWERED_PAUSE_SECONDS_MAX)
        self._reviving = asyncio.create_task(self._revive())
        self._changed()

    async def _revive(self) -> None:
        code = await self._reap()
        _LOG.error("%s: its process ended (exit code %s) and is being restarted", self._name, code)
        failed = 0
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self._start()
            except HoldfastError as error:
                self.error = error
                failed += 1
                if failed >= _FAILED_STARTS_MAX:
                    self._queue.refuse(self._down())
                self._pause = self._longer()
                _LOG.error("%s: not restarted: %s", self._name, error.message)
                self._changed()
            else:
                _LOG.info("%s: its process is back", self._name)
                self._changed()
                return

    def _longer(self) -> float:
        return min(self._pause * 2 or _RESTART_SECONDS_MIN, _RESTART_SECONDS_MAX)

    async def _reap(self) -> int | None:
        """Wait for the process to end, after its socket has been closed; the exit code."""
        spawned, self._spawned = self._spawned, None
        return None if spawned is None else await asyncio.to_thread(spawned.end, _END_SECONDS_MAX)


def _require_open(pipe: Pipe) -> None:
    """Go on only where the worker has not died of its first word."""
    if not pipe.open:
        raise _stopped()


def _stopped() -> Unavailable:
    return Unavailable("the version was not opened", hint="The replica's log says why.")
