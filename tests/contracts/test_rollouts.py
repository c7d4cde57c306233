"""What every registry keeps of rollouts: in a file and on a server of databases, and behind two servers of ours."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from holdfast.canonical import encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import (
    AlreadyExists,
    Archived,
    GateRefused,
    HoldfastError,
    Incomplete,
    NotFound,
    PermissionRefused,
    StageMoved,
    TooLarge,
    UsageError,
)
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import (
    ROLLOUTS_MAX,
    TRUTHS_AT_ONCE_MAX,
    TRUTHS_MAX,
    Action,
    MoveStage,
    NewArchive,
    NewPolicy,
    NewRollout,
    NewVerdict,
    NewVersion,
    Registry,
    Rollout,
    RolloutKind,
    RolloutState,
    RouteMark,
    Tally,
    Truth,
    Turn,
)

CHURN, PRODUCTION, STAGING = ModelName("churn"), StageName("production"), StageName("staging")
ONE, TWO, THREE = map(VersionNumber, (1, 2, 3))
PLAN = {"steps": [0.01, 0.5], "guards": ["errors"], "alpha": 0.01}
CANARY = NewRollout(RolloutKind.CANARY, CHURN, PRODUCTION, TWO, ONE, PLAN, "better on recall")
SHADOW = replace(CANARY, kind=RolloutKind.SHADOW)
LARGE = {"counts": "x" * (64 * 1024)}


def digest(text: object) -> Digest:
    return hash_bytes(str(text).encode())


@pytest.fixture
def names(registry: Registry) -> Registry:
    """Three versions, the first of which holds production."""
    registry.ensure_model(CHURN, "ana")
    for text in ("1", "2", "3"):
        registry.register(NewVersion(CHURN, digest(text), complete=True), "ana")
    promote(registry, ONE, None)
    return registry


def promote(names: Registry, to: VersionNumber, expect: VersionNumber | None) -> None:
    names.move_stage(MoveStage(CHURN, PRODUCTION, to, expect, Action.STAGE_PROMOTE), "ana")


def turned(names: Registry, found: Rollout, state: RolloutState, step: int = 0, **more: Any) -> Rollout:
    figures = more.pop("figures", {"errors": 3})
    return names.turn_rollout(Turn(found.id, found.event, state, step, "3 errors in 40", figures), "replica", **more)


def refused(names: Registry, error: type[HoldfastError], ask: Callable[[], object]) -> HoldfastError:
    """What is refused leaves the log as it was."""
    last = names.log(limit=1)
    with pytest.raises(error) as raised:
        ask()
    assert names.log(limit=1) == last
    return raised.value


def test_a_rollout_begins_with_its_event_and_stands_as_it_began(names: Registry) -> None:
    assert names.rollouts(CHURN, PRODUCTION) == ()
    begun = names.begin_rollout(CANARY, "ana")
    [event] = names.log(CHURN, limit=1)
    assert (event.action, event.actor, event.reason, event.index) == (
        *("stage:rollout:begin", "ana", "better on recall"),
        begun.id,
    )
    assert (event.from_number, event.to_number, event.to_digest, event.epoch) == (1, 2, str(digest(2)), 1)
    assert event.details == {"kind": "canary", "state": "running", "step": 0, "plan": PLAN}
    assert (begun.state, begun.step, begun.event, begun.epoch) == (RolloutState.RUNNING, 0, begun.id, 1)
    assert (begun.number, begun.digest, begun.against, begun.against_digest) == (TWO, digest(2), ONE, digest(1))
    assert (begun.plan, begun.figures, begun.verdict) == (PLAN, {}, None)
    assert begun.began_at == begun.changed_at == event.time
    assert names.rollout(begun.id) == begun
    assert names.rollouts(CHURN, PRODUCTION) == (begun,)
    assert names.stage(CHURN, PRODUCTION).epoch == 1  # a rollout moves no stage
    assert names.audit_verify().ok


def test_a_turn_comes_with_its_event_and_changes_nothing_but_how_the_rollout_stands(names: Registry) -> None:
    begun = names.begin_rollout(CANARY, "ana")
    found = turned(names, begun, RolloutState.RUNNING, 1)
    [event] = names.log(CHURN, limit=1)
    assert (event.action, event.actor, event.reason) == ("stage:rollout:turn", "replica", "3 errors in 40")
    assert (event.from_number, event.to_number, event.epoch) == (1, 2, 1)
    assert event.details == {
        "kind": "canary",
        "rollout": begun.id,
        "before": begun.event,
        "state": "running",
        "step": 1,
        "figures": {"errors": 3},
    }
    assert found == replace(
        begun,
        step=1,
        reason="3 errors in 40",
        figures={"errors": 3},
        event=event.index,
        changed_at=event.time,
        changed_by="replica",
    )
    assert names.rollout(begun.id) == found
    assert names.rollouts(CHURN, PRODUCTION) == (found,)
    ended = turned(names, turned(names, found, RolloutState.HELD, 1), RolloutState.ABORTED, 1)
    assert ended.state is RolloutState.ABORTED
    assert names.audit_verify().ok


def test_a_turn_is_refused_to_who_knows_an_earlier_one(names: Registry) -> None:
    begun = names.begin_rollout(CANARY, "ana")
    held = turned(names, begun, RolloutState.HELD)
    error = refused(names, StageMoved, lambda: turned(names, begun, RolloutState.ABORTED))
    assert (error.details["expected"], error.details["found"]) == (begun.event, held.event)
    assert (error.details["state"], error.details["changed_by"]) == ("held", "replica")
    assert names.rollout(begun.id) == held


@pytest.mark.parametrize("end", [RolloutState.ABORTED, RolloutState.STOPPED])
def test_what_is_over_takes_no_turn_and_leaves_room_for_another(names: Registry, end: RolloutState) -> None:
    over = turned(names, names.begin_rollout(CANARY, "ana"), end)
    for state in (RolloutState.RUNNING, RolloutState.PASSED, end):
        refused(names, StageMoved, partial(turned, names, over, state))
    again = names.begin_rollout(CANARY, "ana")
    assert names.rollouts(CHURN, PRODUCTION) == (again, over)
    assert names.audit_verify().ok


def test_a_canary_that_passed_keeps_its_share_and_a_shadow_that_passed_is_over(names: Registry) -> None:
    canary = turned(names, names.begin_rollout(CANARY, "ana"), RolloutState.PASSED, 1)
    shadow = turned(names, names.begin_rollout(SHADOW, "ana"), RolloutState.PASSED)
    refused(names, AlreadyExists, lambda: names.begin_rollout(replace(CANARY, number=THREE), "ana"))
    refused(names, StageMoved, lambda: turned(names, shadow, RolloutState.STOPPED))
    assert names.begin_rollout(SHADOW, "ana").state is RolloutState.RUNNING
    assert turned(names, canary, RolloutState.ABORTED, 1).state is RolloutState.ABORTED
    passed = turned(names, names.begin_rollout(CANARY, "ana"), RolloutState.PASSED, 1)
    promote(names, TWO, ONE)
    assert names.rollout(passed.id).state is RolloutState.PASSED  # it ended well, whatever holds the stage now
    refused(names, StageMoved, lambda: turned(names, passed, RolloutState.STOPPED))
    assert names.audit_verify().ok


def test_a_stage_that_moves_supersedes_its_rollouts_and_no_others(names: Registry) -> None:
    names.move_stage(MoveStage(CHURN, STAGING, THREE, None, Action.STAGE_PROMOTE), "ana")
    canary, shadow = (names.begin_rollout(new, "ana") for new in (CANARY, SHADOW))
    aborted = turned(names, shadow, RolloutState.ABORTED)
    other = names.begin_rollout(replace(SHADOW, stage=STAGING, expect=THREE), "ana")
    promote(names, THREE, ONE)
    assert names.rollout(canary.id) == replace(canary, state=RolloutState.SUPERSEDED)
    assert names.rollouts(CHURN, PRODUCTION) == (aborted, replace(canary, state=RolloutState.SUPERSEDED))
    assert names.rollout(other.id) == other
    error = refused(names, StageMoved, lambda: turned(names, canary, RolloutState.ABORTED))
    assert "has moved" in error.message
    promote(names, ONE, THREE)  # the same version again is another epoch
    assert names.rollout(canary.id).state is RolloutState.SUPERSEDED
    assert names.begin_rollout(CANARY, "ana").state is RolloutState.RUNNING
    assert names.audit_verify().ok


def test_of_each_kind_one_stands_beside_a_stage(names: Registry) -> None:
    canary = names.begin_rollout(CANARY, "ana")
    error = refused(names, AlreadyExists, lambda: names.begin_rollout(replace(CANARY, number=THREE), "bob"))
    assert (error.details["rollout"], error.details["version"]) == (canary.id, 2)
    shadow = names.begin_rollout(SHADOW, "ana")
    assert names.rollouts(CHURN, PRODUCTION) == (shadow, canary)
    assert names.rollouts(CHURN, PRODUCTION, kind=RolloutKind.CANARY) == (canary,)
    assert names.rollouts(CHURN, PRODUCTION, limit=1) == (shadow,)
    assert names.rollouts(CHURN, STAGING) == ()


NO_ROLLOUTS: list[tuple[dict[str, Any], type[HoldfastError]]] = [
    ({"expect": THREE}, StageMoved),
    ({"stage": STAGING}, StageMoved),
    ({"number": ONE}, UsageError),
    ({"number": VersionNumber(9)}, NotFound),
    ({"number": VersionNumber(4)}, Incomplete),
    ({"stage": StageName("nowhere")}, NotFound),
    ({"model": ModelName("nobody")}, NotFound),
    ({"verdict": digest("never")}, NotFound),
    ({"plan": LARGE}, TooLarge),
]


def test_a_rollout_that_makes_no_sense_does_not_begin(names: Registry, subtests: pytest.Subtests) -> None:
    names.register(NewVersion(CHURN, digest(4), complete=False, missing=("data_slice",)), "ana")
    for change, error in NO_ROLLOUTS:
        with subtests.test(*change):
            refused(names, error, partial(names.begin_rollout, replace(CANARY, **change), "ana"))
            assert names.route_mark(CHURN, PRODUCTION) == RouteMark(1, 0)


def test_a_verdict_that_lets_a_rollout_begin_is_that_of_its_version(names: Registry) -> None:
    verdicts = [names.put_verdict(NewVerdict(CHURN, one, PRODUCTION, "pass", {"n": one})) for one in (TWO, THREE)]
    refused(names, UsageError, lambda: names.begin_rollout(replace(CANARY, verdict=verdicts[1].digest), "ana"))
    begun = names.begin_rollout(replace(CANARY, verdict=verdicts[0].digest), "ana")
    assert names.log(limit=1)[0].verdict == str(verdicts[0].digest) == str(begun.verdict)
    assert turned(names, begun, RolloutState.HELD).verdict == verdicts[0].digest
    assert names.audit_verify().ok


def test_where_a_policy_is_in_force_a_canary_has_a_verdict_that_names_it(names: Registry) -> None:
    policy = names.set_policy(NewPolicy("[gate.production]\napprovals_min = 1\n", CHURN, "an audit"), "ana")
    origin = {"policy_origin": {"digest": str(policy.digest)}, "inputs": {"baseline": {"version": 1}}}
    refused(names, GateRefused, lambda: names.begin_rollout(CANARY, "ana"))
    for outcome, body in (("pass", {}), ("fail", origin), ("pass", {**origin, "inputs": {"baseline": {"version": 3}}})):
        other = names.put_verdict(NewVerdict(CHURN, TWO, PRODUCTION, outcome, {**body, "outcome": outcome})).digest
        refused(names, GateRefused, partial(names.begin_rollout, replace(CANARY, verdict=other), "ana"))
    for lost in ("smoke", "approver"):
        found = {**origin, "findings": [{"rule": "integrity", "outcome": "pass"}, {"rule": lost, "outcome": "fail"}]}
        other = names.put_verdict(NewVerdict(CHURN, TWO, PRODUCTION, "fail", found)).digest
        if lost == "smoke":
            refused(names, GateRefused, partial(names.begin_rollout, replace(CANARY, verdict=other), "ana"))
        else:  # who approves of the promotion may come while it is tried
            turned(names, names.begin_rollout(replace(CANARY, verdict=other), "ana"), RolloutState.STOPPED)
    good = names.put_verdict(NewVerdict(CHURN, TWO, PRODUCTION, "pass", origin)).digest
    assert names.begin_rollout(replace(CANARY, verdict=good), "ana").verdict == good
    assert names.begin_rollout(SHADOW, "ana").verdict is None  # nobody gets its answers


def test_what_is_tried_is_not_archived_and_what_is_archived_is_not_tried(names: Registry) -> None:
    archive = NewArchive(Reference.parse("churn@2"), "attic", "s3://attic", 3, 400, "quiet")
    begun = names.begin_rollout(CANARY, "ana")
    refused(names, PermissionRefused, lambda: names.archive(archive, "ana"))
    turned(names, begun, RolloutState.STOPPED)
    names.archive(archive, "ana")
    refused(names, Archived, lambda: names.begin_rollout(SHADOW, "ana"))
    assert names.audit_verify().ok


NO_TURNS: dict[str, tuple[dict[str, Any], type[HoldfastError]]] = {
    "superseded": ({"state": RolloutState.SUPERSEDED}, UsageError),
    "before the first": ({"step": -1}, UsageError),
    "past the last": ({"step": 101}, UsageError),
    "no rollout": ({"rollout": 0}, NotFound),
    "no event": ({"rollout": 99}, NotFound),
    "large": ({"figures": LARGE}, TooLarge),
    "long": ({"reason": "x" * 5_000}, TooLarge),
}


def test_a_turn_that_makes_no_sense_is_not_taken(names: Registry, subtests: pytest.Subtests) -> None:
    begun = names.begin_rollout(CANARY, "ana")
    asked = Turn(begun.id, begun.event, RolloutState.HELD, 0, "why", {})
    for name, (change, error) in NO_TURNS.items():
        with subtests.test(name):
            refused(names, error, partial(names.turn_rollout, replace(asked, **change), "ana"))
            assert names.rollout(begun.id) == begun


def test_what_is_long_stands_in_the_row_and_its_digest_in_the_event(names: Registry) -> None:
    long = {"edges": [*map(float, range(3_000))]}
    begun = names.begin_rollout(replace(CANARY, plan=long), "ana")
    assert names.log(limit=1)[0].details["plan_digest"] == str(hash_bytes(encode(long)))
    found = turned(names, begun, RolloutState.HELD, figures=long)
    assert names.log(limit=1)[0].details["figures_digest"] == str(hash_bytes(encode(long)))
    assert (found.plan, found.figures) == (long, long)
    assert names.audit_verify().ok


def test_the_same_request_again_gives_the_same_answer_whatever_came_since(names: Registry) -> None:
    begun = names.begin_rollout(CANARY, "ana", key="k1")
    held = turned(names, begun, RolloutState.HELD, key="k2")
    turned(names, held, RolloutState.RUNNING)
    promote(names, THREE, ONE)
    last = names.log(limit=1)
    assert names.begin_rollout(CANARY, "ana", key="k1") == begun
    assert turned(names, begun, RolloutState.HELD, key="k2") == held
    again: list[Callable[[], Rollout]] = [
        lambda: names.begin_rollout(SHADOW, "ana", key="k1"),
        lambda: names.begin_rollout(replace(CANARY, plan={}), "ana", key="k1"),
        lambda: names.begin_rollout(CANARY, "bob", key="k1"),
        lambda: names.begin_rollout(CANARY, "ana", key="k2"),
        lambda: turned(names, begun, RolloutState.ABORTED, key="k2"),
        lambda: turned(names, held, RolloutState.HELD, key="k2"),
        lambda: turned(names, begun, RolloutState.HELD, figures={}, key="k2"),
        lambda: turned(names, begun, RolloutState.HELD, key="k1"),
    ]
    for ask in again:
        with pytest.raises(UsageError, match="another request"):
            ask()
    assert names.log(limit=1) == last


def test_the_mark_of_a_route_changes_with_the_stage_and_with_every_turn(names: Registry) -> None:
    assert names.route_mark(CHURN, PRODUCTION) == RouteMark(1, 0)
    begun = names.begin_rollout(CANARY, "ana")
    assert names.route_mark(CHURN, PRODUCTION) == RouteMark(1, begun.event)
    held = turned(names, begun, RolloutState.HELD)
    known = RouteMark(1, held.event)
    assert names.route_mark(CHURN, PRODUCTION, known=known, wait_seconds=0.01) == known
    assert names.route_mark(CHURN, PRODUCTION, known=RouteMark(1, begun.event), wait_seconds=60) == known
    assert names.route_mark(CHURN, STAGING) == RouteMark(0, 0)
    promote(names, TWO, ONE)
    assert names.route_mark(CHURN, PRODUCTION) == RouteMark(2, held.event)
    for model, stage in ((ModelName("nobody"), PRODUCTION), (CHURN, StageName("nowhere"))):
        refused(names, NotFound, partial(names.route_mark, model, stage))


def test_a_replica_s_counts_take_the_place_of_its_earlier_ones_at_the_same_step(names: Registry) -> None:
    begun = names.begin_rollout(CANARY, "ana")
    assert names.tallies(begun.id) == ()
    first = Tally(begun.id, 0, "r1", {"requests": 3})
    for one in (first, replace(first, counts={"requests": 5}), replace(first, replica="r0")):
        names.tally(one)
    turned(names, begun, RolloutState.RUNNING, 1)
    names.tally(replace(first, step=1))
    names.tally(replace(first, replica="late"))  # it has not heard of the next step yet
    names.tally(replace(first, step=2))
    assert names.tallies(begun.id) == (
        replace(first, replica="late"),
        replace(first, replica="r0"),
        replace(first, counts={"requests": 5}),
        replace(first, step=1),
    )


def test_counts_of_what_is_over_are_dropped_and_those_before_are_kept(names: Registry) -> None:
    canary, shadow = (names.begin_rollout(new, "ana") for new in (CANARY, SHADOW))
    kept = [Tally(one.id, 0, "r1", {"requests": 3}) for one in (canary, shadow)]
    for one in kept:
        names.tally(one)
    turned(names, canary, RolloutState.ABORTED)
    promote(names, TWO, ONE)
    for one in kept:
        names.tally(replace(one, counts={}))
        assert names.tallies(one.rollout) == (one,)
    names.tally(Tally(9_999, 0, "r1", {}))
    refused(names, NotFound, lambda: names.tallies(9_999))


def test_counts_past_what_a_tally_holds_are_refused(names: Registry) -> None:
    begun = names.begin_rollout(CANARY, "ana")
    for wrong in (Tally(begun.id, 0, "r1", LARGE), Tally(begun.id, 0, "r" * 300, {})):
        refused(names, TooLarge, partial(names.tally, wrong))


def test_the_first_word_about_a_row_of_a_request_stands(names: Registry) -> None:
    assert names.put_truths(CHURN, [], "ana") == 0
    said = [Truth("a", value=True), Truth("a", value="left", place=1), Truth("b", value=0.5), Truth("c", value=3)]
    last = names.put_truths(CHURN, said, "ana")
    assert names.put_truths(CHURN, [Truth("a", value=False), Truth("c", value=3)], "bob") == last
    found = names.truths(CHURN)
    assert [replace(one, index=0) for one in found] == said
    assert [type(one.value) for one in found] == [bool, str, float, int]
    assert found[-1].index == last
    assert names.truths(CHURN, after=found[1].index) == found[2:]
    assert names.truths(CHURN, limit=1) == found[:1]
    assert names.truths(CHURN, after=last) == ()


def test_truths_are_their_model_s_alone(names: Registry) -> None:
    other = ModelName("other")
    names.ensure_model(other, "ana")
    names.put_truths(CHURN, [Truth("a", value=1)], "ana")
    names.put_truths(other, [Truth("a", value=2)], "ana")
    assert [one.value for one in names.truths(CHURN)] == [1]
    assert [one.value for one in names.truths(other)] == [2]
    # Who brings none is told how far the others are.
    assert names.put_truths(CHURN, [], "ana") == names.truths(CHURN)[-1].index


NO_TRUTHS: dict[str, tuple[list[Truth], type[HoldfastError]]] = {
    "not a number": ([Truth("a", value=float("nan"))], HoldfastError),
    "no row": ([Truth("a", value=1, place=-1)], UsageError),
    "no request": ([Truth("", value=1)], UsageError),
    "long": ([Truth("a", value="x" * 2_000)], TooLarge),
    "long id": ([Truth("a" * 300, value=1)], TooLarge),
    "too many": ([Truth(str(n), value=1) for n in range(TRUTHS_AT_ONCE_MAX + 1)], TooLarge),
}


def test_truths_that_cannot_be_kept_are_all_refused(names: Registry, subtests: pytest.Subtests) -> None:
    for name, (wrong, error) in NO_TRUTHS.items():
        with subtests.test(name):
            with pytest.raises(error):
                names.put_truths(CHURN, [Truth("good", value=1), *wrong], "ana")
            assert names.truths(CHURN) == ()


def test_answers_hold_so_many_and_names_must_be_there(names: Registry) -> None:
    for limit in (0, ROLLOUTS_MAX + 1):
        refused(names, UsageError, partial(names.rollouts, CHURN, PRODUCTION, limit=limit))
    for limit in (0, TRUTHS_MAX + 1):
        refused(names, UsageError, partial(names.truths, CHURN, limit=limit))
    refused(names, NotFound, lambda: names.rollouts(CHURN, StageName("nowhere")))
    refused(names, NotFound, lambda: names.rollout(0))
    refused(names, NotFound, lambda: names.truths(ModelName("nobody")))
    refused(names, NotFound, lambda: names.put_truths(ModelName("nobody"), [Truth("a", value=1)], "ana"))
