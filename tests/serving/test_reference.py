"""What answers and rows are compared with, and how far counts are from it."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.serving.reference import MISSING, OTHERS, bins_of, reference_of, shift, with_training
from holdfast.statistics import drift
from tests.serving.building import Built

JSON_VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))


@given(st.lists(JSON_VALUES, max_size=60), st.lists(JSON_VALUES, max_size=20), st.booleans())
def test_every_value_has_a_bin_and_every_value_of_the_reference_was_counted(
    values: list[object], others: list[object], classes: bool
) -> None:
    bins = bins_of(values, classes=classes)
    if bins is not None:
        assert sum(bins.counts) == len(values)
        assert all(0 <= bins.place(value) < len(bins.names) for value in others)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=30))
def test_counts_are_no_distance_from_themselves(counts: list[int]) -> None:
    assert shift(counts, counts).beyond_chance == 0.0
    assert abs(shift(counts, counts).psi) < 1e-9


def test_numbers_are_counted_in_tenths_of_the_reference() -> None:
    bins = bins_of([float(number) for number in range(1, 1001)])
    assert bins is not None
    assert len(bins.edges) == 9
    assert all(90 <= count <= 110 for count in bins.counts[:-1])
    assert bins.names[bins.place(None)] == MISSING
    assert bins.names[bins.place("many")] == MISSING
    assert bins.place(-5) == 0
    assert bins.place(10**400) == len(bins.names) - 1


def test_classes_are_counted_by_name_and_what_is_new_is_others() -> None:
    bins = bins_of([1, 0, 0, 1.0, True], classes=True)
    assert bins is not None
    assert bins.names == ("1", "0", OTHERS, MISSING)
    assert bins.counts == (3, 2, 0, 0)
    assert bins.names[bins.place(7)] == OTHERS


def test_a_column_that_names_things_is_not_compared() -> None:
    assert bins_of([f"customer {number}" for number in range(200)]) is None
    assert bins_of([None, None]) is None


def test_the_index_is_about_that_of_the_rule_drift_and_chance_alone_seldom_passes_it() -> None:
    chance = np.random.default_rng(7)
    before = chance.normal(size=4000)
    bins = bins_of(before.tolist())
    assert bins is not None

    def counted(values: list[float]) -> list[int]:
        now = bins.empty()
        for value in values:
            now[bins.place(value)] += 1
        return now

    moved = chance.normal(loc=0.5, size=2000)
    found = shift(bins.counts, counted(moved.tolist()))
    assert math.isclose(found.psi, drift.numeric(before, moved).psi, rel_tol=0.1)
    assert found.beyond_chance == found.psi
    quiet = [shift(bins.counts, counted(chance.normal(size=300).tolist())).beyond_chance for _ in range(300)]
    assert sum(value > 0 for value in quiet) <= 3


@pytest.mark.thorough
def test_a_bundle_is_compared_with_its_own_holdout(first: Built) -> None:
    reference = reference_of(first.files)
    assert reference.rows_of == "the 40 rows of its holdout"
    assert set(reference.columns) == {"age", "calls", "plan", "sleep"}
    assert reference.predictions is not None
    assert sum(reference.predictions.counts) == 40
    assert reference.schema is not None


@pytest.mark.thorough
def test_what_was_trained_on_takes_the_place_of_the_holdout_where_it_can_be_read(first: Built) -> None:
    chance = random.Random(3)
    ages = [chance.gauss(40, 10) for _ in range(500)]
    reference = with_training(reference_of(first.files), "500 rows of calls.csv", {"age": ages, "else": ages})
    assert reference.rows_of == "500 rows of calls.csv"
    assert list(reference.columns) == ["age"]
    assert sum(reference.columns["age"].counts) == 500
    unread = with_training(reference, "nothing", {"else": ages})
    assert unread is reference
