"""Who waits for a stage to move hears of it: one look at the log for all who wait in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from holdfast.errors import HoldfastError

__all__ = ["LOOK_SECONDS", "Watch"]

LOOK_SECONDS = 0.02
"""How often the end of the log is looked at while somebody waits: one read of an index, at a twentieth of a
millisecond, so that a move is known everywhere well before a person has let go of the key."""


class Watch:
    """Wakes those who wait whenever the log has grown.

    Args:
        last: the index of the last event; None while there is none.

    Attributes:
        ended: nobody waits any more.
    """

    def __init__(self, last: Callable[[], Awaitable[int | None]]) -> None:
        self._last = last
        self._seen: int | None = None
        self._grown = asyncio.Event()
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        self.ended = False

    def end(self) -> None:
        """Let all who wait go, and have nobody wait again: the process is to end."""
        self.ended = True
        self._grown.set()

    async def looks(self, seconds: float) -> AsyncIterator[None]:
        """Once at once, and again each time the log has grown, until `seconds` have passed."""
        end = time.monotonic() + seconds
        self._waiting += 1
        try:
            grown = self._begin() if seconds > 0 else None
            yield
            while grown is not None and not self.ended and (left := end - time.monotonic()) > 0:
                try:
                    await asyncio.wait_for(grown.wait(), left)
                except TimeoutError:
                    return
                grown = self._grown
                yield
        finally:
            self._waiting -= 1

    def _begin(self) -> asyncio.Event:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return self._grown

    async def _look(self) -> None:
        while self._waiting and not self.ended:
            try:
                last = await self._last()
            except HoldfastError:
                last = self._seen  # a database that is away is asked again; those who wait lose nothing
            if last != self._seen:
                self._seen = last
                self._grown.set()
                self._grown = asyncio.Event()
            await asyncio.sleep(LOOK_SECONDS)
