"""Files that have a name beside every version: those that MLflow's clients keep on a server.

Whoever keeps the names gives them here; a project whose names are behind a server has none of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from holdfast.digest import Digest

__all__ = ["AllFiles", "DeletedFiles", "NamedFiles", "NoFiles"]


class NamedFiles(Protocol):
    """Files by name; see `holdfast.experiments.files`."""

    def named(self) -> Iterator[tuple[str, Digest]]:
        """The bytes of every file, each with what the file belongs to, for people."""

    def fingerprint(self) -> object:
        """Changes when a file comes to need bytes that none needed before."""

    def forget(self) -> None:
        """Let go of the names that were given up: by whoever began to send a file and never came back, for instance."""


class DeletedFiles(Protocol):
    """Named files of what was deleted; see `holdfast.experiments.lapsed`. Each answer: whose, how many, their bytes."""

    def lapsed(self, age: timedelta) -> Sequence[tuple[str, int, int]]:
        """Those of what was deleted so long ago or longer, which nothing else is made of."""

    def free(self, age: timedelta) -> Sequence[tuple[str, int, int]]:
        """Take the names of these away."""


class NoFiles:
    """Where nobody keeps any."""

    def named(self) -> Iterator[tuple[str, Digest]]:
        """None."""
        return iter(())

    def fingerprint(self) -> object:
        """Never changes."""
        return None

    def forget(self) -> None:
        """Nothing."""

    def lapsed(self, age: timedelta) -> Sequence[tuple[str, int, int]]:
        """None."""
        del age
        return ()

    def free(self, age: timedelta) -> Sequence[tuple[str, int, int]]:
        """None."""
        del age
        return ()


@dataclass(frozen=True, slots=True)
class AllFiles:
    """Those of several who keep some.

    Attributes:
        keepers: each of them.
    """

    keepers: tuple[NamedFiles, ...]

    def named(self) -> Iterator[tuple[str, Digest]]:
        """See `NamedFiles.named`."""
        for one in self.keepers:
            yield from one.named()

    def fingerprint(self) -> object:
        """See `NamedFiles.fingerprint`."""
        return tuple(one.fingerprint() for one in self.keepers)

    def forget(self) -> None:
        """See `NamedFiles.forget`."""
        for one in self.keepers:
            one.forget()
