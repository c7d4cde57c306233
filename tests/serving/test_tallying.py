"""What a replica counts of a canary, and what it does about it: without any process, over a book in memory."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from holdfast.canonical import JsonObject, decode, encode
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, PermissionRefused, StageMoved
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.rollouts import Rollout, RolloutKind, RolloutState, Tally, Truth, Turn
from holdfast.runtime.shapes import INVOCATIONS
from holdfast.serving import tallying
from holdfast.serving.bucketing import salt_of
from holdfast.serving.keys import KeySource
from holdfast.serving.live import Live
from holdfast.serving.observing import Observed
from holdfast.serving.plan import CanaryPlan, Step
from holdfast.serving.route import CANARY, OVERRIDE, PRIMARY, Canary, Route
from holdfast.serving.tallying import Tallying
from tests.serving.stages import run, until

CHURN, ID = ModelName("churn"), 7
PLAN = CanaryPlan((Step(5_000, 0.0, 50), Step(9_000, 0.0, 50)), score_edges=(0.5,))
BY_USER = replace(PLAN, key=KeySource.parse("header:x-user"))


@pytest.fixture(autouse=True)
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that looks thirty times as often: nothing here depends on how long a second is."""
    monkeypatch.setattr(tallying, "_BEAT_SECONDS", tallying._BEAT_SECONDS / 30)
    monkeypatch.setattr(tallying, "_LOOK_SECONDS_MIN", tallying._LOOK_SECONDS_MIN / 30)


@dataclass
class Paper:
    """A book in memory; several replicas may write into it."""

    tallied: dict[tuple[int, str], Tally] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    known: list[Truth] = field(default_factory=list)
    errors: list[HoldfastError] = field(default_factory=list)

    def tally(self, tally: Tally) -> None:
        kept = decode(encode(tally.counts), what="a tally")
        assert isinstance(kept, dict)
        self.tallied[tally.step, tally.replica] = replace(tally, counts=kept)

    def tallies(self, rollout: int) -> Sequence[Tally]:
        return [one for one in self.tallied.values() if one.rollout == rollout]

    def turn(self, turn: Turn) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.turns.append(turn)

    def last_truth(self) -> int:
        return len(self.known)

    def truths(self, after: int) -> Sequence[Truth]:
        return self.known[after:]

    def counts(self, replica: str, arm: str, step: int = 0) -> Any:
        return self.tallied[step, replica].counts[arm]


@dataclass(eq=False)
class Standing:
    """Stands for an open version."""

    up: bool


class Stand:
    """A replica's tallying, and whatever stands around it."""

    def __init__(self, book: Paper, plan: CanaryPlan, name: str = "one") -> None:
        now = datetime(2026, 3, 1, tzinfo=UTC)
        digest = hash_bytes(b"candidate")
        self.wanted: Rollout | None = Rollout(
            ID, RolloutKind.CANARY, CHURN, StageName("production"), 1, VersionNumber(2), digest, VersionNumber(1),
            hash_bytes(b"other"), plan.to_json(), RolloutState.RUNNING, 0, "", {}, None, ID, now, now, "ana",
        )  # fmt: skip
        self.ended: list[str] = []
        self.plan = plan
        self.clock = 0.0
        self.tallying = Tallying(book, lambda: self.clock)
        self.tallying.follow(cast("Any", self), name)
        self.primary, self.candidate = (cast("Live", Standing(up=True)) for _ in range(2))
        self._ids = (f"{name}-{number}" for number in itertools.count())

    def end(self, rollout: Rollout, reason: str, figures: JsonObject) -> None:
        assert rollout == self.wanted
        assert figures["guard"]
        self.ended.append(reason)
        self.wanted = None

    def asks(self, *, canary: bool) -> Iterator[str]:
        """Keys that are assigned to one of the versions."""
        for key in self._ids:
            if self.route().takes(key) == canary:
                yield key

    def route(self) -> Canary:
        return Canary(self.candidate, 5_000, salt_of(CHURN, ID), self.plan.key, ID, 0)

    def see(self, key: str, *, error: str | None = None, reason: str | None = None, **changes: Any) -> None:
        canary = self.route()
        assigned = CANARY if canary.takes(key) else PRIMARY
        answer = None if error else json.dumps({"predictions": changes.pop("predictions", [1])}).encode()
        observed = Observed(
            request_id=changes.pop("request_id", key), at=0.0, route=Route(1, self.primary, None, canary),
            live=self.primary, reason=reason or assigned,
            key=changes.pop("assigned_by", key), seconds=0.01, shape=INVOCATIONS, request=b"",
            answer=answer, error=error,
        )  # fmt: skip
        self.tallying.see(observed._replace(**changes))


