"""The limits of what a run can log, each with its reason, and the checks that hold them."""

import math

from holdfast.database.filters import SEARCHED_CHARACTERS_MAX
from holdfast.errors import TooLarge, UsageError
from holdfast.tracking.values import Point, RunInput

__all__ = [
    "KEYS_MAX",
    "KEY_CHARACTERS_MAX",
    "NAME_CHARACTERS_MAX",
    "NOTES_CHARACTERS_MAX",
    "PARAM_BYTES_MAX",
    "SEARCHED_CHARACTERS_MAX",
    "TAG_CHARACTERS_MAX",
    "check_count",
    "check_input",
    "check_key",
    "check_point",
    "check_size",
]

KEY_CHARACTERS_MAX = 250
"""Names of params, metrics and tags: dotted paths through a deep configuration fit; an index entry stays small."""

PARAM_BYTES_MAX = 16 * 1024
"""A param is a setting; what is longer is a file, and belongs into the bundle or the data slice."""

TAG_CHARACTERS_MAX = 8_000
"""A few pages of text."""

NAME_CHARACTERS_MAX = 250
"""Names of runs and inputs, and of who started a run: one line on a screen."""

NOTES_CHARACTERS_MAX = 64_000
"""A long report; what is longer is a document with a place of its own."""

KEYS_MAX = 10_000
"""Params, tags or inputs in one call: the largest configurations seen have a few thousand."""

_STEP_MAX = 2**53 - 1
"""The largest integer that JSON carries without loss."""


def check_size(what: str, size: int, limit: int) -> None:
    """Raises `TooLarge` when the size is past the limit."""
    if size > limit:
        raise TooLarge(
            f"{what} has a size of {size}, and may have {limit}",
            hint="Shorten it; long things belong in a file that the bundle or the data slice carries.",
            limit=limit,
        )


def check_count(what: str, count: int, limit: int) -> None:
    """Raises `TooLarge` when there are more than the limit."""
    if count > limit:
        raise TooLarge(
            f"{count} {what} were given at once, and the limit is {limit}", hint="Log them in parts.", limit=limit
        )


def check_key(kind: str, key: object) -> None:
    """Makes sure that this can be the name of a param, metric, tag or input."""
    if not isinstance(key, str) or not key or not key.isprintable():
        raise UsageError(
            f"{str(key)[:80]!r} cannot be the name of a {kind}", hint="Use a word, printable and not empty."
        )
    check_size(f"the name of a {kind}", len(key), KEY_CHARACTERS_MAX)


def check_point(point: Point) -> float:
    """Makes sure that this can be logged; the value as the number that it is."""
    check_key("metric", point.name)
    if isinstance(point.step, bool) or not isinstance(point.step, int) or abs(point.step) > _STEP_MAX:
        raise UsageError(f"{point.step!r} cannot be the step of {point.name}", hint="Use an integer.")
    try:
        return float(point.value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{point.value!r} cannot be a value of the metric {point.name}", hint="Metrics are numbers."
        ) from error
    except OverflowError:
        return math.inf if point.value > 0 else -math.inf


def check_input(found: RunInput) -> None:
    """Makes sure that this can be an input."""
    check_key("role", found.role)
    check_size("the name of an input", len(found.name), NAME_CHARACTERS_MAX * 8)
    check_size("the source of an input", len(found.source), TAG_CHARACTERS_MAX)
