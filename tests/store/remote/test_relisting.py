"""Listing again what a remote holds, and checking the remote itself."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.digest import Digest
from holdfast.store import local_writer
from holdfast.store.remote.direct import RemoteStore
from tests.store.remote.conftest import Sides
from tests.store.spoiling import flip


@pytest.fixture
def pushed(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> dict[Digest, bytes]:
    """Small blobs, one in chunks, and an exact file, all in the remote."""
    contents = [b"one", b"two", os.urandom(3_000_000)]
    path = sides.folder / "file"
    path.write_bytes(os.urandom(5_000_000))
    with sides.here.writer() as writer:
        found = {writer.add_bytes(data).digest: data for data in contents}
        monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
        found[writer.add_file(path).digest] = path.read_bytes()
        writer.commit()
    sides.outgoing().send(list(found))
    return found


def opened(sides: Sides) -> RemoteStore:
    return RemoteStore(sides.remote(), 1 << 30)


def index_files(sides: Sides) -> list[Path]:
    return sorted((sides.folder / "remote/index").iterdir())


def spoil(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


@pytest.mark.parametrize("befall", [Path.unlink, spoil], ids=["lost", "damaged"])
def test_an_index_that_is_lost_or_damaged_comes_back_as_it_was(
    sides: Sides, pushed: dict[Digest, bytes], befall: Callable[[Path], None]
) -> None:
    before = {path.name: path.read_bytes() for path in index_files(sides)}
    for path in index_files(sides):
        befall(path)
    store = opened(sides)
    assert store.missing(pushed) == set(pushed)
    assert opened(sides).check().ok is (befall is Path.unlink)  # nothing says what is not listed
    assert store.repair() != ()
    assert {path.name: path.read_bytes() for path in index_files(sides)} == before
    assert opened(sides).check().ok
    assert store.repair() == ()
    sides.incoming().fetch(list(pushed))
    for digest, data in pushed.items():
        assert sides.there.read(digest, bytes_max=len(data)) == data


def test_of_a_damaged_pack_that_nobody_lists_what_is_whole_is_listed(sides: Sides, pushed: dict[Digest, bytes]) -> None:
    [small] = [path for path in (sides.folder / "remote/packs").glob("*/*") if b"one" in path.read_bytes()]
    flip(small, small.read_bytes().index(b"one"))
    for path in index_files(sides):
        spoil(path)
    store = opened(sides)
    store.repair()
    [lost] = [digest for digest, data in pushed.items() if data == b"one"]
    assert store.missing(pushed) == {lost}
    sides.outgoing().send(list(pushed))
    assert opened(sides).missing(pushed) == set()
    assert opened(sides).check().ok


def test_a_recipe_is_not_listed_where_a_chunk_is_gone(sides: Sides, pushed: dict[Digest, bytes]) -> None:
    [exact] = (sides.folder / "remote/blobs").glob("*/*")
    exact.unlink()
    for path in index_files(sides):
        path.unlink()
    store = opened(sides)
    store.repair()
    assert store.missing(pushed) == {Digest(exact.name)}


def test_a_check_reads_the_remote_and_not_what_is_kept_of_it_here(sides: Sides, pushed: dict[Digest, bytes]) -> None:
    store = opened(sides)
    for digest, data in pushed.items():
        assert store.read(digest, bytes_max=len(data)) == data
    for path in (sides.folder / "remote/packs").glob("*/*"):
        flip(path, 80)
    assert store.check().damaged
    for path in index_files(sides):
        spoil(path)
    assert store.check().notes
