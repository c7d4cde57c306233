"""Turns: the writers of one process, one after the other, in the order in which they came."""

from collections import deque
from threading import Lock

__all__ = ["Turns"]


class Turns:
    """A lock that is handed to whoever has waited longest.

    A plain lock goes to whoever asks at the right moment, which is mostly the thread that has just let go of it; of
    sixteen threads that write without a pause, one then waits for a hundred others' turns now and again.
    """

    def __init__(self) -> None:
        self._guard = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    def take(self, patience_seconds: float) -> bool:
        """Wait for a turn; whether it came in time. Who has it must `leave`."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            mine = Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=patience_seconds):
            return True
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # it was handed over in the moment in which patience ended

    def leave(self) -> None:
        """End a turn, and hand it to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
