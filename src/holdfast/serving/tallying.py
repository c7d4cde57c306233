"""Counts what a canary and the version beside it answer, tells other replicas, and acts on what is found.

    tallying = Tallying(RegistryBook(registry, model))
    replica = Replica(…, observers=[tallying])
    tallying.follow(replica.beside, replica.id)

Whatever `see` is told is counted at once, in microseconds. A loop does the rest: it reads answers again for their
scores, gives the counts to the registry, takes those of the others, judges, and turns the rollout. After an error of
the candidate it judges at once, by what it knows; a candidate that is found to be worse loses its share here before
anybody is asked.
"""

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError, PermissionRefused, StageMoved
from holdfast.registry.rollouts import Rollout, RolloutState, Tally, Truth, Turn
from holdfast.serving.beside import Beside
from holdfast.serving.book import Book
from holdfast.serving.bucketing import salt_of
from holdfast.serving.counting import LATENCY_EDGES_SECONDS, REFUSALS, Counted
from holdfast.serving.judging import Judgement, Outcome, judge
from holdfast.serving.keys import Origin
from holdfast.serving.measures import Measure, Together
from holdfast.serving.observing import Observed
from holdfast.serving.plan import CanaryPlan, Guard
from holdfast.serving.reading import ANSWER_BYTES_MAX, Prediction, read_answer
from holdfast.serving.route import OVERRIDE, PRIMARY

__all__ = ["Tallying"]

_LOG = logging.getLogger("holdfast.serving")

_BEAT_SECONDS = 1.0
"""How often counts are exchanged while nothing is wrong: with the heartbeat."""

_LOOK_SECONDS_MIN = 0.1
"""The least time between two exchanges: a candidate that only fails is judged ten times a second, and no more."""

_QUEUE_MAX = 1_000
"""Answers that wait to be read again; more of them in a tenth of a second are counted without their scores."""

_QUEUE_BYTES_MAX = 16 << 20
"""And their bytes: what nobody notices in a process that serves."""

_AT_ONCE_BYTES = 64 << 10
"""Bytes of answers that are read before the event loop may do something else: well below a millisecond."""

_KEYS_MAX = 100_000
"""Keys of which the first request is known: some ten megabytes. Further keys are not counted, on either side."""

_RECENT_MAX = 10_000
"""Requests whose error is known, where each is its own key: one that is sent again with its id is no second error."""

_AWAITED_MAX = 50_000
"""Answers that wait for their truth: some twenty megabytes; the oldest go first, on both sides alike."""

_PAGES_MAX = 10
"""Pages of truths that are read at once: whoever brings a million of them holds up nothing."""

_DOWN = "unavailable"
"""As what a request counts that the candidate was meant to answer while it was down."""

_STEP, _EVIDENCE = "holdfast_canary_step", "holdfast_canary_evidence"

MEASURED = {
    _STEP: "At which step of its plan the canary is, from 0.",
    _EVIDENCE: "The evidence of a guard that the canary is worse; a guard speaks at one over the level.",
}
"""What the observer shows, by name, while a canary goes on."""


@dataclass(slots=True)
class _Awaited:
    """An answer whose truth is not known yet."""

    step: int
    candidate: bool
    predictions: tuple[Prediction, ...]


