"""A network at its worst: calls that fail, stall, or are done and never answered, by a schedule that a seed fixes."""

import random
import time
from collections.abc import Iterator
from threading import Lock

from holdfast.errors import Unavailable
from holdfast.store.remote.transport import Listed, Pieces, Transport


class Flaky:
    """See `Transport`; of ten calls about three come to nothing.

    Args:
        inner: what really answers.
        seed: fixes what happens to which call.
        down: nothing is answered at all any more, whatever the seed.
    """

    def __init__(self, inner: Transport, seed: int, *, share: float = 0.3) -> None:
        self._inner = inner
        self._random = random.Random(seed)
        self._lock = Lock()
        self._share = share
        self.down = False
        self.calls = 0
        self.failures = 0

    @property
    def name(self) -> str:
        return self._inner.name

    def create(self, key: str, data: bytes) -> bool:
        fate = self._fate(key)
        answer = self._inner.create(key, data)
        self._lose(fate, key)
        return answer

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        fate = self._fate(key)
        answer = self._inner.create_long(key, pieces, size)
        self._lose(fate, key)
        return answer

    def read(self, key: str, *, bytes_max: int) -> bytes:
        self._lose(self._fate(key), key)
        return self._inner.read(key, bytes_max=bytes_max)

    def range(self, key: str, offset: int, length: int) -> bytes:
        self._lose(self._fate(key), key)
        return self._inner.range(key, offset, length)

    def size(self, key: str) -> int | None:
        self._lose(self._fate(key), key)
        return self._inner.size(key)

    def list(self, prefix: str) -> Iterator[Listed]:
        fate = self._fate(prefix)
        for number, one in enumerate(self._inner.list(prefix)):
            if number > 2:
                self._lose(fate, prefix)
            yield one
        self._lose(fate, prefix)

    def remove(self, key: str) -> None:
        fate = self._fate(key)
        self._inner.remove(key)
        self._lose(fate, key)

    def _fate(self, key: str) -> str:
        with self._lock:
            self.calls += 1
            drawn = self._random.random() / self._share if not self.down else 0.0
        if drawn < 0.5:
            self._fail(key)
        if drawn < 0.7:
            time.sleep(0.01)
            self._fail(key)
        return "lost" if drawn < 1 else "answered"

    def _lose(self, fate: str, key: str) -> None:
        if fate == "lost":
            self._fail(key)

    def _fail(self, key: str) -> None:
        with self._lock:
            self.failures += 1
        raise Unavailable(f"{self.name} did not serve {key}", hint="Try again.")
