"""What a thing was made from, what was made from it, and what else was made from the same data."""

from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.registry.answers import Direction, Node, Walk
from holdfast.registry.asking import Questions

__all__ = ["Beside", "Kin", "kin_of"]

_ASKED_MAX = 16
"""Snapshots whose other versions are looked for: each costs a question, and a version is trained on a few."""

_SHOWN_MAX = 100
"""Other versions of one snapshot that are named: a person who wants all of them searches for it."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The other versions that were made from a snapshot.

    Attributes:
        snapshot: its digest.
        versions: they, such as `churn@3`; the first hundred.
        count: how many there are.
    """

    snapshot: str
    versions: tuple[str, ...]
    count: int

    def to_json(self) -> JsonObject:
        """One entry of `beside`."""
        return {"snapshot": self.snapshot, "versions": list(self.versions), "count": self.count}


@dataclass(frozen=True, slots=True)
class Kin:
    """A thing among what it is related to.

    Attributes:
        root: the thing.
        up: what it was made from; None when nobody asked.
        down: what was made from it; None likewise.
        beside: what else was made from the same data.
    """

    root: Node
    up: Walk | None
    down: Walk | None
    beside: tuple[Beside, ...]

    def to_json(self) -> JsonObject:
        """What `lineage` prints."""
        return {
            "root": self.root.to_json(),
            "up": None if self.up is None else self.up.to_json(),
            "down": None if self.down is None else self.down.to_json(),
            "beside": [one.to_json() for one in self.beside],
        }


def kin_of(questions: Questions, kind: str, name: str, *, up: bool, down: bool, depth: int) -> Kin:
    """The thing of this kind and name, with what it is related to up to so many steps away.

    Raises:
        UsageError: the depth is not 1 to `DEPTH_MAX`.
    """
    above = questions.walk(kind, name, Direction.UP, depth=depth) if up else None
    below = questions.walk(kind, name, Direction.DOWN, depth=depth) if down else None
    root = next((walk.nodes[0] for walk in (above, below) if walk is not None), Node(kind, name, 0))
    data = [] if above is None else [one.name for one in above.nodes if one.kind == "snapshot" and one.depth == 1]
    beside = (_beside(questions, snapshot, root) for snapshot in data[:_ASKED_MAX])
    return Kin(root, above, below, tuple(one for one in beside if one.count))


def _beside(questions: Questions, snapshot: str, root: Node) -> Beside:
    found = questions.walk("snapshot", snapshot, Direction.DOWN, depth=1)
    names = sorted(name for node in found.nodes if node.name != root.name for name in node.versions)
    return Beside(snapshot, tuple(names[:_SHOWN_MAX]), len(names))
