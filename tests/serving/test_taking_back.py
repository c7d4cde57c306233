"""Taking a promotion back without asking: over a real registry, and a log that says how often it was done."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import Unavailable
from holdfast.flow.rollback import Rollback, RolledBack
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion, Registry
from holdfast.registry.sql import SqlRegistry
from holdfast.serving.alert_rules import BUILT_IN
from holdfast.serving.alerts import Alert, AlertState
from holdfast.serving.settings import WatchSettings
from holdfast.serving.taking_back import BY_ALERT, TakingBack, moves_of
from tests.blank import blank_registry
from tests.patience import PATIENCE_SECONDS

MODEL, STAGE = ModelName("churn"), StageName("production")
ERRORS = next(rule for rule in BUILT_IN if rule.name == "errors")
SETTINGS = WatchSettings(rollback_on=("errors",), rollbacks_per_day_max=2, watch_minutes_after_move=60)


@dataclass
class Scene:
    """A stage, its log and a clock that the test drives; the move itself is the pointer's, without bundles."""

    registry: Registry
    now: datetime
    asked: list[Rollback] = field(default_factory=list)

    def move(self, to: int, action: Action = Action.STAGE_PROMOTE) -> None:
        held = self.registry.stage(MODEL, STAGE).number
        asked = MoveStage(MODEL, STAGE, VersionNumber(to), held, action, "a person's")
        self.registry.move_stage(asked, "ana")

    def rolled_back(self, asked: Rollback) -> RolledBack:
        self.asked.append(asked)
        before = None if asked.idempotency_key is None else self.registry.move_of(asked.idempotency_key)
        if before is not None:
            return RolledBack(before, ())
        stage = self.registry.stage(MODEL, STAGE)
        assert stage.last_known_good is not None
        move = MoveStage(
            MODEL, STAGE, stage.last_known_good, asked.expect, Action.STAGE_ROLLBACK, asked.reason,
            idempotency_key=asked.idempotency_key, details=asked.details,
        )  # fmt: skip
        return RolledBack(self.registry.move_stage(move, asked.actor), ())

    def replica(self, name: str = "replica on a", settings: WatchSettings = SETTINGS) -> TakingBack:
        return TakingBack(
            settings, registry=self.registry, model=MODEL, stage=STAGE, move=self.rolled_back, actor=name,
            clock=lambda: self.now,
        )  # fmt: skip

    def fire(self, number: int, epoch: int | None = None, **changes: object) -> str:
        stage = self.registry.stage(MODEL, STAGE)
        settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]  # by the names of its fields
        taking = self.replica(settings=settings)
        return taking.take_back(alert(number), stage.epoch if epoch is None else epoch, VersionNumber(number))

    @property
    def held(self) -> int | None:
        return self.registry.stage(MODEL, STAGE).number


def alert(number: int) -> Alert:
    return Alert(ERRORS, number, "primary", AlertState.FIRING, 0.31, "31 of 100 requests", 0.0, 5.0, epoch=2)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    ids = itertools.count(1)
    database = Database.open(blank_registry(tmp_path / "registry.db"))
    found = Scene(None, datetime(2026, 3, 1, tzinfo=UTC))  # type: ignore[arg-type]  # it needs the clock first
    found.registry = SqlRegistry(database, lambda: found.now, lambda: f"id-{next(ids)}")
    found.registry.create_model(MODEL, "ana")
    for number in range(1, 7):
        found.registry.register(NewVersion(MODEL, hash_bytes(b"%d" % number), complete=True), "ana")
    found.move(1)
    found.move(2)
    yield found
    database.close()


def test_a_promotion_is_taken_back_with_the_alert_for_a_reason(scene: Scene) -> None:
    scene.now += timedelta(minutes=3)
    said = scene.fire(2)
    assert scene.held == 1
    assert said.startswith("version 2 was taken back to version 1: errors: error_share of version 2")
    event = moves_of(scene.registry, MODEL, STAGE)[-1]
    assert (event.action, event.actor, event.details[BY_ALERT]) == (Action.STAGE_ROLLBACK, "replica on a", "errors")
    assert event.reason is not None
    assert event.reason.startswith("taken back by itself, 3.0 min after ana promoted it: errors: error_share")
    assert "31 of 100 requests" in event.reason


