"""A replica: one process that answers with the version that holds a stage, and follows the stage when it moves.

    replica = Replica(RegistrySource(registry, model, stage), model=model, stage=stage, opener=opener(store, cache), …)
    await replica.start()
    route = replica.take()                      a request takes the route once …
    await route.primary.predict(INVOCATIONS, body)
    replica.leave(route)                        … and says when it is done

Following the stage, numbered as below:

    (1) see that the epoch has changed, and read where the stage points
    (2) open that version beside the one that answers, unless it is open already
    (3) smoke it: score its frozen holdout and compare with what was recorded
    (4) swap: one assignment; requests in flight finish on the version they started on
    (5) open last-known-good too and keep it warm, so that a rollback is (1) and (4) alone
    (6) close what is neither, once nothing is in flight on it

A canary of the stage is followed in the same way, beside all this: `beside.py`.

A step that fails leaves the route as it was: the old version goes on answering, and the replica says why. It tries
again until the stage points elsewhere.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from holdfast.errors import Busy, HoldfastError
from holdfast.names import ModelName, StageName
from holdfast.registry import Replica as Report
from holdfast.registry import ReplicaState
from holdfast.registry.rollouts import RouteMark, Truth
from holdfast.serving.beside import Beside
from holdfast.serving.engine import LOCAL, Engine
from holdfast.serving.holding import Held
from holdfast.serving.live import Live
from holdfast.serving.observing import Observer
from holdfast.serving.opening import Opener
from holdfast.serving.route import Canary, Route
from holdfast.serving.source import Pointer, Pointers, StageSource

__all__ = ["HEARTBEAT_SECONDS", "POLL_SECONDS", "Place", "Replica"]

_LOG = logging.getLogger("holdfast.serving")

POLL_SECONDS = 0.02
"""How often the stage is looked at. One indexed read of a local database takes a tenth of a millisecond, so this costs
half a percent of a processor and keeps a rollback below 50 ms."""

HEARTBEAT_SECONDS = 1.0
"""How often a replica repeats itself; several fit into the time after which it counts as gone."""

_RETRY_SECONDS_MIN = 1.0
"""The first pause after a version could not be opened: a store that is away is often back at once."""

_RETRY_SECONDS_MAX = 60.0
"""The longest pause: a version that will never open costs one attempt a minute until somebody moves the stage."""

_LEARNING_MAX = 2
"""Truths that are passed on at once: each holds a thread, and the registry's log, which the stage needs to move."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replica runs; goes into its reports.

    Attributes:
        url: where it answers.
        host: the machine's name.
        pid: the process.
    """

    url: str
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why the version that the stage points to is not the one that answers."""

    epoch: int
    error: HoldfastError


