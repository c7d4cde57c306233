"""The first error of each key: once over steps and replicas, in text, and never more than there is room for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.statistics import firsts
from holdfast.statistics.firsts import Firsts
from holdfast.statistics.sequential import Counts

errors = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.booleans()), max_size=40)


def seen(given_errors: list[tuple[int, int, bool]]) -> Firsts:
    found = Firsts()
    for key, step, candidate in given_errors:
        found.add(f"user-{key}", step=step, candidate=candidate, salt="7")
    return found


def test_a_key_that_fails_again_is_one_error_at_the_step_and_on_the_side_of_its_first() -> None:
    found = seen([(1, 0, False), (1, 1, True), (1, 1, True), (2, 1, True)])
    assert found.counts([0.05, 0.25]) == [Counts(0, 1, 0.05), Counts(1, 0, 0.25)]
    assert not found.add("user-2", step=1, candidate=True, salt="7")
    assert found.add("user-2", step=1, candidate=True, salt="another rollout's")


def test_a_key_that_fails_at_two_replicas_counts_at_the_earlier_step_and_in_doubt_for_the_other_version() -> None:
    one = seen([(1, 1, True), (2, 0, True), (3, 0, True)])
    two = seen([(1, 0, False), (2, 0, False), (3, 2, True)])
    assert Firsts.merged([one, two]).counts([0.1, 0.2, 0.3]) == [
        Counts(1, 2, 0.1),
        Counts(0, 0, 0.2),
        Counts(0, 0, 0.3),
    ]


@given(errors, errors, errors)
def test_merging_does_not_depend_on_order_or_repetition(a: list, b: list, c: list) -> None:  # type: ignore[type-arg]
    x, y, z = seen(a), seen(b), seen(c)
    whole = Firsts.merged([x, y, z])
    assert dict(whole) == dict(Firsts.merged([z, y, x, y])) == dict(Firsts.merged([Firsts.merged([z, x]), y]))


@given(errors)
def test_text_says_the_same(given_errors: list[tuple[int, int, bool]]) -> None:
    found = seen(given_errors)
    assert dict(Firsts.from_text(found.to_text())) == dict(found)


def test_what_has_no_room_is_not_counted_on_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firsts, "KEYS_MAX", 3)
    found = seen([(key, 0, bool(key % 2)) for key in range(9)])
    assert len(found) == 3
    assert found.counts([0.5]) == [Counts(1, 2, 0.5)]


@pytest.mark.parametrize("text", ["AAAA", "no base64!", "A" * (4 * 7_000)])
def test_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bytes are no list|base64|[Aa]lphabet"):
        Firsts.from_text(text)


def test_a_step_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="none of"):
        Firsts().add("user-1", step=firsts.STEPS_MAX, candidate=True)


def test_the_numbers_of_different_keys_are_different() -> None:
    chance = np.random.default_rng(1)
    keys = {str(chance.integers(0, 1 << 60)) for _ in range(3_000)}
    found = Firsts()
    assert sum(found.add(key, step=0, candidate=True) for key in keys) >= len(keys) - 2
