"""Files that have a name beside every version: those that MLflow's clients keep on a server.

Whoever keeps the names gives them here; a project whose names are behind a server has none of its own.
"""

from collections.abc import Iterator
from typing import Protocol

from holdfast.digest import Digest

__all__ = ["NamedFiles", "NoFiles"]


class NamedFiles(Protocol):
    """Files by name; see `holdfast.experiments.files`."""

    def named(self) -> Iterator[tuple[str, Digest]]:
        """The bytes of every file, each with what the file belongs to, for people."""

    def fingerprint(self) -> object:
        """Changes when a file comes to need bytes that none needed before."""


class NoFiles:
    """Where nobody keeps any."""

    def named(self) -> Iterator[tuple[str, Digest]]:
        """None."""
        return iter(())

    def fingerprint(self) -> object:
        """Never changes."""
        return None
