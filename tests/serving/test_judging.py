"""What follows from counts: a canary that is worse is aborted, one that is not goes on, and doubt is for a person."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import decode, encode
from holdfast.errors import UnsupportedFormat
from holdfast.serving.counting import LATENCY_EDGES_SECONDS, Arm, Counted
from holdfast.serving.judging import Judgement, Outcome, failures_alpha, judge
from holdfast.serving.keys import KeySource
from holdfast.serving.plan import CanaryPlan, Guard, Step
from holdfast.statistics.means import Sums

PLAN = CanaryPlan((Step(1_000, 60.0, 100), Step(5_000, 60.0, 100)), score_edges=(0.25, 0.5, 0.75))
BY_USER = replace(PLAN, key=KeySource.parse("header:x-user"))


def arm(requests: int, failed: int = 0, refused: int = 0) -> Arm:
    codes = Counter({"bundle_failed": failed, "invalid_input": refused})
    found = Arm(requests, requests, failed, refused, +codes, scores=[0, 0, 0, 0])
    found.latencies[20] = requests - failed - refused
    return found


def counted(candidate: Arm, other: Arm) -> Counted:
    found = Counted(4)
    found.candidate, found.other = candidate, other
    return found


def judged(candidate: Arm, other: Arm, *, plan: CanaryPlan = PLAN, step: int = 0, seconds: float = 1.0) -> Judgement:
    return judge(plan, step, {step: {"a": counted(candidate, other)}}, seconds)


def test_a_candidate_that_always_fails_is_aborted_within_a_handful_of_requests() -> None:
    found = judged(arm(5, failed=5), arm(45))
    assert found.outcome is Outcome.ABORT
    assert found.figures["guard"] == "errors"
    assert "5 of 5 requests to the candidate were answered with an error, most often bundle_failed" in found.sentence
    assert judged(arm(1, failed=1), arm(9)).outcome is Outcome.GO_ON


def test_requests_without_the_key_are_told_of_the_step_that_is_judged() -> None:
    before, one, two = (counted(arm(5), arm(45)) for _ in range(3))
    before.without_key, one.without_key, two.without_key = 100, 2, 3
    found = judge(BY_USER, 1, {0: {"a": before}, 1: {"a": one, "b": two}}, 1.0)
    assert found.figures["without_key"] == 5


def test_versions_that_fail_alike_go_on() -> None:
    assert judged(arm(100, failed=5), arm(900, failed=45)).outcome is Outcome.GO_ON


def test_rows_that_only_the_candidate_refuses_are_its_fault_and_rows_that_both_refuse_are_not() -> None:
    assert judged(arm(100, refused=10), arm(900)).outcome is Outcome.ABORT
    assert judged(arm(100, refused=50), arm(900, refused=450)).outcome is Outcome.GO_ON


def test_failures_are_not_lost_among_callers_mistakes() -> None:
    assert judged(arm(100, failed=10, refused=50), arm(900, refused=450)).outcome is Outcome.ABORT


def test_the_part_of_the_level_that_failures_have_is_where_they_stop_a_canary() -> None:
    part = failures_alpha(PLAN)
    assert part == pytest.approx(0.01 * 0.8 * 3 / 6)
    assert failures_alpha(replace(PLAN, guards=(Guard.ERRORS,))) == pytest.approx(0.008)
    assert failures_alpha(replace(PLAN, guards=(Guard.LATENCY,))) == 0


@pytest.mark.parametrize(("slower_by", "outcome"), [(1, Outcome.GO_ON), (2, Outcome.GO_ON), (6, Outcome.ABORT)])
def test_a_candidate_may_be_slower_by_the_ratio_of_the_plan_and_no_more(slower_by: int, outcome: Outcome) -> None:
    candidate, other = arm(0), arm(0)
    candidate.requests = candidate.counted = 400
    other.requests = other.counted = 3_600
    candidate.latencies[20 + slower_by] = 400
    other.latencies[20] = 3_600
    found = judged(candidate, other)
    assert found.outcome is outcome
    if outcome is Outcome.ABORT:
        assert found.sentence.startswith("latency: 100.0% of the candidate's answers took longer than")


def test_a_candidate_that_answers_what_the_other_version_fails_is_neither_slower_nor_scored_elsewhere() -> None:
    candidate, other = arm(4_000), arm(36_000, failed=16_000)
    candidate.scores, other.scores = [1_000] * 4, [5_000] * 4
    found = judged(candidate, other)
    assert found.outcome is Outcome.GO_ON
    assert max(found.figures["evidence"].values()) <= 1


def test_scores_that_lie_elsewhere_are_found_and_those_of_a_plan_without_edges_are_not_looked_at() -> None:
    candidate, other = arm(400), arm(3_600)
    candidate.scores, other.scores = [0, 0, 0, 400], [900, 900, 900, 900]
    assert judged(candidate, other).figures["guard"] == "scores"
    blind = replace(PLAN, score_edges=())
    assert judged(candidate, other, plan=blind).outcome is Outcome.GO_ON


def test_answers_that_turn_out_wrong_end_a_canary() -> None:
    candidate, other = arm(1_000), arm(9_000)
    candidate.truths, candidate.mistakes = 500, 150
    other.truths, other.mistakes = 4_500, 225
    found = judged(candidate, other)
    assert (found.outcome, found.figures["guard"]) == (Outcome.ABORT, "truth")
    candidate.mistakes = 25
    assert judged(candidate, other).outcome is Outcome.GO_ON
    # Truths that are brought for one version alone say nothing of the other.
    candidate.mistakes, other.truths, other.mistakes = 150, 0, 0
    assert judged(candidate, other).outcome is Outcome.GO_ON


def test_numbers_farther_from_the_truth_end_a_canary_that_was_told_how_far_matters() -> None:
    candidate, other = arm(1_000), arm(9_000)
    candidate.distances, other.distances = Sums(500, 1_000.0, 2_500.0), Sums(4_500, 4_500.0, 9_000.0)
    assert judged(candidate, other).outcome is Outcome.GO_ON
    assert judged(candidate, other, plan=replace(PLAN, truth_effect=0.2)).figures["guard"] == "truth"


def test_a_split_that_is_not_as_ordered_is_for_a_person_unless_the_candidate_fails() -> None:
    found = judged(arm(5_000), arm(5_000), seconds=1e4)
    assert (found.outcome, "nothing can be compared" in found.sentence) == (Outcome.HOLD, True)
    assert judged(arm(5_000, failed=4_000), arm(5_000)).outcome is Outcome.ABORT


@pytest.mark.parametrize(
    ("requests", "seconds", "outcome"),
    [
        (100, 60.0, Outcome.ADVANCE),
        (99, 60.0, Outcome.GO_ON),
        (100, 59.9, Outcome.GO_ON),
        (99, 86_400.0, Outcome.HOLD),
    ],
)
def test_a_step_is_done_when_it_has_had_its_requests_and_its_time(
    requests: int, seconds: float, outcome: Outcome
) -> None:
    assert judged(arm(requests), arm(requests * 9), seconds=seconds).outcome is outcome


def test_behind_the_last_step_a_canary_is_still_guarded_and_never_advances() -> None:
    assert judged(arm(500), arm(500), step=2, seconds=1e9).outcome is Outcome.GO_ON
    assert judged(arm(500, failed=400), arm(500), step=2).outcome is Outcome.ABORT


ARMS = st.builds(
    lambda n, failed, refused: arm(n + failed + refused, failed, refused),
    st.integers(0, 50),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(parts=st.lists(st.tuples(ARMS, ARMS), min_size=1, max_size=4))
def test_replicas_that_count_apart_find_what_one_would(parts: list[tuple[Arm, Arm]]) -> None:
    apart = {str(place): counted(*pair) for place, pair in enumerate(parts)}
    mine, theirs = (
        arm(
            sum(pair[side].requests for pair in parts),
            sum(pair[side].failed for pair in parts),
            sum(pair[side].refused for pair in parts),
        )
        for side in (0, 1)
    )
    assert judge(PLAN, 0, {0: apart}, 1.0) == judge(PLAN, 0, {0: {"all": counted(mine, theirs)}}, 1.0)


def test_a_user_who_always_fails_is_one_failure_at_however_many_replicas() -> None:
    replicas = {}
    for name in "abcdefgh":
        one = counted(arm(200), arm(1_800))
        one.failed.add("user-1", step=0, candidate=True)
        one.candidate.codes["bundle_failed"] = 200
        replicas[name] = one
    assert judge(BY_USER, 0, {0: replicas}, 1.0).outcome is Outcome.GO_ON
    for number, one in enumerate(replicas.values()):
        one.failed.add(f"user-{number + 2}", step=0, candidate=True)
    assert judge(BY_USER, 0, {0: replicas}, 1.0).outcome is Outcome.ABORT


@given(candidate=ARMS, other=ARMS, keys=st.lists(st.tuples(st.text(max_size=9), st.integers(0, 9), st.booleans())))
def test_a_tally_comes_back_as_it_was_told(candidate: Arm, other: Arm, keys: list[tuple[str, int, bool]]) -> None:
    one = counted(candidate, other)
    for key, step, mine in keys:
        one.failed.add(key, step=step, candidate=mine)
    said = decode(encode(one.to_json()), what="a tally")
    assert isinstance(said, dict)
    found = Counted.from_json(said, 4)
    assert (found.candidate, found.other, found.to_json()) == (candidate, other, one.to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"candidate": {}},
        {"failed_keys": "!"},
        {"without_key": -1},
        {"candidate": {**arm(1).to_json(), "scores": [1]}},
        {"candidate": {**arm(1).to_json(), "latencies": [-1] * (len(LATENCY_EDGES_SECONDS) + 1)}},
        {"candidate": {**arm(1).to_json(), "distances": [1, 2]}},
    ],
)
def test_what_is_no_tally_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UnsupportedFormat):
        Counted.from_json({**counted(arm(1), arm(1)).to_json(), **change}, 4)
