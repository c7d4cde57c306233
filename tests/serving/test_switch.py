"""What is counted of answers under load, and what ends a rehearsal; no worker is needed for it."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import BundleFailed, NotConfirmed
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Version
from holdfast.registry.sql import SqlRegistry
from holdfast.serving.answers import Answer, Answers
from holdfast.serving.switch import Moved, Switch, Way
from tests.blank import blank_registry

CHURN, PRODUCTION = ModelName("churn"), StageName("production")


def version(number: int) -> Version:
    return Version(
        model=CHURN,
        number=VersionNumber(number),
        digest=hash_bytes(str(number).encode()),
        complete=True,
        missing=(),
        run_id=None,
        semver=None,
        summary={},
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        created_by="ana",
    )


@pytest.fixture
def names(tmp_path: Path) -> Iterator[SqlRegistry]:
    ids = itertools.count(1)
    database = Database.open(blank_registry(tmp_path / "registry.db"))
    yield SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"id-{next(ids)}")
    database.close()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def switch(names: SqlRegistry, answers: Answers) -> Switch:
    return Switch(names, Way(PRODUCTION, version(7), version(4)), "ana", answers)


def put(answers: Answers, *given: tuple[float, float, int | None, str]) -> None:
    for begun, ended, number, why in given:
        answers.add(Answer(begun, ended, number, why))


def test_answers_are_counted_by_version_and_by_what_was_wrong(answers: Answers) -> None:
    put(answers, (0, 1, 7, ""), (1, 2, 7, ""), (2, 3, 4, ""), (3, 4, None, "status 400"), (4, 5, 4, "head and body"))
    put(answers, *[(5.0, 6.0, None, "status 400")] * 9)
    assert answers.to_json() == {
        "requests": 14,
        "failed": 10,
        "mixed": 1,
        "answers": {"4": 2, "7": 2},
        "why": ["status 400", "head and body"],
    }
    assert answers.good(7) == 2
    assert answers.good(4, since=2) == 1
    assert answers.good(7, since=1.5) == 0


def test_the_last_old_answer_is_measured_from_the_move(answers: Answers) -> None:
    put(answers, (0.0, 9.9, 7, ""), (9.95, 10.012, 7, ""), (10.0, 10.020, 4, ""))
    assert answers.last_of(7, 10.0) == pytest.approx(12.0)
    assert answers.last_of(7, 11.0) == 0.0


def test_the_scratch_stage_has_the_history_that_a_rollback_needs(names: SqlRegistry, switch: Switch) -> None:
    assert [one.number for one in names.versions(CHURN)] == [4, 7]
    stage = names.stage(CHURN, PRODUCTION)
    assert (stage.number, stage.last_known_good) == (7, 4)
    moved = switch.back()
    assert moved.move.action is Action.STAGE_ROLLBACK
    assert moved.at <= time.monotonic()
    assert names.stage(CHURN, PRODUCTION).number == 4
    assert switch.forward().move.to_number == 7
    assert [str(stage.name) for stage in names.stages(CHURN)] == ["production"]


@pytest.mark.parametrize(
    ("number", "why", "told"),
    [(None, "status 422: no column plan", "1 of 2 requests failed: status 422"), (4, "two", "named two versions: two")],
)
def test_one_bad_answer_fails_the_rehearsal(
    switch: Switch, answers: Answers, number: int | None, why: str, told: str
) -> None:
    put(answers, (0, 1, 7, ""), (1, 2, number, why))
    with pytest.raises(BundleFailed, match=told):
        switch.watch(version(4).number, switch.back())


def test_a_version_that_goes_on_answering_after_it_was_left_fails_the_rehearsal(
    switch: Switch, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = switch.back()
    later = time.monotonic() + 3600
    put(answers, *[(later, later + 1, 4, "")] * 40, (later, later + 1, 7, ""))
    monkeypatch.setattr("holdfast.serving.switch._STEADY_SECONDS", 0.0)
    with pytest.raises(NotConfirmed, match="were answered by version 7"):
        switch.watch(version(4).number, moved)


def test_a_replica_that_never_reported_has_confirmed_nothing(switch: Switch) -> None:
    moved: Moved = switch.back()
    with pytest.raises(NotConfirmed, match="stopped reporting"):
        switch.confirm(moved)
