"""The bytes of a small tree, and therefore the name of a small snapshot, for ever."""

from collections.abc import Callable
from pathlib import Path

from holdfast.digest import hash_bytes
from holdfast.flow.snapshot import snapshot
from holdfast.names import RelativePath
from holdfast.store.interface import Entry
from holdfast.store.memory import MemoryStore
from holdfast.store.tree import Tree, parse_tree

FILES = {"a.csv": b"1,2\n", "a/b.csv": b"", "a-b": b"x", "run.sh": b"#!/bin/sh\n", "é \U0001f600.txt": b"names"}


def entry(path: str, data: bytes) -> Entry:
    return Entry(RelativePath(path), 0o755 if path.endswith(".sh") else 0o644, len(data), hash_bytes(data))


def test_a_small_tree(golden: Callable[[str, bytes], None]) -> None:
    tree = Tree.of(entry(path, data) for path, data in FILES.items())
    golden("small.tree", tree.encode())
    golden("small.tree.digest", f"{tree.digest}\n".encode())


def test_a_tree_with_fields_of_a_newer_minor_format(golden: Callable[[str, bytes], None]) -> None:
    one = entry("a", b"")
    extended = Entry(one.path, one.mode, one.size, one.digest, {"owner": "ana", "zebra": [1, None]})
    tree = Tree((extended,), {"note": "kept"}, "1.7")
    golden("newer-minor.tree", tree.encode())
    assert parse_tree(tree.encode()) == tree


def test_a_small_folder(golden: Callable[[str, bytes], None], tmp_path: Path) -> None:
    for path, data in FILES.items():
        file = tmp_path / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o700 if path.endswith(".sh") else 0o600)
    golden("small.tree.digest", f"{snapshot(MemoryStore(), tmp_path / 'data', root=tmp_path).digest}\n".encode())