class _Watch:
    """What this replica knows of one rollout."""

    def __init__(self, rollout: Rollout, plan: CanaryPlan) -> None:
        self.id = rollout.id
        self.plan = plan
        self.salt = salt_of(rollout.model, rollout.id)
        self.by_key = plan.key.origin is not Origin.REQUEST
        self.mine: dict[int, Counted] = {}
        self.others: dict[int, dict[str, Counted]] = {}
        self.since: dict[int, float] = {}
        self.awaited: OrderedDict[str, _Awaited] = OrderedDict()
        self.truth_index: int | None = None
        self.last_turned = -1
        self.figures: JsonObject = {}
        self._keys: set[str] = set()
        self._recent: OrderedDict[str, None] = OrderedDict()

    def at(self, step: int) -> Counted:
        """The counts of a step; the keys that have failed go with the rollout from step to step."""
        if step not in self.mine:
            before = self.mine[max(self.mine)] if self.mine else Counted()
            self.mine[step] = Counted(len(self.plan.score_edges) + 1, before.failed, before.refused)
        return self.mine[step]

    def is_first(self, key: str) -> bool:
        """Whether this is the first request of its key; no, for all keys, once there are too many of them."""
        if not self.by_key:
            return True
        if key in self._keys or len(self._keys) >= _KEYS_MAX:
            return False
        self._keys.add(key)
        return True

    def error(self, counted: Counted, key: str, code: str, step: int, *, candidate: bool) -> None:
        """Count an error."""
        arm, refused = counted.arm(candidate=candidate), code in REFUSALS
        arm.name(code)
        if self.by_key:
            first = (counted.refused if refused else counted.failed).add(
                key, step=step, candidate=candidate, salt=self.salt
            )
        else:
            first = key not in self._recent
            self._recent[key] = None
            if len(self._recent) > _RECENT_MAX:
                self._recent.popitem(last=False)
        if first and refused:
            arm.refused += 1
        elif first:
            arm.failed += 1

    def await_truth(self, request: str, awaited: _Awaited) -> None:
        """Keep an answer until its truth is known."""
        self.awaited[request] = awaited
        if len(self.awaited) > _AWAITED_MAX:
            self.awaited.popitem(last=False)

    def learn(self, truth: Truth) -> None:
        """Count one answer as right or wrong; the first truth about a request speaks for all of its rows.

        An error is wrong: were it left out, the version that fails less would have more answers, and more mistakes.
        """
        awaited = self.awaited.get(truth.request)
        if awaited is None:
            return
        arm = self.at(awaited.step).arm(candidate=awaited.candidate)
        if not awaited.predictions:
            del self.awaited[truth.request]
            arm.truths += 1
            arm.mistakes += 1
            return
        if not 0 <= truth.place < len(awaited.predictions):
            return
        del self.awaited[truth.request]
        arm.compare(awaited.predictions[truth.place], truth.value)


