"""Who stands behind a version: the last word of each person counts, and one rejection outweighs every approval."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rules import approver
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.registry.records import Approval, Meaning
from tests.flow.gate.cases import approval, case

PASS, FAIL = Outcome.PASS, Outcome.FAIL
REJECT, APPROVE = Meaning.REJECT, Meaning.APPROVE

JUDGED = case()


def judge(*said: Approval, actor: str = "ana", **policy: Any) -> Finding:
    """What the rule says of a version that ana registered."""
    return approver(replace(JUDGED, policy=StagePolicy(**policy), approvals=said, actor=actor))


def test_without_more_asked_whoever_promotes_is_the_approver() -> None:
    finding = judge()
    assert finding.outcome is PASS
    assert finding.values["approvers"] == ["ana"]


def test_the_author_alone_is_no_second_person() -> None:
    finding = judge(approval("ana"), second_person=True)
    assert finding.outcome is FAIL
    assert finding.sentence == "0 of 1 approvals by somebody else than ana"
    assert finding.hint == "Another person runs: holdfast approve churn@2 --stage production"


def test_a_second_person_may_have_approved_before() -> None:
    assert judge(approval("bob"), second_person=True).outcome is PASS


def test_a_second_person_may_be_the_one_who_promotes() -> None:
    finding = judge(actor="bob", second_person=True)
    assert finding.outcome is PASS
    assert finding.values["approvers"] == ["bob"]


def test_one_rejection_outweighs_every_approval() -> None:
    finding = judge(approval("bob"), approval("eve", REJECT), approval("dan"), approvals_min=1)
    assert finding.outcome is FAIL
    assert finding.sentence == "rejected by eve"


def test_ones_own_rejection_counts_when_one_promotes() -> None:
    assert judge(approval("ana", REJECT)).outcome is FAIL


def test_the_last_word_of_a_person_counts() -> None:
    assert judge(approval("bob", REJECT), approval("bob"), second_person=True).outcome is PASS
    assert judge(approval("bob"), approval("bob", REJECT), second_person=True).outcome is FAIL


def test_the_same_person_twice_is_one_person() -> None:
    finding = judge(approval("bob"), approval("bob"), actor="bob", approvals_min=2)
    assert finding.outcome is FAIL
    assert finding.sentence == "1 of 2 approvals"
    assert judge(approval("bob"), approval("eve"), actor="bob", approvals_min=2).outcome is PASS


def test_whoever_promotes_is_one_of_them() -> None:
    assert judge(approval("bob"), actor="eve", approvals_min=2).outcome is PASS


def test_with_a_second_person_asked_the_author_is_none_of_them() -> None:
    assert judge(approval("ana"), approval("bob"), second_person=True, approvals_min=2).outcome is FAIL
    assert judge(approval("bob"), approval("eve"), second_person=True, approvals_min=2).outcome is PASS


words = st.lists(st.tuples(st.sampled_from(["ana", "bob", "eve"]), st.sampled_from(Meaning)), max_size=8)


@given(words, st.sampled_from(["ana", "bob", "eve", "dan"]), st.booleans(), st.integers(1, 4))
def test_it_passes_exactly_when_enough_persons_stand_behind_it_and_none_against(
    said: list[tuple[str, Meaning]], actor: str, second: bool, least: int
) -> None:
    finding = judge(*(approval(*word) for word in said), actor=actor, second_person=second, approvals_min=least)
    last = dict(said)
    behind = {name for name, meaning in last.items() if meaning is APPROVE} | {actor}
    enough = len(behind - ({"ana"} if second else set())) >= least
    assert (finding.outcome is PASS) == (enough and REJECT not in last.values())
