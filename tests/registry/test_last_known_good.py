import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.registry import Action
from holdfast.registry.last_known_good import last_known_good

P, R, A, C = Action.STAGE_PROMOTE, Action.STAGE_ROLLBACK, Action.STAGE_ADOPT, Action.STAGE_CLEAR


def history(*steps: tuple[Action, int]) -> list[tuple[str, int | None, int]]:
    found: list[tuple[str, int | None, int]] = []
    holder: int | None = None
    for action, to in steps:
        found.append((action, holder, to))
        holder = to
    return found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([(P, 1)], None),
        ([(P, 1), (P, 2)], 1),
        ([(A, 1), (P, 2), (P, 3)], 2),
        ([(P, 1), (P, 2), (P, 3), (R, 2)], 1),
        ([(P, 1), (P, 2), (P, 3), (R, 2), (R, 1)], None),
        ([(P, 1), (P, 2), (P, 3), (R, 2), (P, 4)], 2),
        ([(P, 1), (P, 2), (P, 3), (R, 2), (P, 4), (R, 2)], 1),
        ([(P, 1), (P, 2), (P, 3), (R, 1)], None),
        # 2 was left by a rollback while a copy of it lies deeper in the stack: it is passed over.
        ([(P, 1), (P, 2), (P, 3), (P, 2), (R, 3)], 1),
        # Chosen again on purpose, it is good again.
        ([(P, 1), (P, 2), (R, 1), (P, 2), (P, 3)], 2),
        # Rolled back too far, and forward again.
        ([(P, 1), (P, 2), (P, 3), (R, 2), (R, 3)], 1),
        # The same version promoted by hand instead of a rollback.
        ([(P, 1), (P, 2), (P, 1)], 2),
    ],
)
def test_a_rollback_goes_further_back_and_never_bounces(steps: list[tuple[Action, int]], expected: int | None) -> None:
    assert last_known_good(history(*steps)) == expected


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([(P, None, 1), (C, 1, None)], 1),
        ([(P, None, 1), (P, 1, 2), (C, 2, None)], 2),
        # Back to what the clearing took away, and from there further back.
        ([(P, None, 1), (P, 1, 2), (C, 2, None), (R, None, 2)], 1),
        ([(P, None, 1), (C, 1, None), (R, None, 1)], None),
        # Another one after it: the way back is to what held the stage last.
        ([(P, None, 1), (C, 1, None), (P, None, 2)], 1),
        ([(P, None, 1), (P, 1, 2), (C, 2, None), (P, None, 2)], 1),
        # What a rollback left is not come back to by way of nothing.
        ([(P, None, 1), (P, 1, 2), (R, 2, 1), (C, 1, None), (P, None, 3)], 1),
    ],
)
def test_what_a_clearing_takes_away_is_the_next_way_back(
    moves: list[tuple[Action, int | None, int | None]], expected: int | None
) -> None:
    assert last_known_good(moves) == expected


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=40))
def test_it_never_is_the_holder_nor_a_version_that_was_left_as_bad(choices: list[tuple[bool, int]]) -> None:
    steps: list[tuple[Action, int]] = []
    held: set[int] = set()
    bad: set[int] = set()
    holder: int | None = None
    for back, to in choices:
        if to == holder:
            continue
        if back and to in held and holder is not None:
            steps.append((R, to))
            bad.add(holder)
        else:
            steps.append((P, to))
        bad.discard(to)
        held.add(to)
        holder = to
        found = last_known_good(history(*steps))
        assert found is None or (found != holder and found not in bad and found in held)


@given(st.lists(st.integers(1, 6), max_size=30))
def test_following_it_again_and_again_visits_no_version_twice_and_ends(promoted: list[int]) -> None:
    steps = [(P, to) for before, to in zip([None, *promoted], promoted, strict=False) if to != before]
    visited: list[int] = [steps[-1][1]] if steps else []
    while (found := last_known_good(history(*steps))) is not None:
        assert found not in visited
        visited.append(found)
        steps.append((R, found))
    assert len(visited) <= 6
