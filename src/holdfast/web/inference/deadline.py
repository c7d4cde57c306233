"""How long a caller waits for its answer, as it says in a header."""

from collections.abc import Iterable

from holdfast.errors import InvalidInput

__all__ = ["seconds_allowed"]

_NAME = b"x-request-timeout-ms"

_DIGITS_MAX = 9
"""Eleven days; whatever is longer than the replica's own limit is cut down to that anyway."""


def seconds_allowed(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """What `X-Request-Timeout-Ms` says, in seconds; None where nothing is said.

    Raises:
        InvalidInput: it is no whole number of milliseconds above zero.
    """
    for name, value in headers:
        if name == _NAME:
            if not value.isdigit() or len(value) > _DIGITS_MAX or int(value) == 0:
                raise InvalidInput(
                    "X-Request-Timeout-Ms is no whole number of milliseconds above zero",
                    hint="For instance: X-Request-Timeout-Ms: 250",
                )
            return int(value) / 1000.0
    return None
