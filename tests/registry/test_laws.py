"""Laws over random histories, played by one writer and by two."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, StageMoved, UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Cleared, ClearStage, Move, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry
from tests.blank import blank_registry
from tests.effort import examples

CHURN = ModelName("churn")
START = datetime.fromisoformat("2026-03-01T09:00:00Z")
STAGES = ("production", "staging")


class Clock:
    """Goes by the steps that it is given, backwards too."""

    def __init__(self, *steps: int) -> None:
        self.now = START
        self._steps = list(steps)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=self._steps.pop(0) if self._steps else 1)
        return self.now


@contextmanager
def registries(count: int, clock: Clock, versions: int = 4) -> Iterator[list[SqlRegistry]]:
    with tempfile.TemporaryDirectory() as folder:
        url = blank_registry(Path(folder) / "registry.db")
        databases = [Database.open(url) for _ in range(count)]
        found = [SqlRegistry(database, clock, lambda: "unused") for database in databases]
        try:
            found[0].create_model(CHURN, "ana", stages=[StageName(name) for name in STAGES])
            for number in range(versions):
                found[0].register(NewVersion(CHURN, hash_bytes(str(number).encode()), complete=True), "ana")
            yield found
        finally:
            for database in databases:
                database.close()


def ask(stage: str, to: int, expect: int | None, action: Action) -> MoveStage:
    held = None if expect is None else VersionNumber(expect)
    return MoveStage(CHURN, StageName(stage), VersionNumber(to), held, action)


_MOVES = st.lists(
    st.tuples(
        st.sampled_from(STAGES),
        st.integers(1, 4),
        st.sampled_from([Action.STAGE_PROMOTE, Action.STAGE_ROLLBACK, Action.STAGE_ADOPT, Action.STAGE_CLEAR]),
    ),
    max_size=12,
)


@settings(max_examples=examples(60), deadline=None)
@given(asked=_MOVES, steps=st.lists(st.integers(-3, 5), max_size=20), ask_at=st.lists(st.integers(-3, 60), max_size=6))
def test_what_was_live_is_what_a_plain_reading_of_the_moves_says(
    asked: list[tuple[str, int, Action]], steps: list[int], ask_at: list[int]
) -> None:
    clock = Clock(*steps)
    with registries(1, clock) as [registry]:
        done: list[Move | Cleared] = []
        holds: dict[str, int | None] = dict.fromkeys(STAGES)
        for stage, to, action in asked:
            held = holds[stage]
            if action is Action.STAGE_CLEAR:
                if held is not None:
                    done.append(
                        registry.clear_stage(ClearStage(CHURN, StageName(stage), VersionNumber(held), "x"), "ana")
                    )
                    holds[stage] = None
                continue
            with suppress(UsageError, AlreadyExists):
                done.append(registry.move_stage(ask(stage, to, held, action), "ana"))
                holds[stage] = to
        assert [move.time for move in done] == sorted(move.time for move in done)
        begun = registry.log(limit=100)[-1].time
        for at in [None, *(START + timedelta(seconds=n) for n in ask_at), *(move.time for move in done)]:
            if at is not None and at < begun:
                assert registry.live(CHURN, at).stages == {}
                continue
            plain: dict[str, int | None] = dict.fromkeys(STAGES)
            for move in done:
                if at is None or move.time <= at:
                    plain[str(move.stage)] = move.to_number if isinstance(move, Move) else None
            found = registry.live(CHURN, at).stages
            assert {name: None if held is None else held.version for name, held in found.items()} == plain
        assert {str(stage.name): stage.number for stage in registry.stages(CHURN)} == holds
        assert registry.audit_verify().ok


@settings(max_examples=examples(60), deadline=None)
@given(turns=st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.integers(1, 4)), max_size=24))
def test_of_two_writers_each_moves_only_what_it_has_seen(turns: list[tuple[int, bool, int]]) -> None:
    """Each turn, one of two writers looks at the stage or moves it from what it saw when it last looked."""
    with registries(2, Clock()) as writers:
        seen: list[int | None] = [None, None]
        truth: list[int | None] = [None]
        for who, looks, to in turns:
            if looks:
                seen[who] = writers[who].stage(CHURN, StageName("production")).number
                assert seen[who] == truth[-1]
                continue
            asked = ask("production", to, seen[who], Action.STAGE_PROMOTE)
            if seen[who] != truth[-1]:
                with pytest.raises(StageMoved) as raised:
                    writers[who].move_stage(asked, f"writer {who}")
                assert (raised.value.details["expected"], raised.value.details["found"]) == (seen[who], truth[-1])
            elif to == truth[-1]:
                with pytest.raises(AlreadyExists):
                    writers[who].move_stage(asked, f"writer {who}")
            else:
                move = writers[who].move_stage(asked, f"writer {who}")
                assert (move.from_number, move.epoch) == (truth[-1], len(truth))
                truth.append(to)
                seen[who] = to
        stage = writers[0].stage(CHURN, StageName("production"))
        assert (stage.number, stage.epoch) == (truth[-1], len(truth) - 1)
        assert writers[1].audit_verify().ok


@settings(max_examples=examples(30), deadline=None)
@given(asked=_MOVES, again=st.integers(1, 3))
def test_a_request_under_a_key_has_one_effect_however_often_it_is_sent(
    asked: list[tuple[str, int, Action]], again: int
) -> None:
    with registries(2, Clock()) as writers:
        holds: dict[str, int | None] = dict.fromkeys(STAGES)
        for count, (stage, to, _) in enumerate(asked):
            held = None if holds[stage] is None else VersionNumber(holds[stage] or 0)
            wanted = MoveStage(
                CHURN, StageName(stage), VersionNumber(to), held, Action.STAGE_PROMOTE, idempotency_key=f"k{count}"
            )
            with suppress(AlreadyExists):
                first = writers[0].move_stage(wanted, "ana")
                holds[stage] = to
                for turn in range(again):
                    assert writers[turn % 2].move_stage(wanted, "ana") == first
        moves = [event for event in writers[0].log(limit=100) if event.idempotency_key]
        assert sum(stage.epoch for stage in writers[0].stages(CHURN)) == len(moves)
