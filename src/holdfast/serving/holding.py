"""The versions that a replica has open: each opened beside the others, smoked before it may answer, closed once idle.

    live = await held.hold(pointer)     open and smoked, now or before
    held.keep({digest, …})              what is named stays; everything else closes once no request is on it

Everything here runs on one event loop; only fetching a bundle takes a thread.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable

from holdfast.digest import Digest
from holdfast.errors import BundleFailed, IntegrityError, Unavailable
from holdfast.names import ModelName
from holdfast.serving.engine import LOCAL, Engine
from holdfast.serving.live import Live
from holdfast.serving.opening import Opened, Opener
from holdfast.serving.source import Pointer

__all__ = ["Held"]

_LOG = logging.getLogger("holdfast.serving")


class Held:
    """Open versions of one model, by digest."""

    def __init__(self, model: ModelName, opener: Opener, changed: Callable[[], None], engine: Engine = LOCAL) -> None:
        """Args: changed: called when a version goes down or comes up again. engine: what runs the versions."""
        self._model = model
        self._opener = opener
        self._changed = changed
        self._engine = engine
        self._open: dict[Digest, Live] = {}
        self._retired: set[Live] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, digest: Digest) -> Live | None:
        """The version, where it is open; it may be down for the moment."""
        return self._open.get(digest)

    async def hold(self, version: Pointer) -> Live:
        """The version, open and smoked; opened now when it is not held already.

        Raises:
            BundleFailed: it could not be opened, or does not answer as it did when it was registered.
            IntegrityError: what was fetched is another bundle, or is damaged.
            NotFound: its bundle is nowhere.
            Unavailable: it could not be fetched, or took too long.
        """
        held = self._open.get(version.digest)
        if held is not None:
            await held.until_up()
            return held
        # Beside the one that answers, and away from the event loop.
        live = Live(self._model, version, await self._fetch(version), self._changed, self._engine)
        try:
            await live.open()
            await self._smoke(live)
            await live.batch()
        except BaseException:
            self._close(live)
            raise
        # A stage and a rollout may ask for the same version at once; whoever is second takes the first one's.
        first = self._open.setdefault(version.digest, live)
        if first is not live:
            self._close(live)
        return first

    async def _smoke(self, live: Live) -> None:
        # What was registered is what will answer, on this machine, in this environment.
        differences = await live.smoke()
        if differences is None:
            _LOG.warning("%s: %s has no holdout, so it was not smoked", self._model, live)
        elif not differences.within_tolerance:
            raise BundleFailed(
                f"{live} does not answer as it did when it was registered: {differences}",
                hint="Compare the environments: the pinned requirements, the Python, the processor.",
                differences=differences.to_json(),
            )

    async def _fetch(self, version: Pointer) -> Opened:
        try:
            opened = await asyncio.to_thread(self._opener, version.digest)
        except OSError as error:
            raise Unavailable(
                f"version {version.number} could not be fetched: {error.strerror}",
                hint="Look at the disk and the store of this machine.",
            ) from error
        if opened.files.digest != version.digest or opened.files.manifest.model != self._model:
            raise IntegrityError(
                f"what was fetched for version {version.number} is another bundle: {opened.files.digest}",
                hint="Run: holdfast check",
                expected=str(version.digest),
                found=str(opened.files.digest),
            )
        return opened

    def enter(self, lives: Iterable[Live]) -> None:
        """A request has begun that may be answered by these."""
        for live in lives:
            live.in_flight += 1

    def leave(self, lives: Iterable[Live]) -> None:
        """It is finished."""
        for live in lives:
            live.in_flight -= 1
            if live in self._retired and live.in_flight == 0:
                self._close(live)

    def keep(self, kept: Collection[Digest]) -> None:
        """Close what is not named, each version once nothing is in flight on it."""
        for digest in [digest for digest in self._open if digest not in kept]:
            live = self._open.pop(digest)
            self._retired.add(live)
            if live.in_flight == 0:
                self._close(live)

    async def close(self) -> None:
        """Close every version, whatever is in flight, and wait for it."""
        for live in {*self._open.values(), *self._retired}:
            self._close(live)
        self._open.clear()
        await asyncio.gather(*self._closing)

    def _close(self, live: Live) -> None:
        self._retired.discard(live)
        task = asyncio.create_task(live.close())
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.critical("%s: an unexpected error while a version was closed", self._model, exc_info=error)
