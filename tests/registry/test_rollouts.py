"""Laws of rollouts over random histories, what two writers make of one, and what is forgotten of what was counted."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, StageMoved, TooLarge
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import (
    Action,
    MoveStage,
    NewRollout,
    NewVersion,
    Rollout,
    RolloutKind,
    RolloutState,
    RouteMark,
    Tally,
    Truth,
    Turn,
)
from holdfast.registry.sql import SqlRegistry
from tests.blank import blank_registry
from tests.effort import examples
from tests.registry.conftest import Clock

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
ONE, TWO, THREE = map(VersionNumber, (1, 2, 3))
CANARY = NewRollout(RolloutKind.CANARY, CHURN, PRODUCTION, TWO, ONE, {}, "why")


@contextmanager
def registries(count: int, clock: Clock) -> Iterator[list[SqlRegistry]]:
    """Several handles to one file, in which version 1 holds production."""
    with tempfile.TemporaryDirectory() as folder:
        url = blank_registry(Path(folder) / "registry.db")
        databases = [Database.open(url) for _ in range(count)]
        found = [SqlRegistry(database, clock, lambda: "unused") for database in databases]
        try:
            found[0].ensure_model(CHURN, "ana")
            for text in (b"1", b"2", b"3"):
                found[0].register(NewVersion(CHURN, hash_bytes(text), complete=True), "ana")
            promote(found[0], ONE, None)
            yield found
        finally:
            for database in databases:
                database.close()


def promote(registry: SqlRegistry, to: VersionNumber, expect: VersionNumber | None) -> None:
    registry.move_stage(MoveStage(CHURN, PRODUCTION, to, expect, Action.STAGE_PROMOTE), "ana")


def turn(found: Rollout, state: RolloutState, step: int) -> Turn:
    return Turn(found.id, found.event, state, step, "why", {"step": step})


WRITTEN = st.sampled_from([state for state in RolloutState if state is not RolloutState.SUPERSEDED])
WHO, WHICH = st.integers(0, 1), st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("begin"), WHO, st.sampled_from(RolloutKind)),
    st.tuples(st.just("look"), WHO, WHICH),
    st.tuples(st.just("turn"), WHO, WHICH, WRITTEN, st.integers(0, 3)),
    st.tuples(st.just("move"), WHO, st.sampled_from([ONE, THREE])),
)


class Plain:
    """What two writers do, read plainly: what each has seen of every rollout, and how it stands in truth."""

    def __init__(self, writers: list[SqlRegistry]) -> None:
        self.writers = writers
        self.seen: list[dict[int, Rollout]] = [{}, {}]
        self.truth: dict[int, Rollout] = {}
        self.held, self.epoch = ONE, 1

    def stands(self, found: Rollout) -> bool:
        keeps_share = found.kind is RolloutKind.CANARY and found.state is RolloutState.PASSED
        return found.epoch == self.epoch and (found.state.going_on or keeps_share)

    def known(self, who: int, which: int) -> Rollout | None:
        return self.seen[who].get(sorted(self.truth)[which % len(self.truth)]) if self.truth else None

    def begin(self, who: int, kind: RolloutKind) -> None:
        new = replace(CANARY, kind=kind, expect=self.held)
        if any(one.kind is kind and self.stands(one) for one in self.truth.values()):
            with pytest.raises(AlreadyExists):
                self.writers[who].begin_rollout(new, "ana")
            return
        begun = self.writers[who].begin_rollout(new, "ana")
        self.truth[begun.id] = self.seen[who][begun.id] = begun

    def look(self, who: int, which: int) -> None:
        if self.truth:
            one = self.truth[sorted(self.truth)[which % len(self.truth)]]
            assert self.writers[who].rollout(one.id) == self.now(one)
            self.seen[who][one.id] = one

    def turn(self, who: int, which: int, state: RolloutState, step: int) -> None:
        known = self.known(who, which)
        if known is None:
            return
        asked = turn(known, state, step)
        if known.event == self.truth[known.id].event and self.stands(known):
            self.truth[known.id] = self.seen[who][known.id] = self.writers[who].turn_rollout(asked, "ana")
            return
        with pytest.raises(StageMoved) as raised:
            self.writers[who].turn_rollout(asked, "ana")
        assert raised.value.details["found"] == self.truth[known.id].event

    def move(self, who: int, to: VersionNumber) -> None:
        if to != self.held:
            promote(self.writers[who], to, self.held)
            self.held, self.epoch = to, self.epoch + 1

    def now(self, one: Rollout) -> Rollout:
        over = one.state.going_on and one.epoch != self.epoch
        return replace(one, state=RolloutState.SUPERSEDED) if over else one


@settings(max_examples=examples(60), deadline=None)
@given(steps=st.lists(STEPS, max_size=20))
def test_of_two_writers_each_turns_only_what_it_has_seen(steps: list[tuple[Any, ...]]) -> None:
    """The registry says what a plain reading of all that was done says, and the audit agrees with both."""
    with registries(2, Clock()) as writers:
        plain = Plain(writers)
        for what, *asked in steps:
            getattr(plain, what)(*asked)
        assert [writers[0].rollout(one) for one in plain.truth] == [*map(plain.now, plain.truth.values())]
        newest = max((one.event for one in plain.truth.values()), default=0)
        assert writers[1].route_mark(CHURN, PRODUCTION) == RouteMark(plain.epoch, newest)
        audit = writers[0].audit_verify()
        assert audit.ok, audit.sentence


@pytest.mark.slow
def test_of_many_who_found_the_same_one_ends_the_rollout() -> None:
    with registries(4, Clock()) as writers:
        begun = writers[0].begin_rollout(CANARY, "ana")

        def ended(place: int) -> bool:
            try:
                writers[place % 4].turn_rollout(turn(begun, RolloutState.ABORTED, 0), f"replica {place}")
            except StageMoved:
                return False
            return True

        with ThreadPoolExecutor(8) as replicas:
            assert sum(replicas.map(ended, range(8))) == 1
        assert writers[0].rollout(begun.id).state is RolloutState.ABORTED
        assert [event.action for event in writers[0].log(limit=3)].count(Action.ROLLOUT_TURN) == 1


def test_what_was_counted_is_kept_for_thirty_days_behind_the_end() -> None:
    clock = Clock()
    with registries(1, clock) as [registry]:
        over, going_on = (registry.begin_rollout(replace(CANARY, kind=kind), "ana") for kind in RolloutKind)
        for one in (over, going_on):
            registry.tally(Tally(one.id, 0, "r1", {"requests": 1}))
        registry.turn_rollout(turn(over, RolloutState.ABORTED, 0), "ana")
        for days, left in ((29, 1), (2, 0)):
            clock.now += timedelta(days=days)
            again = registry.begin_rollout(CANARY, "ana")
            registry.turn_rollout(turn(again, RolloutState.ABORTED, 0), "ana")
            assert len(registry.tallies(over.id)) == left
            assert len(registry.tallies(going_on.id)) == 1


def test_so_many_replicas_count_and_no_more(registry: SqlRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.registry.counted._TALLIES_MAX", 2)
    registry.ensure_model(CHURN, "ana")
    for text in (b"1", b"2"):
        registry.register(NewVersion(CHURN, hash_bytes(text), complete=True), "ana")
    promote(registry, ONE, None)
    begun = registry.begin_rollout(CANARY, "ana")
    for name in ("r1", "r2", "r1"):
        registry.tally(Tally(begun.id, 0, name, {}))
    with pytest.raises(TooLarge):
        registry.tally(Tally(begun.id, 0, "r3", {}))


@settings(max_examples=examples(40), deadline=None)
@given(
    said=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 9)), max_size=5), max_size=6
    )
)
def test_truths_read_in_pages_are_the_first_words_in_their_order(said: list[list[tuple[str, int, int]]]) -> None:
    with registries(2, Clock()) as handles:
        first: dict[tuple[str, int], int] = {}
        read: list[Truth] = []
        for who, batch in enumerate(said):
            for request, place, value in batch:
                first.setdefault((request, place), value)
            last = handles[who % 2].put_truths(CHURN, [Truth(one[0], one[2], one[1]) for one in batch], "ana")
            while page := handles[0].truths(CHURN, after=read[-1].index if read else 0, limit=2):
                read.extend(page)
            assert last == (read[-1].index if read else 0)
        assert [((one.request, one.place), one.value) for one in read] == [*first.items()]
