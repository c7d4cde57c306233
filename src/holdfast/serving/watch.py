"""The observer that counts, compares and raises alerts: everything that `/metrics`, `/watch` and `/alerts` say.

    watch = Watch(settings, rules)
    replica = Replica(…, observers=[watch])
    watch.follow(replica)

What it is told is put into a queue, and taken out of it between two requests. Nothing waits for it; where it cannot
keep up, it says how much it has not looked at.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from holdfast.errors import HoldfastError
from holdfast.evidence import FeatureSchema
from holdfast.registry import ReplicaState
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.sent import READ_ANYWHERE
from holdfast.runtime.shapes import SHAPES, table_in
from holdfast.serving.alert_rules import AlertRule
from holdfast.serving.alerts import Alert, Alerts
from holdfast.serving.counters import Lines
from holdfast.serving.exchange import Exchange
from holdfast.serving.live import Live
from holdfast.serving.monitor import Health, Monitor
from holdfast.serving.observing import Observed
from holdfast.serving.reading import read_answer
from holdfast.serving.reference import Reference, reference_of, word_of
from holdfast.serving.replica import Replica
from holdfast.serving.roles import Stay, role_of, stay_of, stays_of
from holdfast.serving.route import Route
from holdfast.serving.settings import WatchSettings
from holdfast.serving.showing import Shown

__all__ = ["Listener", "Watch"]

_LOG = logging.getLogger("holdfast.serving")

QUEUE_MAX = 20_000
"""Requests that wait to be counted: some seconds of the fastest model there is."""

QUEUE_BYTES_MAX = 32 << 20
"""Bytes of requests and answers that wait; past this they are counted without being read."""

_DRAIN_SECONDS = 0.05
"""How often the queue is emptied."""

_AT_ONCE = 64
"""Requests that are counted before the event loop may do something else: well below a millisecond."""

TICK_SECONDS = 1.0
"""How often rules are looked at."""

_READ_PER_SECOND_MAX = 500
"""Answers that are parsed in one second, a part of them in each turn: they tell how a version answers, and cost a
hundredth of a processor however many requests come."""

_READ_BYTES_PER_SECOND_MAX = 1 << 20
"""Bytes of answers that are parsed in one second: about one hundredth of a processor, too."""

_REQUEST_BYTES_MAX = 64 << 10
"""A longer request is not read: a few of them would take the time that hundreds of rows are worth."""

_KEPT_SECONDS = 60.0
"""How long the lines of a version are shown after it was let go of: until Prometheus has read the last ones."""


_OPENING_SECONDS = 600.0
"""How long what an earlier process counted is kept while this one opens the versions that it counted of."""


class Listener(Protocol):
    """Whoever acts on alerts."""

    def tell(self, alert: Alert) -> None:
        """An alert began to fire, or was resolved; called on the event loop, and MUST return at once."""
        ...

    def look(self, firing: Sequence[Alert], route: Route | None) -> None:
        """Once a second: what fires, and who answers; MUST return at once."""
        ...

    async def stop(self) -> None:
        """The replica ends."""
        ...


class Watch:
    """The observer; see the module.

    Args:
        settings: what the project says.
        rules: what is looked at; see `monitor.rules_of`.
        compared: gives what a version is compared with; called in a thread, once for each version.
        listeners: whoever acts on alerts.
        exchange: how the processes of one port meet; None: this one is alone.
    """

    def __init__(
        self,
        settings: WatchSettings,
        rules: Sequence[AlertRule],
        *,
        compared: Callable[[BundleFiles], Reference] = reference_of,
        listeners: Sequence[Listener] = (),
        exchange: Exchange | None = None,
    ) -> None:
        self.lines = Lines()
        self.monitor = Monitor(rules)
        self.alerts = Alerts()
        self.unseen = 0
        self._settings = settings
        self._compared = compared
        self._listeners = tuple(listeners)
        self._exchange = exchange
        self._replica: Replica | None = None
        self._queue: deque[Observed] = deque()
        self._queued_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: dict[Live, float] = {}
        self._opened = {"opened": 0, "failed": 0}
        self._lost_since: float | None = None
        self._failed_since: float | None = None
        self._stopped = False
        self._began = float("-inf")
        self._before: set[str] = set()
        self._left_answers = float(_READ_PER_SECOND_MAX)
        self._left_bytes = float(_READ_BYTES_PER_SECOND_MAX)
        self._left_rows = float(settings.rows_per_second_max)

    def follow(self, replica: Replica) -> None:
        """Watch this replica, whose observer it is."""
        self._replica = replica

    @property
    def shown(self) -> Shown:
        """What the routes show of it at this moment."""
        return Shown(self, self._replica, self._exchange)

    def see(self, observed: Observed) -> None:
        """One request; see `Observer`."""
        if len(self._queue) >= QUEUE_MAX:
            self.unseen += 1
            return
        size = len(observed.request) + len(observed.answer or b"")
        if self._queued_bytes + size > QUEUE_BYTES_MAX:
            observed = observed._replace(request=b"", answer=b"" if observed.answer is not None else None)
            size = 0
        self._queued_bytes += size
        self._queue.append(observed)

    async def start(self) -> None:
        """Begin to count."""
        if self._exchange is not None and (before := self._exchange.before()) is not None:
            with suppress(KeyError, TypeError, ValueError):  # a file of an earlier Holdfast: counters begin anew
                self.lines.add(Lines.from_json(before["lines"]))
                self._before = {version for (version, _), _ in self.lines}
        self._began = time.monotonic()
        for work in (self._drain, self._tick):
            self._for_ever(work)

    async def stop(self) -> None:
        """Count what is left, and end."""
        self._stopped = True
        going = list(self._tasks)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        self.count(len(self._queue))
        for listener in self._listeners:
            await listener.stop()

    def _for_ever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A loop that ends by an unexpected error is begun again: a version that nobody watches would look well."""

        def again(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and not self._stopped:
                asyncio.get_running_loop().call_later(TICK_SECONDS, self._for_ever, work)

        if not self._stopped:
            task = asyncio.create_task(work())
            self._keep(task)
            task.add_done_callback(again)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.critical("what is answered was not watched: an unexpected error", exc_info=error)

    async def _drain(self) -> None:
        while True:
            await asyncio.sleep(_DRAIN_SECONDS)
            more = _READ_BYTES_PER_SECOND_MAX * _DRAIN_SECONDS
            self._left_bytes = min(self._left_bytes + more, _READ_BYTES_PER_SECOND_MAX)
            self._left_answers = _READ_PER_SECOND_MAX * _DRAIN_SECONDS
            while self._queue:
                self.count(_AT_ONCE)
                await asyncio.sleep(0)

    def count(self, most: int) -> None:
        """Count up to so many of the requests that wait."""
        now = time.monotonic()
        for _ in range(min(most, len(self._queue))):
            observed = self._queue.popleft()
            self._queued_bytes -= len(observed.request) + len(observed.answer or b"")
            self._count(observed, now)

    def _count(self, observed: Observed, now: float) -> None:
        number, stay = observed.live.number, stay_of(observed)
        line = self.lines.of(str(number), role_of(observed))
        self.monitor.answered(number, stay, now, observed.seconds, observed.error)
        if observed.error is not None or observed.answer is None:
            line.erred(observed.error or "unknown")
            return
        line.answered += 1
        line.took(observed.seconds, observed.worker_seconds)
        size = len(observed.answer)
        scored = None
        if 0 < size <= self._left_bytes and self._left_answers > 0:
            self._left_bytes -= size
            self._left_answers -= 1
            scored = read_answer(observed.shape, observed.answer)
        if scored is None:
            line.unread += 1
            return
        line.rows += len(scored.predictions)
        for one in scored.predictions:
            line.predicted(word_of(one))
        if scored.scores:
            for score in scored.numbers:
                line.scored(score)
        self.monitor.predicted(number, stay, now, scored.predictions)
        self._read_rows(observed, stay, now)

    def _read_rows(self, observed: Observed, stay: Stay, now: float) -> None:
        if self._left_rows <= 0 or observed.shape not in SHAPES or len(observed.request) > _REQUEST_BYTES_MAX:
            return
        if observed.sent.kind not in READ_ANYWHERE:
            return
        with suppress(HoldfastError):  # it was answered, so this is a shape that only its worker reads
            schema = observed.live.schema or FeatureSchema("rows", ())
            table = table_in(observed.shape, observed.request, observed.sent, schema)[0]
            self._left_rows -= table.count
            self.monitor.rows(observed.live.number, stay, now, table)

    async def _tick(self) -> None:
        while True:
            self.look(time.monotonic(), time.time())
            await asyncio.sleep(TICK_SECONDS)

    def look(self, now: float, wall: float) -> None:
        """Look at the rules: `now` on the clock of this machine's start, `wall` in seconds since 1970."""
        self._left_rows = float(self._settings.rows_per_second_max)
        route = None if self._replica is None else self._replica.route
        held = stays_of(route)
        self._meet(route, now)
        self.monitor.keep(held)
        fresh = {str(live.number) for live, last in self._known.items() if now - last <= _KEPT_SECONDS}
        self.lines.keep(fresh | self._before if now - self._began <= _OPENING_SECONDS else fresh)
        for alert in self.alerts.step(wall, self.monitor.found(now, held, self._health(now))):
            _LOG.warning("alert %s: %s", alert.state, alert.sentence)
            for listener in self._listeners:
                listener.tell(alert)
        for listener in self._listeners:
            listener.look(self.alerts.firing, route)
        if self._exchange is not None:
            self._exchange.publish(self.shown.to_json(now, wall))

    def _meet(self, route: Route | None, now: float) -> None:
        """Learn what versions that are new here are compared with; forget those that are long gone."""
        for live in () if route is None else route.lives:
            if live not in self._known:
                self._opened["opened"] += 1
                self._keep(asyncio.ensure_future(self._learn(live)))
            self._known[live] = now
        self._known = {live: last for live, last in self._known.items() if now - last <= _KEPT_SECONDS}

    async def _learn(self, live: Live) -> None:
        try:
            reference = await asyncio.to_thread(self._compared, live.files)
        except HoldfastError as error:
            _LOG.warning("%s is watched without a comparison: %s", live, error.message)
            return
        self.monitor.learn(live.number, reference)
        _LOG.info("%s is compared with %s", live, reference.rows_of or "nothing: it has no holdout")

    def _health(self, now: float) -> Health:
        if self._replica is None:
            return Health()
        lost, failed = not self._replica.sees_registry, self._replica.report().state is ReplicaState.FAILED
        if failed and self._failed_since is None:
            self._opened["failed"] += 1
        self._lost_since = (self._lost_since or now) if lost else None
        self._failed_since = (self._failed_since or now) if failed else None
        return Health(
            registry_lost_seconds=0.0 if self._lost_since is None else now - self._lost_since,
            not_opened_seconds=0.0 if self._failed_since is None else now - self._failed_since,
        )

    @property
    def opened(self) -> Mapping[str, int]:
        """How often versions were opened, and how often one could not be."""
        return self._opened
