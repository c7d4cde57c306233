"""Stores of every format that ever was are read, and written to without losing anything."""

import random
import shutil
from pathlib import Path

import pytest

from holdfast.canonical import decode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import UnsupportedFormat
from holdfast.store.local import LocalStore
from tests.store.looking import exact_files, files, index_files, packs
from tests.store.spoiling import flip
from tests.store.weight_files import gguf, npy, npz

MUSEUM = Path(__file__).parents[1] / "museum"
EXHIBITS = sorted(MUSEUM.glob("store-*"))

_HEADER = b'{"a":{"dtype":"F32","shape":[300],"data_offsets":[0,1200]}}'
_CHANCE = random.Random(1).randbytes(3000)
CONTENTS = [
    b"",
    b"hello",
    b"".join(b"%d,%d\n" % (number, number * number) for number in range(250)),
    _CHANCE,
    len(_HEADER).to_bytes(8, "little") + _HEADER + b"\x00\x00\x80\x3f" * 300,
    _CHANCE[:1500] + b"changed" + _CHANCE[1500:],
]
"""What each of them holds. The last but one is a tensors file, the last a later version of a file before it."""

_TENSORS = {"a": _CHANCE[:1300], "b": _CHANCE[:64]}
MORE = {"store-2.1": [gguf(_TENSORS), npy(_CHANCE[:1300]), npz(_TENSORS)]}
"""What some hold besides: files of tensors in the formats that they are the first to know."""

VERSIONS = {"store-1.0": "2.1", "store-2.0": "2.0", "store-2.1": "2.1"}
"""What each says of itself once it has been written to: only the first is made anew by that."""


@pytest.fixture(params=EXHIBITS, ids=lambda path: path.name)
def exhibit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def contents(store: LocalStore) -> list[bytes]:
    return [*CONTENTS, *MORE.get(store.root.name, [])]


def holds_all(store: LocalStore) -> None:
    assert list(store.digests()) == sorted(map(hash_bytes, contents(store)))
    for data in contents(store):
        assert store.read(hash_bytes(data), bytes_max=20_000) == data
        with store.open(hash_bytes(data)) as handle:
            assert handle.read() == data
    assert store.check().ok


def test_no_exhibit_is_lost() -> None:
    assert [path.name for path in EXHIBITS] == list(VERSIONS)


def test_an_exhibit_is_read_and_stays_as_it_is(exhibit: Path) -> None:
    before = {path: path.read_bytes() for path in files(exhibit)}
    holds_all(LocalStore(exhibit))
    assert {path: path.read_bytes() for path in files(exhibit)} == before


def test_an_exhibit_takes_new_blobs_and_keeps_the_old_ones(exhibit: Path) -> None:
    store = LocalStore(exhibit)
    with store.writer() as writer:
        assert {(writer.add_bytes(data).new, writer.add_bytes(data).added) for data in contents(store)} == {(False, 0)}
        new = writer.add_bytes(b"new").digest
        writer.commit()
    for opened in (store, LocalStore(exhibit)):
        assert opened.read(new, bytes_max=3) == b"new"
        assert [opened.read(hash_bytes(data), bytes_max=20_000) for data in contents(store)] == contents(store)
        assert opened.check().ok
    assert decode((exhibit / "config.json").read_bytes(), what="config")["version"] == VERSIONS[exhibit.name]


def test_a_later_version_of_a_file_shares_the_chunks_that_the_exhibit_cut(exhibit: Path) -> None:
    """What it holds was cut by an older Holdfast: cut otherwise now, nothing of it would be met again."""
    store = LocalStore(exhibit)
    for data in MORE.get(exhibit.name, []):
        with store.writer() as writer:
            added = writer.add_bytes(data + b"more").added
            writer.commit()
        assert added < 600


def test_a_blob_of_an_exhibit_that_is_damaged_is_found_and_written_again(exhibit: Path) -> None:
    store = LocalStore(exhibit)
    digest = hash_bytes(_CHANCE)
    exact = store.exact(digest)
    assert exact is not None
    flip(exact, 1000)
    assert [damage.digest for damage in store.check().damaged if damage.digest == digest] == [digest]
    assert not store.has(digest)
    with store.writer() as writer:
        for data in contents(store):
            writer.add_bytes(data)
        writer.commit()
    for opened in (store, LocalStore(exhibit)):
        holds_all(opened)
        assert opened.has(digest)


def test_the_first_store_becomes_one_of_packs_when_it_is_written_to(tmp_path: Path) -> None:
    root = Path(shutil.copytree(MUSEUM / "store-1.0", tmp_path / "store"))
    assert not (root / "packs").exists()
    old = exact_files(root)
    with LocalStore(root).writer() as writer:
        writer.add_bytes(b"new")
        writer.commit()
    assert exact_files(root) == old
    assert len(packs(root)) == len(index_files(root)) == 1
    assert {Digest(path.name) for path in old} | {hash_bytes(b"new")} == set(LocalStore(root).digests())


@pytest.mark.parametrize(
    ("before", "after"),
    [('"version":"2.0"', '"version":"3.0"'), ('"layout":"packs"', '"layout":"heaps"'), ("holdfast.store", "other")],
)
def test_a_store_of_tomorrow_is_refused_and_stays_as_it_is(tmp_path: Path, before: str, after: str) -> None:
    root = Path(shutil.copytree(MUSEUM / "store-2.0", tmp_path / "store"))
    config = (root / "config.json").read_text()
    assert before in config
    (root / "config.json").write_text(config.replace(before, after))
    held = {path: path.read_bytes() for path in files(root)}
    with pytest.raises(UnsupportedFormat):
        LocalStore(root)
    assert {path: path.read_bytes() for path in files(root)} == held
