"""A live version: a bundle that something runs, smoked before it answers, asked by its callers' own bytes."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import lru_cache

from holdfast.canonical import JsonObject, encode
from holdfast.errors import HoldfastError
from holdfast.evidence import FeatureSchema, Holdout
from holdfast.names import ModelName, VersionNumber
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import outputs
from holdfast.runtime.smoke import Differences, answer_of, compare, read_outputs
from holdfast.serving.engine import LOCAL, Engine
from holdfast.serving.opening import Opened
from holdfast.serving.source import Pointer

__all__ = ["REQUEST_SECONDS_MAX", "Live"]

_LOG = logging.getLogger("holdfast.serving")

REQUEST_SECONDS_MAX = 30.0
"""Load balancers commonly give a request 60 s; an answer that has not come after half of that helps nobody."""

_HOLDOUT_SECONDS_MAX = 300.0
"""A million holdout rows through a slow model; nobody waits for it but the swap."""

_FORMS_MAX = 256
"""Forms whose headers are kept: five kinds of bodies, three of answers, and tensors of some recurring lengths."""

_HOLDOUT = encode({"op": "holdout"})
_SAMPLE: JsonObject = {"op": "holdout", "rows": 64}
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
        runner: what runs it.
        outputs: what it answers, as the Open Inference Protocol describes tensors; known after the smoke.
        batched: whether requests that wait for it share a call.
        restarts: how often what runs it went down and came back.
        open_seconds: how long it took to be open.
    """

    def __init__(
        self, model: ModelName, version: Pointer, opened: Opened, changed: Callable[[], None], engine: Engine = LOCAL
    ) -> None:
        """Args: changed: called on the event loop when the version goes down or comes up again; engine: its runner."""
        self.number: VersionNumber = version.number
        self.digest = version.digest
        self.in_flight = 0
        self.outputs: list[JsonObject] = []
        self.batched = False
        self.restarts = 0
        self.open_seconds = 0.0
        self._is_down = False
        self._told = changed
        self._opened = opened
        stamp: JsonObject = {"model": str(model), "version": version.number, "digest": str(version.digest)}
        self.runner = engine(str(self), opened, stamp, self._changed)

    def __str__(self) -> str:
        return f"version {self.number} (sha256:{self.digest.short})"

    @property
    def up(self) -> bool:
        """Whether it would answer now."""
        return self.runner.up

    @property
    def error(self) -> HoldfastError | None:
        """Why it is not up; None while it is."""
        return self.runner.error

    @property
    def waiting(self) -> int:
        """Requests that were handed over and not answered."""
        return self.runner.waiting

    @property
    def files(self) -> BundleFiles:
        """The bundle on this machine."""
        return self._opened.files

    @property
    def schema(self) -> FeatureSchema | None:
        """The raw features that the version takes."""
        schema = self._opened.files.manifest.evidence.schema
        return schema if isinstance(schema, FeatureSchema) else None

    async def open(self) -> None:
        """Start what runs it, and wait until it has the bundle open; raises as `Runner.open` does."""
        began = time.monotonic()
        await self.runner.open()
        self.open_seconds = time.monotonic() - began

    def predict(
        self, shape: str, body: bytes, seconds: float | None = None, sent: Sent = _AS_JSON
    ) -> "asyncio.Future[bytes]":
        """Hand over a request as it came; the future gets the answer's bytes, stamped with version and digest.

        Args:
            shape: of the request and its answer.
            body: the request's bytes.
            seconds: how long it may take, at most `REQUEST_SECONDS_MAX`, which is what holds when nothing is said.
            sent: what the request's bytes are, and what the answer's are to be.

        Raises:
            Busy: too much waits already.
            Unavailable: what runs it does not come back.
            TooLate: raised by the future: it took longer than that.
        """
        allowed = REQUEST_SECONDS_MAX if seconds is None else min(seconds, REQUEST_SECONDS_MAX)
        return self.runner.ask(_header(shape, sent), body, allowed)

    async def smoke(self) -> Differences | None:
        """Score the frozen holdout and compare with what was recorded; None when the bundle carries no holdout."""
        holdout = self._opened.files.manifest.evidence.holdout
        if not isinstance(holdout, Holdout):
            return None
        body = await self.runner.ask(_HOLDOUT, b"", _HOLDOUT_SECONDS_MAX)
        differences, described = await asyncio.to_thread(self._compare, holdout, body)
        self.outputs = described
        return differences

    async def batch(self) -> None:
        """Answer requests together from now on, where that is wished and the version answers each row for itself.

        Rows of the frozen holdout are scored at once and one by one, which must agree as in a smoke.
        """
        batching, runner = self._opened.batching, self.runner
        if batching is None:
            return
        if not isinstance(self._opened.files.manifest.evidence.holdout, Holdout):
            _LOG.warning("%s has no holdout to try it with, so its requests are answered one by one", self)
            return
        at_once, alone = [
            answer_of(await runner.ask(encode({**_SAMPLE, "alone": way}), b"", _HOLDOUT_SECONDS_MAX))
            for way in (False, True)
        ]
        differences = compare(alone, at_once)
        if differences.within_tolerance:
            runner.gather(batching)
            self.batched = True
        else:
            _LOG.warning("%s answers a row otherwise among others, so one by one: %s", self, differences)

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
        await self.runner.until_up()

    async def close(self) -> None:
        """End what runs it; safe to call twice."""
        await self.runner.close()

    def _changed(self) -> None:
        """It went down, could not be started again, or is back."""
        self.restarts += self._is_down and self.up
        self._is_down = not self.up
        self._told()
