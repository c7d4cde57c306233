"""Guards: every one has to pass, none is judged more gently for being one of many, and chance is not called harm."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.canonical import Json
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.guards import guards
from holdfast.flow.gate.not_worse import not_worse
from tests.effort import examples
from tests.flow.gate.cases import NUMBERS, RIGHT, case, without_baseline_answer, wrong_at

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

MISSED = [place for place in range(100) if RIGHT[place] == 1]
"""Rows whose true answer is positive: who is wrong there has less recall, and the same precision."""


def judge(mine: list[Json] | None, theirs: list[Json] | None, **changes: Any) -> Finding:
    return guards(case(mine, theirs, **changes))


def of_recall(**margins: float) -> dict[str, dict[str, float]]:
    return {"recall": margins}


def test_a_gain_in_the_metric_does_not_pay_for_a_loss_in_a_guard() -> None:
    """Twelve false alarms fewer and ten positives missed: more accurate, and half of its worth is gone."""
    false_alarms = [place for place in range(100) if RIGHT[place] == 0][:24]
    mine, theirs = wrong_at(*MISSED[:15]), wrong_at(*false_alarms)
    assert not_worse(case(mine, theirs, primary="accuracy")).outcome is PASS
    finding = judge(mine, theirs, guards=of_recall(margin=0.02))
    assert finding.outcome is FAIL
    assert finding.sentence.startswith("recall 0.7000 against 1.0000 of version 1 on the same 100 rows")
    assert finding.hint


def test_an_estimate_of_a_guard_is_the_one_that_the_metric_would_have() -> None:
    mine, theirs = wrong_at(1, 2, 3), wrong_at(4, 5, 6, 7)
    alone = not_worse(case(mine, theirs, primary="recall", margin=0.01, harm_margin=0.1))
    finding = judge(mine, theirs, guards=of_recall(margin=0.01, harm_margin=0.1))
    (kept,) = finding.values["guards"]
    assert {**alone.values, "outcome": str(alone.outcome), "sentence": alone.sentence} == kept
    assert (finding.outcome, finding.sentence) == (alone.outcome, alone.sentence)


def test_what_a_guard_does_not_say_is_as_for_the_metric() -> None:
    finding = judge(wrong_at(1), wrong_at(1, 2), guards={"recall": {}, "f1": {"margin": 0.5}}, margin=0.25)
    margins = [(one["metric"], one["margin"], one["harm_margin"]) for one in finding.values["guards"]]
    assert margins == [("recall", 0.25, 0.05), ("f1", 0.5, 0.05)]


def test_of_several_the_worst_decides_and_all_are_kept() -> None:
    finding = judge(wrong_at(*MISSED[:25]), RIGHT, guards={"precision": {}, "recall": {}})
    assert finding.outcome is FAIL
    assert finding.sentence.startswith("1 of 2 guards are harmed: recall ")
    assert [one["outcome"] for one in finding.values["guards"]] == ["pass", "fail"]


def test_nobody_holds_the_stage_and_nothing_is_lost() -> None:
    assert judge(RIGHT, None, guards=of_recall()).outcome is PASS


def test_a_guard_that_is_not_measured_decides_nothing() -> None:
    finding = judge(RIGHT, wrong_at(1), guards={"r2": {}})
    assert finding.outcome is INCONCLUSIVE
    assert finding.sentence == "r2 is not measured for these versions"
    assert "recall" in finding.hint
    assert guards(without_baseline_answer(case(RIGHT, RIGHT, guards=of_recall()))).outcome is INCONCLUSIVE


def test_a_rule_that_guards_nothing_does_not_pass() -> None:
    assert judge(RIGHT, RIGHT).outcome is INCONCLUSIVE


def test_a_loss_that_one_of_many_would_have_by_chance_is_open_and_alone_it_is_shown() -> None:
    """Seven rows lost, one gained: alone that is harm at 5 %, among ten guards it is not, and it passes nowhere."""
    mine, theirs = wrong_at(*range(7)), wrong_at(99)
    alone = judge(mine, theirs, guards={"accuracy": {}})
    among = judge(mine, theirs, guards={"accuracy": {}} | {name: {"margin": 0.9} for name in ("f1", "recall")})
    assert (alone.outcome, among.outcome) == (FAIL, INCONCLUSIVE)
    (kept,) = [one for one in among.values["guards"] if one["metric"] == "accuracy"]
    assert kept["estimate_among_all"]["high"] > kept["estimate"]["high"]


def test_errors_are_guarded_as_shares_of_the_error() -> None:
    targets: list[Json] = [float(place) for place in range(60)]
    mine: list[Json] = [value + 1.5 for value in targets]
    theirs: list[Json] = [value + (1.0 if place % 2 else 1.2) for place, value in enumerate(targets)]
    asked: dict[str, Any] = {"targets": targets, "threshold": NUMBERS, "primary": "r2"}
    assert judge(mine, theirs, guards={"mean_absolute_error": {"margin": 0.1}}, **asked).outcome is FAIL
    assert judge(mine, theirs, guards={"mean_absolute_error": {"margin": 0.5}}, **asked).outcome is PASS


@settings(max_examples=examples(30), deadline=None)
@given(
    st.sets(st.integers(0, 99), max_size=30),
    st.sets(st.integers(0, 99), max_size=30),
    st.lists(st.sampled_from(["accuracy", "balanced_accuracy", "recall", "precision"]), min_size=1, unique=True),
    st.sampled_from(["default", "strict"]),
)
def test_all_pass_together_exactly_where_each_passes_alone(
    mine: set[int], theirs: set[int], names: list[str], policy: str
) -> None:
    """Nothing is adjusted for the number of guards, in either direction; only `fail` asks for more among many."""
    answers = wrong_at(*mine), wrong_at(*theirs)
    together = judge(*answers, guards={name: {} for name in names}, policy=policy)
    alone = [judge(*answers, guards={name: {}}, policy=policy).outcome for name in names]
    assert (together.outcome is PASS) == all(one is PASS for one in alone)
    if together.outcome is FAIL:
        assert FAIL in alone


@pytest.mark.thorough
def test_one_guard_that_loses_lets_at_most_alpha_of_all_versions_through_however_many_stand_beside_it() -> None:
    """By simulation: accuracy truly loses its whole margin, and three other guards lose nothing that is not allowed."""
    chance = random.Random(11)
    asked: dict[str, Any] = {"policy": "strict", "guards": {"accuracy": {"margin": 0.05}}}
    asked["guards"] |= {name: {"margin": 0.5} for name in ("recall", "precision", "f1")}
    draws, passed, truth = 150, 0, RIGHT * 3
    for _ in range(draws):
        lost = [place for place in range(300) if chance.random() < 0.08]
        gained = [place for place in range(300) if chance.random() < 0.03]
        found = judge(wrong_at(*lost, targets=truth), wrong_at(*gained, targets=truth), targets=truth, **asked)
        assert found.outcome is not FAIL or found.values["guards"][0]["outcome"] == "fail"
        passed += found.outcome is PASS
    assert passed <= 0.05 * draws + 3 * (draws * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize("more", [{}, {"recall": {"margin": 1.0}}])
def test_another_guard_never_lets_more_through(more: dict[str, dict[str, float]]) -> None:
    for wrong in range(0, 30, 3):
        mine, theirs = wrong_at(*MISSED[:wrong]), wrong_at(1, 3)
        if judge(mine, theirs, guards={"f1": {}} | more).outcome is PASS:
            assert judge(mine, theirs, guards={"f1": {}}).outcome is PASS
