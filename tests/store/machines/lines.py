"""Ways to a remote: good ones, bad ones, and one on which somebody else is at work at the same time."""

from collections.abc import Callable
from pathlib import Path

from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import Persistent
from holdfast.store.remote.transport import Pieces, Transport
from tests.flaky import Flaky

LINES = ("good", "bad", "dying")
"""A bad line loses answers, and whoever is patient gets through; a dying one is gone with the first that it loses."""


def line(root: Path, kind: str, seed: int) -> Transport:
    """The way to the remote in the folder `root`."""
    if kind == "good":
        return FolderTransport(root)
    flaky = Flaky(FolderTransport(root), seed, share=0.2)
    return Persistent(flaky, lambda _seconds: None) if kind == "bad" else flaky


class Beside(FolderTransport):
    """A folder in which somebody else does something just before the file number `at` is created."""

    def __init__(self, root: Path, at: int, somebody: Callable[[], object]) -> None:
        super().__init__(root)
        self._left = at
        self._somebody = somebody

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        self._left -= 1
        if self._left == -1:
            self._somebody()
        return super().create_long(key, pieces, size)
