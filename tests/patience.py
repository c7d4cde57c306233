"""How long a test waits for what it is sure will happen.

Nothing is measured by it: it only tells never from late, on machines of any speed. Who waits goes on as soon as there
is what they wait for, so that it costs time only where something is broken.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from httpx._config import DEFAULT_TIMEOUT_CONFIG

__all__ = ["PATIENCE_SECONDS", "until", "until_async", "wait_for_answers"]

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
"""Hardly anything takes half a minute on a quick machine, and some machines are ten times slower.

It is shorter than the `timeout` of pytest, which does not know what was waited for.
"""


def until(holds: Callable[[], T], what: str | Callable[[], object] = "", *, pause_seconds: float = 0.02) -> T:
    """Wait until something is so, and say what it is then.

    Args:
        holds: asks for it.
        what: is waited for, if the call does not say it; or tells of it when it never came, such as a server's log.
        pause_seconds: between two questions.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < end, _never(what)
        time.sleep(pause_seconds)
    return found


async def until_async(holds: Callable[[], T], what: str | Callable[[], object] = "") -> T:
    """As `until`, and lets others of the same event loop go on."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < end, _never(what)
        await asyncio.sleep(0.005)
    return found


def wait_for_answers() -> None:
    """Have questions of this process's tests wait as long, where nobody says otherwise; httpx would wait 5 seconds."""
    for phase in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE_SECONDS)


def _never(what: str | Callable[[], object]) -> str:
    return f"never happened: {what() if callable(what) else what}"
