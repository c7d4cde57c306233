"""Index files: written by several, merged by whoever comes next, and never the last word on what is lost."""

import errno
import multiprocessing
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound
from holdfast.store.catalog import Catalog
from holdfast.store.index import Place, Segment
from holdfast.store.layout import Layout
from holdfast.store.local import LocalStore
from holdfast.store.pack import Record
from tests.effort import examples
from tests.patience import PATIENCE_SECONDS
from tests.store.looking import index_files, packs
from tests.store.spoiling import flip, write_index


def added(store: LocalStore, *contents: bytes) -> list[Digest]:
    with store.writer() as writer:
        digests = [writer.add_bytes(data).digest for data in contents]
        writer.commit()
    return digests


def test_stores_on_one_folder_see_what_the_other_committed(root: Path) -> None:
    one, other = LocalStore(root), LocalStore(root)
    for number in range(30):
        (digest,) = added(one, b"%d" % number)
        assert other.has(digest)
        assert other.read(digest, bytes_max=10) == b"%d" % number
        one, other = other, one
    assert list(one.digests()) == list(other.digests()) == sorted(hash_bytes(b"%d" % number) for number in range(30))


@pytest.mark.thorough
def test_index_files_are_merged_and_nothing_is_lost(store: LocalStore, root: Path) -> None:
    bystander = LocalStore(root)
    digests = [added(store, b"%d" % number)[0] for number in range(100)]
    assert len(index_files(root)) < 20
    for opened in (store, bystander, LocalStore(root)):
        assert opened.missing(digests) == set()
        assert [opened.verify(digest) for digest in digests] == [len(b"%d" % number) for number in range(100)]


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.booleans()), max_size=30))
def test_whoever_adds_how_much_and_in_which_order_all_of_it_is_there(
    commits: list[tuple[int, int, bool]],
) -> None:
    """Each commit: by which of three stores, how many blobs, and whether some of them were there."""
    with TemporaryDirectory() as folder:
        stores = [LocalStore(Path(folder)) for _ in range(3)]
        known: list[bytes] = []
        for who, count, again in commits:
            contents = [b"%d" % (len(known) + number) for number in range(count)] + (known[:2] if again else [])
            added(stores[who], *contents)
            known += contents[:count]
            assert not stores[(who + 1) % 3].missing(map(hash_bytes, contents))
        for opened in (*stores, LocalStore(Path(folder))):
            assert sorted(opened.digests()) == sorted({hash_bytes(data) for data in known})


def rows_of(store: LocalStore) -> list[tuple[bytes, Place]]:
    return list(store._catalog.all())


def test_a_file_that_says_what_all_of_them_say_is_kept(store: LocalStore, root: Path) -> None:
    """Two who merge at the same time can leave files that hold each other; the largest is what merging them gives."""
    digests = added(store, *(b"%d" % number for number in range(12)))
    rows = rows_of(store)
    (whole,) = index_files(root)
    for count in range(4, 11):
        listed = [(Record(p.offset, p.kind, p.codec, p.length, p.stored, id_), 0) for id_, p in rows[:count]]
        write_index(store._layout, [rows[0][1].segment], listed)
    assert len(index_files(root)) == 8
    digests += added(LocalStore(root), b"the next commit")
    assert whole in index_files(root)
    assert LocalStore(root).missing(digests) == set()


