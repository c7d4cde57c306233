"""Letting others have the interpreter: what the ledger does in threads must not hold up an answer.

A thread that computes gives the interpreter up only when somebody has waited for 5 ms. One that sleeps gives it up at
once, and for long enough that whoever waits is awake before it comes back.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["breathe", "breathing"]

T = TypeVar("T")

_BREATH_SECONDS = 0.0002
"""A sleeping thread is awake again after some 50 microseconds; this is a little more."""

_AT_ONCE = 25
"""Decisions that are worked on between two breaths: half a millisecond."""


def breathe() -> None:
    """Let whoever waits go first."""
    time.sleep(_BREATH_SECONDS)


def breathing(things: Iterable[T]) -> Iterator[T]:
    """The same things, with breaths between them."""
    for place, one in enumerate(things, 1):
        yield one
        if place % _AT_ONCE == 0:
            breathe()
