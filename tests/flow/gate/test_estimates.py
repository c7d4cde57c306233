"""Every estimate of a verdict in one list, whatever rule wrote it and however deep."""

from typing import Any

from holdfast.flow.gate.estimates import estimates
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.rules import RULES
from tests.flow.gate.cases import NUMBERS, RIGHT, case, wrong_at

GAIN = {"value": 0.1, "low": None, "high": 0.2, "confidence": 0.9, "method": "m", "rows": 7}


def found(**values: Any) -> list[dict[str, Any]]:
    return estimates([Finding("rule", Outcome.PASS, "fine", values=values)])


def test_a_comparison_and_its_groups_are_told_with_their_margins() -> None:
    judged = case(wrong_at(1), wrong_at(1, 2, 3), margin=0.02, group_margin=0.03)
    told = estimates([RULES["not_worse"](judged), RULES["groups"](judged)])
    assert [(one["rule"], one["name"]) for one in told] == [
        ("not_worse", "accuracy"),
        ("groups", "churned=0"),
        ("groups", "churned=1"),
    ]
    assert [one["margin"] for one in told] == [0.02, 0.03, 0.03]
    assert [one["harm_margin"] for one in told] == [0.05, None, None]
    assert all(one["rows"] and one["method"] for one in told)


def test_strict_has_no_harm_beyond_the_margin() -> None:
    judged = case(wrong_at(1), wrong_at(1, 2, 3), policy="strict", margin=0.02)
    (told,) = estimates([RULES["not_worse"](judged)])
    assert (told["margin"], told["harm_margin"]) == (0.02, None)


def test_the_margin_of_an_error_is_told_in_the_unit_of_the_error() -> None:
    targets = [float(number) for number in range(100)]
    mine, theirs = [value + 1.0 + value % 3 for value in targets], [value + 2.0 + value % 5 for value in targets]
    judged = case(mine, theirs, targets=targets, threshold=NUMBERS, primary="mean_absolute_error", margin=0.1)
    finding = RULES["not_worse"](judged)
    (told,) = estimates([finding])
    assert told["margin"] == 0.1 * finding.values["baseline"]


def test_what_a_rule_of_tomorrow_writes_is_found_by_its_shape() -> None:
    assert found(guards=[{"metric": "recall", "margin": 0.1, "gain": GAIN}])[0]["name"] == "recall"
    assert found(tables={"plan": {"basic": GAIN}})[0]["name"] == "plan"
    assert found(estimate=GAIN)[0]["name"] == "rule"
    assert found(estimate={**GAIN, "rows_needed": 3})[0]["low"] is None
    assert found(margin="wide", estimate=GAIN)[0]["margin"] is None
    assert found(value=1.0, low=0.0, high=2.0) == []


def test_a_verdict_from_somewhere_else_does_not_exhaust_the_stack() -> None:
    deep: dict[str, Any] = {"gain": GAIN}
    for _ in range(60):
        deep = {"inner": deep}
    assert found(**deep) == []


def test_without_comparisons_there_are_no_estimates() -> None:
    assert estimates([RULES[name](case(RIGHT)) for name in ("not_worse", "groups", "latency", "smoke")]) == []
