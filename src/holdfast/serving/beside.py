"""What a replica holds beside the stage: the version of a canary, opened away from the answers, put into the route.

    (1) a rollout of the stage has begun, taken a turn, or ended
    (2) its version is opened beside the one that answers, and smoked, unless it is open already
    (3) it gets its share: one assignment of the route, which the next step of the plan repeats with another share
    (4) it loses it: at once when the rollout ends, or when this replica has found it worse and nobody knows yet

A candidate that cannot be opened has no share, and its rollout is turned to `aborted` with the reason. Nothing here
ever touches who holds the stage.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError, StageMoved, Unavailable
from holdfast.registry.rollouts import Rollout, RolloutState, Turn
from holdfast.serving.bucketing import salt_of
from holdfast.serving.holding import Held
from holdfast.serving.live import Live
from holdfast.serving.plan import CanaryPlan
from holdfast.serving.route import Canary
from holdfast.serving.source import Pointer, StageSource, as_reason

__all__ = ["Beside"]

_LOG = logging.getLogger("holdfast.serving")

_PAUSES_SECONDS = (1.0, 4.0, 16.0)
"""Before a candidate that could not be fetched is tried again: a store that is away is often back by then."""

_TOLD_SECONDS = 5.0
"""How long before a turn is tried again that the registry did not take: it may be away for hours, and is back at some
moment."""


class Beside:
    """The canary of one replica's stage, while there is one."""

    def __init__(
        self, held: Held, source: StageSource, put: Callable[[Canary | None], None], closing: Callable[[], None]
    ) -> None:
        """Args: put: places a canary into the route. closing: called when another version is wanted than before."""
        self._held = held
        self._source = source
        self._put = put
        self._closing = closing
        self._wanted: Rollout | None = None
        self._ended: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> Rollout | None:
        """The canary that this replica takes part in; its version may not be open yet."""
        return self._wanted

    def follow(self, rollout: Rollout | None) -> None:
        """(1) The canary of the stage as it stands now; None where there is none."""
        if rollout is not None and rollout.id in self._ended:
            rollout = None
        if rollout is None or self._wanted is None or rollout.digest != self._wanted.digest:
            self._stop_opening()
        self._wanted = rollout
        if rollout is None:
            self._put(None)
            self._closing()
            return
        live = self._held.get(rollout.digest)
        if live is not None:
            self._place(rollout, live)
        elif self._opening is None:
            self._opening = self._keep(self._open(rollout))

    def end(self, rollout: Rollout, reason: str, figures: JsonObject) -> None:
        """(4) Take its share away here and now, and tell the registry for as long as it takes; safe to call twice."""
        if rollout.id in self._ended:
            return
        self._ended.add(rollout.id)
        said = as_reason(reason)  # a bundle's own words may be long, and no text that could be written
        _LOG.error("%s@%s: the canary of version %s ends: %s", rollout.model, rollout.stage, rollout.number, said)
        turn = Turn(rollout.id, rollout.event, RolloutState.ABORTED, rollout.step, said, figures)
        self._keep(self._tell(turn))
        if self._wanted is not None and self._wanted.id == rollout.id:
            self.follow(None)

    async def stop(self) -> None:
        """The replica ends: what is being opened or told is given up."""
        going = tuple(self._tasks)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)

    async def _open(self, rollout: Rollout) -> None:
        try:
            await self._opened(rollout)
        finally:
            # Whatever ended it, a later look may begin again; another one may have begun already.
            if self._opening is asyncio.current_task():
                self._opening = None

    async def _opened(self, rollout: Rollout) -> None:
        # (2) As for a stage: load, verify, smoke; but a candidate gets a few attempts and no more.
        for pause in (*_PAUSES_SECONDS, None):
            try:
                live = await self._held.hold(Pointer(rollout.number, rollout.digest))
            except HoldfastError as error:
                if pause is None or not isinstance(error, Unavailable):
                    self._opening = None
                    reason = f"version {rollout.number} could not be opened: {error.message}"
                    self.end(self._wanted or rollout, reason, {"error": error.code})
                    return
                await asyncio.sleep(pause)
            else:
                break
        self._opening = None
        # It may have taken a turn meanwhile; one that ended has cancelled this.
        if self._wanted is not None and self._wanted.digest == rollout.digest:
            self._place(self._wanted, live)

    def _place(self, rollout: Rollout, live: Live) -> None:
        try:
            plan = CanaryPlan.from_json(rollout.plan)
        except HoldfastError as error:
            self.end(rollout, error.message, {"error": error.code})
            return
        share = plan.step(rollout.step).share
        self._put(Canary(live, share, salt_of(rollout.model, rollout.id), plan.key, rollout.id, rollout.step))
        self._closing()

    async def _tell(self, turn: Turn) -> None:
        while True:
            try:
                await asyncio.to_thread(self._source.turn, turn)
            except StageMoved:
                # Somebody was first: the rollout is over, or it has taken another turn and is ended from there.
                now = await self._standing(turn.rollout)
                if now is None or now.event == turn.expect:
                    return
                turn = replace(turn, expect=now.event, step=now.step)
            except HoldfastError as error:
                _LOG.warning("rollout %s: the registry was not told that it ended: %s", turn.rollout, error.message)
                if not isinstance(error, Unavailable):
                    return
                await asyncio.sleep(_TOLD_SECONDS)
            else:
                return

    async def _standing(self, rollout: int) -> Rollout | None:
        """The rollout as it stands; None when it is over."""
        while True:
            try:
                now = (await asyncio.to_thread(self._source.read)).canary
            except HoldfastError:
                await asyncio.sleep(_TOLD_SECONDS)
            else:
                return now if now is not None and now.id == rollout else None

    def _stop_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.critical("an unexpected error beside the stage", exc_info=error)
