"""The replica's end of a shadow's process: pairs are written to it as fast as it counts them, and dropped past that.

Nothing here waits, and nothing here is looked at more closely than the small header of a frame.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from holdfast.canonical import JsonObject
from holdfast.errors import BundleFailed, HoldfastError, TooLarge, Unavailable, from_json
from holdfast.runtime.frames import PREFIX, pack, unpack_prefix
from holdfast.runtime.limits import SECONDS_MAX
from holdfast.serving.pairing import Mirrored
from holdfast.serving.shadow_worker import Setup

__all__ = ["PAIR_BYTES_MAX", "QUEUE_BYTES_MAX", "QUEUE_MAX", "ShadowProcess"]

_LOG = logging.getLogger("holdfast.serving")

QUEUE_MAX = 256
"""Pairs that wait for a shadow: what a second of traffic leaves behind while the shadow answers one slow request. A
longer queue would compare answers of long ago and find nothing else."""

QUEUE_BYTES_MAX = 16 << 20
"""Bytes of pairs that wait: what nobody notices in a process that serves."""

PAIR_BYTES_MAX = 1 << 20
"""Request and answer together. Writing a longer one would hold up the event loop for longer than answering a row; and
one batch is one pair, however many rows it has."""

_AHEAD_MAX = 8
"""Pairs that the process has been sent and not done: enough that it never waits for the replica."""

_END_SECONDS_MAX = 10.0
"""The process ends its worker and itself within half of this; past it it is killed."""


class ShadowProcess(asyncio.Protocol):
    """A process that has the version open.

    Attributes:
        drops: requests that were not sent to it, by the reason.
        counts: what it has counted, as it said last; None before it did.
    """

    def __init__(self, ended: Callable[[HoldfastError], None]) -> None:
        """Args: ended: called once when it has ended without being asked to, after it was open."""
        self.drops: Counter[str] = Counter()
        self.counts: JsonObject | None = None
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._ended: Callable[[HoldfastError], None] | None = ended
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._worker = 0
        self._waiting: deque[Mirrored] = deque()
        self._bytes = 0
        self._ahead = 0
        self._flushing = False
        self._held = bytearray()

    async def open(self, setup: Setup) -> None:
        """Start the process and wait until it has the version open, and smoked.

        Raises:
            BundleFailed: it cannot be opened, or does not answer as it did when it was registered.
            IntegrityError: a file of the bundle is damaged.
            Unavailable: it took too long.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            starting = asyncio.ensure_future(asyncio.to_thread(_spawn, theirs.fileno()))
            try:
                self._process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # The thread cannot be stopped; what it starts is ended as soon as it is there.
                ours.close()
                with suppress(OSError):
                    _end(await starting, 0)
                raise
            except OSError as error:
                ours.close()
                raise BundleFailed(
                    f"the process of the shadow could not be started: {error.strerror}",
                    hint="Look at the limits of processes, files and memory on this machine.",
                ) from error
        ours.setblocking(False)
        try:
            await self._loop.create_unix_connection(lambda: self, sock=ours)
            self._write(pack(setup.to_json()))
            # Opening, and scoring the holdout: each may take as long as it may elsewhere.
            async with asyncio.timeout(2 * SECONDS_MAX):
                await self._opened
        except TimeoutError as error:
            await self.close()
            raise Unavailable(
                f"the shadow was not open within {2 * SECONDS_MAX:g} s", hint="See how long it takes to open alone."
            ) from error
        except BaseException:
            await self.close()
            raise

    def put(self, mirrored: Mirrored) -> None:
        """Hand over one pair, or drop it: nobody waits for a shadow."""
        size = len(mirrored.request) + len(mirrored.answer)
        if size > PAIR_BYTES_MAX:
            self.drops["large"] += 1
        elif len(self._waiting) >= QUEUE_MAX or self._bytes + size > QUEUE_BYTES_MAX:
            self.drops["full"] += 1
        else:
            self._waiting.append(mirrored)
            self._bytes += size
            if not self._flushing and self._ahead < _AHEAD_MAX:
                self._flushing = True
                self._loop.call_soon(self._flush)

    async def finish(self) -> None:
        """Let it count what it was sent, and end."""
        self._waiting.clear()
        if self._process is not None and not self._gone.done():
            self._ended = None
            self._write(pack({"op": "end"}))
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS_MAX / 2):
                    await asyncio.shield(self._gone)
        await self.close()

    async def close(self) -> None:
        """End it now; safe to call twice."""
        self._ended = None
        if self._transport is not None:
            self._transport.abort()
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(_end, process, self._worker)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio hands over the transport."""
        # A stream's transport by asyncio's own promise; uvloop's classes are no subclasses of it.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio says that the process has closed its end, or that we have closed ours."""
        del exc
        self._transport = None
        self._waiting.clear()
        if not self._gone.done():
            self._gone.set_result(None)
        self._fail(
            BundleFailed(
                "the process of the shadow has ended",
                hint="The replica's log says why; a process killed by signal 9 usually lacked memory.",
            )
        )

    def data_received(self, data: bytes) -> None:
        """Asyncio hands over bytes: none, one or several frames, and a piece of the next."""
        held, at = self._held, 0
        held += data
        while len(held) - at >= PREFIX.size:
            try:
                head, body = unpack_prefix(bytes(held[at : at + PREFIX.size]))
                end = at + PREFIX.size + head + body
                if len(held) < end:
                    break
                self._hear(json.loads(bytes(held[at + PREFIX.size : at + PREFIX.size + head])))
            except (TooLarge, ValueError, KeyError, TypeError):
                self._fail(BundleFailed("the process of the shadow sent nonsense", hint="Look at the replica's log."))
                if self._transport is not None:
                    self._transport.abort()
                return
            at = end
        del held[:at]

    def _hear(self, said: JsonObject) -> None:
        match said["event"]:
            case "done":
                self._ahead -= int(said["done"])
                self.counts = said.get("counts", self.counts)
                self._flush()
            case "open" | "again":
                self._worker = int(said["pid"])
                if not self._opened.done():
                    self._opened.set_result(None)
            case "failed":
                self._fail(from_json(said["error"]))

    def _fail(self, error: HoldfastError) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
            self._ended = None
        elif self._ended is not None:
            ended, self._ended = self._ended, None
            ended(error)

    def _flush(self) -> None:
        self._flushing = False
        while self._waiting and self._ahead < _AHEAD_MAX and self._transport is not None:
            mirrored = self._waiting.popleft()
            length = len(mirrored.request)
            self._bytes -= length + len(mirrored.answer)
            self._ahead += 1
            header = {
                "shape": mirrored.shape,
                "length": length,
                "seconds": mirrored.seconds,
                **mirrored.sent.to_json(),
                **({} if mirrored.error is None else {"error": mirrored.error}),
            }
            self._write(pack(header, mirrored.request + mirrored.answer))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _spawn(handle: int) -> subprocess.Popen[bytes]:
    # It opens no registry and no store, and so needs none of the settings, of which some are secrets.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "holdfast.serving.shadow_worker", str(handle)],
        pass_fds=[handle],
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes], worker: int) -> None:
    """Wait for the process, which has lost its socket; where it was killed, its worker may have been left."""
    try:
        process.wait(_END_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode < 0 and worker:
        _LOG.warning("the process of a shadow ended by signal %s", -process.returncode)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker, signal.SIGKILL)
