"""No group may pay for a better mean, and a group that is too small is never taken for one that is well."""

from dataclasses import replace
from typing import Any

import pytest
from fairlearn.metrics import MetricFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from holdfast.canonical import Json
from holdfast.errors import InvalidInput
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.groups import groups
from tests.effort import examples
from tests.flow.gate.cases import NUMBERS, RIGHT, case, said, without_answer, without_baseline_answer, wrong_at

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

PLANS: list[Json] = ["basic"] * 60 + ["plus"] * 25 + ["pro"] * 15


def judge(mine: list[Json], theirs: list[Json], **changes: Any) -> Finding:
    return groups(case(mine, theirs, columns={"plan": PLANS}, **{"groups": ("plan",), **changes}))


def with_policy(found: Case, **changes: Any) -> Case:
    return replace(found, policy=replace(found.policy, **changes))


def names(finding: Finding, key: str = "groups") -> list[str]:
    return [group["group"] for group in finding.values[key]]


def test_nothing_holds_the_stage() -> None:
    assert groups(case()).outcome is PASS


def test_the_true_answers_are_groups_even_when_nobody_names_any() -> None:
    finding = groups(case(RIGHT, RIGHT))
    assert finding.outcome is PASS
    assert names(finding) == ["churned=0", "churned=1"]


def test_harm_to_one_class_fails_although_the_mean_rises() -> None:
    positives = [place for place, label in enumerate(RIGHT) if label == 1]
    negatives = [place for place, label in enumerate(RIGHT) if label == 0]
    finding = groups(case(wrong_at(*positives[:12]), wrong_at(*negatives[:20])))
    assert finding.outcome is FAIL
    assert "churned=1 (50 rows): accuracy 0.7600 against 1.0000" in finding.sentence
    assert "churned=0" not in finding.sentence


def test_harm_to_a_group_of_a_column_fails_although_the_mean_rises() -> None:
    finding = judge(wrong_at(*range(60, 70)), wrong_at(*range(30)))
    assert finding.outcome is FAIL
    assert "plan=plus (25 rows)" in finding.sentence
    assert "plan=basic" not in finding.sentence


def test_the_values_of_groups_are_those_of_fairlearn() -> None:
    mine, theirs = wrong_at(*range(0, 70, 7)), wrong_at(*range(0, 90, 4))
    by_plan = {group["group"]: group for group in judge(mine, theirs, group_rows_min=1).values["groups"]}
    for answers, value in ((mine, "value"), (theirs, "baseline")):
        frame = MetricFrame(metrics=accuracy_score, y_true=RIGHT, y_pred=answers, sensitive_features=PLANS)
        for plan, expected in frame.by_group.items():
            assert by_plan[f"plan={plan}"][value] == pytest.approx(expected, abs=1e-9)


def test_harm_that_may_be_chance_is_not_called_harm_and_does_not_pass() -> None:
    finding = judge(wrong_at(60, 61, 62), wrong_at(*range(30)))
    assert finding.outcome is INCONCLUSIVE
    assert (
        "plan=plus (25 rows): accuracy 0.8800 against 1.0000; 0.05 is allowed, but it may be chance" in finding.sentence
    )
    assert "rows of plan=plus would tell" in finding.hint


def test_one_group_of_many_comes_out_badly_by_chance() -> None:
    """The same ten rows are harm where they are the one comparison, and may be chance among forty."""
    harmed = wrong_at(*range(0, 20, 2))
    few: list[Json] = ["a"] * 25 + ["b"] * 75
    many: list[Json] = ["a"] * 25 + [f"b{place // 2}" for place in range(75)]
    one = groups(case(harmed, RIGHT, columns={"place": few}, groups=("place",)))
    assert one.outcome is FAIL
    p = {group["group"]: group["p_harm"] for group in one.values["groups"]}["place=a"]
    forty = groups(case(harmed, RIGHT, columns={"place": many}, groups=("place",), group_rows_min=1))
    assert {group["group"]: group["p_harm"] for group in forty.values["groups"]}["place=a"] > 5 * p


def test_strict_asks_for_bounds_that_hold_for_all_groups_at_once() -> None:
    finding = groups(case(RIGHT * 20, RIGHT * 20, targets=RIGHT * 20, policy="strict"))
    assert finding.outcome is PASS
    few = groups(case(RIGHT, RIGHT, policy="strict"))
    assert few.outcome is INCONCLUSIVE
    assert "harm cannot be ruled out" in few.sentence
    lows = [group["gain"]["low"] for group in few.values["groups"]]
    assert lows == [pytest.approx(-(1.959964**2) / (50 + 1.959964**2), abs=1e-6)] * 2  # each at 97.5 %, for two groups


def test_a_group_that_is_too_small_is_named_as_untestable_and_is_in_no_comparison() -> None:
    finding = judge(wrong_at(*range(85, 88)), RIGHT)
    assert "plan=pro untestable" in finding.sentence
    assert "plan=pro" not in names(finding)
    assert names(finding, "untestable") == ["plan=pro"]


def test_when_no_group_is_large_enough_nothing_is_decided() -> None:
    finding = groups(case(RIGHT, RIGHT, group_rows_min=51))
    assert finding.outcome is INCONCLUSIVE
    assert "none of 2 groups" in finding.sentence


