"""Twins: the same rows whatever file they come from, and every near one; laws first."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.statistics import twins
from holdfast.statistics.cells import cells
from holdfast.statistics.twins import NEAR, Found, Search, Sought, alike

CHANCE = 5
"""A seed for what is random and the same every time."""


def searched(sought: dict[str, Any], *pieces: dict[str, Any], target: str | None = None) -> Found:
    search = Search(Sought(sought, target))
    for piece in pieces:
        search.add(piece)
    return search.found()


def same(one: Any, other: Any) -> bool:
    found = cells([one, other])
    return bool(found.marks[0] == found.marks[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, "1"),
        (1.0, "1.0"),
        (True, 1),
        (True, "True"),
        (0.0, -0.0),
        (None, ""),
        (None, float("nan")),
        ("2024-03-01T09:00:00", "2024-03-01 09:00:00"),
        ("2024-03-01T00:00:00", "2024-03-01 00:00"),
        (" basic", "basic"),
        (2**60 + 1, str(2**60 + 1)),
        ([1, {"a": 2}], [1, {"a": 2}]),
    ],
)
def test_a_cell_is_what_it_means_and_not_how_a_file_writes_it(one: Any, other: Any) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 2), ("a", "b"), (None, 0), ("basic", "Basic"), (2**60, 2**60 + 1), ("1_000", 1000), ("nan", None), ([1], [2])],
)
def test_what_differs_differs(one: Any, other: Any) -> None:
    assert not same(one, other)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, np.nan, -0.0, np.inf]),
        np.array([1, 2**60, 2**60 + 1, -(2**61)]),
        np.array([True, False]),
        np.array([3, 250], np.uint8),
        np.array([0.5, 2.0], np.float32),
    ],
    ids=["floats", "whole", "truths", "small", "half"],
)
def test_an_array_has_the_marks_that_its_values_have_as_json(values: Any) -> None:
    told = [str(value) if isinstance(value, float) and np.isinf(value) else value for value in values.tolist()]
    assert (cells(values).marks == cells(told).marks).all()


NUMBER = st.floats(-1e6, 1e6, allow_subnormal=False)
ROW = st.tuples(NUMBER, st.integers(0, 3), st.sampled_from(["a", "b", None]), NUMBER)
TABLE = st.lists(ROW, min_size=1, max_size=25)


def columns(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {f"c{place}": [row[place] for row in rows] for place in range(4)}


@settings(deadline=None)
@given(TABLE, TABLE, st.data())
def test_rows_that_are_planted_are_always_found_wherever_they_stand(
    sought: list[Any], other: list[Any], data: st.DataObject
) -> None:
    planted = data.draw(st.lists(st.sampled_from(sought), max_size=5))
    mixed = data.draw(st.permutations([*other, *planted]))
    found = searched(columns(sought), columns(mixed))
    expected = sum(row in set(mixed) for row in sought)
    assert found.exact.found == expected >= len(set(planted))
    # Neither the order of the columns, nor further ones, nor how it is cut into pieces, means anything.
    turned = {"more": [0] * len(mixed), **dict(reversed(columns(mixed).items()))}
    cut = data.draw(st.integers(0, len(mixed)))
    pieces = [{name: values[part] for name, values in turned.items()} for part in (slice(0, cut), slice(cut, None))]
    assert searched(columns(sought), *pieces).exact == found.exact


@pytest.mark.thorough
@settings(deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(1e-6, 1e9), st.floats(-1e6, 1e6))
def test_every_row_within_the_tolerance_is_found_and_none_beyond_the_grids(
    width: int, seed: int, scale: float, middle: float
) -> None:
    chance = np.random.default_rng(seed)
    base = chance.normal(middle, scale, size=(40, width))
    low, high = np.quantile(base, [0.25, 0.75], axis=0)
    tolerance = NEAR * (high - low)
    # The worst that the law speaks of: every number moved by the whole tolerance, up or down.
    moved = base + chance.choice([-1, 1], size=base.shape) * tolerance * chance.choice([1.0, 0.5], size=(40, 1))
    lies_within = (np.abs(moved - base) <= tolerance).all(axis=1)
    sought = {f"x{n}": base[:, n] + 0.0 for n in range(width)}
    if any(not (column % 1).any() for column in sought.values()):
        return
    for place in np.flatnonzero(lies_within):
        found = searched(sought, {f"x{n}": moved[place : place + 1, n] for n in range(width)})
        assert found.near_found >= 1
        # And the other way round: whatever it was found beside is no further than there are grids.
    far = base[:1] + 2.0 * (width + 1) * tolerance
    apart = (np.abs(far - base) > (width + 1.01) * tolerance).any(axis=1).all()
    if apart:
        assert searched(sought, {f"x{n}": far[:, n] for n in range(width)}).near_found == 0


def test_whole_numbers_are_near_when_they_round_to_the_same() -> None:
    sought = {"count": list(range(20)), "plan": ["a", "b"] * 10}
    near = searched(sought, {"count": [3.0004, 3.0004, 7.6], "plan": ["b", "a", "b"]})
    assert (near.exact.found, near.near_found) == (0, 1)


def test_rounding_to_three_digits_is_near_and_honest_noise_is_not() -> None:
    chance = np.random.default_rng(CHANCE)
    rows = chance.normal(size=(300, 6))
    sought = {f"x{n}": rows[:, n] for n in range(6)}
    rounded = searched(sought, {name: np.round(values, 3) for name, values in sought.items()})
    assert (rounded.exact.found, rounded.near_found) == (0, 300)
    single = searched(sought, {name: values.astype(np.float32) for name, values in sought.items()})
    assert (single.exact.found, single.near_found) == (0, 300)
    noisy = searched(sought, {name: values + chance.normal(0, 0.2, 300) for name, values in sought.items()})
    assert (noisy.exact.found, noisy.near_found) == (0, 0)


def test_the_same_features_with_another_answer_are_told_apart() -> None:
    sought = {"x": [1, 2, 3], "y": [0, 0, 1]}
    found = searched(sought, {"x": [1.0, 2.0, 9.0], "y": ["0", "1", "1"]}, target="y")
    assert (found.exact.found, found.with_target) == (2, 1)
    assert searched(sought, {"x": [1]}, target="y").with_target == 0
    assert searched(sought, {"x": [1], "y": [0]}).with_target is None


def test_how_often_the_other_table_repeats_itself_is_counted_in_the_same_way() -> None:
    found = searched({"x": [1, 2, 3]}, {"x": [5, 5, 7]}, {"x": [5, 7.0001, 9]})
    assert (found.exact.repeated, found.exact.rows) == (3, 6)
    assert found.near is not None
    assert found.near.repeated == 5


def test_with_little_room_fewer_grids_count_repetition_and_all_still_find(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(CHANCE)
    rows = chance.normal(size=(50, 8))
    sought = {f"x{n}": rows[:, n] for n in range(8)}
    moved = {name: values + 7e-4 for name, values in sought.items()}
    with_room = searched(sought, moved, moved)
    monkeypatch.setattr(twins, "CELLS_KEPT_MAX", 250)
    with_less = searched(sought, moved, moved)
    assert with_less.near_found == with_room.near_found == 50
    assert with_less.near is not None
    assert with_room.near is not None
    assert with_less.near.found <= with_room.near.found == 50
    assert with_less.near.repeated == with_room.near.repeated == 100
    monkeypatch.setattr(twins, "CELLS_SOUGHT_MAX", 100)
    blind = searched(sought, moved, sought)
    assert blind.near is None
    assert blind.exact.found == 50


def test_past_the_limit_of_rows_nothing_is_looked_at_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "ROWS_MAX", 4)
    search = Search(Sought({"x": [1, 2, 9]}))
    assert search.add({"x": [1, 3, 4]})
    assert not search.add({"x": [2, 9]})
    found = search.found()
    assert (found.exact.found, found.exact.rows, found.all_read) == (2, 4, False)


def test_things_with_numbers_of_their_own_are_counted_alike() -> None:
    found = alike([5, 6, 2**64 - 1], [2**64 - 1, 7, 7])
    assert (found.found, found.sought, found.repeated, found.rows) == (1, 3, 2, 3)
