"""Mirroring: a copy of each answered request goes to a version in the shadow of the one that answered.

    mirror = Mirror(registry, model, stage, opener, replica=…, actor=…)
    Replica(…, observers=[mirror])

The mirror follows the shadows of its stage by itself: it looks every second, opens the version away from the path, and
ends it when the shadow is over. Nobody waits for it: what cannot be sent at once is dropped, and so is everything while
the version that answers has much to do. Drops are counted. Only a version that is said to have no side effects is
asked; and in case that is not true, its process has neither network nor a place to write to.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, IntegrityError, NotFound, StageMoved, Unavailable, UsageError
from holdfast.flow.shadow.beginning import counted, summed
from holdfast.flow.shadow.counts import Counts
from holdfast.flow.shadow.plan import Plan
from holdfast.names import ModelName, StageName
from holdfast.registry.rollouts import Rollout, RolloutKind, Rollouts, RolloutState, RouteMark, Tally, Turn
from holdfast.runtime.limits import PROCESSES_MAX, Limits, machine_bytes
from holdfast.serving.bucketing import bucket, salt_of
from holdfast.serving.live import REQUEST_SECONDS_MAX
from holdfast.serving.measures import Measure
from holdfast.serving.observing import Observed
from holdfast.serving.opening import Opener
from holdfast.serving.pairing import Mirrored
from holdfast.serving.route import PRIMARY
from holdfast.serving.shadow_process import ShadowProcess
from holdfast.serving.shadow_worker import Setup
from holdfast.serving.source import as_reason

__all__ = ["BUSY_MAX", "FOLLOW_SECONDS", "Mirror", "limits_of_a_shadow"]

_LOG = logging.getLogger("holdfast.serving")

FOLLOW_SECONDS = 1.0
"""How often the mirror looks whether a shadow begins or ends, and tells what it has counted. A request that is mirrored
a second later, or too much, does no harm: a pair counts only where the version answered that the shadow is against."""

BUSY_MAX = 8
"""Requests in flight past which nothing is mirrored. A version answers one after the other: with eight of them each
waits for seven, and whatever the machine has left belongs to them."""

_REPEAT_SECONDS = 5.0
"""Between two attempts to tell the registry that a shadow cannot go on."""

_NOT_ITS_FAULT = frozenset({"unavailable", "busy", "too_late", "too_large"})
"""Errors of the primary that say nothing of how the two versions differ: it was overloaded, or had less time than it
takes, or refused the length."""


def limits_of_a_shadow() -> Limits:
    """What a version in the shadow may use: neither network nor a place to write to, and half of the memory."""
    return Limits(memory_bytes_max=machine_bytes() // 2, processes_max=PROCESSES_MAX, network=False, untrusted=True)


MEASURED = {
    "holdfast_shadow_pairs": "Requests that the shadow was asked, too, of those that the primary answered.",
    "holdfast_shadow_agreed": "Those of them in which all rows have the same answer.",
    "holdfast_shadow_drops": "Requests that were chosen and not copied, by the reason.",
}
"""What the observer shows, by name; begins anew with each shadow."""


@dataclass(slots=True)
class _Going:
    """A shadow that goes on here."""

    rollout: Rollout
    plan: Plan
    process: ShadowProcess
    salt: str
    against: Digest
    drops: Counter[str] = field(default_factory=Counter)
    told: JsonObject | None = None

    def counted(self) -> JsonObject:
        """What was counted here since it began."""
        counts = Counts() if self.process.counts is None else Counts.from_json(self.process.counts)
        counts.drops.update(self.drops)
        counts.drops.update(self.process.drops)
        return counts.to_json()


class Mirror:
    """An observer of one replica. Everything but the registry and the opener runs on the replica's event loop."""

    def __init__(
        self,
        registry: Rollouts,
        model: ModelName,
        stage: StageName,
        opener: Opener,
        *,
        replica: str,
        actor: str,
        limits: Callable[[], Limits] = limits_of_a_shadow,
        seconds_max: float = REQUEST_SECONDS_MAX,
        yields: bool = True,
    ) -> None:
        """As above.

        Args:
            registry: has the shadows, and takes what is counted.
            model: whose stage.
            stage: which stage.
            opener: fetches versions.
            replica: the name under which is counted.
            actor: who ends a shadow that cannot go on.
            limits: what a version may use.
            seconds_max: how long one of its answers may take.
            yields: whether its processes get of the processors only what nobody else wants.
        """
        self._registry = registry
        self._model = model
        self._stage = stage
        self._opener = opener
        self._replica = replica
        self._actor = actor
        self._limits = limits
        self._seconds_max = seconds_max
        self._yields = yields
        self._mark: RouteMark | None = None
        self._wanted: Rollout | None = None
        self._going: _Going | None = None
        self._running: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._unseen = False

    def see(self, observed: Observed) -> None:
        """Mirror one request, where a shadow goes on and there is room."""
        going = self._going
        if going is None or observed.reason != PRIMARY or observed.live.digest != going.against:
            return
        if observed.error in _NOT_ITS_FAULT:
            return
        if going.plan.sample < 1.0 and bucket(going.salt, observed.request_id) >= going.plan.sample:
            return
        if observed.live.in_flight > BUSY_MAX:
            going.drops["busy"] += 1
            return
        going.process.put(
            Mirrored(
                observed.shape,
                observed.request,
                observed.answer or b"",
                observed.error,
                observed.seconds,
                observed.sent,
            )
        )

    def measures(self) -> Iterator[Measure]:
        """How the shadow that goes on here compares; see `Measured`."""
        if (going := self._going) is None:
            return
        counts = Counts.from_json(going.counted())
        named = (("model", str(self._model)), ("version", str(going.rollout.number)))
        for name, value in (("pairs", counts.pairs), ("agreed", counts.agreed)):
            full = f"holdfast_shadow_{name}"
            yield Measure(full, MEASURED[full], named, float(value), counts=True)
        for why, count in sorted(counts.drops.items()):
            full = "holdfast_shadow_drops"
            yield Measure(full, MEASURED[full], (*named, ("why", why)), float(count), counts=True)

    async def start(self) -> None:
        """Begin to follow."""
        self._following = self._task(self._follow())

    async def stop(self) -> None:
        """End the shadow here, and tell what was counted."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await self._halt()

    async def _follow(self) -> None:
        while True:
            try:
                mark = await asyncio.to_thread(self._registry.route_mark, self._model, self._stage)
                if mark != self._mark:
                    await self._aim(await asyncio.to_thread(self._newest))
                    self._mark = mark
                if self._going is not None:
                    await self._tell(self._going)
                self._unseen = False
            except HoldfastError as error:
                if not self._unseen:
                    _LOG.warning("%s@%s: cannot see its shadows: %s", self._model, self._stage, error.message)
                self._unseen = True
            await asyncio.sleep(FOLLOW_SECONDS)

    def _newest(self) -> Rollout | None:
        found = self._registry.rollouts(self._model, self._stage, kind=RolloutKind.SHADOW, limit=1)
        return next((one for one in found if one.state is RolloutState.RUNNING), None)

    async def _aim(self, wanted: Rollout | None) -> None:
        before, self._wanted = self._wanted, wanted
        if wanted is not None and before is not None and wanted.id == before.id:
            return
        await self._halt()
        if wanted is not None:
            self._running = self._task(self._run(wanted))

    async def _halt(self) -> None:
        """End what runs here, once: it is cancelled a single time, so that it may tidy up."""
        if self._running is not None:
            if not self._running.cancelling():
                self._running.cancel()
            await asyncio.wait([self._running])
            self._running = None

    async def _run(self, rollout: Rollout) -> None:
        """One shadow, from its opening until it is over or this task is cancelled."""
        failed: asyncio.Future[HoldfastError] = asyncio.get_running_loop().create_future()
        process = ShadowProcess(lambda error: None if failed.done() else failed.set_result(error))
        going: _Going | None = None
        try:
            plan = Plan.from_json(rollout.plan)
            await process.open(await asyncio.to_thread(self._setup, rollout, plan))
            salt = salt_of(self._model, rollout.id)
            going = self._going = _Going(rollout, plan, process, salt, rollout.against_digest)
            _LOG.info("%s@%s: version %s is in the shadow", self._model, self._stage, rollout.number)
            error = await failed
        except HoldfastError as found:
            error = found
        finally:
            self._going = None
            await process.finish()
            if going is not None:
                with suppress(HoldfastError):
                    await self._tell(going)
        await self._abort(rollout, error)

    def _setup(self, rollout: Rollout, plan: Plan) -> Setup:
        try:
            opened = self._opener(rollout.digest)
        except OSError as error:
            raise Unavailable(
                f"version {rollout.number} could not be fetched: {error.strerror}",
                hint="Look at the disk and the store of this machine.",
            ) from error
        manifest = opened.files.manifest
        if opened.files.digest != rollout.digest or manifest.model != self._model:
            raise IntegrityError(
                f"what was fetched for version {rollout.number} is another bundle: {opened.files.digest}",
                hint="Run: holdfast check",
                expected=str(rollout.digest),
                found=str(opened.files.digest),
            )
        if not manifest.side_effect_free:
            raise UsageError(
                f"nobody says that version {rollout.number} has no side effects",
                hint="Register it with --side-effect-free, if answering a request changes nothing elsewhere.",
            )
        return Setup(
            root=opened.files.root,
            digest=rollout.digest,
            number=rollout.number,
            interpreter=opened.interpreter,
            limits=self._limits(),
            plan=plan,
            seconds_max=self._seconds_max,
            yields=self._yields,
        )

    async def _tell(self, going: _Going) -> None:
        counts = going.counted()
        if counts != going.told:
            tally = Tally(going.rollout.id, 0, self._replica, counts)
            await asyncio.to_thread(self._registry.tally, tally)
            going.told = counts

    async def _abort(self, rollout: Rollout, error: HoldfastError) -> None:
        """Say in the registry that the shadow cannot go on; again and again, until it is heard or over anyway."""
        reason = as_reason(f"{error.code}: {error.message}")
        _LOG.error("%s@%s: the shadow of version %s: %s", self._model, self._stage, rollout.number, reason)
        while self._wanted is not None and self._wanted.id == rollout.id:
            try:
                await asyncio.to_thread(self._end, self._wanted, reason)
            except (NotFound, StageMoved):
                return
            except HoldfastError as refused:
                _LOG.warning("%s@%s: cannot end the shadow: %s", self._model, self._stage, refused.message)
                await asyncio.sleep(_REPEAT_SECONDS)
            else:
                return

    def _end(self, rollout: Rollout, reason: str) -> None:
        figures = summed(counted(rollout, self._registry))
        turn = Turn(rollout.id, rollout.event, RolloutState.ABORTED, rollout.step, reason, figures)
        self._registry.turn_rollout(turn, self._actor)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.critical("%s@%s: an unexpected error in its shadow", self._model, self._stage, exc_info=error)