def told(*stands: Stand, holds: Callable[[], bool], what: str) -> None:
    async def work() -> None:
        for stand in stands:
            await stand.tallying.start()
        try:
            await until(holds, what)
        finally:
            for stand in stands:
                await stand.tallying.stop()

    run(work)


def pair(source: Iterator[str], number: int) -> list[str]:
    return list(itertools.islice(source, number))


def test_requests_are_counted_for_the_version_that_was_meant() -> None:
    book = Paper()
    stand = Stand(book, PLAN)
    mine, theirs = pair(stand.asks(canary=True), 5), pair(stand.asks(canary=False), 3)
    for key in (*mine, *theirs):
        stand.see(key)
    stand.see(mine[0], reason=OVERRIDE)
    stand.see(theirs[0], assigned_by=None)
    stand.see("from-elsewhere", route=Route(1, stand.primary))
    down = next(stand.asks(canary=True))
    stand.see(down, reason=PRIMARY)
    told(stand, holds=lambda: bool(book.tallied), what="a tally")
    candidate, other = book.counts("one", "candidate"), book.counts("one", "other")
    assert (candidate["requests"], candidate["codes"], candidate["failed"]) == (6, {"unavailable": 1}, 1)
    assert (other["requests"], other["codes"]) == (3, {})
    assert (sum(candidate["latencies"]), candidate["scores"], other["scores"]) == (5, [0, 5], [0, 3])


def test_a_request_that_is_sent_again_and_a_user_who_fails_again_are_one_error() -> None:
    for plan, failed in ((PLAN, 1), (BY_USER, 1)):
        book = Paper()
        stand = Stand(book, plan)
        key = next(stand.asks(canary=True))
        for number in range(50):
            stand.see(key, error="bundle_failed", request_id=key if plan is PLAN else f"request-{number}")
        told(stand, holds=lambda book=book: bool(book.tallied), what="a tally")  # type: ignore[misc]
        candidate = book.counts("one", "candidate")
        assert (candidate["failed"], candidate["codes"], stand.ended) == (failed, {"bundle_failed": 50}, [])


def test_only_the_first_request_of_a_user_is_compared_and_a_missing_key_is_counted() -> None:
    book = Paper()
    stand = Stand(book, BY_USER)
    user = next(stand.asks(canary=False))
    for number in range(4):
        stand.see(user, request_id=f"request-{number}")
    stand.see(next(stand.asks(canary=False)))
    told(stand, holds=lambda: bool(book.tallied), what="a tally")
    other = book.counts("one", "other")
    assert (other["requests"], other["counted"], sum(other["latencies"])) == (5, 2, 2)
    assert book.tallied[0, "one"].counts["without_key"] == 1


def test_what_two_replicas_have_seen_is_judged_together() -> None:
    book = Paper()
    one, two = Stand(book, PLAN, "one"), Stand(book, PLAN, "two")
    for stand in (one, two):
        for key in pair(stand.asks(canary=True), 8):
            stand.see(key, error="bundle_failed")
        for key in pair(stand.asks(canary=False), 8):
            stand.see(key)
    told(one, holds=lambda: bool(book.tallied), what="a tally")
    assert one.ended == []
    told(one, two, holds=lambda: bool(one.ended or two.ended), what="the end")
    assert all("16 of 16 requests to the candidate" in said for said in (*one.ended, *two.ended))


