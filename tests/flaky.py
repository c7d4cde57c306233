"""A network at its worst: calls that fail, stall, or are done and never answered, by a schedule that a seed fixes."""

import random
import time
from collections.abc import Iterator
from threading import Lock, get_ident

from holdfast.errors import Unavailable
from holdfast.store.remote.transport import Listed, Pieces, Transport

IN_A_ROW_MAX = 4
"""One less than would make a patient caller give up."""


class Flaky:
    """See `Transport`. What happens to a call rests on its key and how often it was asked; no thread has only bad luck.

    Args:
        inner: what really answers.
        seed: fixes what happens to which call.
        share: of the calls that come to nothing; never more than `IN_A_ROW_MAX` in a row of one key and thread: a
            caller tries again in its own thread, and others that ask for the same must not take its turn.

    Attributes:
        down: nothing is answered at all any more.
        calls, failures: how many there were.
    """

    def __init__(self, inner: Transport, seed: int, *, share: float = 0.3) -> None:
        self._inner = inner
        self._seed = seed
        self._asked: dict[str, int] = {}
        self._in_a_row: dict[tuple[int, str], int] = {}
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
            self._asked[key] = self._asked.get(key, 0) + 1
            drawn = random.Random(f"{self._seed} {key} {self._asked[key]}").random() / self._share
            caller = (get_ident(), key)
            self._in_a_row[caller] = self._in_a_row.get(caller, 0) + 1 if drawn < 1 else 0
            if self._in_a_row[caller] > IN_A_ROW_MAX:
                self._in_a_row[caller], drawn = 0, 1.0
        if drawn < 0.5 or self.down:
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
