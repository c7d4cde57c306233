"""Tokens of pages, and moments in milliseconds."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.database.times import from_text
from holdfast.errors import UsageError
from holdfast.experiments.moments import MS_MAX, MS_MIN, to_ms, to_text
from holdfast.experiments.paging import Place, read_token, search_of, token


@given(
    st.one_of(
        st.builds(Place, after=st.tuples(st.text(max_size=50), st.text(max_size=50)), search=st.text(max_size=16)),
        st.builds(Place, offset=st.integers(1, 2**53 - 1), search=st.text(max_size=16)),
    )
)
def test_a_token_is_read_as_the_place_that_it_was_made_of(place: Place) -> None:
    assert read_token(token(place), place.search) == place


def test_a_token_of_one_search_is_none_of_another() -> None:
    one, other = search_of("name LIKE 'a%'", []), search_of("name LIKE 'b%'", [])
    given = token(Place(offset=5, search=one))
    for search in (other, ""):
        with pytest.raises(UsageError, match="Invalid page token, it is of another search"):
            read_token(given, search)
    with pytest.raises(UsageError, match="another search"):
        read_token(token(Place(offset=5)), one)


def test_no_token_is_the_beginning() -> None:
    assert read_token(None) == read_token("") == Place()


@pytest.mark.parametrize(
    "said",
    ["###", "YWJj", "x", *(base64.b64encode(one).decode() for one in (b'{"offset": -1}', b"[]", b'{"offset": true}'))],
)
def test_what_is_no_token_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="Invalid page token"):
        read_token(said)


@given(st.integers(MS_MIN, MS_MAX))
def test_a_moment_is_read_as_it_was_written(ms: int) -> None:
    assert to_ms(to_text(ms)) == ms
    assert from_text(to_text(ms)).timestamp() == pytest.approx(ms / 1000)


@given(st.integers(MS_MIN, MS_MAX), st.integers(MS_MIN, MS_MAX))
def test_texts_of_moments_are_in_their_order(first: int, second: int) -> None:
    assert (to_text(first) < to_text(second)) == (first < second)


@pytest.mark.parametrize("ms", [MS_MIN - 1, MS_MAX + 1, 10**30])
def test_a_moment_of_no_calendar_is_refused(ms: int) -> None:
    with pytest.raises(UsageError, match="is no moment in milliseconds since 1970"):
        to_text(ms)
