"""Costs: by hand, as laws, and as a metric that gates can judge by."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import Json
from holdfast.errors import UsageError
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.costs import Costs, costs, named, row_costs
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.gain import gain_in
from holdfast.flow.gate.guards import guards
from holdfast.flow.gate.not_worse import not_worse
from holdfast.flow.gate.pricing import Pricing
from holdfast.flow.gate.rules import metrics_min
from holdfast.parts import EvalThreshold
from holdfast.runtime.rows import Table
from tests.flow.gate.cases import CUT_OFF, NUMBERS, RIGHT, case, said, wrong_at

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
ARGMAX = EvalThreshold("argmax")


def read(table: Json) -> Costs:
    found = costs().read(table)
    assert found is not None, table
    return found


MISTAKES = read({"false_positive": 1.0, "false_negative": 20})
WORDS = read({"matrix": {"fraud": {"fraud": 1, "clean": 50.0, "unclear": 5}, "clean": {"fraud": 2.0, "unclear": 1.0}}})
ASYMMETRIC = read({"over": 1.0, "under": 3.0})


def priced(
    mine: list[Json],
    theirs: list[Json] | None,
    cost: Costs = MISTAKES,
    *,
    targets: list[Json] | None = None,
    threshold: EvalThreshold = CUT_OFF,
    **changes: Any,
) -> Case:
    """A case whose answers are priced, as collecting it would have done."""
    truth: list[Json] = RIGHT if targets is None else targets
    asked: dict[str, Any] = {"metric": "cost", "cost": cost} | changes
    found = case(mine, theirs, targets=truth, threshold=threshold, primary=None, **asked)

    def of(predictions: list[Json]) -> Measured:
        each = row_costs(cost, truth, predictions, threshold)
        metrics = measure(truth, said(predictions), threshold, primary=found.policy.metric, costs=each)
        return Measured(said(predictions), metrics, costs=each)

    return replace(found, measured=of(mine), against=None if theirs is None else of(theirs))


class TestRows:
    def test_of_a_cut_off(self) -> None:
        assert row_costs(MISTAKES, [1, 1, 0, 0, 1], [1, 0, 1, 0, None], CUT_OFF) == (0.0, 20.0, 1.0, 0.0, 20.0)

    def test_of_labels_by_matrix(self) -> None:
        true, answers = ["fraud", "fraud", "clean", "clean"], ["fraud", "clean", "unclear", "clean"]
        assert row_costs(WORDS, true, answers, ARGMAX) == (1.0, 50.0, 1.0, 0.0)

    def test_of_labels_that_are_no_words(self) -> None:
        matrix = read({"matrix": {"1": {"0": 7.0}, "true": {"null": 9.0}}})
        assert row_costs(matrix, [1, True, 0], [0, None, 0], ARGMAX) == (7.0, 9.0, 0.0)
        assert [named(label) for label in ("1", 1, True, None, 1.5)] == ["1", "1", "true", "null", "1.5"]

    def test_of_numbers(self) -> None:
        assert row_costs(ASYMMETRIC, [10.0, 10.0, 10], [12.0, 9.5, 10], NUMBERS) == (2.0, 1.5, 0.0)

    def test_a_mistake_without_a_cost_is_named_and_never_counted_as_none(self) -> None:
        with pytest.raises(UsageError, match="what 'unsure' costs where 'clean' is true"):
            row_costs(WORDS, ["clean"], ["unsure"], ARGMAX)

    @pytest.mark.parametrize(
        ("table", "threshold"),
        [(MISTAKES, NUMBERS), (MISTAKES, ARGMAX), (ASYMMETRIC, CUT_OFF), (ASYMMETRIC, ARGMAX)],
        ids=["mistakes of numbers", "mistakes of classes", "distances of a cut", "distances of classes"],
    )
    def test_a_table_for_other_answers_is_refused(self, table: Costs, threshold: EvalThreshold) -> None:
        with pytest.raises(UsageError, match="judged by another rule"):
            row_costs(table, [1], [1], threshold)


@pytest.mark.parametrize(
    "table",
    [
        {},
        1.0,
        {"false_positive": 1.0},
        {"false_positive": 1.0, "false_negative": -1.0},
        {"false_positive": 1.0, "false_negative": float("nan")},
        {"false_positive": 1.0, "false_negative": True},
        {"false_positive": 1.0, "false_negative": 1.0, "over": 1.0},
        {"over": 1.0, "under": "3"},
        {"matrix": {}},
        {"matrix": {"a": 1.0}},
        {"matrix": {"a": {"b": float("inf")}}},
        {"matrix": {str(place): {} for place in range(1001)}},
        {"file": "../money.py", "function": "costs"},
        {"file": "money.py"},
    ],
    ids=str,
)
def test_a_table_that_makes_no_sense_is_refused(table: Json) -> None:
    assert costs().read(table) is None


@pytest.mark.parametrize(
    "table",
    [MISTAKES, WORDS, ASYMMETRIC, read({"file": "gates/money.py", "function": "costs"})],
    ids=["mistakes", "matrix", "numbers", "function"],
)
def test_a_table_that_was_kept_reads_back(table: Costs) -> None:
    assert read(table.to_json()) == table


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1), st.floats(0, 1e6), st.floats(0, 1e6))
def test_two_kinds_of_mistake_are_a_matrix_of_two_labels(
    pairs: list[tuple[int, int]], false_positive: float, false_negative: float
) -> None:
    truth, answers = [list(side) for side in zip(*pairs, strict=True)]
    short = read({"false_positive": false_positive, "false_negative": false_negative})
    full = read({"matrix": {"0": {"1": false_positive}, "1": {"0": false_negative}}})
    assert row_costs(short, truth, answers, CUT_OFF) == row_costs(full, truth, answers, ARGMAX)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1))
def test_equal_costs_of_too_high_and_too_low_are_the_absolute_error(pairs: list[tuple[float, float]]) -> None:
    truth, answers = [list(side) for side in zip(*pairs, strict=True)]
    each = row_costs(read({"over": 1.0, "under": 1.0}), truth, answers, NUMBERS)
    assert np.mean(each) == pytest.approx(np.mean(np.abs(np.subtract(truth, answers))), rel=1e-9, abs=1e-9)


class TestJudged:
    def test_a_version_that_is_right_more_often_and_costs_more_does_not_pass(self) -> None:
        missed = [place for place in range(100) if RIGHT[place] == 1][:6]
        alarms = [place for place in range(100) if RIGHT[place] == 0][:20]
        found = priced(wrong_at(*missed), wrong_at(*alarms))
        finding = not_worse(found)
        assert finding.outcome is FAIL
        assert finding.sentence.startswith("cost 1.2000 against 0.2000 of version 1")
        assert finding.values["margin_unit"] == "share of the baseline's cost"
        assert not_worse(replace(found, policy=replace(found.policy, metric="accuracy"))).outcome is PASS

    def test_the_gain_is_what_is_saved_and_its_interval_that_of_the_mean(self) -> None:
        found = priced(wrong_at(1, 2), wrong_at(*range(30)))
        gain = gain_in(found, "cost", 0.9)
        assert found.measured is not None
        assert found.against is not None
        assert gain.estimate.value == pytest.approx(
            np.mean(found.against.costs or 0) - np.mean(found.measured.costs or 0), abs=1e-12
        )
        assert gain.estimate.low < gain.estimate.value < gain.estimate.high
        assert gain.estimate.method.startswith("paired bootstrap")

    def test_in_cents_or_in_euros_it_says_the_same(self) -> None:
        mine, theirs = wrong_at(1, 2, 3, 4), wrong_at(5, 6, 7, 8)
        cents = read({"false_positive": 100.0, "false_negative": 2000.0})
        first, second = (not_worse(priced(mine, theirs, one, harm_margin=0.5)) for one in (MISTAKES, cents))
        assert first.outcome is second.outcome

    def test_rows_that_belong_together_are_drawn_together(self) -> None:
        customers: dict[str, list[Json]] = {"customer": [place // 10 for place in range(100)]}
        found = priced(wrong_at(*range(10)), wrong_at(50), columns=customers, cluster="customer")
        gain = gain_in(found, "cost", 0.9).estimate
        assert gain.rows == 10
        alone = gain_in(priced(wrong_at(*range(10)), wrong_at(50)), "cost", 0.9).estimate
        assert gain.value == pytest.approx(alone.value)

    def test_it_is_a_guard_and_has_a_ceiling(self) -> None:
        asked: dict[str, Any] = {"metric": "accuracy", "guards": {"cost": {}}, "metrics_min": {"cost": 0.1}}
        found = priced(wrong_at(0, 1), wrong_at(5, 7), **asked)
        assert guards(found).values["guards"][0]["metric"] == "cost"
        ceiling = metrics_min(found)
        assert (ceiling.outcome, ceiling.sentence) == (FAIL, "cost 0.2100, at most 0.1 asked")

    def test_the_same_answers_cost_the_same(self) -> None:
        assert not_worse(priced(wrong_at(4), wrong_at(4))).sentence.endswith("the same answers throughout")


class TestUnknown:
    def test_a_cost_that_nobody_can_say_leaves_the_other_metrics_alone(self) -> None:
        found = priced(wrong_at(1), wrong_at(2))
        trouble = UsageError("the matrix lacks something", hint="Add it.")
        accuracy = measure(RIGHT, said(RIGHT), CUT_OFF, primary=None)
        blind = Measured(said(RIGHT), accuracy, costs_trouble=trouble)
        finding = not_worse(replace(found, measured=blind))
        assert finding.outcome is INCONCLUSIVE
        assert finding.sentence == "cost is not measured for these versions: the matrix lacks something"
        assert finding.hint == "Add it."

    def test_a_function_without_a_project_is_not_run(self) -> None:
        pricing = Pricing.of(read({"file": "money.py", "function": "costs"}), None)
        assert pricing is not None
        with pytest.raises(UsageError, match="no project here"):
            pricing.costs([1], said([1]), CUT_OFF, Table.of_columns(("age",), [[1]]))
