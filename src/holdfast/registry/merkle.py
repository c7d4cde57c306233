"""The RFC 6962 tree hash (section 2.1) over a sequence of entries, in one pass and logarithmic memory.

root([]) == SHA-256 of nothing
root([a]) == SHA-256(0x00 a)
root(left + right) == SHA-256(0x01 root(left) root(right))      left: the largest power of two below the length
"""

import hashlib
from collections.abc import Iterable

from holdfast.digest import Digest

__all__ = ["Tree", "root"]


class Tree:
    """A tree that grows at its right edge.

    It keeps the roots of the full subtrees that the entries so far make: one for each 1 in the binary form of the size.
    """

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, entry: bytes) -> None:
        """Adds one entry at the right."""
        node = hashlib.sha256(b"\x00" + entry).digest()
        self.size += 1
        # Each trailing zero of the new size closes one subtree with the one to its left.
        for _ in range((self.size & -self.size).bit_length() - 1):
            node = _join(self._edge.pop(), node)
        self._edge.append(node)

    def root(self) -> Digest:
        """The hash of the tree as it stands."""
        if not self._edge:
            return Digest(hashlib.sha256().hexdigest())
        node = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            node = _join(left, node)
        return Digest(node.hex())


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(entries: Iterable[bytes]) -> Digest:
    """The tree hash of the entries."""
    tree = Tree()
    for entry in entries:
        tree.append(entry)
    return tree.root()
