"""Freeze data: a file, a folder or a table goes into the store and is named by its content from then on.

    frozen = snapshot(store, "data/train", root=project)
    frozen.digest                                  the name; the same data has the same one, wherever it lies
    checkout_tree(store, load_tree(store, frozen.digest), Path("again"))

A snapshot is always a tree (`holdfast.store.tree`): a single file is a tree of one. Data that changes while it is
read is refused, and then nothing is recorded. This package does not point at data that stays where it is (a pin), and
knows neither runs nor versions.
"""

from holdfast.flow.snapshot.freeze import Snapshot, snapshot
from holdfast.store.tree import load_tree

__all__ = ["Snapshot", "load_tree", "snapshot"]
