"""The wheels of a version's environment, kept as a snapshot that its manifest names."""

from collections.abc import Callable
from pathlib import Path

from holdfast.digest import Digest
from holdfast.flow.snapshot import snapshot
from holdfast.runtime.wheels import fetch_wheels
from holdfast.store.interface import Store
from holdfast.store.scratch import scratch

__all__ = ["Freezer", "freezer"]

Freezer = Callable[[str, str], Digest]
"""From a lock and a version of Python to the snapshot of its wheels."""

_SCRATCH_PREFIX = "wheels-"


def freezer(store: Store, folder: Path) -> Freezer:
    """What freezes environments into `store`, with a scratch folder below `folder`.

    A wheel that another version has frozen takes no room again: the store knows its bytes.
    """

    def freeze(lock: str, python: str) -> Digest:
        with scratch(folder, _SCRATCH_PREFIX) as mine:
            wheels = mine.path / "wheels"
            wheels.mkdir()
            fetch_wheels(lock, python, wheels)
            return snapshot(store, wheels, root=mine.path).digest

    return freeze
