"""Naming bytes while something else is done with them: SHA-256 on a thread of its own."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from holdfast.digest import Digest

__all__ = ["Naming", "gathered"]

_AHEAD = 4
"""Pieces that may wait to be hashed: enough that neither side stands still, few enough that memory stays flat."""


class Naming:
    """The digest of pieces that follow one another. It is used in a `with` block, by one thread."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, "holdfast-name")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def update(self, piece: bytes) -> None:
        """Take the next piece."""
        self._waiting.append(self._thread.submit(self._state.update, piece))
        while len(self._waiting) > _AHEAD:
            self._waiting.popleft().result()

    def digest(self) -> Digest:
        """The name of all pieces so far."""
        while self._waiting:
            self._waiting.popleft().result()
        return Digest(self._state.hexdigest())


def gathered(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at least `size`, but for the last."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)
