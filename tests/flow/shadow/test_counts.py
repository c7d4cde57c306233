"""Counting pairs of answers: laws of adding, and bounds on what bundles and callers choose."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.canonical import decode, encode
from holdfast.errors import UnsupportedFormat, UsageError
from holdfast.flow.shadow.counts import (
    BOTH,
    CLASSES_MAX,
    CODES_MAX,
    GROUPS_MAX,
    ONLY_PRIMARY,
    ONLY_SHADOW,
    OTHER,
    Counts,
    Pair,
    agree,
    binned,
    edge_above,
)
from holdfast.flow.shadow.plan import COLUMNS_MAX, Plan

PLAN = Plan(by=("plan",))

labels = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=60))
scores = st.floats(-10.0, 10.0)


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    rows = draw(st.integers(1, 5))
    several = st.lists(labels, min_size=rows, max_size=rows)
    return Pair(
        draw(several),
        draw(several),
        draw(st.lists(st.tuples(scores, scores), max_size=rows)),
        draw(st.floats(0.0, 60.0)),
        draw(st.floats(0.0, 60.0)),
        [("plan", draw(several))],
    )


counted = st.lists(
    st.one_of(pairs(), st.tuples(st.sampled_from([ONLY_SHADOW, ONLY_PRIMARY, BOTH]), st.text(max_size=9))), max_size=8
)


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine that does much else besides is no fault of the code."""


def counts_of(seen: list[Any]) -> Counts:
    found = Counts()
    for one in seen:
        if isinstance(one, Pair):
            found.compared(one, PLAN)
        else:
            found.refused(*one)
    return found


@patient
@given(counted)
def test_what_was_counted_is_read_again_as_it_was(seen: list[Any]) -> None:
    found = counts_of(seen)
    assert Counts.from_json(decode(encode(found.to_json()), what="counts")) == found
    assert found.pairs == found.requests + sum(found.codes.values())


@patient
@given(counted, counted)
def test_counts_of_replicas_are_added_in_any_order(some: list[Any], others: list[Any]) -> None:
    one, other = counts_of(some).to_json(), counts_of(others).to_json()
    assert Counts.of([one, other]) == Counts.of([other, one])
    assert Counts.of([one, other]).requests == one["requests"] + other["requests"]
    assert Counts.of([]) == Counts()


@pytest.mark.parametrize("letter", ["é", "x", "😀"])
def test_counts_of_a_replica_stay_below_what_a_tally_may_hold(letter: str) -> None:
    """Labels, groups and codes that nobody bounds would fill the registry."""
    columns = tuple(f"{letter * 20}{index}" for index in range(COLUMNS_MAX))
    plan, found = Plan(by=columns), Counts()
    for number in range(400):
        name = f"{number}{letter * 60}"
        other = f"{number * 7 % 400}{letter * 60}"
        groups = [(column, [name]) for column in columns]
        found.compared(Pair([name], [other], [(number / 400.0, 0.5)], 0.001 * number, 1.0, groups), plan)
        found.refused(ONLY_SHADOW, name[:30])
    assert len(found.codes) == CODES_MAX + 1
    assert len({label for pair in found.flips for label in pair}) <= CLASSES_MAX + 1
    assert len(found.groups) == COLUMNS_MAX * (GROUPS_MAX + 1)
    assert found.flips[OTHER, OTHER] > 300
    assert len(encode(found.to_json())) < 64 << 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1, True),
        (1, True, True),
        ("yes", "no", False),
        ("1", 1, False),
        (2.0, 2.0000005, True),
        (2.0, 2.1, False),
        (1e9, 1e9 + 100.0, True),
        (0.0, 1e-7, True),
    ],
)
def test_labels_agree_when_equal_and_numbers_within_the_tolerance(one: Any, other: Any, same: bool) -> None:
    assert agree(one, other, 1e-6) is same


@given(st.floats(1e-12, 1e12))
def test_a_number_lies_below_the_edge_of_its_bin_and_not_below_the_one_before(value: float) -> None:
    place = binned(value)
    assert edge_above(place - 1) <= value * (1 + 1e-12)
    assert value <= edge_above(place) * (1 + 1e-12)
    assert edge_above(binned(0.0)) == 0.0


def test_a_group_agrees_where_all_its_rows_in_a_request_do() -> None:
    found = Counts()
    found.compared(Pair([1, 1, 0], [1, 0, 0], groups=[("plan", ["basic", "basic", "plus"])]), PLAN)
    assert (found.requests, found.agreed, found.rows, found.rows_agreed) == (1, 0, 3, 2)
    assert found.groups == {("plan", "basic"): 1, ("plan", "plus"): 1}
    assert found.groups_agreed == {("plan", "basic"): 0, ("plan", "plus"): 1}
    assert found.flips == {("1", "1"): 1, ("1", "0"): 1, ("0", "0"): 1}


@pytest.mark.parametrize(
    "change",
    [
        {"requests": -1},
        {"requests": True},
        {"errors": {"only_shadow": "many"}},
        {"ratios": {"far": 1}},
        {"ratios": {"9999": 1}},
        {"flips": {"1": 3}},
        {"flips": {"1": {"0": -3}}},
        {"groups": [["a", "b", 1]]},
    ],
)
def test_what_is_no_counts_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFormat):
        Counts.from_json({**Counts().to_json(), **change})


@pytest.mark.parametrize(
    "change",
    [
        {"sample": 0.0},
        {"sample": 1.1},
        {"requests": 0},
        {"by": ["a", "a"]},
        {"by": list("abcdef")},
        {"tolerance": -1.0},
        {"edges": [0.2, 0.1]},
        {"edges": list(range(60))},
        {"edges": ["0.1"]},
        {"format_version": "2.0"},
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN
    with pytest.raises(UsageError):
        Plan.from_json({**PLAN.to_json(), **change})