def test_a_step_that_is_done_advances_the_rollout_once_and_the_last_one_holds_it() -> None:
    book = Paper()
    stand = Stand(book, PLAN)
    for key in (*pair(stand.asks(canary=True), 50), *pair(stand.asks(canary=False), 50)):
        stand.see(key)
    told(stand, holds=lambda: bool(book.turns), what="the next step")
    assert [(turn.state, turn.step, turn.expect) for turn in book.turns] == [(RolloutState.RUNNING, 1, ID)]


@pytest.mark.parametrize(
    ("error", "turns"),
    [
        (StageMoved("somebody was first", hint="Look."), []),
        (PermissionRefused("a promotion needs another role", hint="Ask."), [(RolloutState.HELD, 0)]),
    ],
)
def test_who_may_not_advance_holds_and_who_is_second_does_nothing(
    error: HoldfastError, turns: list[tuple[RolloutState, int]]
) -> None:
    book = Paper(errors=[error])
    stand = Stand(book, PLAN)
    for key in (*pair(stand.asks(canary=True), 50), *pair(stand.asks(canary=False), 50)):
        stand.see(key)

    told(stand, holds=lambda: not book.errors and len(book.turns) == len(turns), what="the attempt")
    assert [(turn.state, turn.step) for turn in book.turns] == turns


class Lesser(Paper):
    """A book whose writer may hold, and may not advance."""

    refused = 0

    def turn(self, turn: Turn) -> None:
        if turn.state is not RolloutState.HELD:
            self.refused += 1
            raise PermissionRefused("a promotion needs another role", hint="Ask.")
        super().turn(turn)


@pytest.mark.parametrize(("to", "held_again"), [(0, False), (1, True)])
def test_who_may_not_advance_holds_once_a_step_and_not_what_a_person_has_resumed(to: int, held_again: bool) -> None:
    book = Lesser()
    stand = Stand(book, PLAN)
    wanted = stand.wanted
    assert wanted is not None

    def served(step: int) -> None:
        for key in (*pair(stand.asks(canary=True), 50), *pair(stand.asks(canary=False), 50)):
            stand.see(key, route=Route(1, stand.primary, None, replace(stand.route(), step=step)))

    async def looked() -> None:
        for _ in range(2):
            book.tallied.clear()
            await until(lambda: bool(book.tallied), "a tally")

    async def work() -> None:
        await stand.tallying.start()
        served(0)
        await until(lambda: len(book.turns) == 1, "the hold")
        # A person resumes it, or takes it to the next step, whose minimum begins at nothing.
        stand.wanted = replace(wanted, event=ID + 2, step=to, figures=book.turns[0].figures)
        await looked()
        assert (len(book.turns), book.refused) == (1, 1 if to else 2)
        if to:
            served(to)
        await looked()
        await stand.tallying.stop()

    run(work)
    assert [(turn.state, turn.step) for turn in book.turns] == [
        (RolloutState.HELD, 0),
        *([(RolloutState.HELD, 1)] if held_again else []),
    ]


def test_truth_is_compared_with_what_was_answered() -> None:
    book = Paper(known=[Truth("long-ago", 1)])
    stand = Stand(book, PLAN)
    (label, wrong), (number, batch) = pair(stand.asks(canary=False), 2), pair(stand.asks(canary=False), 2)
    stand.see(label)
    stand.see(wrong)
    stand.see(number, predictions=[2.5])
    stand.see(batch, predictions=["a", "b"])

    def learned() -> bool:
        if not book.tallied or len(book.known) > 1:
            return bool(book.tallied) and book.counts("one", "other")["truths"] == 3
        book.known += [Truth(label, 1), Truth(wrong, 0), Truth(number, 3), Truth(batch, "b", 1), Truth(batch, "x", 9)]
        return False

    told(stand, holds=learned, what="the truths")
    other = book.counts("one", "other")
    assert (other["truths"], other["mistakes"], other["distances"]) == (3, 1, [1, 0.5, 0.25])


