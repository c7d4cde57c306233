from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.database.times import from_text, to_text
from holdfast.errors import UnsupportedFormat, UsageError

_ZONES = st.integers(-14 * 60 + 1, 14 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=_ZONES)  # noqa: DTZ001 - the zone is drawn beside


def test_a_moment_is_written_in_utc_with_microseconds() -> None:
    assert to_text(datetime(2026, 3, 1, 9, tzinfo=UTC)) == "2026-03-01T09:00:00.000000Z"
    assert to_text(datetime(2026, 3, 1, 9, 0, 0, 7, timezone(timedelta(hours=2)))) == "2026-03-01T07:00:00.000007Z"


@given(_MOMENTS)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment


@given(_MOMENTS, _MOMENTS)
def test_text_sorts_as_moments_do(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)
    assert len(to_text(one)) == len(to_text(other))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError):
        to_text(datetime(2026, 3, 1))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-01", "2026-03-01T09:00:00", "2026-13-01T09:00:00Z"])
def test_other_text_is_no_moment(text: str) -> None:
    with pytest.raises(UnsupportedFormat):
        from_text(text)