class Tallying:
    """An `Observer` that counts for the canary of one replica's stage."""

    def __init__(self, book: Book, clock: Callable[[], float] = monotonic) -> None:
        """Args: clock: gives seconds; how long a step has lasted is told by it."""
        self._book = book
        self._clock = clock
        self._beside: Beside | None = None
        self._replica = ""
        self._watch: _Watch | None = None
        self._answers: deque[tuple[_Watch, Observed, int, bool]] = deque()
        self._answer_bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, beside: Beside, replica: str) -> None:
        """Whose canary is counted, and as whom; before the replica starts."""
        self._beside, self._replica = beside, replica

    def see(self, observed: Observed) -> None:
        """Count one request."""
        canary, key = observed.route.canary, observed.key
        if canary is None or key is None or observed.reason == OVERRIDE:
            return
        watch = self._watching(canary.rollout)
        if watch is None:
            return
        counted, candidate = watch.at(canary.step), canary.takes(key)
        arm = counted.arm(candidate=candidate)
        arm.requests += 1
        if watch.by_key and key == observed.request_id:
            counted.without_key += 1
        first = watch.is_first(key)
        arm.counted += first
        error = _DOWN if candidate and observed.reason == PRIMARY else observed.error
        if error is not None:
            watch.error(counted, key, error, canary.step, candidate=candidate)
            if candidate:
                self._wake.set()
            if first and Guard.TRUTH in watch.plan.guards:
                watch.await_truth(observed.request_id, _Awaited(canary.step, candidate, ()))
        elif first:
            arm.latencies[bisect_left(LATENCY_EDGES_SECONDS, observed.seconds)] += 1
            self._keep_answer(watch, observed, canary.step, candidate=candidate)

    def _keep_answer(self, watch: _Watch, observed: Observed, step: int, *, candidate: bool) -> None:
        """Have an answer read in time, without its request."""
        size, full = len(observed.answer or b""), len(self._answers) >= _QUEUE_MAX
        if not full and size <= ANSWER_BYTES_MAX and self._answer_bytes + size <= _QUEUE_BYTES_MAX:
            self._answer_bytes += size
            self._answers.append((watch, observed._replace(request=b""), step, candidate))

    def _watching(self, rollout: int) -> _Watch | None:
        """What is known of a rollout; begun when its first request is seen."""
        if self._watch is not None and self._watch.id == rollout:
            return self._watch
        wanted = None if self._beside is None else self._beside.wanted
        if wanted is None or wanted.id != rollout:
            return None
        self._watch = _Watch(wanted, CanaryPlan.from_json(wanted.plan))
        return self._watch

    def measures(self) -> Iterator[Measure]:
        """How the canary that goes on stands; see `Measured`."""
        rollout = None if self._beside is None else self._beside.wanted
        if rollout is None or self._watch is None or self._watch.id != rollout.id:
            return
        named = (("model", str(rollout.model)), ("version", str(rollout.number)))
        yield Measure(_STEP, MEASURED[_STEP], named, float(rollout.step), together=Together.MOST)
        for guard, evidence in self._watch.figures.get("evidence", {}).items():
            if isinstance(evidence, int | float):
                guarded = (*named, ("guard", guard))
                yield Measure(_EVIDENCE, MEASURED[_EVIDENCE], guarded, float(evidence), together=Together.MOST)

    async def start(self) -> None:
        """The replica starts."""
        self._begin()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._repeat())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Begin again after an unexpected error: a canary that nobody judges any more would look well."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.critical("a canary was not judged: an unexpected error", exc_info=error)
            asyncio.get_running_loop().call_later(_BEAT_SECONDS, self._again)

    def _again(self) -> None:
        if self._task is not None:
            self._begin()

    async def stop(self) -> None:
        """The replica ends: what it has counted is given away once more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._watch is not None:
            await self._read()
            with suppress(HoldfastError):
                await asyncio.to_thread(self._tell, self._tallies(self._watch))

    async def _repeat(self) -> None:
        unheard = False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
                unheard = False
            except HoldfastError as error:
                if not unheard:
                    _LOG.warning("a canary's counts cannot be exchanged: %s", error.message)
                unheard = True
            await asyncio.sleep(_LOOK_SECONDS_MIN)

    async def _look(self) -> None:
        """Once: judge by what is known, exchange, and judge again."""
        rollout = None if self._beside is None else self._beside.wanted
        watch = None if rollout is None else self._watching(rollout.id)
        if rollout is None or watch is None:
            self._answers.clear()
            self._answer_bytes = 0
            return
        # By the event, since who resumes a canary that was held gives it its time anew.
        watch.since.setdefault(rollout.event, self._clock())
        watch.at(rollout.step)
        await self._read()
        if await self._act(watch, rollout, exchanged=False):
            return
        watch.others, truths = await asyncio.to_thread(self._exchange, watch, self._tallies(watch))
        for truth in truths:
            watch.learn(truth)
        await self._act(watch, rollout, exchanged=True)

    async def _read(self) -> None:
        """Read the answers that wait, for their scores and for the truths about them."""
        at_once = 0
        while self._answers:
            watch, observed, step, candidate = self._answers.popleft()
            self._answer_bytes -= (size := len(observed.answer or b""))
            if (at_once := at_once + size) > _AT_ONCE_BYTES:
                at_once = 0
                await asyncio.sleep(0)
            if observed.answer is None or watch is not self._watch:
                continue
            scored = read_answer(observed.shape, observed.answer)
            if scored is None:
                continue
            if watch.plan.score_edges and (numbers := scored.numbers):
                arm = watch.at(step).arm(candidate=candidate)
                arm.scores[bisect_right(watch.plan.score_edges, numbers[0])] += 1
            if Guard.TRUTH in watch.plan.guards:
                watch.await_truth(observed.request_id, _Awaited(step, candidate, scored.predictions))

    def _tallies(self, watch: _Watch) -> list[Tally]:
        """The counts of the newest step, and of the one before it, which may have grown until a moment ago."""
        newest = sorted(watch.mine)[-2:]
        return [Tally(watch.id, step, self._replica, watch.mine[step].to_json()) for step in newest]

    def _tell(self, tallies: Sequence[Tally]) -> None:
        for tally in tallies:
            self._book.tally(tally)

    def _exchange(self, watch: _Watch, tallies: Sequence[Tally]) -> tuple[dict[int, dict[str, Counted]], list[Truth]]:
        """In a thread: give what was counted here, take what was counted elsewhere, and what turned out to be right."""
        self._tell(tallies)
        others: dict[int, dict[str, Counted]] = {}
        for tally in self._book.tallies(watch.id):
            if tally.replica != self._replica:
                counted = Counted.from_json(tally.counts, len(watch.plan.score_edges) + 1)
                others.setdefault(tally.step, {})[tally.replica] = counted
        return others, self._truths(watch) if Guard.TRUTH in watch.plan.guards else []

    def _truths(self, watch: _Watch) -> list[Truth]:
        if watch.truth_index is None:
            watch.truth_index = self._book.last_truth()
        found: list[Truth] = []
        for _ in range(_PAGES_MAX):
            page = self._book.truths(watch.truth_index)
            if not page:
                break
            found += page
            watch.truth_index = page[-1].index
        return found

    async def _act(self, watch: _Watch, rollout: Rollout, *, exchanged: bool) -> bool:
        """Judge, and do what follows; whether that ended the rollout here."""
        beside, step = self._beside, rollout.step
        if beside is None or beside.wanted != rollout:
            return True  # it has taken a turn meanwhile
        steps = {*watch.mine, *watch.others}
        counts = {one: dict(watch.others.get(one, {})) for one in steps}
        for one, counted in watch.mine.items():
            counts[one][self._replica] = counted
        found = judge(watch.plan, step, counts, self._clock() - watch.since.get(rollout.event, self._clock()))
        watch.figures = found.figures
        if found.outcome is Outcome.ABORT:
            beside.end(rollout, found.sentence, found.figures)
            return True
        if exchanged and rollout.state is RolloutState.RUNNING and watch.last_turned != rollout.event:
            await self._turn(watch, rollout, found)
        return False

    async def _turn(self, watch: _Watch, rollout: Rollout, found: Judgement) -> None:
        """Advance, or hold for a person. Whoever is second at it has lost nothing."""
        if found.outcome is Outcome.ADVANCE:
            step, done = rollout.step + 1, watch.plan.is_last(rollout.step)
            state = RolloutState.PASSED if done else RolloutState.RUNNING
            sentence = f"every step is done: {found.sentence}" if done else found.sentence
        elif found.outcome is Outcome.HOLD:
            step, state, sentence = rollout.step, RolloutState.HELD, found.sentence
        else:
            return
        turn = Turn(rollout.id, rollout.event, state, step, sentence, found.figures)
        with suppress(StageMoved):
            try:
                await asyncio.to_thread(self._book.turn, turn)
            except PermissionRefused as error:
                # A turn judged at this same step is a person's who resumed it: whoever advanced it has judged the one
                # before. What was resumed is not held there again for the same lack of a right.
                if rollout.figures.get("step") != rollout.step:
                    reason = f"{found.sentence}; but this replica may not advance it: {error.message}"
                    held = Turn(rollout.id, rollout.event, RolloutState.HELD, rollout.step, reason, found.figures)
                    await asyncio.to_thread(self._book.turn, held)
        watch.last_turned = rollout.event
