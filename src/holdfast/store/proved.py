"""Recipes that one process has followed to their end, so that a range can be read without doing that again.

Whoever asks for a hundred ranges of a blob, several at once, has it put together by one of them, and the others wait
for that. It is the recipe that is proved, by its hash: that these chunks are the blob. The chunks themselves are hashed
again whenever they are read.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from holdfast.digest import Digest

__all__ = ["Proved"]

_REMEMBERED_MAX = 4_096
"""Blobs remembered: half a megabyte. One that was forgotten is read whole once more."""


class Proved:
    """By blob, the recipe that puts it together. It may be used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[Digest, bytes] = OrderedDict()
        self._turns: dict[Digest, Lock] = {}

    def once(self, digest: Digest, recipe: bytes, prove: Callable[[], object]) -> None:
        """Go on when the recipe was found to be that of the blob, now or earlier.

        Args:
            digest: of the blob.
            recipe: its hash.
            prove: follows it; whatever it raises, it is not proved.
        """
        if self._knows(digest, recipe):
            return
        with self._lock:
            turn = self._turns.setdefault(digest, Lock())
        with turn:
            try:
                if not self._knows(digest, recipe):
                    prove()
                    self._note(digest, recipe)
            finally:
                with self._lock:
                    self._turns.pop(digest, None)

    def _knows(self, digest: Digest, recipe: bytes) -> bool:
        with self._lock:
            if self._known.get(digest) != recipe:
                return False
            self._known.move_to_end(digest)
            return True

    def _note(self, digest: Digest, recipe: bytes) -> None:
        with self._lock:
            self._known[digest] = recipe
            self._known.move_to_end(digest)
            if len(self._known) > _REMEMBERED_MAX:
                self._known.popitem(last=False)
