"""Turns: so many do something at once in one process, and others wait for them."""

import asyncio
from weakref import WeakKeyDictionary

__all__ = ["Turns"]


class Turns:
    """Turns of what takes a thread for long; each event loop of the process has its own.

    Args:
        at_once: how many have their turn at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def here(self) -> asyncio.Semaphore:
        """Those of the event loop that runs this; to be entered with `async with`."""
        return self._of_loops.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._at_once))
