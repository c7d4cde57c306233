"""Moments as text: ISO 8601, UTC, microseconds, `Z`. Text of one length, so that sorting it sorts the moments.

from_text(to_text(moment)) == moment
(to_text(a) < to_text(b)) == (a < b)
"""

from datetime import UTC, datetime

from holdfast.errors import UnsupportedFormat, UsageError

__all__ = ["from_text", "to_text"]


def to_text(moment: datetime) -> str:
    """The moment as `2026-03-01T09:00:00.000000Z`.

    Raises:
        UsageError: the moment has no time zone, so that it could mean any of 24 hours.
    """
    if moment.tzinfo is None:
        raise UsageError(
            f"{moment.isoformat()} has no time zone",
            hint="Add one, such as 2026-03-01T09:00:00Z.",
        )
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    """The moment that `to_text` wrote.

    Raises:
        UnsupportedFormat: anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _not_a_moment(text) from error
    if moment.tzinfo is None:
        raise _not_a_moment(text)
    return moment.astimezone(UTC)


def _not_a_moment(text: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"{text[:40]!r} is not a moment as Holdfast writes it",
        hint="The database was written by something else, or has been edited.",
    )
