"""Checking the bytes of a whole store: through the interface alone, and as a local store does it, pack by pack."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.store.check import check_store
from holdfast.store.interface import STRUCTURE, Damage, Depth, StoreCheck
from holdfast.store.local import LocalStore
from holdfast.store.memory import MemoryStore
from holdfast.store.pack import HEADER_BYTES, PACK_START
from tests.store.looking import exact_files, index_files, packs
from tests.store.spoiling import flip, forget, spoil

FIRST = len(PACK_START) + HEADER_BYTES
"""Where the bytes of the first blob in a pack are."""

Check = Callable[[LocalStore], StoreCheck]

both = pytest.mark.parametrize("check", [check_store, LocalStore.check], ids=["each", "packs"])


def filled(store: LocalStore, count: int) -> None:
    with store.writer() as writer:
        for number in range(count):
            writer.add_bytes(b"%d" % number)
        writer.commit()


def added_file(store: LocalStore, path: Path, data: bytes) -> Digest:
    path.write_bytes(data)
    with store.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    return digest


def named(found: StoreCheck) -> list[Digest]:
    return [damage.digest for damage in found.damaged]


@both
def test_a_whole_store_is_ok(store: LocalStore, check: Check) -> None:
    filled(store, 300)
    size = sum(len(str(number)) for number in range(300))
    found = check(store)
    assert found == StoreCheck(300, size, (), bytes_read=size)
    assert found.ok


@both
def test_an_empty_store_is_ok(store: LocalStore, check: Check) -> None:
    assert check(store) == StoreCheck(0, 0, ())


def test_every_damaged_blob_is_named_with_what_was_found(store: LocalStore) -> None:
    filled(store, 200)
    spoiled = {hash_bytes(b"%d" % number): b"spoiled %d" % number for number in (7, 77, 177)}
    for digest, data in spoiled.items():
        spoil(store, digest, data)
    found = check_store(store)
    assert found.damaged == tuple(sorted(Damage(digest, str(hash_bytes(data))) for digest, data in spoiled.items()))
    assert found.blobs == 200
    assert not found.ok
    assert named(LocalStore(store.root).check()) == sorted(spoiled)


@both
@pytest.mark.usefixtures("exactly")
def test_something_else_in_the_place_of_an_exact_file_is_damage(
    store: LocalStore, tmp_path: Path, check: Check
) -> None:
    filled(store, 3)
    digest = added_file(store, tmp_path / "large", b"large" * 300)
    (path,) = exact_files(store.root)
    path.unlink()
    path.symlink_to(tmp_path)
    for opened in (store, LocalStore(store.root)):
        assert named(check(opened)) == [digest]


@both
def test_a_bit_that_is_flipped_in_a_pack_damages_what_has_its_bytes_there(store: LocalStore, check: Check) -> None:
    filled(store, 200)
    (pack,) = packs(store.root)
    flip(pack, FIRST)
    assert named(check(store)) == [hash_bytes(b"0")]
    assert not store.has(hash_bytes(b"0"))


@both
@pytest.mark.usefixtures("exactly")
def test_a_chunk_that_is_damaged_hurts_every_blob_that_shares_it(
    store: LocalStore, tmp_path: Path, check: Check
) -> None:
    shared = bytes(range(256)) * 20
    digests = [added_file(store, tmp_path / "one", shared + b"one" * 500)]
    with store.writer() as writer:
        digests.append(writer.add_bytes(shared + b"two" * 500).digest)
        alone = writer.add_bytes(b"alone" * 500).digest
        writer.commit()
    (path,) = exact_files(store.root)
    flip(path, 100)
    assert named(check(store)) == sorted(digests)
    assert store.missing([*digests, alone]) == set(digests)


@pytest.mark.usefixtures("fine")
def test_a_damaged_chunk_that_no_blob_needs_now_is_written_again_by_the_next_that_does(store: LocalStore) -> None:
    """Its recipe and the index are lost, and so is its blob; its bytes would otherwise be taken for known."""
    data = b"".join(b"%d," % number for number in range(1000))
    with store.writer() as writer:
        digest = writer.add_bytes(data).digest
        writer.commit()
    recipes, chunks = sorted(packs(store.root), key=lambda path: path.stat().st_size)
    flip(chunks, FIRST)
    for path in (recipes, *index_files(store.root)):
        path.unlink()
    again = LocalStore(store.root)
    assert again.check().damaged == ()
    with again.writer() as writer:
        assert writer.add_bytes(data).digest == digest
        writer.commit()
    assert again.verify(digest) == len(data)


@pytest.mark.usefixtures("exactly")
def test_the_structure_is_checked_without_reading_anything(store: LocalStore, tmp_path: Path) -> None:
    filled(store, 3)
    digest = added_file(store, tmp_path / "large", b"large" * 300)
    assert store.check(STRUCTURE) == StoreCheck(4, 1503, ())
    (path,) = exact_files(store.root)
    flip(path, 100)
    assert store.check(STRUCTURE).ok
    path.chmod(0o644)
    path.write_bytes(b"shortened")
    assert named(store.check(STRUCTURE)) == [digest]


def test_after_all_shares_everything_was_read(store: LocalStore) -> None:
    for number in range(6):
        with store.writer() as writer:
            writer.add_bytes(b"%d" % number)
            writer.commit()
    for pack in packs(store.root):
        flip(pack, FIRST)
    shares = [LocalStore(store.root).check(Depth(number, 3)) for number in (1, 2, 3)]
    assert sum(share.bytes_read for share in shares) == 6
    assert {digest for share in shares for digest in named(share)} == {
        hash_bytes(b"%d" % number) for number in range(6)
    }


def test_a_damaged_index_file_is_named_and_repaired(store: LocalStore) -> None:
    for number in range(3):
        with store.writer() as writer:
            writer.add_bytes(b"%d" % number)
            writer.commit()
    digests = list(store.digests())
    spoilt = index_files(store.root)[1]
    flip(spoilt, 50)
    again = LocalStore(store.root)
    assert len(again.missing(digests)) == 1
    (note,) = again.check().notes
    assert spoilt.name in note
    assert again.repair()
    assert not spoilt.exists()
    for one in (again, LocalStore(store.root)):
        assert one.check() == StoreCheck(3, 3, (), bytes_read=3)
        assert list(one.digests()) == digests
    assert again.repair() == ()


def test_repairing_takes_nothing_away_that_could_be_read(store: LocalStore) -> None:
    """A pack of which neither the end nor the start can be read is read by its index alone."""
    for number in range(3):
        with store.writer() as writer:
            writer.add_bytes(b"%d" % number)
            writer.commit()
    digests = list(store.digests())
    pack, *_ = packs(store.root)
    flip(pack, 0)
    flip(pack, pack.stat().st_size - 1)
    (hurt,) = [path for path in index_files(store.root) if bytes.fromhex(pack.name) not in path.read_bytes()][:1]
    hurt.unlink()
    again = LocalStore(store.root)
    assert again.repair()
    for one in (again, LocalStore(store.root)):
        assert list(one.digests()) == digests
        assert [one.verify(digest) for digest in digests] == [1, 1, 1]


@both
def test_progress_ends_with_all_bytes(store: LocalStore, check: Callable[..., StoreCheck]) -> None:
    filled(store, 150)
    told: list[tuple[int, int]] = []
    found = check(store, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]
    if check is check_store:
        assert told[-1][0] == found.bytes


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


@both
def test_an_exact_file_whose_recipe_never_came_is_named_when_a_chunk_in_it_is_damaged(
    exactly: None, store: LocalStore, tmp_path: Path, check: Check
) -> None:
    digest = added_file(store, tmp_path / "file", b"".join(b"%d," % number for number in range(1500)))
    forget(store, bytes.fromhex(digest.hex))
    [path] = exact_files(store.root)
    flip(path, 3000)
    assert named(check(LocalStore(store.root))) == [digest]


@both
def test_a_chunk_that_an_exact_file_has_twice_may_be_damaged_in_one_place(
    exactly: None, store: LocalStore, tmp_path: Path, check: Check
) -> None:
    page = b"".join(b"%d," % number for number in range(1500))
    added_file(store, tmp_path / "file", page + page)
    [path] = exact_files(store.root)
    flip(path, len(page) + len(page) // 2)
    opened = LocalStore(store.root)
    assert opened.read(hash_bytes(page + page), bytes_max=20_000) == page + page
    assert named(check(opened)) == []


def test_a_check_forgets_damage_that_was_healed_though_there_is_other(store: LocalStore) -> None:
    filled(store, 2)
    with store.writer() as writer:
        healed = writer.add_bytes(b"healed by somebody else").digest
        writer.commit()
    store._layout.mark_damaged(healed.hex)
    spoil(store, hash_bytes(b"0"), b"spoiled")
    opened = LocalStore(store.root)
    assert named(opened.check()) == [hash_bytes(b"0")]
    assert opened.has(healed)
