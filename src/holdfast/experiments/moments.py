"""Moments as MLflow's clients give and take them, milliseconds since 1970, and as the tables of runs hold them.

to_ms(to_text(ms)) == ms
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from holdfast.errors import UsageError

__all__ = ["MS_MAX", "MS_MIN", "check_moment", "now_ms", "to_ms", "to_text"]

MS_MIN = -62_135_596_800_000
MS_MAX = 253_402_300_799_999
"""The first and the last millisecond that a text of a moment can say: of the years 1 and 9999."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, and added to without asking for time zones, which costs time
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def check_moment(ms: int) -> None:
    """Raises `UsageError` where no calendar has the moment; it has none of nanoseconds since 1970."""
    if not MS_MIN <= ms <= MS_MAX:
        raise UsageError(
            f"{ms} is no moment in milliseconds since 1970: it lies outside of the years 1 to 9999",
            hint="Give milliseconds, such as int(time.time() * 1000).",
        )


def to_text(ms: int) -> str:
    """The moment as `holdfast.database.times` writes it.

    Raises:
        UsageError: no calendar has it.
    """
    check_moment(ms)
    return f"{(_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec='microseconds')}Z"


@lru_cache(maxsize=65_536)
def to_ms(text: str) -> int:
    """The milliseconds of a moment; what is logged together has one moment, so that most are known already."""
    return (datetime.fromisoformat(text) - _EPOCH_UTC) // _MILLISECOND


def now_ms(clock: Callable[[], datetime]) -> int:
    """The moment of a clock, in milliseconds since 1970."""
    return (clock() - _EPOCH_UTC) // _MILLISECOND
