"""A live version: a bundle open in a worker process of its own, asked over a pipe, started again when it dies."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

from holdfast.canonical import JsonObject, encode
from holdfast.errors import BundleFailed, HoldfastError, Unavailable
from holdfast.evidence import FeatureSchema, Holdout
from holdfast.names import ModelName, VersionNumber
from holdfast.runtime.limits import SECONDS_MAX
from holdfast.runtime.predictor import Spawned, spawn
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import outputs
from holdfast.runtime.smoke import Differences, answer_of, compare, read_outputs
from holdfast.serving.opening import Opened
from holdfast.serving.pipe import RETRY_SECONDS, Pipe
from holdfast.serving.source import Pointer

__all__ = ["REQUEST_SECONDS_MAX", "Live"]

_LOG = logging.getLogger("holdfast.serving")

REQUEST_SECONDS_MAX = 30.0
"""Load balancers commonly give a request 60 s; an answer that has not come after half of that helps nobody."""

_HOLDOUT_SECONDS_MAX = 300.0
"""A million holdout rows through a slow model; nobody waits for it but the swap."""

_RESTART_SECONDS_MIN = 0.1
"""The first pause of a worker that dies again at once; each further one is twice as long."""

_RESTART_SECONDS_MAX = 10.0
"""The longest pause: a worker that cannot start costs the machine one attempt in ten seconds, and never gives up."""

_STEADY_SECONDS = 30.0
"""A worker that has lived this long did not die of starting; the next restart is immediate again."""

_END_SECONDS_MAX = 1.0
"""A worker that has lost its socket has nothing left to do but its one open request; past this it is killed."""

_FORMS_MAX = 256
"""Forms whose headers are kept: five kinds of bodies, three of answers, and tensors of some recurring lengths."""

_HOLDOUT = encode({"op": "holdout"})
_AS_JSON = Sent()


@lru_cache(_FORMS_MAX)
def _header(shape: str, sent: Sent) -> bytes:
    """The header of a request's frame; made once for each form, since nearly all requests are of one."""
    return encode({"op": "predict", "shape": shape, **sent.to_json()})


class Live:
    """One version, open and answering.

    Attributes:
        number: its number in the model.
        digest: of its bundle, which the worker has verified file by file.
        in_flight: requests that have taken a route with this version and are not finished; it is not closed before 0.
        error: why it is not up; None while it is.
        outputs: what it answers, as the Open Inference Protocol describes tensors; known after the smoke.
    """

    def __init__(self, model: ModelName, version: Pointer, opened: Opened, changed: Callable[[], None]) -> None:
        """Args: changed: called on the event loop when the version goes down or comes up again."""
        self.number: VersionNumber = version.number
        self.digest = version.digest
        self.in_flight = 0
        self.error: HoldfastError | None = None
        self.outputs: list[JsonObject] = []
        self._opened = opened
        self._stamp = {"model": str(model), "version": version.number, "digest": str(version.digest)}
        self._changed = changed
        self._pipe: Pipe | None = None
        self._spawned: Spawned | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._closing = False
        self._pause = 0.0
        self._up = asyncio.Event()
        self._up_since = 0.0

    def __str__(self) -> str:
        return f"version {self.number} (sha256:{self.digest.short})"

    @property
    def up(self) -> bool:
        """Whether the worker is there and has opened the bundle."""
        return self._pipe is not None

    @property
    def schema(self) -> FeatureSchema | None:
        """The raw features that the version takes."""
        schema = self._opened.files.manifest.evidence.schema
        return schema if isinstance(schema, FeatureSchema) else None

    async def open(self) -> None:
        """Start the worker and wait until it has the bundle open.

        Raises:
            BundleFailed: the bundle's code or weights raised, or the process could not be started or ended.
            IntegrityError: a file of the bundle is damaged.
            Unavailable: it took longer than `SECONDS_MAX`.
        """
        await self._start()

    def predict(self, shape: str, body: bytes, sent: Sent = _AS_JSON) -> "asyncio.Future[bytes]":
        """Hand over a request as it came; the future gets the answer's bytes, stamped with version and digest.

        Args:
            shape: a name of `holdfast.runtime.shapes`.
            body: the request's bytes.
            sent: what they are, and what the answer's bytes are to be.

        Raises:
            Unavailable: the worker is being restarted, or too much waits for it already.
        """
        if self._pipe is None:
            raise self._down()
        return self._pipe.ask(_header(shape, sent), body, REQUEST_SECONDS_MAX)

    async def smoke(self) -> Differences | None:
        """Score the frozen holdout and compare with what was recorded; None when the bundle carries no holdout."""
        holdout = self._opened.files.manifest.evidence.holdout
        if not isinstance(holdout, Holdout):
            return None
        if self._pipe is None:
            raise self._down()
        body = await self._pipe.ask(_HOLDOUT, b"", _HOLDOUT_SECONDS_MAX)
        differences, described = await asyncio.to_thread(self._compare, holdout, body)
        self.outputs = described
        return differences

    def _compare(self, holdout: Holdout, body: bytes) -> tuple[Differences, list[JsonObject]]:
        found = answer_of(body)
        described = [
            {"name": tensor["name"], "datatype": tensor["datatype"], "shape": [-1, *tensor["shape"][1:]]}
            for tensor in outputs(found)
        ]
        return compare(read_outputs(self._opened.files.read(holdout.outputs)), found), described

    async def until_up(self) -> None:
        """Wait for a version that is being restarted.

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
        if self._pipe is not None:
            self._pipe.give_up(Unavailable("the version is being closed", hint="Ask again: another one answers now."))
        await self._reap()

    def _down(self) -> Unavailable:
        why = f": {self.error.message}" if self.error is not None else ""
        return Unavailable(
            f"the process that runs {self} is being restarted{why}", hint=f"Try again in {RETRY_SECONDS} s."
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
        except BaseException:
            pipe.give_up(_stopped())
            spawned.connection.close()
            spawned.process.kill()
            await self._reap()
            raise
        if not pipe.open:
            raise _stopped()
        self._pipe, self.error, self._up_since = pipe, None, loop.time()
        self._up.set()

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
                f"the process that runs {self} could not be started: {error.strerror}",
                hint="Look at the limits of processes, files and memory on this machine.",
            ) from error

    def _lost(self, reason: HoldfastError) -> None:
        was_up, self._pipe = self.up, None
        self._up.clear()
        if self._closing or not was_up:
            return
        self.error = reason
        lived = asyncio.get_running_loop().time() - self._up_since
        self._pause = 0.0 if lived >= _STEADY_SECONDS else self._longer()
        self._reviving = asyncio.create_task(self._revive())
        self._changed()

    async def _revive(self) -> None:
        code = await self._reap()
        _LOG.error("%s: its process ended (exit code %s) and is being restarted", self, code)
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self._start()
            except HoldfastError as error:
                self.error = error
                self._pause = self._longer()
                _LOG.error("%s: not restarted: %s", self, error.message)
                self._changed()
            else:
                _LOG.info("%s: its process is back", self)
                self._changed()
                return

    def _longer(self) -> float:
        return min(self._pause * 2 or _RESTART_SECONDS_MIN, _RESTART_SECONDS_MAX)

    async def _reap(self) -> int | None:
        """Wait for the process to end, after its socket has been closed; the exit code."""
        spawned, self._spawned = self._spawned, None
        return None if spawned is None else await asyncio.to_thread(spawned.end, _END_SECONDS_MAX)


def _stopped() -> Unavailable:
    return Unavailable("the version was not opened", hint="The replica's log says why.")