def test_nothing_is_counted_while_no_canary_is_wanted() -> None:
    book = Paper()
    stand = Stand(book, PLAN)
    stand.wanted = None
    stand.see("ana")

    async def work() -> None:
        await stand.tallying.start()
        await asyncio.sleep(0)
        await stand.tallying.stop()

    run(work)
    assert book.tallied == {}


def test_a_loop_that_ended_by_an_unexpected_error_is_begun_again() -> None:
    class Torn(Paper):
        torn = False

        def tally(self, tally: Tally) -> None:
            if not self.torn:
                self.torn = True
                raise RuntimeError("nobody expected this")
            super().tally(tally)

    book = Torn()
    stand = Stand(book, PLAN)
    for key in (*pair(stand.asks(canary=True), 50), *pair(stand.asks(canary=False), 50)):
        stand.see(key)
    told(stand, holds=lambda: bool(book.turns), what="the next step")
    assert book.torn


def test_a_canary_that_was_held_for_its_patience_has_it_anew_when_somebody_resumes_it() -> None:
    book = Paper()
    stand = Stand(book, replace(PLAN, patience_seconds=100.0))
    wanted = stand.wanted
    assert wanted is not None

    async def work() -> None:
        await stand.tallying.start()
        await until(lambda: bool(book.tallied), "a tally")
        stand.clock = 101.0
        await until(lambda: bool(book.turns), "the hold")
        book.tallied.clear()
        stand.wanted = replace(wanted, event=ID + 2)  # held, and resumed
        for _ in range(2):
            book.tallied.clear()
            await until(lambda: bool(book.tallied), "a tally")
        await stand.tallying.stop()

    run(work)
    assert [turn.state for turn in book.turns] == [RolloutState.HELD]


def test_a_truth_that_is_nonsense_does_not_keep_the_counts_from_the_others() -> None:
    book = Paper()
    stand = Stand(book, PLAN)
    (number,) = pair(stand.asks(canary=False), 1)
    stand.see(number, predictions=[2.5])

    def learned() -> bool:
        if book.tallied and not book.known:
            book.known.append(Truth(number, 1e200))
        return bool(book.tallied) and book.counts("one", "other")["distances"][0] == 1

    told(stand, holds=learned, what="the truth")


def test_long_answers_are_read_in_turns_and_do_not_gather() -> None:
    book = Paper()
    stand = Stand(book, PLAN)
    for key in pair(stand.asks(canary=True), 40):
        stand.see(key, predictions=["x" * 900_000])
    stand.see(*pair(stand.asks(canary=True), 1), predictions=["x" * 2_000_000])
    queued = sum(len(observed.answer or b"") for _, observed, _, _ in stand.tallying._answers)
    assert 15 << 20 < queued <= 16 << 20


def test_a_key_that_is_no_unicode_is_counted_like_any_other() -> None:
    book = Paper()
    stand = Stand(book, BY_USER)
    stand.see("\ud800", error="bundle_failed", request_id="r1")
    stand.see("\ud800", error="bundle_failed", request_id="r2")
    told(stand, holds=lambda: bool(book.tallied), what="a tally")
    assert sum(book.counts("one", arm)["failed"] for arm in ("candidate", "other")) == 1


def test_what_a_version_does_not_take_is_its_callers_error() -> None:
    book = Paper()
    stand = Stand(book, PLAN)
    (key,) = pair(stand.asks(canary=True), 1)
    stand.see(key, error="unsupported_media")
    told(stand, holds=lambda: bool(book.tallied), what="a tally")
    arm = book.counts("one", "candidate")
    assert (arm["refused"], arm["failed"]) == (1, 0)
