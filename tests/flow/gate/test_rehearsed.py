"""The way back from a promotion must have been tried: to the version that is replaced, lately, and with success."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from holdfast.canonical import encode, plain
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rehearsed import rehearsed
from holdfast.registry import NewRehearsal, Rehearsal
from tests.certificates import certificate
from tests.flow.gate.cases import NOW, RIGHT, case, version


def kept(to: int = 1, at: datetime = NOW, **change: Any) -> Rehearsal:
    """A rehearsal of going back from version 2, kept at this moment."""
    left, back = ((number, version(number).digest) for number in (2, to))
    said = NewRehearsal.of(certificate(left, back, **{"switch_ms": 31.4, **change}))
    return Rehearsal(said.digest, said, 7, at, "ana")


def judge(found: Case, days: float = 0.0) -> Finding:
    finding = rehearsed(replace(found, at=NOW + timedelta(days=days)))
    encode(plain(finding.to_json()))
    return finding


CASE = case(RIGHT, RIGHT)
"""churn@2 wants the stage that churn@1 holds."""


def test_a_rehearsal_of_going_back_to_what_is_replaced_passes() -> None:
    finding = judge(replace(CASE, rehearsal=kept()), 2.5)
    assert finding.outcome is Outcome.PASS
    assert finding.sentence == (
        "going back to churn@1 was rehearsed 2 days ago by ana, 31 ms from the move to the last old answer"
    )
    assert finding.values["days"] == 2.5
    assert finding.values["certificate"] == str(kept().digest)


def test_without_one_it_fails_and_says_how_to_hold_one() -> None:
    finding = judge(CASE)
    assert finding.outcome is Outcome.FAIL
    assert finding.sentence == "going back to churn@1, which holds the stage, was never rehearsed"
    assert finding.hint == "Rehearse it: holdfast rehearse churn --stage production --from churn@2"


@pytest.mark.parametrize(("days", "outcome"), [(0.0, "pass"), (30.0, "pass"), (30.001, "fail"), (-1.0, "pass")])
def test_it_counts_for_as_many_days_as_policy_says(days: float, outcome: str) -> None:
    assert judge(replace(CASE, rehearsal=kept()), days).outcome == outcome
    short = case(RIGHT, RIGHT, rehearsal_days_max=7)
    assert judge(replace(short, rehearsal=kept()), 7.5).outcome is Outcome.FAIL
    assert "rehearsed 7 days ago, and 7 days are allowed" in judge(replace(short, rehearsal=kept()), 7.5).sentence


def test_the_last_one_counts_and_its_failure_is_told() -> None:
    failed = {"step": 3, "name": "smoke", "why": "4 of 180 predictions differ", "code": "gate_refused", "hint": "…"}
    finding = judge(replace(CASE, rehearsal=kept(outcome="fail", failed=failed)))
    assert finding.outcome is Outcome.FAIL
    assert "today, failed at step 3 (smoke): 4 of 180 predictions differ" in finding.sentence


def test_one_of_going_back_to_another_version_counts_for_nothing() -> None:
    assert judge(replace(CASE, rehearsal=kept(to=3))).outcome is Outcome.FAIL


def test_where_nothing_is_replaced_there_is_nothing_to_rehearse() -> None:
    finding = judge(case(RIGHT))
    assert (finding.outcome, finding.hint) == (Outcome.PASS, "")
    assert "no way back" in finding.sentence
