"""Asking again where an answer was lost: safe, because every call of a transport may be repeated."""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from holdfast.errors import Unavailable
from holdfast.store.remote.transport import Listed, Pieces, Transport

__all__ = ["ATTEMPTS_MAX", "Persistent"]

ATTEMPTS_MAX = 6
"""With the pauses between them about six seconds: a server that restarts is met again, one that is gone is told of."""

_FIRST_PAUSE_SECONDS = 0.2
_GROWTH = 2.0

_T = TypeVar("_T")


class Persistent:
    """A transport that repeats what came to no answer, with growing pauses of random length.

    Where the reply to a `create` was lost, the repetition answers False: the file that stands there may be one's own.

    Args:
        inner: what is asked.
        sleep: waits so many seconds.
    """

    def __init__(self, inner: Transport, sleep: Callable[[float], object] = time.sleep) -> None:
        self._inner = inner
        self._sleep = sleep

    @property
    def name(self) -> str:
        """See `Transport.name`."""
        return self._inner.name

    def create(self, key: str, data: bytes) -> bool:
        """See `Transport.create`."""
        return self._again(lambda: self._inner.create(key, data))

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        """See `Transport.create_long`."""
        return self._again(lambda: self._inner.create_long(key, pieces, size))

    def read(self, key: str, *, bytes_max: int) -> bytes:
        """See `Transport.read`."""
        return self._again(lambda: self._inner.read(key, bytes_max=bytes_max))

    def range(self, key: str, offset: int, length: int) -> bytes:
        """See `Transport.range`."""
        return self._again(lambda: self._inner.range(key, offset, length))

    def size(self, key: str) -> int | None:
        """See `Transport.size`."""
        return self._again(lambda: self._inner.size(key))

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Transport.list`."""
        # Half a listing cannot be continued: it is taken whole, at about 200 bytes a file.
        yield from self._again(lambda: list(self._inner.list(prefix)))

    def remove(self, key: str) -> None:
        """See `Transport.remove`."""
        self._again(lambda: self._inner.remove(key))

    def _again(self, ask: Callable[[], _T]) -> _T:
        pause = _FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS_MAX - 1):
            try:
                return ask()
            except Unavailable:
                # Chance keeps many who were turned away together from coming back together.
                self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause *= _GROWTH
        return ask()
