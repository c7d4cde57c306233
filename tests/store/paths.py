"""A commit that takes every path through the writer in a few dozen system calls."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.store import catalog, layout, local_writer, packing
from holdfast.store.local import LocalStore
from tests.store.fine import FINE

OLD = [b"acknowledged before, %d" % number for number in range(8)]
"""Committed one by one and not merged, so that the next commit finds eight index files and merges them."""

_chance = random.Random(1)
NEW = [b"small", b"another", _chance.randbytes(2500), b"a,b\n" * 300, _chance.randbytes(5000)]
"""Two small blobs, two that are cut, and one that is kept as an exact file."""

EXACT_FROM = 4000


def patch(replace: Callable[[Any, str, Any], object]) -> None:
    """Make everything small, by `setattr` or what stands in for it."""
    replace(layout, "CUTTING", FINE)
    replace(local_writer, "deserves_exact_file", _is_large)
    replace(local_writer, "PACK_BYTES", 2000)
    replace(packing, "_FLUSH_BYTES", 1000)


def _is_large(_descriptor: int, size: int, *_: object) -> bool:
    return size >= EXACT_FROM


def sources(folder: Path) -> list[Path]:
    """The files that are added, in their order."""
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(NEW):
        (folder / str(number)).write_bytes(data)
    return sorted(folder.iterdir())


def add_all(store: LocalStore, paths: list[Path]) -> None:
    """One commit."""
    with store.writer() as writer:
        writer.add_files(paths)
        writer.commit()


def prepared(root: Path) -> LocalStore:
    """A store with what was acknowledged before."""
    store = LocalStore(root)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(catalog, "_FILES_OF_A_KIND_MAX", 100)
        for data in OLD:
            with store.writer() as writer:
                writer.add_bytes(data)
                writer.commit()
    return store
