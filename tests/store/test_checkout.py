"""A tree becomes a folder: whole or not at all, and nowhere else."""

import os
import stat
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, HoldfastError, IntegrityError, NoSpace, NotFound, PermissionRefused
from holdfast.names import RelativePath
from holdfast.store import resuming as module
from holdfast.store.checkout import checkout_tree
from holdfast.store.interface import Entry, Sink
from holdfast.store.memory import MemoryStore
from holdfast.store.tree import Tree
from tests.store.looking import names

FILES = {
    "a.csv": b"1,2\n",
    "deep/er/b.bin": os.urandom(100_000),
    "deep/run.sh": b"#!/bin/sh\n",
    "empty": b"",
    **{f"many/{number:03}": b"%d" % number for number in range(200)},
    "é/\U0001f600": b"names",
}


@pytest.fixture
def bytes_store() -> MemoryStore:
    store = MemoryStore()
    with store.writer() as writer:
        for data in FILES.values():
            writer.add_bytes(data)
        writer.commit()
    return store


def entry(path: str, data: bytes) -> Entry:
    return Entry(RelativePath(path), 0o755 if path.endswith(".sh") else 0o644, len(data), hash_bytes(data))


TREE = Tree.of(entry(path, data) for path, data in FILES.items())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_tree_is_written_out_exactly(bytes_store: MemoryStore, tmp_path: Path) -> None:
    checkout_tree(bytes_store, TREE, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert os.access(tmp_path / "out/deep/run.sh", os.X_OK)
    assert not (tmp_path / "out/a.csv").stat().st_mode & 0o111
    assert names(tmp_path) == ["out"]


def test_the_folder_has_the_modes_that_a_person_would_get(bytes_store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    checkout_tree(bytes_store, TREE, tmp_path / "out")
    usual = stat.S_IMODE((tmp_path / "mine").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == usual
    assert stat.S_IMODE((tmp_path / "out/deep").stat().st_mode) == usual


def test_an_empty_folder_is_filled(bytes_store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    checkout_tree(bytes_store, TREE, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_missing_folders_above_are_made(bytes_store: MemoryStore, tmp_path: Path) -> None:
    checkout_tree(bytes_store, TREE, tmp_path / "x/y/out")
    assert contents(tmp_path / "x/y/out") == FILES


def test_an_empty_tree_is_an_empty_folder(bytes_store: MemoryStore, tmp_path: Path) -> None:
    checkout_tree(bytes_store, Tree(()), tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_progress_ends_with_all_bytes(bytes_store: MemoryStore, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    checkout_tree(bytes_store, TREE, tmp_path / "out", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (TREE.size, TREE.size)
    assert told == sorted(told)


def test_nothing_that_stands_there_is_overwritten(bytes_store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "broken").symlink_to(tmp_path / "absent")
    before = sorted(tmp_path.rglob("*"))
    for name in ("file", "folder", "link", "broken"):
        with pytest.raises(AlreadyExists):
            checkout_tree(bytes_store, TREE, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


class Interfering(MemoryStore):
    """Does something once, when the blob `at` is asked for."""

    def __init__(self, inner: MemoryStore, at: bytes, act: object) -> None:
        super().__init__()
        self._blobs = inner._blobs
        self._at, self._act = hash_bytes(at), act

    def write_to(self, digest: Digest, sink: Sink) -> int:
        if digest == self._at:
            self._act()  # type: ignore[operator]
        return super().write_to(digest, sink)


def test_a_link_planted_while_it_is_written_is_not_followed(bytes_store: MemoryStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def plant() -> None:
        (inside,) = tmp_path.glob(".holdfast-checkout-*/tree")
        (inside / "deep").mkdir(exist_ok=True)
        (inside / "deep/er").symlink_to(outside)

    tree = Tree.of([entry("a.csv", FILES["a.csv"]), entry("deep/er/b.bin", FILES["deep/er/b.bin"])])
    with pytest.raises(PermissionRefused):
        checkout_tree(Interfering(bytes_store, FILES["a.csv"], plant), tree, tmp_path / "out")
    assert names(outside) == []
    assert names(tmp_path) == ["outside"]


def test_a_link_planted_in_the_place_of_a_file_is_not_followed(bytes_store: MemoryStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")

    def plant() -> None:
        (inside,) = tmp_path.glob(".holdfast-checkout-*/tree")
        (inside / "empty").symlink_to(outside)

    tree = Tree.of([entry("a.csv", FILES["a.csv"]), entry("empty", b"")])
    with pytest.raises(AlreadyExists):
        checkout_tree(Interfering(bytes_store, FILES["a.csv"], plant), tree, tmp_path / "out")
    assert outside.read_text() == "mine"
    assert names(tmp_path) == ["outside"]


def test_a_target_that_is_taken_meanwhile_is_left_alone(bytes_store: MemoryStore, tmp_path: Path) -> None:
    def take() -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out/mine").write_text("mine")

    with pytest.raises(AlreadyExists):
        checkout_tree(Interfering(bytes_store, FILES["a.csv"], take), TREE, tmp_path / "out")
    assert contents(tmp_path / "out") == {"mine": b"mine"}
    assert names(tmp_path) == ["out"]


def failing(bytes_store: MemoryStore, tree: Tree, target: Path, error: type[HoldfastError]) -> None:
    with pytest.raises(error):
        checkout_tree(bytes_store, tree, target)
    assert names(target.parent) == []


def test_a_damaged_blob_leaves_nothing(bytes_store: MemoryStore, tmp_path: Path) -> None:
    bytes_store._blobs[hash_bytes(b"150")] = b"151"
    failing(bytes_store, TREE, tmp_path / "out", IntegrityError)


def test_a_missing_blob_leaves_nothing(bytes_store: MemoryStore, tmp_path: Path) -> None:
    del bytes_store._blobs[hash_bytes(b"150")]
    failing(bytes_store, TREE, tmp_path / "out", NotFound)


def test_a_wrong_size_leaves_nothing(bytes_store: MemoryStore, tmp_path: Path) -> None:
    wrong = Entry(RelativePath("z"), 0o644, 99, hash_bytes(b"150"))
    failing(bytes_store, Tree.of([*TREE.entries, wrong]), tmp_path / "out", IntegrityError)


def test_a_full_disk_leaves_only_what_the_next_checkout_goes_on_with(bytes_store: MemoryStore, tmp_path: Path) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(NoSpace):
        checkout_tree(Interfering(bytes_store, b"150", full), TREE, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    checkout_tree(bytes_store, TREE, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_stays_when_the_checkout_fails(bytes_store: MemoryStore, tmp_path: Path) -> None:
    del bytes_store._blobs[hash_bytes(b"150")]
    (tmp_path / "out").mkdir()
    with pytest.raises(NotFound):
        checkout_tree(bytes_store, TREE, tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_what_a_killed_checkout_left_is_swept_by_the_next(bytes_store: MemoryStore, tmp_path: Path) -> None:
    left = tmp_path / f"{module.PREFIX}0123456789abcdef"
    (left / "tree").mkdir(parents=True)
    (left / "tree/half").write_text("half")
    checkout_tree(bytes_store, TREE, tmp_path / "out")
    assert names(tmp_path) == ["out"]


def test_the_deepest_path_that_is_allowed_can_be_written(bytes_store: MemoryStore, tmp_path: Path) -> None:
    tree = Tree.of([entry("a/" * 511 + "f", b"1"), entry("b/" * 511 + "f", b"2")])
    checkout_tree(bytes_store, tree, tmp_path / "out")
    assert Path("a/" * 511 + "f") in {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("f")}


def test_a_name_that_no_file_system_takes_leaves_nothing(bytes_store: MemoryStore, tmp_path: Path) -> None:
    failing(bytes_store, Tree.of([entry("x" * 300, b"1")]), tmp_path / "out", HoldfastError)
