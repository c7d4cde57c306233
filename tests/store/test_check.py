"""Checking the bytes of a whole store."""

from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.store.check import Damage, StoreCheck, check_store
from holdfast.store.local import LocalStore
from holdfast.store.memory import MemoryStore
from holdfast.store.pack import HEADER_BYTES, PACK_START
from tests.store.looking import exact_files, packs
from tests.store.spoiling import flip, spoil

PACK_BYTES_IN_FRONT = len(PACK_START) + HEADER_BYTES
"""Before the bytes of the first blob in a pack."""


def filled(store: LocalStore, count: int) -> None:
    with store.writer() as writer:
        for number in range(count):
            writer.add_bytes(b"%d" % number)
        writer.commit()


def test_a_whole_store_is_ok(store: LocalStore) -> None:
    filled(store, 300)
    found = check_store(store)
    assert found == StoreCheck(300, sum(len(str(number)) for number in range(300)), ())
    assert found.ok


def test_an_empty_store_is_ok(store: LocalStore) -> None:
    assert check_store(store) == StoreCheck(0, 0, ())


def test_every_damaged_blob_is_named_with_what_was_found(store: LocalStore) -> None:
    filled(store, 200)
    spoiled = {hash_bytes(b"%d" % number): b"spoiled %d" % number for number in (7, 77, 177)}
    for digest, data in spoiled.items():
        spoil(store, digest, data)
    found = check_store(store)
    assert found.damaged == tuple(sorted(Damage(digest, str(hash_bytes(data))) for digest, data in spoiled.items()))
    assert found.blobs == 200
    assert not found.ok


@pytest.mark.usefixtures("exactly")
def test_something_else_in_the_place_of_an_exact_file_is_damage(store: LocalStore, tmp_path: Path) -> None:
    filled(store, 3)
    (tmp_path / "large").write_bytes(b"large" * 300)
    with store.writer() as writer:
        digest = writer.add_file(tmp_path / "large").digest
        writer.commit()
    (path,) = exact_files(store.root)
    path.unlink()
    path.symlink_to(tmp_path)
    for opened in (store, LocalStore(store.root)):
        assert [damage.digest for damage in check_store(opened).damaged] == [digest]


def test_a_bit_that_is_flipped_in_a_pack_damages_what_has_its_bytes_there(store: LocalStore) -> None:
    filled(store, 200)
    (pack,) = packs(store.root)
    flip(pack, PACK_BYTES_IN_FRONT)
    assert [damage.digest for damage in check_store(store).damaged] == [hash_bytes(b"0")]


def test_progress_ends_with_all_bytes(store: LocalStore) -> None:
    filled(store, 150)
    told: list[tuple[int, int]] = []
    check_store(store, lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == check_store(store).bytes


def test_a_blob_that_is_removed_meanwhile_is_not_counted() -> None:
    store = MemoryStore()
    with store.writer() as writer:
        for number in range(200):
            writer.add_bytes(b"%d" % number)
        writer.commit()
    gone = hash_bytes(b"5")
    sizes = {digest: store.size(digest) for digest in store.digests()}

    class Shrinking(MemoryStore):
        def verify(self, digest: object) -> int:
            store._blobs.pop(gone, None)
            return store.verify(digest)  # type: ignore[arg-type]

    shrinking = Shrinking()
    shrinking._blobs = store._blobs
    assert check_store(shrinking).blobs == len(sizes) - 1
