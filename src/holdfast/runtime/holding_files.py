"""Which snapshots hold a file, asked of their trees in a store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.digest import Digest
from holdfast.errors import Archived, NotFound
from holdfast.store.interface import Store
from holdfast.store.tree import tree_rows

__all__ = ["Holding", "snapshots_with"]


@dataclass(frozen=True, slots=True)
class Holding:
    """What the trees said.

    Attributes:
        snapshots: those that hold the file.
        absent: those whose tree is not in this store, so that nobody knows.
    """

    snapshots: tuple[Digest, ...]
    absent: tuple[Digest, ...]


def snapshots_with(
    file: Digest, trees: Sequence[Digest], store: Store, progress: Callable[[int, int], None] | None = None
) -> Holding:
    """The snapshots among `trees` that hold the file of this digest, whatever its name there.

    Args:
        file: the digest of its bytes.
        trees: the snapshots to look into.
        store: where their trees are.
        progress: called with the trees done and the trees in all.

    Raises:
        IntegrityError: a tree is damaged.
    """
    found, absent = [], []
    for done, tree in enumerate(trees, 1):
        try:
            # All of it is read, whether the file was there or not: a tree is verified at its end.
            if sum(row.hex == file.hex for row in tree_rows(store, tree)):
                found.append(tree)
        except (NotFound, Archived):
            absent.append(tree)
        if progress is not None:
            progress(done, len(trees))
    return Holding(tuple(found), tuple(absent))
