"""A version must have been in the shadow of the one that it replaces: long enough, alike enough, without failing."""

from dataclasses import replace
from typing import Any

import pytest

from holdfast.canonical import encode, plain
from holdfast.flow.gate.finding import Finding
from holdfast.flow.gate.shadowed import shadowed
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.shadow.standing import Standing
from holdfast.registry.rollouts import RolloutState
from tests.flow.gate.cases import RIGHT, case

CASE = case(RIGHT, RIGHT)
"""churn@2 wants the stage that churn@1 holds."""


def stood(requests: int = 1000, agreed: int = 960, failed: int = 0, **changes: Any) -> Standing:
    return replace(Standing(7, RolloutState.RUNNING, "try it", requests, agreed, failed), **changes)


def judge(found: Standing | None, **policy: Any) -> Finding:
    finding = shadowed(replace(case(RIGHT, RIGHT, **policy), shadow=found))
    encode(plain(finding.to_json()))
    return finding


@pytest.mark.parametrize(
    ("found", "policy", "outcome"),
    [
        (stood(), {}, "pass"),
        (stood(state=RolloutState.PASSED), {}, "pass"),
        (stood(999, 999), {}, "inconclusive"),  # one request short
        (stood(1000, 905), {}, "inconclusive"),  # 90.5 %, and 90 % may still be true
        (stood(1000, 850), {}, "fail"),
        (stood(50, 10), {}, "fail"),  # what is shown already need not be waited for
        (stood(1000, 1000, 40), {}, "fail"),
        (stood(1000, 1000, 8), {}, "inconclusive"),
        (stood(1000, 1000, 1), {"shadow_errors_max": 0.0}, "fail"),
        (stood(1000, 1000, 0), {"shadow_errors_max": 0.0}, "pass"),
        (stood(1000, 300), {"shadow_agreement_min": 0.0}, "pass"),
        (stood(0, 0), {}, "inconclusive"),
        (stood(state=RolloutState.ABORTED, reason="bundle_failed: no module"), {}, "fail"),
        (None, {}, "inconclusive"),
    ],
)
def test_the_outcome_follows_from_the_bounds_of_the_intervals(
    found: Standing | None, policy: dict[str, Any], outcome: str
) -> None:
    assert judge(found, **policy).outcome == outcome


def test_what_is_undecided_says_how_many_requests_are_missing() -> None:
    assert "about 588 more are needed" in judge(stood(412, 412)).sentence
    assert judge(None).hint == "Begin with it: holdfast shadow churn@2 --stage production --requests 1000"
    aborted = judge(stood(state=RolloutState.ABORTED, reason="bundle_failed: no module"))
    assert aborted.sentence == "the shadow of churn@2 was aborted: bundle_failed: no module"


def test_where_nothing_holds_the_stage_there_is_no_shadow() -> None:
    assert shadowed(case(RIGHT)).outcome == "pass"


def test_a_finding_keeps_how_the_shadow_stood_so_that_it_can_be_judged_again() -> None:
    found = stood(1000, 905, 2)
    assert Standing.from_json(judge(found).values) == found


@pytest.mark.parametrize("key", ["shadow_requests_min", "shadow_agreement_min", "shadow_errors_max"])
def test_a_bound_that_is_written_asks_the_rule(key: str) -> None:
    policy = StagePolicy.parse("production", {key: 1}, "[gate.production]")
    assert "shadow" in policy.rules
    assert "shadow" not in StagePolicy.parse("production", {}, "[gate.production]").rules
