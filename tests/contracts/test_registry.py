"""What every registry keeps: a file and a server of databases, behind one handle, two, and two servers of ours."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.canonical import encode
from holdfast.database.times import to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import (
    AlreadyExists,
    GateRefused,
    HoldfastError,
    NotFound,
    StageMoved,
    TooLarge,
    UnsupportedFormat,
    UsageError,
)
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import (
    EVENTS_MAX,
    RECORDED,
    STAGES,
    Action,
    Cleared,
    ClearStage,
    Edge,
    Meaning,
    Move,
    MoveStage,
    NewApproval,
    NewArchive,
    NewEvent,
    NewPolicy,
    NewVerdict,
    NewVersion,
    Registry,
    Replica,
    ReplicaState,
    Version,
)
from tests.certificates import certificate
from tests.patience import PATIENCE_SECONDS
from tests.signatures import signature_of

CHURN = ModelName("churn")
PRODUCTION = StageName("production")
STAGING = StageName("staging")
RULED = ModelName("ruled")

ONE_PERSON = "[gate.production]\napprovals_min = 1\n"
TWO_PEOPLE = "[gate.production]\napprovals_min = 2\n"


def number(value: int) -> VersionNumber:
    return VersionNumber(value)


def digest(text: object) -> Digest:
    return hash_bytes(str(text).encode())


def register(registry: Registry, count: int = 1, model: ModelName = CHURN) -> list[Version]:
    registry.ensure_model(model, "ana")
    there = len(registry.versions(model))
    return [registry.register(NewVersion(model, digest(there + n), complete=True), "ana") for n in range(1, count + 1)]


def move(registry: Registry, to: int, expect: int | None, action: Action = Action.STAGE_PROMOTE, **more: Any) -> Move:
    actor = more.pop("actor", "ana")
    asked = MoveStage(CHURN, PRODUCTION, number(to), None if expect is None else number(expect), action, **more)
    return registry.move_stage(asked, actor)


def resolve(registry: Registry, text: str) -> Version:
    return registry.resolve(Reference.parse(text))


def test_a_model_is_made_once_with_its_stages_empty(registry: Registry) -> None:
    model = registry.create_model(CHURN, "ana", description="who leaves")
    assert (model.name, model.created_by, model.description) == (CHURN, "ana", "who leaves")
    assert registry.models() == registry.models(only=CHURN) == (model,)
    assert registry.models(only=ModelName("other")) == ()
    assert registry.ensure_model(CHURN, "bob") == model
    assert [stage.name for stage in registry.stages(CHURN)] == sorted(STAGES)
    assert all(stage.number is None and stage.epoch == 0 and stage.event is None for stage in registry.stages(CHURN))
    with pytest.raises(AlreadyExists):
        registry.create_model(CHURN, "bob")


def test_stage_names_are_data(registry: Registry) -> None:
    registry.create_model(CHURN, "ana", stages=[StageName("blue")])
    registry.define_stage(CHURN, StageName("green"), "ana")
    assert [str(stage.name) for stage in registry.stages(CHURN)] == ["blue", "green"]
    with pytest.raises(AlreadyExists):
        registry.define_stage(CHURN, StageName("green"), "ana")
    with pytest.raises(NotFound):
        registry.define_stage(ModelName("other"), StageName("green"), "ana")


def test_a_model_has_so_many_stages_and_no_more(registry: Registry) -> None:
    registry.create_model(CHURN, "ana", stages=[StageName(f"s{n}") for n in range(64)])
    with pytest.raises(TooLarge):
        registry.define_stage(CHURN, StageName("one-more"), "ana")
    assert len(registry.stages(CHURN)) == 64
    assert registry.audit_verify().ok


def test_numbers_begin_at_one_in_each_model(registry: Registry) -> None:
    assert [version.number for version in register(registry, 3)] == [1, 2, 3]
    assert [version.number for version in register(registry, 2, ModelName("other"))] == [1, 2]
    assert [str(version.model) for version in registry.versions()] == ["churn"] * 3 + ["other"] * 2
    assert [version.number for version in registry.versions(CHURN)] == [1, 2, 3]


def test_a_version_is_read_back_as_it_was_registered(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    edge = Edge("version", str(digest("x")), "trained_on", "snapshot", str(digest("data")))
    new = NewVersion(
        CHURN,
        digest("x"),
        complete=False,
        missing=("eval_threshold",),
        run_id="run-1",
        semver="2.1.0",
        summary={"metrics": {"recall": 0.91}, "note": "naïve"},
        lineage=(edge,),
    )
    version = registry.register(new, "ana", "first", action=Action.VERSION_ADOPT)
    assert resolve(registry, "churn@1") == version
    assert resolve(registry, "churn@2.1.0") == version
    assert resolve(registry, f"churn@{digest('x')}") == version
    assert version.summary == {"metrics": {"recall": 0.91}, "note": "naïve"}
    assert version.to_json() == {
        "model": "churn",
        "version": 1,
        "digest": str(digest("x")),
        "complete": False,
        "missing": ["eval_threshold"],
        "run": "run-1",
        "semver": "2.1.0",
        "summary": version.summary,
        "created_at": to_text(version.created_at),
        "created_by": "ana",
    }
    assert registry.lineage("version", str(digest("x"))) == (edge,)
    assert registry.lineage("snapshot", str(digest("data"))) == (edge,)
    assert registry.lineage("snapshot", "unknown") == ()


def test_the_same_content_is_not_registered_twice_and_costs_no_number(registry: Registry) -> None:
    first, _ = register(registry, 2)
    with pytest.raises(AlreadyExists) as raised:
        registry.register(NewVersion(CHURN, first.digest, complete=True), "bob")
    assert raised.value.details["version"] == 1
    assert raised.value.details["digest"] == str(first.digest)
    assert register(registry)[0].number == 3


def test_a_semver_belongs_to_one_version_of_a_model(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    registry.register(NewVersion(CHURN, digest(1), complete=True, semver="1.0.0"), "ana")
    with pytest.raises(AlreadyExists, match=r"churn@1 is 1\.0\.0"):
        registry.register(NewVersion(CHURN, digest(2), complete=True, semver="1.0.0"), "ana")
    assert len(registry.versions(CHURN)) == 1


def test_the_same_content_may_be_a_version_of_two_models(registry: Registry) -> None:
    for name in ("churn", "churn-eu"):
        registry.ensure_model(ModelName(name), "ana")
        assert registry.register(NewVersion(ModelName(name), digest("x"), complete=True), "ana").number == 1


def test_registering_needs_its_model_and_the_right_action(registry: Registry) -> None:
    with pytest.raises(NotFound):
        registry.register(NewVersion(CHURN, digest(1), complete=True), "ana")
    registry.ensure_model(CHURN, "ana")
    with pytest.raises(UsageError):
        registry.register(NewVersion(CHURN, digest(1), complete=True), "ana", action=Action.STAGE_PROMOTE)
    with pytest.raises(UsageError, match="actor"):
        registry.register(NewVersion(CHURN, digest(1), complete=True), "")
    assert registry.versions(CHURN) == ()


@pytest.mark.parametrize(
    "new",
    [
        NewVersion(CHURN, digest(1), complete=True, summary={"x": "y" * 70_000}),
        NewVersion(
            CHURN, digest(1), complete=True, lineage=tuple(Edge("a", "b", "c", "d", str(n)) for n in range(200))
        ),
        NewVersion(CHURN, digest(1), complete=True, missing=tuple("x" * 100 for _ in range(1_000))),
    ],
)
def test_what_is_too_large_is_refused_and_nothing_is_registered(registry: Registry, new: NewVersion) -> None:
    registry.ensure_model(CHURN, "ana")
    with pytest.raises(TooLarge) as raised:
        registry.register(new, "ana")
    assert raised.value.details["limit"]
    assert registry.versions(CHURN) == ()
    assert register(registry)[0].number == 1


def test_an_unknown_name_comes_with_the_nearest_and_with_what_there_is(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no model churn") as nothing:
        resolve(registry, "churn@1")
    assert "No model" in nothing.value.hint
    register(registry, 2)
    with pytest.raises(NotFound, match="no model chrun") as model:
        resolve(registry, "chrun@1")
    assert "churn" in model.value.hint
    assert model.value.details["nearest"] == ["churn"]
    with pytest.raises(NotFound, match="no version 9") as version:
        resolve(registry, "churn@9")
    assert "1 to 2" in version.value.hint
    with pytest.raises(NotFound, match="no stage prod") as stage:
        resolve(registry, "churn@prod")
    assert "production" in stage.value.hint
    with pytest.raises(NotFound, match="no version sha256"):
        resolve(registry, "churn@sha256:00000000")
    with pytest.raises(NotFound, match=r"no version 7\.7\.7"):
        resolve(registry, "churn@7.7.7")


def test_an_empty_stage_says_so(registry: Registry) -> None:
    register(registry)
    with pytest.raises(NotFound, match="nothing holds production of churn yet") as raised:
        resolve(registry, "churn@production")
    assert "holdfast promote" in raised.value.hint


def test_a_digest_that_is_too_short_says_which_versions_it_could_be(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    for end in ("a", "b"):
        registry.register(NewVersion(CHURN, Digest("12345678" + end * 56), complete=True), "ana")
    assert resolve(registry, "churn@sha256:12345678a").number == 1
    with pytest.raises(UsageError, match="more than one") as raised:
        resolve(registry, "churn@sha256:12345678")
    assert set(raised.value.details["digests"]) == {"1", "2"}


def test_every_question_about_an_unknown_model_is_not_found(registry: Registry, subtests: pytest.Subtests) -> None:
    more: dict[str, tuple[Any, ...]] = {"stage": (PRODUCTION,), "stage_epoch": (PRODUCTION,), "approvals": (number(1),)}
    for ask in ("versions", "stages", "stage", "stage_epoch", "live", "log", "approvals"):
        with subtests.test(ask), pytest.raises(NotFound):
            getattr(registry, ask)(CHURN, *more.get(ask, ()))


def test_a_promotion_makes_the_version_it_replaces_last_known_good(registry: Registry) -> None:
    register(registry, 3)
    first = move(registry, 1, None, reason="begin")
    assert (first.from_number, first.to_number, first.epoch, first.last_known_good) == (None, 1, 1, None)
    second = move(registry, 3, 1)
    assert (second.from_number, second.to_number, second.epoch, second.last_known_good) == (1, 3, 2, 1)
    stage = registry.stage(CHURN, PRODUCTION)
    assert (stage.number, stage.last_known_good, stage.epoch, stage.event) == (3, 1, 2, second.event)
    assert stage.digest == second.to_digest == digest(3)
    assert registry.stage_epoch(CHURN, PRODUCTION) == 2
    assert resolve(registry, "churn@production").number == 3
    assert registry.stage(CHURN, STAGING).number is None


def test_rollbacks_go_back_and_never_bounce(registry: Registry) -> None:
    register(registry, 4)
    for before, to in itertools.pairwise((None, 1, 2, 3)):
        assert to is not None
        move(registry, to, before)
    back = move(registry, 2, 3, Action.STAGE_ROLLBACK)
    assert back.last_known_good == 1
    again = move(registry, 1, 2, Action.STAGE_ROLLBACK)
    assert again.last_known_good is None
    forward = move(registry, 4, 1)
    assert forward.last_known_good == 1


def test_a_rollback_goes_only_to_a_version_that_has_held_the_stage(registry: Registry) -> None:
    register(registry, 3)
    move(registry, 1, None)
    move(registry, 2, 1)
    with pytest.raises(UsageError, match="never held"):
        move(registry, 3, 2, Action.STAGE_ROLLBACK)
    assert registry.stage_epoch(CHURN, PRODUCTION) == 2


def clear(registry: Registry, expect: int, reason: str = "over", **more: Any) -> Cleared:
    return registry.clear_stage(ClearStage(CHURN, PRODUCTION, number(expect), reason, **more), "ana")


def test_a_stage_is_emptied_with_its_event_and_a_rollback_brings_back_what_held_it(registry: Registry) -> None:
    register(registry, 2)
    move(registry, 1, None)
    move(registry, 2, 1)
    gone = clear(registry, 2, details={"why": "contract"})
    assert (gone.number, gone.digest, gone.epoch) == (2, digest(2), 3)
    stage = registry.stage(CHURN, PRODUCTION)
    assert (stage.number, stage.digest, stage.epoch, stage.last_known_good) == (None, None, 3, 2)
    assert (stage.event, registry.live(CHURN).stages["production"]) == (gone.event, None)
    [event] = registry.log(limit=1)
    assert (event.action, event.from_number, event.to_number, event.reason) == (Action.STAGE_CLEAR, 2, None, "over")
    assert event.details == {"why": "contract"}
    with pytest.raises(NotFound, match="nothing holds production"):
        resolve(registry, "churn@production")
    back = move(registry, 2, None, Action.STAGE_ROLLBACK)
    assert (back.from_number, back.to_number, back.last_known_good) == (None, 2, 1)
    assert registry.audit_verify().ok


def test_a_stage_that_was_emptied_has_held_what_it_held_until_then(registry: Registry) -> None:
    register(registry, 2)
    first = move(registry, 1, None)
    gone = clear(registry, 1)
    second = move(registry, 2, None)
    assert second.last_known_good == 1
    newer, older = registry.history(CHURN, PRODUCTION)
    assert (older.number, older.event, older.ended, older.ended_event) == (
        *(1, first.event),
        *(Action.STAGE_CLEAR, gone.event),
    )
    assert (newer.number, newer.replaced, newer.until) == (2, None, None)
    assert [(one.number, one.until) for one in registry.tenures()] == [(1, gone.time), (2, None)]
    live = registry.live(CHURN, gone.time)
    assert live.stages["production"] is None
    assert [spell.number for spell in registry.history(CHURN, PRODUCTION, limit=1)] == [2]
    assert [spell.number for spell in registry.history(CHURN, PRODUCTION, before=second.event, limit=1)] == [1]


def test_a_stage_is_emptied_only_of_what_the_caller_expects_and_once(registry: Registry) -> None:
    register(registry, 2)
    with pytest.raises(StageMoved, match="nothing has ever held it"):
        clear(registry, 1)
    move(registry, 1, None)
    with pytest.raises(StageMoved, match="expected 2, found 1"):
        clear(registry, 2)
    with pytest.raises(UsageError, match="reason"):
        clear(registry, 1, " ")
    with pytest.raises(NotFound):
        registry.clear_stage(ClearStage(CHURN, StageName("nowhere"), number(1), "over"), "ana")
    once = clear(registry, 1, idempotency_key="k")
    assert clear(registry, 1, idempotency_key="k") == once
    with pytest.raises(UsageError, match="another request"):
        clear(registry, 1, "else", idempotency_key="k")
    assert registry.move_of("k") is None
    with pytest.raises(StageMoved, match="from 1 to nothing"):
        clear(registry, 1)
    assert registry.stage_epoch(CHURN, PRODUCTION) == 2


def test_who_loses_the_race_is_told_everything(registry: Registry) -> None:
    register(registry, 3)
    move(registry, 1, None)
    won = move(registry, 2, 1, actor="bob")
    with pytest.raises(StageMoved) as raised:
        move(registry, 3, 1)
    assert raised.value.details == {
        "model": "churn",
        "stage": "production",
        "expected": 1,
        "found": 2,
        "moved_by": "bob",
        "moved_at": to_text(won.time),
        "moved_from": 1,
        "moved_to": 2,
        "event": won.event,
    }
    for word in ("expected 1", "found 2", "bob", "from 1 to 2", to_text(won.time), f"event {won.event}"):
        assert word in raised.value.message
    assert registry.stage(CHURN, PRODUCTION).event == won.event


def test_a_stage_that_never_moved_says_so_to_who_expected_something(registry: Registry) -> None:
    register(registry, 2)
    with pytest.raises(StageMoved, match="nothing has ever held it") as raised:
        move(registry, 2, 1)
    assert raised.value.details["moved_by"] is None


def test_a_version_that_holds_the_stage_is_not_moved_there_again(registry: Registry) -> None:
    register(registry)
    move(registry, 1, None)
    with pytest.raises(AlreadyExists, match="holds production already"):
        move(registry, 1, 1)
    assert registry.stage_epoch(CHURN, PRODUCTION) == 1


def test_a_move_needs_its_model_stage_version_and_action(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no model"):
        move(registry, 1, None)
    register(registry)
    with pytest.raises(NotFound, match="no version 7"):
        move(registry, 7, None)
    with pytest.raises(NotFound, match="no stage blue"):
        registry.move_stage(MoveStage(CHURN, StageName("blue"), number(1), None, Action.STAGE_PROMOTE), "ana")
    with pytest.raises(UsageError, match="does not move"):
        move(registry, 1, None, Action.STAGE_DEFINE)
    assert len(registry.log(CHURN)) == 2


def test_the_same_key_gives_the_same_move_and_moves_nothing(registry: Registry) -> None:
    register(registry, 2)
    verdict = registry.put_verdict(NewVerdict(CHURN, number(1), PRODUCTION, "pass", {"n": 1}))
    approval = registry.approve(NewApproval(CHURN, number(1), digest(1), PRODUCTION), "bob")
    more: dict[str, Any] = {
        "verdict": verdict.digest,
        "approvals": (approval.id,),
        "details": {"ticket": "T-1", "n": 1.5},
    }
    first = move(registry, 1, None, idempotency_key="k", reason="go", **more)
    assert move(registry, 1, None, idempotency_key="k", reason="go", **more) == first
    move(registry, 2, 1)
    assert move(registry, 1, None, idempotency_key="k", reason="go", **more) == first
    assert resolve(registry, "churn@production").number == 2


@pytest.mark.parametrize(
    "change",
    [
        {"to": 2},
        {"expect": 2},
        {"action": Action.STAGE_ADOPT},
        {"reason": "other"},
        {"details": {"x": 1}},
        {"actor": "bob"},
    ],
)
def test_another_request_under_the_same_key_is_refused(registry: Registry, change: dict[str, Any]) -> None:
    register(registry, 2)
    asked: dict[str, Any] = {"to": 1, "expect": None, "reason": "go", "idempotency_key": "k"}
    move(registry, **asked)
    with pytest.raises(UsageError, match="another request"):
        move(registry, **{**asked, **change})
    assert registry.stage_epoch(CHURN, PRODUCTION) == 1


ARCHIVE = NewArchive(Reference.parse("churn@2"), "attic", "s3://attic", 3, 400, "quiet")
HELD = Reference.parse("churn@production")
REHEARSED = certificate((2, digest(2)), (1, digest(1)))

KEYED: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "create_model": (
        lambda names, key: names.create_model(ModelName("fresh"), "ana", description="d", key=key),
        lambda names, key: names.create_model(ModelName("fresh"), "ana", key=key),
    ),
    "ensure_model": (
        lambda names, key: names.ensure_model(ModelName("fresh"), "ana", key=key),
        lambda names, key: names.ensure_model(ModelName("other"), "ana", key=key),
    ),
    "define_stage": (
        lambda names, key: names.define_stage(CHURN, StageName("blue"), "ana", key=key),
        lambda names, key: names.define_stage(CHURN, StageName("green"), "ana", key=key),
    ),
    "register": (
        lambda names, key: names.register(NewVersion(CHURN, digest("x"), complete=True), "ana", "why", key=key),
        lambda names, key: names.register(NewVersion(CHURN, digest("x"), complete=False), "ana", "why", key=key),
    ),
    "import_version": (
        lambda names, key: names.import_version(
            NewVersion(CHURN, digest("x"), complete=True), number(9), "ana", origin={"from": "there"}, key=key
        ),
        lambda names, key: names.import_version(
            NewVersion(CHURN, digest("x"), complete=True), number(8), "ana", origin={"from": "there"}, key=key
        ),
    ),
    "approve": (
        lambda names, key: names.approve(NewApproval(CHURN, number(2), digest(2), PRODUCTION), "ana", key=key),
        lambda names, key: names.approve(NewApproval(CHURN, number(2), digest(2), STAGING), "ana", key=key),
    ),
    "put_signature": (
        lambda names, key: names.put_signature(signature_of(CHURN, number(1), digest(1)), "ana", key=key),
        lambda names, key: names.put_signature(signature_of(CHURN, number(1), digest(1), "bob"), "ana", key=key),
    ),
    "record": (
        lambda names, key: names.record(
            NewEvent(Action.ROLLBACK_EXPLAIN, CHURN, PRODUCTION, number(2), number(1), "why", None, {"n": 1.0}),
            "ana",
            key=key,
        ),
        lambda names, key: names.record(
            NewEvent(Action.ROLLBACK_EXPLAIN, CHURN, PRODUCTION, number(2), number(1), "why", None, {}), "ana", key=key
        ),
    ),
    "put_rehearsal": (
        lambda names, key: names.put_rehearsal(REHEARSED, "ana", key=key),
        lambda names, key: names.put_rehearsal({**REHEARSED, "outcome": "fail"}, "ana", key=key),
    ),
    "hold": (
        lambda names, key: names.hold(HELD, "an audit", "ana", key=key),
        lambda names, key: names.hold(Reference.parse("churn@1"), "an audit", "ana", key=key),
    ),
    "hold a snapshot": (
        lambda names, key: names.hold(digest("data"), "an audit", "ana", key=key),
        lambda names, key: names.hold(digest("other"), "an audit", "ana", key=key),
    ),
    "lift": (
        lambda names, key: names.lift(names.holds()[0].id if names.holds() else 0, "over", "ana", key=key),
        lambda names, key: names.lift(0, "over", "ana", key=key),
    ),
    "archive": (
        lambda names, key: names.archive(ARCHIVE, "ana", key=key),
        lambda names, key: names.archive(replace(ARCHIVE, blobs=4), "ana", key=key),
    ),
    "set_policy": (
        lambda names, key: names.set_policy(NewPolicy(TWO_PEOPLE, RULED, "an audit"), "ana", key=key),
        lambda names, key: names.set_policy(NewPolicy(ONE_PERSON, RULED, "an audit"), "ana", key=key),
    ),
    "restore": (
        lambda names, key: names.restore(digest("old"), "attic", "ana", "needed", key=key),
        lambda names, key: names.restore(digest("old"), "cellar", "ana", "needed", key=key),
    ),
}
"""Each operation that becomes an event, asked for twice: as it is, and as another request."""


@pytest.fixture
def ready(registry: Registry) -> Registry:
    """Something of every kind that the operations above need; nothing in production needs version 2."""
    register(registry, 2)
    move(registry, 1, None)
    register(registry, 1, RULED)
    registry.archive(NewArchive(digest("old"), "attic", "s3://attic", 1, 1), "ana")
    return registry


@pytest.mark.parametrize("operation", sorted(set(KEYED) - {"lift"}))
def test_the_same_request_again_gives_the_same_answer_and_writes_nothing(ready: Registry, operation: str) -> None:
    ask, other = KEYED[operation]
    answer = ask(ready, "k")
    size = ready.audit_verify().size
    register(ready, 3, ModelName("meanwhile"))
    if operation != "archive":
        move(ready, 2, 1)
    assert ask(ready, "k") == answer
    with pytest.raises(UsageError, match="another request"):
        other(ready, "k")
    if operation != "ensure_model":  # what is there is there, whoever began it
        with pytest.raises(UsageError, match="another request"):
            KEYED["hold a snapshot" if operation != "hold a snapshot" else "define_stage"][0](ready, "k")
    assert [event.idempotency_key for event in ready.log(limit=1_000)].count("k") == 1
    found = ready.audit_verify()
    assert (found.ok, found.size) == (True, size + 4 + (operation != "archive")), found.sentence
    assert ready.move_of("k") is None


def test_a_hold_is_lifted_once_under_a_key(ready: Registry) -> None:
    first = ready.hold(HELD, "an audit", "ana")
    second = ready.hold(HELD, "a lawsuit", "ana")
    lifted = ready.lift(first.id, "over", "ana", key="k")
    assert ready.lift(first.id, "over", "ana", key="k") == lifted == first
    with pytest.raises(UsageError, match="another request"):
        ready.lift(second.id, "over", "ana", key="k")
    assert ready.holds() == (second,)


def test_an_answer_under_a_key_is_the_one_that_was_given_then(ready: Registry) -> None:
    stage = ready.define_stage(CHURN, StageName("blue"), "ana", key="k")
    ready.move_stage(MoveStage(CHURN, StageName("blue"), number(2), None, Action.STAGE_PROMOTE), "ana")
    assert ready.define_stage(CHURN, StageName("blue"), "ana", key="k") == stage
    ended = ready.restore(digest("old"), "attic", "ana", key="k2")
    assert len(ended) == 1
    ready.archive(NewArchive(digest("old"), "attic", "s3://attic", 1, 1), "ana")
    assert ready.restore(digest("old"), "attic", "ana", key="k2") == ended
    assert [one.digest for one in ready.archives()] == [digest("old")]


@pytest.mark.parametrize(
    "operation", ["register", "approve", "put_signature", "record", "put_rehearsal", "hold", "define_stage"]
)
def test_a_key_is_its_actors(ready: Registry, operation: str) -> None:
    class AsBob:
        def __getattr__(self, name: str) -> Any:
            return lambda *said, **more: getattr(ready, name)(*("bob" if one == "ana" else one for one in said), **more)

    KEYED[operation][0](ready, "k")
    with pytest.raises(UsageError, match="another request"):
        KEYED[operation][0](AsBob(), "k")


def test_the_key_of_a_move_is_no_other_requests(ready: Registry) -> None:
    move(ready, 2, 1, idempotency_key="k")
    for ask, _ in (KEYED["register"], KEYED["hold"], KEYED["create_model"]):
        with pytest.raises(UsageError, match="another request"):
            ask(ready, "k")
    KEYED["record"][0](ready, "k2")
    with pytest.raises(UsageError, match="another request"):
        move(ready, 1, 2, idempotency_key="k2")


def test_the_event_of_a_move_carries_its_evidence(registry: Registry) -> None:
    register(registry)
    verdict = registry.put_verdict(NewVerdict(CHURN, number(1), PRODUCTION, "pass", {"findings": []}))
    approval = registry.approve(
        NewApproval(CHURN, number(1), digest(1), PRODUCTION, reason="read it", verdict=verdict.digest), "bob"
    )
    done = move(registry, 1, None, reason="better", verdict=verdict.digest, approvals=(approval.id,))
    event = registry.log(CHURN, limit=1)[0]
    assert event.index == done.event
    assert event.verdict == str(verdict.digest)
    assert event.approvals == (approval.to_json(),)
    assert event.to_digest == str(digest(1))
    shown = event.to_json()
    for key in ("index", "time", "actor", "action", "from", "to", "reason", "verdict", "hash"):
        assert key in shown
    assert shown["action"] == "stage:pointer:promote"


def test_evidence_for_something_else_is_refused(registry: Registry) -> None:
    register(registry, 2)
    other = registry.put_verdict(NewVerdict(CHURN, number(2), PRODUCTION, "pass", {"n": 2}))
    with pytest.raises(UsageError, match="not of churn@1"):
        move(registry, 1, None, verdict=other.digest)
    with pytest.raises(NotFound, match="no verdict"):
        move(registry, 1, None, verdict=digest("never"))
    with pytest.raises(NotFound, match="no approval"):
        move(registry, 1, None, approvals=("never",))
    wrong = [
        registry.approve(NewApproval(CHURN, number(2), digest(2), PRODUCTION), "bob"),
        registry.approve(NewApproval(CHURN, number(1), digest(1), STAGING), "bob"),
        registry.approve(NewApproval(CHURN, number(1), digest(1), PRODUCTION, Meaning.REJECT), "bob"),
    ]
    first = registry.put_verdict(NewVerdict(CHURN, number(1), PRODUCTION, "pass", {"n": 1}))
    wrong.append(registry.approve(NewApproval(CHURN, number(1), digest(1), PRODUCTION, verdict=first.digest), "bob"))
    for approval in wrong:
        with pytest.raises(UsageError, match="does not approve"):
            move(registry, 1, None, approvals=(approval.id,))
    assert registry.stage_epoch(CHURN, PRODUCTION) == 0


def test_a_judgement_is_bound_to_the_content_that_was_judged(registry: Registry) -> None:
    register(registry)
    with pytest.raises(UsageError, match="was judged"):
        registry.approve(NewApproval(CHURN, number(1), digest("other"), PRODUCTION), "bob")
    with pytest.raises(NotFound):
        registry.approve(NewApproval(CHURN, number(9), digest(1), PRODUCTION), "bob")
    with pytest.raises(NotFound):
        registry.approve(NewApproval(CHURN, number(1), digest(1), StageName("blue")), "bob")
    assert registry.approvals(CHURN, number(1)) == ()


def test_judgements_are_kept_in_order_with_their_events(registry: Registry) -> None:
    register(registry)
    no = registry.approve(NewApproval(CHURN, number(1), digest(1), PRODUCTION, Meaning.REJECT, "too slow"), "bob")
    yes = registry.approve(NewApproval(CHURN, number(1), digest(1), PRODUCTION, reason="fixed"), "eve")
    assert registry.approvals(CHURN, number(1)) == (no, yes)
    assert [event.action for event in registry.log(CHURN, limit=2)] == ["model:version:approve", "model:version:reject"]
    assert no.to_json()["meaning"] == "reject"


def test_a_verdict_is_named_by_its_body_and_kept_once(registry: Registry) -> None:
    register(registry)
    new = NewVerdict(CHURN, number(1), PRODUCTION, "fail", {"outcome": "fail", "findings": [{"rule": "smoke"}]})
    kept = registry.put_verdict(new)
    assert kept.digest == new.digest == hash_bytes(encode(kept.body))
    assert registry.put_verdict(new) == kept
    assert registry.verdict(kept.digest) == kept
    with pytest.raises(AlreadyExists, match="kept for churn@1"):
        registry.put_verdict(NewVerdict(CHURN, number(1), STAGING, "fail", new.body))
    with pytest.raises(NotFound):
        registry.verdict(digest("never"))
    with pytest.raises(TooLarge):
        registry.put_verdict(NewVerdict(CHURN, number(1), PRODUCTION, "fail", {"x": "y" * 5_000_000}))


def test_a_certificate_is_named_by_its_body_and_comes_with_its_event(ready: Registry) -> None:
    assert ready.rehearsals(CHURN, PRODUCTION) == ()
    kept = ready.put_rehearsal(REHEARSED, "ana")
    [event] = ready.log(CHURN, limit=1)
    assert (event.action, event.actor, event.index) == ("stage:rollback:rehearse", "ana", kept.event)
    assert (event.from_number, event.to_number, event.to_digest) == (2, 1, str(digest(1)))
    assert event.details == {"certificate": str(kept.digest), "outcome": "pass"}
    assert (kept.created_at, kept.created_by) == (event.time, "ana")
    assert kept.digest == hash_bytes(encode(REHEARSED))
    assert ready.put_rehearsal(REHEARSED, "ana") == kept  # again: the same row, and no event
    assert ready.log(CHURN, limit=1) == (event,)
    assert ready.stage(CHURN, PRODUCTION).number == 1
    assert ready.audit_verify().ok


def test_certificates_are_found_by_stage_and_by_the_version_that_was_gone_back_to(ready: Registry) -> None:
    first = ready.put_rehearsal(REHEARSED, "ana")
    turned = {**REHEARSED, "from": REHEARSED["to"], "to": REHEARSED["from"], "outcome": "fail"}
    second = ready.put_rehearsal({**turned, "failed": {"step": 3, "name": "smoke", "why": "drifted"}}, "bob")
    assert ready.rehearsals(CHURN, PRODUCTION) == (second, first)
    assert ready.rehearsals(CHURN, PRODUCTION, limit=1) == (second,)
    assert ready.rehearsals(CHURN, PRODUCTION, to=number(1)) == (first,)
    assert ready.rehearsals(CHURN, STAGING) == ()
    assert (first.failure, second.failure) == ("", "step 3 (smoke): drifted")
    with pytest.raises(NotFound):
        ready.rehearsals(CHURN, StageName("nowhere"))
    with pytest.raises(UsageError):
        ready.rehearsals(CHURN, PRODUCTION, limit=0)


NO_CERTIFICATES: dict[str, tuple[dict[str, Any], type[HoldfastError]]] = {
    "other digest": ({"to": {"version": 1, "digest": str(digest(2))}}, UsageError),
    "no version": ({"to": {"version": 9, "digest": str(digest(9))}}, NotFound),
    "no model": ({"model": "nobody"}, NotFound),
    "no stage": ({"stage": "nowhere"}, NotFound),
    "other format": ({"format": "holdfast.verdict"}, UnsupportedFormat),
    "newer": ({"format_version": "2.0"}, UnsupportedFormat),
    "no outcome": ({"outcome": "perhaps"}, UnsupportedFormat),
    "too large": ({"steps": "x" * 1_100_000}, TooLarge),
}


def test_what_is_no_certificate_of_these_versions_is_not_kept(ready: Registry, subtests: pytest.Subtests) -> None:
    last = ready.log(limit=1)
    for name, (change, error) in NO_CERTIFICATES.items():
        with subtests.test(name):
            with pytest.raises(error):
                ready.put_rehearsal({**REHEARSED, **change}, "ana")
            assert ready.log(limit=1) == last


def test_versions_that_were_judged_on_the_same_rows_are_counted_once_each(registry: Registry) -> None:
    register(registry, 3)
    rows, others = digest("rows"), digest("other rows")

    def judge(version: int, on: Digest | None, outcome: str, run: int, stage: StageName = PRODUCTION) -> None:
        body = {"inputs": {"holdout": None if on is None else str(on)}, "run": run}
        registry.put_verdict(NewVerdict(CHURN, number(version), stage, outcome, body))

    judge(2, rows, "fail", 1)
    judge(2, rows, "pass", 2, STAGING)
    judge(1, rows, "pass", 3)
    judge(3, others, "pass", 4)
    judge(3, None, "pass", 5)
    # A text that only looks like the field is none.
    registry.put_verdict(NewVerdict(CHURN, number(3), PRODUCTION, "pass", {"reason": f'"holdout":"{rows}"'}))
    assert registry.judged_on(CHURN, rows) == (1, 2)
    assert registry.judged_on(CHURN, others) == (3,)
    assert registry.judged_on(CHURN, digest("never used")) == ()
    with pytest.raises(NotFound):
        registry.judged_on(ModelName("nobody"), rows)


def test_a_refusal_is_recorded_and_moves_nothing(registry: Registry) -> None:
    register(registry)
    verdict = registry.put_verdict(NewVerdict(CHURN, number(1), PRODUCTION, "fail", {"n": 1}))
    event = registry.record(
        NewEvent(
            Action.GATE_REFUSE, CHURN, PRODUCTION, to_number=number(1), reason="recall fell", verdict=verdict.digest
        ),
        "ana",
    )
    assert registry.log(CHURN, limit=1) == (event,)
    assert event.to_digest == str(digest(1))
    assert registry.stage_epoch(CHURN, PRODUCTION) == 0
    assert registry.live(CHURN).stages["production"] is None


def test_what_comes_with_a_change_is_never_recorded_alone(registry: Registry, subtests: pytest.Subtests) -> None:
    register(registry)
    for action in sorted(set(Action) - RECORDED):
        with subtests.test(action.value), pytest.raises(UsageError, match="never alone"):
            registry.record(NewEvent(action, CHURN, PRODUCTION, to_number=number(1)), "ana")


@pytest.mark.parametrize(
    ("event", "actor"),
    [
        (NewEvent(Action.GATE_REFUSE, reason="x" * 5_000), "ana"),
        (NewEvent(Action.GATE_REFUSE, details={"x": "y" * 70_000}), "ana"),
        (NewEvent(Action.GATE_REFUSE), "a" * 300),
    ],
)
def test_an_event_has_its_limits(registry: Registry, event: NewEvent, actor: str) -> None:
    with pytest.raises(TooLarge):
        registry.record(event, actor)
    assert registry.log() == ()


def test_live_answers_for_now_and_for_any_moment(registry: Registry, clock: Any) -> None:
    register(registry, 2)
    before = clock.now
    one = move(registry, 1, None, actor="bob")
    two = move(registry, 2, 1)
    back = move(registry, 1, 2, Action.STAGE_ROLLBACK)

    def held(at: datetime | None) -> tuple[int, int] | None:
        found = registry.live(CHURN, at).stages["production"]
        return None if found is None else (found.version, found.event)

    assert held(before) is None
    assert held(one.time) == (1, one.event)
    assert held(two.time - timedelta(microseconds=1)) == (1, one.event)
    assert held(two.time) == (2, two.event)
    assert held(None) == held(datetime(2100, 1, 1, tzinfo=UTC)) == (1, back.event)
    assert registry.live(CHURN, datetime(2000, 1, 1, tzinfo=UTC)).stages == {}
    assert registry.live(CHURN, one.time).to_json() == {
        "model": "churn",
        "at": to_text(one.time),
        "stages": {
            "archived": None,
            "production": {
                "version": 1,
                "digest": str(digest(1)),
                "since": to_text(one.time),
                "by": "bob",
                "event": one.event,
                "waived": [],
            },
            "staging": None,
        },
    }


def test_a_moment_without_a_time_zone_is_no_moment(registry: Registry) -> None:
    register(registry)
    with pytest.raises(UsageError, match="time zone"):
        registry.live(CHURN, datetime(2026, 3, 1))  # noqa: DTZ001 - the point of the test


def test_time_never_runs_backwards_in_the_log(registry: Registry, clock: Any) -> None:
    register(registry)
    clock.now -= timedelta(days=1)
    moved = move(registry, 1, None)
    times = [event.time for event in registry.log()]
    assert times == sorted(times, reverse=True)
    assert registry.live(CHURN, moved.time).stages["production"] is not None
    assert registry.audit_verify().ok


def test_the_log_is_read_newest_first_and_in_pages(registry: Registry) -> None:
    register(registry, 3)
    register(registry, 1, ModelName("other"))
    assert [event.index for event in registry.log()] == [5, 4, 3, 2, 1, 0]
    assert [event.index for event in registry.log(CHURN)] == [3, 2, 1, 0]
    assert [event.index for event in registry.log(before=4, limit=2)] == [3, 2]
    since = registry.log(before=4, limit=1)[0].time
    assert [event.index for event in registry.log(since=since)] == [5, 4, 3]
    for limit in (0, -1, EVENTS_MAX + 1):
        with pytest.raises(UsageError):
            registry.log(limit=limit)


@pytest.mark.thorough
def test_a_page_of_the_log_is_what_a_plain_reading_of_it_says(registry: Registry, clock: Any) -> None:
    other = ModelName("other")
    register(registry, 2)
    register(registry, 1, other)
    for to, held in ((1, None), (2, 1), (1, 2)):
        move(registry, to, held)
        clock.now -= timedelta(seconds=2)  # the next events share a time
        registry.record(NewEvent(Action.GATE_REFUSE, CHURN, StageName("nowhere"), reason="no"), "ana")
    every = registry.log()
    times = {event.time for event in every}
    moments = [None, *times, min(times) - timedelta(days=1), max(times) + timedelta(days=1)]
    for model, since, before, limit in itertools.product(
        (None, CHURN, other), moments, (None, 0, 4, len(every)), (1, 3, len(every))
    ):
        plain = [
            event
            for event in every
            if (model is None or event.model == str(model))
            and (since is None or event.time >= since)
            and (before is None or event.index < before)
        ]
        assert list(registry.log(model, since=since, before=before, limit=limit)) == plain[:limit]


def test_an_audit_of_a_good_registry_says_so(registry: Registry) -> None:
    empty = registry.audit_verify()
    assert (empty.ok, empty.size, empty.first_bad) == (True, 0, None)
    assert empty.root == hash_bytes(b"")
    register(registry, 2)
    move(registry, 1, None)
    audit = registry.audit_verify()
    assert {key: audit.to_json()[key] for key in ("ok", "size", "first_bad")} == {
        "ok": True,
        "size": 4,
        "first_bad": None,
    }
    assert str(audit.root).startswith("sha256:")


def test_replicas_are_what_spoke_lately_and_has_not_stopped(registry: Registry, clock: Any) -> None:
    register(registry)

    def replica(id_: str, state: ReplicaState = ReplicaState.READY, **more: Any) -> Replica:
        said: dict[str, Any] = {
            "host": "h1",
            "pid": 7,
            "url": "http://127.0.0.1:8081",
            "number": number(1),
            "digest": digest(1),
            "epoch": 1,
            "error": None,
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "reported_at": datetime(1999, 1, 1, tzinfo=UTC),
            "since": datetime(2026, 1, 2, tzinfo=UTC),
        }
        return Replica(id=id_, model=CHURN, stage=PRODUCTION, state=state, **{**said, **more})

    spoke = registry.report(replica("a"))
    assert spoke.reported_at == clock.now
    loading = registry.report(replica("b", ReplicaState.LOADING, number=None, digest=None, epoch=None, since=None))
    registry.report(replica("c", ReplicaState.STOPPED))
    assert registry.live_replicas(CHURN, PRODUCTION, timedelta(minutes=1)) == (spoke, loading)
    failed = registry.report(replica("b", ReplicaState.FAILED, error="cannot open the bundle"))
    assert registry.live_replicas(CHURN, PRODUCTION, timedelta(minutes=1)) == (spoke, failed)
    assert failed.to_json()["error"] == "cannot open the bundle"
    clock.now += timedelta(minutes=2)
    assert registry.live_replicas(CHURN, PRODUCTION, timedelta(minutes=1)) == ()
    assert registry.live_replicas(CHURN, STAGING, timedelta(days=1)) == ()


def test_every_error_speaks_to_a_person_and_to_a_program(registry: Registry) -> None:
    register(registry)
    asks: list[Callable[[], object]] = [
        lambda: resolve(registry, "churn@9"),
        lambda: move(registry, 1, 1),
        lambda: registry.log(limit=0),
        lambda: registry.create_model(CHURN, "ana"),
    ]
    for ask in asks:
        with pytest.raises(HoldfastError) as raised:
            ask()
        assert raised.value.message
        assert raised.value.hint
        encode(raised.value.to_json())


def test_a_new_model_gets_the_stages_that_it_is_given_and_keeps_them(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana", stages=(StageName("canary"), StageName("live")))
    registry.ensure_model(CHURN, "ana")
    assert [str(stage.name) for stage in registry.stages(CHURN)] == ["canary", "live"]


# Versions from elsewhere


def take_in(registry: Registry, value: int, content: object, **more: Any) -> Version:
    return registry.import_version(NewVersion(CHURN, digest(content), complete=True, **more), number(value), "ana")


def test_a_version_from_elsewhere_keeps_its_number(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    new = NewVersion(CHURN, digest("theirs"), complete=True, semver="2.0.0", summary={"recall": 0.5})
    origin = {"created_by": "bob", "remote": "s3://models"}
    version = registry.import_version(new, number(4), "ana", "from the team", origin=origin)
    assert (version.number, version.digest, version.semver) == (4, digest("theirs"), "2.0.0")
    assert resolve(registry, "churn@4") == version
    [event, *_] = registry.log(CHURN)
    assert (event.action, event.to_number, event.reason) == (Action.VERSION_IMPORT, 4, "from the team")
    assert event.details["origin"] == origin
    assert registry.audit_verify().ok


def test_numbers_go_on_behind_the_highest_and_gaps_are_filled_by_importing_only(registry: Registry) -> None:
    [first] = register(registry)
    take_in(registry, 4, "four")
    take_in(registry, 2, "two")
    [mine] = [registry.register(NewVersion(CHURN, digest("mine"), complete=True), "ana")]
    assert [version.number for version in registry.versions(CHURN)] == [1, 2, 4, 5]
    assert (first.number, mine.number) == (1, 5)
    assert take_in(registry, 3, "three").number == 3
    assert registry.audit_verify().ok


def test_importing_again_changes_nothing(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    once = take_in(registry, 2, "two")
    size = registry.audit_verify().size
    assert take_in(registry, 2, "two") == once
    assert registry.audit_verify().size == size


def test_a_number_that_belongs_to_another_digest_is_not_given_again(registry: Registry) -> None:
    [mine] = register(registry)
    size = registry.audit_verify().size
    with pytest.raises(AlreadyExists) as caught:
        take_in(registry, 1, "theirs")
    assert caught.value.details["digest"] == str(mine.digest)
    assert caught.value.details["asked"] == str(digest("theirs"))
    with pytest.raises(AlreadyExists) as caught:
        registry.import_version(NewVersion(CHURN, mine.digest, complete=True), number(7), "ana")
    assert caught.value.details["version"] == 1
    with pytest.raises(NotFound):
        registry.import_version(NewVersion(ModelName("nobody"), digest("x"), complete=True), number(1), "ana")
    with pytest.raises(UsageError):
        take_in(registry, 0, "none")
    assert [version.number for version in registry.versions(CHURN)] == [1]
    assert registry.audit_verify().size == size


def test_a_version_from_elsewhere_can_hold_a_stage(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    take_in(registry, 3, "three")
    assert move(registry, 3, None).to_number == 3
    assert registry.audit_verify().ok


def named(registry: Registry, version: int, policy: Digest | None) -> Digest:
    """The digest of a verdict that names a policy."""
    origin = {"digest": None if policy is None else str(policy)}
    body = {"model": "churn", "version": version, "stage": "production", "outcome": "pass", "policy_origin": origin}
    return registry.put_verdict(NewVerdict(CHURN, number(version), PRODUCTION, "pass", body)).digest


def test_policies_are_numbered_for_all_models_and_for_each(registry: Registry) -> None:
    register(registry)
    assert registry.policy() is None
    assert registry.policy(CHURN) is None
    first = registry.set_policy(NewPolicy(ONE_PERSON, None, "a beginning"), "ana")
    own = registry.set_policy(NewPolicy(TWO_PEOPLE, CHURN, "it is large"), "bob")
    second = registry.set_policy(NewPolicy(ONE_PERSON + "\n", None, "a mistake", expect=1), "ana")
    assert [(one.number, one.model, one.by, one.text) for one in (first, own, second)] == [
        (1, None, "ana", ONE_PERSON),
        (1, CHURN, "bob", TWO_PEOPLE),
        (2, None, "ana", ONE_PERSON + "\n"),
    ]
    assert registry.policies() == (first, second)
    assert registry.policies(CHURN) == (own,)
    assert (registry.policy(), registry.policy(CHURN)) == (second, own)
    registry.ensure_model(RULED, "ana")
    assert registry.policy(RULED) == second
    [event, *_] = registry.following(own.event - 1, limit=1)
    assert (event.action, event.model, event.reason) == (Action.POLICY_SET, "churn", "it is large")
    assert event.details == {"number": 1, "digest": str(hash_bytes(TWO_PEOPLE.encode()))}
    assert registry.audit_verify().ok


def test_a_policy_takes_the_place_of_the_one_that_was_expected_or_of_none(registry: Registry) -> None:
    register(registry)
    registry.set_policy(NewPolicy(ONE_PERSON, CHURN, "a beginning"), "ana")
    size = registry.audit_verify().size
    for expect in (0, 2):
        with pytest.raises(AlreadyExists, match="at policy 1") as raised:
            registry.set_policy(NewPolicy(TWO_PEOPLE, CHURN, "a race", expect), "bob")
        assert (raised.value.details["expected"], raised.value.details["found"]) == (expect, 1)
    assert [one.text for one in registry.policies(CHURN)] == [ONE_PERSON]
    assert registry.audit_verify().size == size


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (NewPolicy(ONE_PERSON, ModelName("nobody"), "why"), NotFound),
        (NewPolicy(ONE_PERSON, CHURN, " "), UsageError),
        (NewPolicy(" ", CHURN, "why"), UsageError),
        (NewPolicy(f"#{'x' * 70_000}\n{ONE_PERSON}", CHURN, "why"), TooLarge),
    ],
)
def test_a_policy_is_refused_as_a_whole(registry: Registry, new: NewPolicy, error: type[HoldfastError]) -> None:
    register(registry)
    size = registry.audit_verify().size
    with pytest.raises(error):
        registry.set_policy(new, "ana")
    assert registry.audit_verify().size == size
    assert registry.policies() == ()


def test_no_promotion_rests_on_a_verdict_under_another_policy(registry: Registry) -> None:
    register(registry, 2)
    before = named(registry, 1, None)
    old = registry.set_policy(NewPolicy(ONE_PERSON, None, "a beginning"), "ana")
    under_old = named(registry, 1, old.digest)
    new = registry.set_policy(NewPolicy(TWO_PEOPLE, CHURN, "it is large"), "ana")
    for verdict in (None, before, under_old):
        with pytest.raises(GateRefused, match="no verdict under the policy"):
            move(registry, 1, None, verdict=verdict)
    assert move(registry, 1, None, verdict=named(registry, 1, new.digest)).to_number == 1
    assert move(registry, 2, 1, verdict=named(registry, 2, new.digest)).to_number == 2
    registry.set_policy(NewPolicy(ONE_PERSON, CHURN, "at night", expect=1), "ana")
    assert move(registry, 1, 2, Action.STAGE_ROLLBACK).to_number == 1, "a rollback waits for no policy"
    assert registry.audit_verify().ok


@pytest.mark.parametrize(
    ("stage", "outcome", "inputs"),
    [
        ("production", "fail", {"baseline": None}),
        ("production", "inconclusive", {"baseline": None}),
        ("staging", "pass", {"baseline": None}),
        ("production", "pass", {"baseline": {"version": 2}}),
        ("production", "pass", {"baseline": "none"}),
    ],
    ids=["fail", "inconclusive", "another stage", "another baseline", "no baseline that makes sense"],
)
def test_under_a_policy_only_a_pass_for_the_stage_as_it_stands_lets_a_version_through(
    registry: Registry, stage: str, outcome: str, inputs: dict[str, Any]
) -> None:
    register(registry, 2)
    kept = registry.set_policy(NewPolicy(ONE_PERSON, None, "a beginning"), "ana")

    def verdict(stage: str, outcome: str, inputs: dict[str, Any]) -> Digest:
        said = {"inputs": inputs, "outcome": outcome, "policy_origin": {"digest": str(kept.digest)}}
        body = {"model": "churn", "stage": stage, **said}
        return registry.put_verdict(NewVerdict(CHURN, number(1), StageName(stage), outcome, body)).digest

    with pytest.raises(GateRefused):
        move(registry, 1, None, verdict=verdict(stage, outcome, inputs))
    assert registry.stage(CHURN, PRODUCTION).number is None
    assert move(registry, 1, None, verdict=verdict("production", "pass", {"baseline": None})).to_number == 1


def test_waivers_stand_wherever_a_stage_is_looked_at(registry: Registry) -> None:
    register(registry, 2)
    waived = [{"rule": "latency", "by": "ana", "reason": "a slow month", "until": "2026-04-01"}]
    move(registry, 1, None, details={"waived": waived})
    held = registry.live(CHURN).stages["production"]
    assert held is not None
    assert held.waived == tuple(waived)
    [spell] = registry.history(CHURN)
    assert spell.waived == tuple(waived)
    assert registry.log(limit=1)[0].waived == tuple(waived)
    move(registry, 2, 1)
    assert [one.waived for one in registry.history(CHURN)] == [(), tuple(waived)]


def test_a_hold_stands_until_it_is_lifted(registry: Registry) -> None:
    register(registry, 2)
    first = registry.hold(Reference.parse("churn@2"), "an audit", "ana")
    second = registry.hold(digest("data"), "a lawsuit", "bob")
    assert (first.model, first.version, first.digest) == ("churn", 2, resolve(registry, "churn@2").digest)
    assert (second.model, second.version, second.digest) == (None, None, digest("data"))
    assert registry.holds() == (first, second)
    assert [(one.by, one.reason) for one in registry.holds()] == [("ana", "an audit"), ("bob", "a lawsuit")]
    assert registry.lift(first.id, "it is over", "bob") == first
    assert registry.holds() == (second,)
    [lifted, _, added, *_] = registry.log()
    assert (lifted.action, lifted.actor, lifted.reason) == (Action.HOLD_LIFT, "bob", "it is over")
    assert (added.action, added.index, added.to_number) == (Action.HOLD_ADD, first.id, 2)
    assert registry.audit_verify().ok


def test_the_same_may_be_held_twice_for_two_reasons(registry: Registry) -> None:
    one, two = (registry.hold(digest("data"), reason, "ana") for reason in ("one", "two"))
    registry.lift(one.id, "", "ana")
    assert registry.holds() == (two,)


def test_a_hold_is_refused_as_a_whole(registry: Registry) -> None:
    register(registry)
    held = registry.hold(digest("data"), "why", "ana")
    registry.lift(held.id, "", "ana")
    size = registry.audit_verify().size
    for refused, expected in (
        (lambda: registry.hold(Reference.parse("churn@9"), "why", "ana"), NotFound),
        (lambda: registry.hold(digest("data"), "  ", "ana"), UsageError),
        (lambda: registry.hold(digest("data"), "x" * 5000, "ana"), TooLarge),
        (lambda: registry.lift(held.id, "", "ana"), NotFound),
        (lambda: registry.lift(0, "no hold", "ana"), NotFound),
        (lambda: registry.record(NewEvent(Action.HOLD_ADD), "ana"), UsageError),
    ):
        with pytest.raises(expected):
            refused()
    assert registry.audit_verify().size == size


def test_the_log_is_followed_from_any_event_on_oldest_first(registry: Registry) -> None:
    register(registry, 2)
    registry.create_model(ModelName("fraud"), "bob")
    everything = registry.log(limit=EVENTS_MAX)[::-1]
    assert registry.following(-1) == everything
    assert registry.following(everything[1].index, limit=1) == everything[2:3]
    assert registry.following(everything[-1].index) == ()
    assert [one.model for one in registry.following(-1, actions=[Action.MODEL_CREATE])] == ["churn", "fraud"]
    assert [one.action for one in registry.following(-1, model=CHURN, actions=[Action.VERSION_REGISTER])] == [
        "model:version:register"
    ] * 2
    for limit in (0, EVENTS_MAX + 1):
        with pytest.raises(UsageError):
            registry.following(-1, limit=limit)


def test_who_follows_the_log_hears_of_each_event_as_it_comes(registry: Registry) -> None:
    register(registry, 1)
    heard: list[str | None] = []

    def listen() -> None:
        wanted = registry.follow(0, actions=[Action.MODEL_CREATE, Action.VERSION_REGISTER])
        heard.extend(event.model for event in itertools.islice(wanted, 3))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    registry.create_model(ModelName("fraud"), "bob")
    registry.define_stage(ModelName("fraud"), StageName("night"), "bob")
    registry.create_model(ModelName("spam"), "bob")
    listener.join(PATIENCE_SECONDS)
    assert heard == ["churn", "fraud", "spam"]
