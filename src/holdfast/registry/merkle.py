"""The Merkle tree of RFC 6962, section 2.1: its hashes, which of them make up a proof, and what a proof shows.

root([]) == SHA-256 of nothing
root([a]) == SHA-256(0x00 a)
root(left + right) == SHA-256(0x01 root(left) root(right))      left: the largest power of two below the length

A full subtree never changes once its last entry is there, and so each is kept with the entry that closed it: the entry
at `place` closes its own leaf and one subtree for each trailing zero of `place + 1`. Everything else, the root or a
proof, is a handful of those. Nothing here reads anything: it says which nodes are needed, and what follows from them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.canonical import JsonObject
from holdfast.digest import Digest

__all__ = [
    "HASH_BYTES",
    "Head",
    "Node",
    "Span",
    "Tree",
    "consistency_path",
    "consistent",
    "folded",
    "hash_of",
    "inclusion_path",
    "join",
    "leaf",
    "left_of",
    "root",
    "root_by_inclusion",
]

HASH_BYTES = 32
"""Of SHA-256."""

_EMPTY = hashlib.sha256().digest()


@dataclass(frozen=True, slots=True)
class Head:
    """What a tree is at one size: the two numbers that pin every entry in it, and their order.

    Attributes:
        size: how many entries.
        root: the tree hash over them.
    """

    size: int
    root: Digest

    def to_json(self) -> JsonObject:
        """As proofs and audits carry it."""
        return {"size": self.size, "root": str(self.root)}


@dataclass(frozen=True, slots=True)
class Node:
    """The root of a full subtree: entries from `number << level` on, `1 << level` of them."""

    level: int
    number: int

    @property
    def closed_by(self) -> int:
        """The place of the last entry in it: with that one it is kept."""
        return ((self.number + 1) << self.level) - 1


@dataclass(frozen=True, slots=True)
class Span:
    """Entries from `start` up to `end`, which are one subtree of a tree; full, or cut short by the right edge."""

    start: int
    end: int

    def nodes(self) -> Iterator[Node]:
        """The full subtrees that it consists of, from the left: one for each 1 in the binary form of its length."""
        start = self.start
        for level in range((self.end - start).bit_length() - 1, -1, -1):
            if (self.end - self.start) >> level & 1:
                yield Node(level, start >> level)
                start += 1 << level


class Tree:
    """A tree that grows at its right edge, in logarithmic memory."""

    def __init__(self, edge: Sequence[bytes] = (), size: int = 0) -> None:
        self.size = size
        self._edge = list(edge)

    def append(self, entry: bytes) -> bytes:
        """Adds one entry at the right; the hashes of all that it closes, its own leaf first."""
        closed = [leaf(entry)]
        self.size += 1
        # Each trailing zero of the new size closes one subtree with the one to its left.
        for _ in range((self.size & -self.size).bit_length() - 1):
            closed.append(join(self._edge.pop(), closed[-1]))
        self._edge.append(closed[-1])
        return b"".join(closed)

    def root(self) -> Digest:
        """The hash of the tree as it stands."""
        return Digest(folded(self._edge).hex())

    def head(self) -> Head:
        """The tree as it stands."""
        return Head(self.size, self.root())


def leaf(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def join(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees that stand side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over full subtrees from the left, such as the nodes of a span; of none, that of the empty tree."""
    if not hashes:
        return _EMPTY
    node = hashes[-1]
    for left in reversed(hashes[:-1]):
        node = join(left, node)
    return node


def root(entries: Iterable[bytes]) -> Digest:
    """The tree hash of the entries."""
    tree = Tree()
    for entry in entries:
        tree.append(entry)
    return tree.root()


def left_of(place: int) -> list[Node]:
    """The subtrees that the entry at `place` closes larger ones with, the smallest first."""
    size = place + 1
    return [Node(level, (size >> level) - 2) for level in range((size & -size).bit_length() - 1)]


def inclusion_path(place: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove that the entry at `place` is in the tree of `size`: PATH of RFC 6962, 2.1.1."""
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if place < middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start = middle
    return path[::-1]


def consistency_path(old: int, size: int) -> list[Span]:
    """The subtrees whose hashes prove that the tree of `size` begins with that of `old`: PROOF of RFC 6962, 2.1.2."""
    if not 0 < old < size:
        return []
    start, end, path = 0, size, []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start = middle
    # The old tree itself is left out: whoever checks knows its root.
    if start:
        path.append(Span(start, end))
    return path[::-1]


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def root_by_inclusion(entry: bytes, place: int, size: int, path: Sequence[bytes]) -> Digest | None:
    """The root of the tree that has the entry at `place`, as the path has it (RFC 9162, section 2.1.3.2).

    None when the path has another length than such a path, or the place is not in the tree.
    """
    if not 0 <= place < size:
        return None
    number, last, node = place, size - 1, leaf(entry)
    for other in path:
        if last == 0:
            return None
        if number & 1 or number == last:
            node = join(other, node)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            node = join(node, other)
        number, last = number >> 1, last >> 1
    return Digest(node.hex()) if last == 0 else None


def consistent(old: Head, new: Head, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the new tree begins with the old one (RFC 9162, section 2.1.4.2)."""
    if old.size >= new.size or old.size == 0:
        return not path and old in {new, Head(0, Digest(_EMPTY.hex()))}
    proof = list(path) if old.size & (old.size - 1) else [bytes.fromhex(old.root.hex), *path]
    if not proof:
        return False
    number, last = old.size - 1, new.size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    before = after = proof[0]
    for other in proof[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            before, after = join(other, before), join(other, after)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            after = join(after, other)
        number, last = number >> 1, last >> 1
    return last == 0 and (before.hex(), after.hex()) == (old.root.hex, new.root.hex)


def hash_of(span: Span, known: Mapping[Node, bytes]) -> bytes:
    """The hash of a subtree, put together from the full ones that it consists of."""
    return folded([known[node] for node in span.nodes()])
