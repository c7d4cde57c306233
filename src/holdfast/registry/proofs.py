"""Proofs about the log: that an event is in it, and that it only grew. Anyone can check them who has the head."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.registry.merkle import Head, consistent, root_by_inclusion

__all__ = ["Consistency", "Inclusion"]


def _texts(path: Sequence[bytes]) -> list[str]:
    return [b64encode(node).decode() for node in path]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an event is in the log, at its place.

    Attributes:
        index: the place.
        body: the event's canonical bytes.
        head: of the log that it is in.
        path: the hashes beside the way from the event to the root, from below (RFC 6962, section 2.1.1).
    """

    index: int
    body: bytes
    head: Head
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether it proves what it says."""
        return root_by_inclusion(self.body, self.index, self.head.size, self.path) == self.head.root

    def to_json(self) -> JsonObject:
        """What `audit proof EVENT` prints, but for the checkpoint."""
        return {"index": self.index, "body": self.body.decode(), **self.head.to_json(), "path": _texts(self.path)}


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the log begins with what it was: nothing in it was changed, taken out or moved since.

    Attributes:
        old: what the log was.
        new: what it is.
        path: the hashes that make both roots (RFC 6962, section 2.1.2).
    """

    old: Head
    new: Head
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether it proves what it says."""
        return consistent(self.old, self.new, self.path)

    def to_json(self) -> JsonObject:
        """What `audit proof --since` prints, but for the checkpoint."""
        return {"old": self.old.to_json(), "new": self.new.to_json(), "path": _texts(self.path)}