def test_the_margin_allows_exactly_so_much() -> None:
    # One of twenty-five is 0.04; two are 0.08.
    assert judge(wrong_at(60), RIGHT, group_margin=0.04).outcome is PASS
    assert judge(wrong_at(60, 61), RIGHT, group_margin=0.04).outcome is INCONCLUSIVE


def test_a_column_that_the_policy_names_must_be_testable() -> None:
    regions: list[Json] = [f"region {place % 10}" for place in range(100)]
    found = case(RIGHT, RIGHT, columns={"region": regions}, groups=("region",))
    assert groups(found).outcome is PASS  # the version named it, and its classes were compared
    asked = groups(with_policy(found, groups=("region",)))
    assert asked.outcome is INCONCLUSIVE
    assert "policy watches the groups of region" in asked.sentence


def test_a_column_that_the_policy_names_and_the_rows_lack_is_not_passed_over() -> None:
    finding = groups(with_policy(case(RIGHT, RIGHT), groups=("gender",)))
    assert finding.outcome is INCONCLUSIVE
    assert "gender" in finding.sentence
    assert finding.hint.startswith("The holdout has no column gender")


def test_harm_outweighs_what_could_not_be_tested() -> None:
    positives = [place for place, label in enumerate(RIGHT) if label == 1]
    found = with_policy(case(wrong_at(*positives[:20]), RIGHT), groups=("gender",))
    assert groups(found).outcome is FAIL


def test_the_columns_of_the_policy_stand_for_those_of_the_version() -> None:
    found = case(RIGHT, RIGHT, columns={"plan": PLANS, "flag": [True, False] * 50}, groups=("plan",))
    assert names(groups(with_policy(found, groups=("flag",)))) == [
        "flag=False",
        "flag=True",
        "churned=0",
        "churned=1",
    ]


def test_missing_values_are_a_group_of_their_own() -> None:
    found = case(RIGHT, RIGHT, columns={"plan": [None] * 50 + ["basic"] * 50}, groups=("plan",))
    assert "plan=None" in names(groups(found))


NUMERIC = [float((place * 37) % 100) for place in range(100)]
"""A numeric target, in no order."""


class TestNumbers:
    def judged(self, mine: list[float], theirs: list[float], **policy: Any) -> Finding:
        return groups(case(mine, theirs, targets=NUMERIC, threshold=NUMBERS, primary=None, **policy))

    def test_a_numeric_target_is_watched_by_quarters(self) -> None:
        finding = self.judged(NUMERIC, NUMERIC)
        assert finding.outcome is PASS
        assert names(finding) == [f"churned=quarter {number}" for number in (1, 2, 3, 4)]
        assert [group["rows"] for group in finding.values["groups"]] == [25, 25, 25, 25]

    def test_harm_to_the_highest_quarter_fails_although_the_mean_error_falls(self) -> None:
        theirs = [value + 3.0 for value in NUMERIC]
        mine = [value + (3.5 if value >= 75 else 0.0) for value in NUMERIC]
        finding = self.judged(mine, theirs)
        assert finding.outcome is FAIL
        assert "quarter 4 (25 rows): mean_absolute_error 3.5000 against 3.0000" in finding.sentence

    def test_less_error_is_no_harm(self) -> None:
        assert self.judged(NUMERIC, [value + 1.0 for value in NUMERIC]).outcome is PASS

    def test_equal_targets_fall_into_quarters_of_equal_size(self) -> None:
        flat = [1.0] * 80
        finding = groups(case(flat, flat, targets=flat, threshold=NUMBERS, primary=None))
        assert [group["rows"] for group in finding.values["groups"]] == [20, 20, 20, 20]


@pytest.mark.parametrize(
    "blinded",
    [
        without_answer(case(RIGHT, RIGHT)),
        without_baseline_answer(case(RIGHT, RIGHT), InvalidInput("column 'plan' is missing", hint="Send it.")),
        replace(case(RIGHT, RIGHT), against=Measured(said(["a"] * 100, [0.0] * 100), None)),
        replace(case(RIGHT, RIGHT), targets=None),
        replace(case(RIGHT, RIGHT), manifest=None),
    ],
)
def test_what_cannot_be_compared_decides_nothing(blinded: Case) -> None:
    assert groups(blinded).outcome is INCONCLUSIVE


def test_the_sentence_says_why_the_other_version_could_not_be_compared() -> None:
    why = InvalidInput("column 'plan' is missing", hint="Send it.")
    assert "column 'plan' is missing" in groups(without_baseline_answer(case(RIGHT, RIGHT), why)).sentence


places = st.sets(st.integers(0, 99), max_size=40)


@settings(max_examples=examples(30), deadline=None)
@given(places, places, st.floats(0.0, 0.5))
def test_it_passes_only_when_no_group_that_was_tested_lost_more_than_the_margin(
    mine: set[int], theirs: set[int], margin: float
) -> None:
    finding = judge(wrong_at(*mine), wrong_at(*theirs), group_margin=margin)
    losses = [group["worse_by"] for group in finding.values["groups"]]
    assert (finding.outcome is PASS) == (max(losses) <= margin + 1e-9)
    assert all(group["rows"] >= 20 for group in finding.values["groups"])


@settings(max_examples=examples(30), deadline=None)
@given(places)
def test_a_version_does_no_harm_beside_itself(mine: set[int]) -> None:
    assert judge(wrong_at(*mine), wrong_at(*mine), group_margin=0.0).outcome is PASS