def test_several_replicas_take_it_back_once(scene: Scene) -> None:
    epoch = scene.registry.stage(MODEL, STAGE).epoch
    first = scene.replica("replica on a").take_back(alert(2), epoch, VersionNumber(2))
    second = scene.replica("replica on b").take_back(alert(2), epoch, VersionNumber(2))
    assert "taken back to version 1" in first
    assert second == "the stage has moved meanwhile, and nothing is taken back"
    assert len(moves_of(scene.registry, MODEL, STAGE)) == 3


def test_a_version_that_is_promoted_again_after_it_was_taken_back_stays(scene: Scene) -> None:
    scene.fire(2)
    scene.now += timedelta(days=30)
    scene.move(2)
    assert "it was taken back to version 1 before, and promoted again" in scene.fire(2)
    assert scene.held == 2


def test_what_goes_on_beyond_the_limit_of_a_day_is_for_a_person(scene: Scene) -> None:
    for number in (2, 3):
        if scene.held != number:
            scene.move(number)
        assert "was taken back" in scene.fire(number)
    scene.move(4)
    assert "2 promotions were taken back within a day, which is as many as may be" in scene.fire(4)
    assert scene.held == 4
    scene.now += timedelta(days=1)
    scene.move(5)
    assert "version 5 was taken back" in scene.fire(5)


def test_neither_a_rollback_nor_an_old_promotion_is_taken_back(scene: Scene) -> None:
    scene.now += timedelta(minutes=61)
    assert "its promotion is 61 min ago, and 60 are watched" in scene.fire(2)
    scene.move(1, Action.STAGE_ROLLBACK)
    assert scene.held == 1
    assert "there is nothing to go back to" in scene.fire(1)
    scene.move(3)
    scene.move(4)
    scene.move(3, Action.STAGE_ROLLBACK)
    assert "it did not come by a promotion" in scene.fire(3)


def test_an_alert_of_a_stage_that_moved_meanwhile_takes_nothing_back(scene: Scene) -> None:
    assert "has moved meanwhile" in scene.fire(2, epoch=1)
    assert "has moved meanwhile" in scene.fire(1)
    assert scene.held == 2
    assert not scene.asked


def test_a_registry_that_is_away_is_asked_again_later_and_an_answer_only_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.serving.taking_back._AGAIN_SECONDS", 0.0)
    calls = 0

    def broken(asked: Rollback) -> RolledBack:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Unavailable("the registry is away", hint="Wait.")
        return scene.rolled_back(asked)

    class Route:
        epoch = scene.registry.stage(MODEL, STAGE).epoch

        class primary:  # noqa: N801 - stands for the attribute of this name
            number = VersionNumber(2)

    async def work() -> None:
        taking = TakingBack(
            SETTINGS, registry=scene.registry, model=MODEL, stage=STAGE, move=broken, actor="replica on a",
            clock=lambda: scene.now,
        )  # fmt: skip
        other = replace(alert(2), rule=replace(ERRORS, name="drift"))
        earlier = replace(alert(2), epoch=1)  # it fired for the version when it held the stage before
        for fired in ([other], [earlier], [replace(alert(2), version=1)]):
            taking.look(fired, Route())  # type: ignore[arg-type]  # what is read of a route
            await taking.stop()
        assert calls == 0
        while scene.held == 2:
            taking.look([alert(2)], Route())  # type: ignore[arg-type]
            await asyncio.sleep(0.01)
        await taking.stop()
        taking.look([alert(2)], Route())  # type: ignore[arg-type]
        await taking.stop()

    asyncio.run(asyncio.wait_for(work(), PATIENCE_SECONDS))
    assert (calls, scene.held) == (2, 1)