def test_a_merge_that_finds_no_space_does_not_fail_the_commit(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        added(store, b"%d" % number)
    real, written = Catalog.write, []

    def write(catalog: Catalog, *args: object) -> str:
        written.append(1)
        if len(written) > 1:
            raise IntegrityError("the disk could not write", hint="")
        return real(catalog, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Catalog, "write", write)
    digests = added(store, b"acknowledged")
    assert len(written) == 2
    assert len(index_files(root)) == 8
    assert LocalStore(root).missing(digests) == set()


def test_what_was_spoilt_since_it_was_opened_is_not_merged_as_if_it_were_whole(store: LocalStore, root: Path) -> None:
    digests = [added(store, b"%d" % number)[0] for number in range(7)]
    spoilt = index_files(root)[3]
    flip(spoilt, spoilt.stat().st_size - 64)  # in the id of its one row
    digests += added(store, b"the eighth")
    assert spoilt in index_files(root)
    again = LocalStore(root)
    assert len(again.missing(digests)) == 1
    assert spoilt.name in again._catalog.unreadable
    assert again.repair()
    assert again.missing(digests) == set()


def test_a_row_that_is_spoilt_since_it_was_opened_leads_to_nothing_wrong(store: LocalStore, root: Path) -> None:
    (digest,) = added(store, b"hello")
    (index,) = index_files(root)
    size = index.stat().st_size
    for at in range(size - 64, size):
        for _ in range(2):
            flip(index, at)
            with suppress(IntegrityError, NotFound):
                assert store.read(digest, bytes_max=1 << 64) == b"hello"
            with suppress(IntegrityError, NotFound), store.open(digest) as handle:
                assert handle.read() == b"hello"
    assert store.verify(digest) == 5


# Damaged, lost, written again


def test_a_damaged_index_file_is_passed_over_and_named(store: LocalStore, root: Path) -> None:
    one, other = added(store, b"one")[0], added(store, b"other")[0]
    spoilt = next(path for path in index_files(root) if bytes.fromhex(one.hex) in path.read_bytes())
    flip(spoilt, 30)
    again = LocalStore(root)
    assert again.missing([one, other]) == {one}
    assert list(again._catalog.unreadable) == [spoilt.name]
    assert again.read(other, bytes_max=10) == b"other"


def test_what_a_damaged_index_file_listed_is_there_again_when_it_is_added_again(store: LocalStore, root: Path) -> None:
    """The same bytes give the same pack and the same index file, under the name that is known to be damaged."""
    (digest,), (bystander,) = added(store, b"one"), [LocalStore(root)]
    (spoilt,) = index_files(root)
    data = spoilt.read_bytes()
    added(store, b"other")
    for byte in (0, len(data) // 2, len(data) - 1):
        flip(spoilt, byte)
        again, bystander = LocalStore(root), LocalStore(root)
        assert not bystander.has(digest)
        assert added(again, b"one") == [digest]
        assert spoilt.read_bytes() == data
        for opened in (again, bystander, LocalStore(root)):
            assert opened.has(digest)
            assert opened.read(digest, bytes_max=10) == b"one"


def shortened(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("spoil", [Path.unlink, shortened], ids=["lost", "shortened"])
def test_what_was_in_a_lost_pack_is_there_again_when_it_is_added_again(root: Path, spoil: object) -> None:
    store = LocalStore(root)
    (digest,) = added(store, b"one")
    (pack,) = packs(root)
    (other,) = added(store, b"other")
    spoil(pack)  # type: ignore[operator]
    again, bystander = LocalStore(root), LocalStore(root)
    for opened in (again, bystander):
        assert opened.missing([digest, other]) == {digest}
        assert [segment.name for segment in opened._catalog.lost] == [pack.name]
        with pytest.raises((NotFound, IntegrityError)):
            opened.verify(digest)
    with again.writer() as writer:
        assert writer.add_bytes(b"one").new
        writer.commit()
    for opened in (store, again, bystander, LocalStore(root)):
        assert opened.has(digest)
        assert opened.verify(digest) == 3


@pytest.mark.parametrize("spoil", [Path.unlink, shortened], ids=["lost", "shortened"])
def test_what_is_lost_while_a_store_is_open_is_written_again_when_it_is_added_again(root: Path, spoil: object) -> None:
    store = LocalStore(root)
    (digest,) = added(store, b"one")
    (pack,) = packs(root)
    added(store, b"other")
    spoil(pack)  # type: ignore[operator]
    assert added(store, b"one") == [digest]
    assert store.verify(digest) == 3
    assert LocalStore(root).missing([digest]) == set()


def test_a_commit_looks_at_no_more_segments_when_the_store_has_more(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Segment] = []
    stands = Catalog.stands

    def counted(catalog: Catalog, one: Segment) -> bool:
        looked.append(one)
        return stands(catalog, one)

    monkeypatch.setattr(Catalog, "stands", counted)
    counts = []
    for number in range(64):
        looked.clear()
        added(store, str(number).encode())
        counts.append(len(looked))
    # Where eight index files are merged, what they name is looked at once more.
    assert sorted(counts)[len(counts) // 2] <= 2
    assert sum(counts) <= 64 * 4


@pytest.mark.parametrize("lost", ["index", "packs"])
def test_without_its_folders_a_store_is_empty_and_can_be_written_to(store: LocalStore, root: Path, lost: str) -> None:
    (digest,) = added(store, b"one")
    (root / lost).rename(root.parent / lost)
    again = LocalStore(root)
    assert list(again.digests()) == ([digest] if lost == "index" else [])
    added(again, b"one", b"other")
    assert LocalStore(root).missing([digest, hash_bytes(b"other")]) == set()


def test_a_lost_index_is_made_again_from_the_packs(store: LocalStore, root: Path) -> None:
    digests = [added(store, b"%d" % number, b"even" * (number % 2))[0] for number in range(20)]
    for path in index_files(root):
        path.unlink()
    again = LocalStore(root)
    assert again.missing(digests) == set()
    assert again.check().ok is False  # it says that there is none
    digests += added(again, b"the first after that")
    assert LocalStore(root).missing(digests) == set()
    assert LocalStore(root).check().ok


# Several at once


@pytest.mark.thorough
@pytest.mark.parametrize("shared", [True, False], ids=["one-store", "a-store-each"])
def test_threads_that_commit_merge_and_read_lose_nothing(root: Path, shared: bool) -> None:
    first, start = LocalStore(root), threading.Barrier(4)

    def work(number: int) -> list[Digest]:
        store = first if shared else LocalStore(root)
        chance, known = random.Random(number), list[Digest]()
        start.wait()
        for step in range(25):
            known += added(store, *(b"%d-%d-%d" % (number, step, one) for one in range(chance.randrange(1, 4))))
            assert store.missing(known) == set()
            assert store.verify(chance.choice(known))
        return known

    with ThreadPoolExecutor(4) as pool:
        known = [digest for found in pool.map(work, range(4)) for digest in found]
    for store in (first, LocalStore(root)):
        assert store.missing(known) == set()
        assert sorted(store.digests()) == sorted(known)
    assert len(index_files(root)) < 60


def test_a_reader_that_finds_a_file_gone_looks_again(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [added(store, b"%d" % number)[0] for number in range(7)]
    real = Layout.names
    merged: list[bool] = []

    def names(layout: Layout, folder: Path) -> Iterator[str]:
        listed = list(real(layout, folder))
        if folder == layout.index and not merged:
            merged.append(True)
            digests.extend(added(store, b"the eighth"))
            assert len(index_files(root)) == 1
        yield from listed

    reader = LocalStore(root)
    monkeypatch.setattr(Layout, "names", names)
    assert list(reader.digests())
    assert reader.missing(digests) == set()


def test_too_many_open_files_is_no_damage(store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (digest,) = added(store, b"one")
    again, real = LocalStore(root), os.open

    def none_left(path: object, flags: int, *args: object, **named: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(Exception, match="did not serve"):
        again.has(digest)
    monkeypatch.setattr(os, "open", real)
    assert again.verify(digest) == 3
    assert not (root / "damaged").exists()


def _add_and_look(root: Path, start: object, number: int) -> None:
    start.wait()  # type: ignore[attr-defined]
    store, known = LocalStore(root), list[Digest]()
    for step in range(25):
        known += added(store, b"%d-%d" % (number, step), b"everybody's %d" % step)
        assert store.missing(known) == set()
    assert [store.verify(digest) for digest in known]


@pytest.mark.slow
def test_processes_that_commit_and_merge_lose_nothing(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    children = [context.Process(target=_add_and_look, args=(root, start, number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE_SECONDS)
    assert [child.exitcode for child in children] == [0, 0, 0]
    store = LocalStore(root)
    assert len(list(store.digests())) == 25 + 3 * 25
    assert store.check().ok