class Replica:
    """One model's stage, served by this process. Everything but the source and the opener runs on one event loop."""

    def __init__(
        self,
        source: StageSource,
        *,
        model: ModelName,
        stage: StageName,
        opener: Opener,
        place: Place,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        observers: Sequence[Observer] = (),
        engine: Engine = LOCAL,
    ) -> None:
        self.model = model
        self.stage = stage
        self.id = new_id()
        self.observers = tuple(observers)
        self._source = source
        self._place = place
        self._started_at = clock()
        self._clock = clock
        self._route: Route | None = None
        self._since: datetime | None = None
        self._wanted: Pointers | None = None
        self._failure: _Failure | None = None
        self._unseen: HoldfastError | None = None
        self._mark: RouteMark | None = None
        self._loading: asyncio.Task[None] | None = None
        self._loops: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._held = Held(model, opener, self._changed.set, engine)
        self.beside = Beside(self._held, source, self._put_canary, self._close_what_is_idle)
        self._learning = 0
        self._stopped = False

    @property
    def route(self) -> Route | None:
        """Who answers now; None before the first version is open."""
        return self._route

    @property
    def ready(self) -> bool:
        """Whether a request that came now would be answered."""
        return not self._stopped and self._route is not None and self._route.primary.up

    @property
    def sees_registry(self) -> bool:
        """Whether the registry answered when it was asked last."""
        return self._unseen is None

    def take(self) -> Route | None:
        """The route for one request: its versions stay open until `leave`, whatever moves meanwhile."""
        route = self._route
        if route is not None:
            self._held.enter(route.lives)
        return route

    def leave(self, route: Route | None) -> None:
        """The request that took this route is finished."""
        if route is not None:
            self._held.leave(route.lives)

    async def learn(self, truths: Sequence[Truth]) -> int:
        """Pass on what turned out to be right; the index of the last truth that the registry knows.

        Raises:
            Busy: others are doing that.
        """
        if self._learning >= _LEARNING_MAX:
            raise Busy("truths are being written down", hint="Try again in a second.", limit=_LEARNING_MAX)
        self._learning += 1
        try:
            return await asyncio.to_thread(self._source.learn, truths)
        finally:
            self._learning -= 1

    async def start(self) -> None:
        """Begin to follow and to report; returns at once, while the first version is still being opened."""
        try:
            for observer in self.observers:
                await observer.start()
        except BaseException:
            await self.stop()
            raise
        self._for_ever(self._follow)
        self._for_ever(self._repeat)

    async def stop(self) -> None:
        """Report that this replica is gone, and close every version; safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        going = [*self._loops, *([] if self._loading is None else [self._loading])]
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        await self.beside.stop()
        # At the same time, and whatever becomes of one: what ends a process gives it half a minute in all.
        for ended in await asyncio.gather(*(observer.stop() for observer in self.observers), return_exceptions=True):
            if isinstance(ended, BaseException):
                _LOG.critical("%s@%s: who watched did not end well", self.model, self.stage, exc_info=ended)
        with suppress(HoldfastError):
            await asyncio.to_thread(self._source.report, self.report())
        await self._held.close()
        _LOG.info("%s@%s: stopped", self.model, self.stage)

    def report(self) -> Report:
        """What this replica serves at this moment.

        `number` and `digest` are always the version that answers. `epoch` is the one it answers for, or, when the state
        is `failed`, the one whose version it could not open.
        """
        route, state, error = self._route, ReplicaState.LOADING, self._trouble()
        epoch = None if route is None else route.epoch
        if self._stopped:
            state = ReplicaState.STOPPED
        elif self._failure is not None:
            state, epoch = ReplicaState.FAILED, self._failure.epoch
        elif self.ready and self._wanted is not None and epoch == self._wanted.epoch:
            state = ReplicaState.READY
        return Report(
            id=self.id,
            model=self.model,
            stage=self.stage,
            host=self._place.host,
            pid=self._place.pid,
            url=self._place.url,
            number=None if route is None else route.primary.number,
            digest=None if route is None else route.primary.digest,
            epoch=epoch,
            state=state,
            error=error,
            started_at=self._started_at,
            reported_at=self._clock(),
            since=self._since,
        )

    def _trouble(self) -> str | None:
        if self._failure is not None:
            return f"{self._failure.error.code}: {self._failure.error.message}"
        if self._route is not None and self._route.primary.error is not None:
            return f"restarting: {self._route.primary.error.message}"
        if self._wanted is not None and self._wanted.current is None:
            return f"nothing holds {self.model}@{self.stage}"
        return None if self._unseen is None else f"{self._unseen.code}: {self._unseen.message}"

    async def _follow(self) -> None:
        while True:
            try:
                # (1) The cheap question first; where the stage points is read only when the answer has changed.
                mark = await asyncio.to_thread(self._source.mark, self._mark)
                if mark != self._mark:
                    self._aim(await asyncio.to_thread(self._source.read))
                    self._mark = mark
                self._unseen = None
            except HoldfastError as error:
                if self._unseen is None:
                    _LOG.warning("%s@%s: cannot see the stage: %s", self.model, self.stage, error.message)
                self._unseen = error
            await asyncio.sleep(POLL_SECONDS)

    def _aim(self, wanted: Pointers) -> None:
        before, self._wanted = self._wanted, wanted
        if before is not None and before.epoch == wanted.epoch:
            self._follow_canary()
            return
        why = "the replica started" if before is None else "the stage moved"
        self._failure = None
        if self._loading is not None:
            # What is being opened may not be wanted any more; what is still wanted is opened again from the cache.
            self._loading.cancel()
        if wanted.current is None:
            self._rest(wanted)
            return
        live = self._held.get(wanted.current.digest)
        if live is not None and live.up:
            self._swap(wanted, live, why)
        else:
            self._follow_canary()  # the one that ran is of the epoch that has ended
        self._loading = asyncio.create_task(self._load(wanted, wanted.current, why))
        self._loading.add_done_callback(self._ended)
        self._changed.set()

    def _rest(self, wanted: Pointers) -> None:
        """Nothing holds the stage, so nothing answers; what held it stays open, for a rollback may bring it back."""
        self._route, self._since = None, None
        _LOG.info("%s@%s: epoch %s, nothing holds the stage", self.model, self.stage, wanted.epoch)
        self.beside.follow(None)
        self._changed.set()

    async def _load(self, wanted: Pointers, current: Pointer, why: str) -> None:
        pause = _RETRY_SECONDS_MIN
        while True:
            try:
                if self._route is None or self._route.epoch != wanted.epoch:
                    self._swap(wanted, await self._held.hold(current), why)
                # (5) Last-known-good is opened after the swap, never before it: the stage comes first.
                if wanted.last_known_good is not None:
                    standby = await self._held.hold(wanted.last_known_good)
                    if self._route is not None and self._route.standby is not standby:
                        self._route = replace(self._route, standby=standby)
                        _LOG.info("%s@%s keeps %s warm as last-known-good", self.model, self.stage, standby)
            except HoldfastError as error:
                self._note(wanted, error)
            else:
                return
            await asyncio.sleep(pause)
            pause, why = min(pause * 2, _RETRY_SECONDS_MAX), "another attempt succeeded"

    def _note(self, wanted: Pointers, error: HoldfastError) -> None:
        """Write down why a version is not open; only the one that the stage points to makes the replica `failed`."""
        if self._route is not None and self._route.epoch == wanted.epoch:
            _LOG.warning("%s@%s: last-known-good is not open: %s", self.model, self.stage, error.message)
            return
        self._failure = _Failure(wanted.epoch, error)
        _LOG.error(
            "%s@%s: epoch %s not served: %s; still answering: %s",
            self.model,
            self.stage,
            wanted.epoch,
            error.message,
            "nothing" if self._route is None else self._route.primary,
        )
        self._changed.set()

    def _swap(self, wanted: Pointers, primary: Live, why: str) -> None:
        good = wanted.last_known_good
        standby = None if good is None else self._held.get(good.digest)
        if self._route is None or self._route.primary.digest != primary.digest:
            self._since = self._clock()
        # (4) The one assignment.
        self._route = Route(wanted.epoch, primary, None if standby is primary else standby)
        self._failure = None
        _LOG.info(
            "%s@%s serves %s, epoch %s, because %s; last-known-good %s",
            self.model,
            self.stage,
            primary,
            wanted.epoch,
            why,
            "none" if good is None else f"version {good.number}",
        )
        self._changed.set()
        self._follow_canary()

    def _follow_canary(self) -> None:
        """A canary is of one epoch of the stage: it waits until this replica serves that one."""
        ready = self._route is not None and self._wanted is not None and self._route.epoch == self._wanted.epoch
        self.beside.follow(self._wanted.canary if self._wanted is not None and ready else None)

    def _put_canary(self, canary: Canary | None) -> None:
        if self._route is None or self._route.canary == canary:
            return
        self._route = replace(self._route, canary=canary)
        if canary is None:
            _LOG.info("%s@%s has no canary any more", self.model, self.stage)
        else:
            _LOG.info("%s@%s: %s answers %g %% as canary", self.model, self.stage, canary.live, canary.share / 100)

    def _close_what_is_idle(self) -> None:
        """(6) What is in no place any more, and has none ahead."""
        answering, wanted = () if self._route is None else self._route.lives, self._wanted
        if wanted is not None:
            named = (*answering, wanted.current, wanted.last_known_good, self.beside.wanted)
            self._held.keep({one.digest for one in named if one is not None})

    async def _repeat(self) -> None:
        """Say what is served: at once when it changes, and every second."""
        unheard = False
        while True:
            self._changed.clear()
            try:
                await asyncio.to_thread(self._source.report, self.report())
                unheard = False
            except HoldfastError as error:
                if not unheard:
                    _LOG.warning("%s@%s: cannot report: %s", self.model, self.stage, error.message)
                unheard = True
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._changed.wait()

    def _keep(self, where: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        where.add(task)
        task.add_done_callback(where.discard)
        task.add_done_callback(self._ended)
        return task

    def _for_ever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A loop that ends by an unexpected error is begun again: a replica that no longer follows would look well."""

        def again(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and not self._stopped:
                asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._for_ever, work)

        self._keep(self._loops, work()).add_done_callback(again)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.critical("%s@%s: an unexpected error", self.model, self.stage, exc_info=error)
