"""What is particular to the store in a local folder: its layout, its format, its neighbours."""

import json
import multiprocessing
import re
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.canonical import JsonObject, encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, PermissionRefused, UnsupportedFormat, UsageError
from holdfast.store.cut import CUTTING
from holdfast.store.local import LocalStore
from holdfast.store.pack import PACK_START
from tests.patience import PATIENCE_SECONDS
from tests.store.looking import exact_files, index_files, names, packs
from tests.store.spoiling import flip

FILES = {"format": "holdfast.store", "layout": "files", "version": "1.0"}
PACKS = {"cutting": CUTTING.to_json(), "format": "holdfast.store", "layout": "packs", "version": "2.1"}
LARGE = b"".join(b"%d," % number for number in range(1500))
"""Text of 6 KB: a dozen chunks where cutting is fine."""


def added(store: LocalStore, data: bytes) -> Digest:
    with store.writer() as writer:
        digest = writer.add_bytes(data).digest
        writer.commit()
    return digest


def added_file(store: LocalStore, path: Path, data: bytes) -> Digest:
    path.write_bytes(data)
    with store.writer() as writer:
        digest = writer.add_file(path).digest
        writer.commit()
    return digest


def test_packs_and_index_files_are_read_only_and_named_by_their_bytes(store: LocalStore, root: Path) -> None:
    added(store, b"hello")
    (pack,), (index,) = packs(root), index_files(root)
    assert pack.read_bytes().startswith(PACK_START)
    assert pack.parent == root / "packs" / pack.name[:2]
    assert index.parent == root / "index"
    for path in (pack, index):
        assert path.name == blake3(path.read_bytes()).hexdigest()
        assert stat.S_IMODE(path.stat().st_mode) == 0o444


@pytest.mark.usefixtures("exactly")
def test_an_exact_file_is_read_only_and_named_by_its_digest(store: LocalStore, root: Path, tmp_path: Path) -> None:
    digest = added_file(store, tmp_path / "large", LARGE)
    path = root / "blobs" / digest.hex[:2] / digest.hex
    assert exact_files(root) == [path]
    assert path.read_bytes() == LARGE
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert store.exact(digest) == path


def test_a_new_store_says_what_it_is(store: LocalStore, root: Path) -> None:
    assert (root / "config.json").read_bytes() == encode(PACKS) + b"\n"
    assert names(root) == ["config.json"]
    with store.writer():
        assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o700
    assert names(root) == ["blobs", "config.json", "index", "packs", "tmp"]


def test_a_store_is_opened_again_as_it_is(store: LocalStore, root: Path) -> None:
    digest = added(store, b"hello")
    before = (root / "config.json").stat()
    again = LocalStore(root)
    assert again.read(digest, bytes_max=10) == b"hello"
    assert again.root == root
    assert (root / "config.json").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    "config",
    [
        {**FILES, "version": "2.0"},
        {**FILES, "version": "1"},
        {**PACKS, "version": "3.0"},
        {**PACKS, "version": "1.0"},
        {**PACKS, "format": "somebody.else"},
        {**PACKS, "layout": "shards"},
        {"format": "holdfast.store"},
        [],
    ],
    ids=json.dumps,
)
def test_a_format_that_is_not_known_is_refused(root: Path, config: object) -> None:
    root.mkdir()
    (root / "config.json").write_bytes(encode(config))
    with pytest.raises(UnsupportedFormat):
        LocalStore(root)
    assert names(root) == ["config.json"]


@pytest.mark.parametrize("config", [{**FILES, "version": "1.9"}, {**PACKS, "version": "2.9"}], ids=json.dumps)
def test_fields_of_a_newer_minor_format_do_no_harm(root: Path, config: JsonObject) -> None:
    root.mkdir()
    (root / "config.json").write_bytes(encode({**config, "later": True}))
    digest = added(LocalStore(root), b"hello")
    assert LocalStore(root).read(digest, bytes_max=5) == b"hello"


@pytest.mark.parametrize(
    "cutting",
    [{}, {**CUTTING.to_json(), "tensors": {"kinds": ["of tomorrow"], "stride": 512}}],
    ids=["none", "impossible"],
)
def test_a_store_that_cuts_in_an_unknown_way_is_read_and_not_written(root: Path, cutting: JsonObject) -> None:
    digest = added(LocalStore(root), b"hello")
    (root / "config.json").unlink()
    (root / "config.json").write_bytes(encode({**PACKS, "cutting": cutting}))
    store = LocalStore(root)
    assert store.read(digest, bytes_max=5) == b"hello"
    with pytest.raises(UnsupportedFormat), store.writer():
        pass


def test_a_config_that_is_not_json_is_refused(root: Path) -> None:
    root.mkdir()
    (root / "config.json").write_bytes(b"{")
    with pytest.raises(UnsupportedFormat):
        LocalStore(root)


def test_a_config_that_is_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    (tmp_path / "elsewhere").write_bytes(encode(PACKS))
    (root / "config.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        LocalStore(root)


def test_a_folder_of_other_things_is_never_taken_for_a_store(root: Path) -> None:
    root.mkdir()
    (root / "thesis.txt").write_text("mine")
    with pytest.raises(UnsupportedFormat):
        LocalStore(root)
    assert names(root) == ["thesis.txt"]


def test_a_file_is_not_a_store(root: Path) -> None:
    root.write_text("mine")
    with pytest.raises(UsageError):
        LocalStore(root)


def test_a_crash_while_the_store_was_made_does_no_harm(root: Path) -> None:
    root.mkdir()
    (root / "config.json.0123.part").write_bytes(b"{")
    assert added(LocalStore(root), b"hello")


def test_a_store_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "big-disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "big-disk")
    assert added(LocalStore(tmp_path / "store"), b"hello")


@pytest.mark.usefixtures("exactly")
def test_strange_files_in_the_folders_are_passed_over(store: LocalStore, root: Path, tmp_path: Path) -> None:
    digests = sorted([added(store, b"hello"), added_file(store, tmp_path / "large", LARGE)])
    for folder in ("blobs", "packs", "index", "damaged"):
        (root / folder / "00").mkdir(parents=True)
        (root / folder / "zz").mkdir()
        (root / folder / ".DS_Store").write_text("x")
        (root / folder / "00/notes.txt").write_text("x")
        (root / folder / "00" / ("f" * 64)).write_text("in the wrong folder")
        (root / folder / ("F" * 64)).write_text("in capitals")
    again = LocalStore(root)
    assert list(again.digests()) == digests
    assert [again.verify(digest) for digest in digests] == [again.size(digest) for digest in digests]
    assert again.has(added(again, b"and can be written to"))


def replaced_by_link(path: Path, elsewhere: Path) -> None:
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(elsewhere)


def replaced_by_folder(path: Path, _elsewhere: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("replaced", [replaced_by_link, replaced_by_folder])
@pytest.mark.parametrize("of", [packs, exact_files, index_files], ids=["pack", "exact", "index"])
@pytest.mark.parametrize("opened", ["before", "after"])
def test_a_link_or_a_folder_in_the_place_of_a_file_is_not_followed(  # noqa: PLR0917 - fixtures are asked for by name
    store: LocalStore,
    root: Path,
    tmp_path: Path,
    replaced: Callable[[Path, Path], None],
    of: Callable[[Path], list[Path]],
    opened: str,
) -> None:
    small, large = added(store, b"hello"), added_file(store, tmp_path / "large", LARGE)
    store = LocalStore(root)
    list(store.digests())
    spoilt = of(root)
    for path in spoilt:
        replaced(path, tmp_path / path.name)
    if opened == "after":
        store = LocalStore(root)
    for digest, data in ((small, b"hello"), (large, LARGE)):
        try:
            with store.open(digest) as handle:
                assert handle.read() == data
            assert of is not packs or digest != small
            assert of is not exact_files or digest != large
        except (IntegrityError, NotFound):
            assert not store.has(digest)
    for path in spoilt:
        if replaced is replaced_by_folder:
            path.rmdir()  # whose it is nobody knows, so its owner has to do it
    added(store, b"hello")
    added_file(store, tmp_path / "large", LARGE)
    # What a store has open of an index it does not look at again; whoever opens the store next builds on the others.
    for one in (store,) if of is index_files and opened == "before" else (store, LocalStore(root)):
        assert one.read(small, bytes_max=5) == b"hello"
        assert one.read(large, bytes_max=len(LARGE)) == LARGE


@pytest.mark.usefixtures("exactly")
def test_a_handle_outlives_a_swap_of_the_file(store: LocalStore, root: Path, tmp_path: Path) -> None:
    large, small = added_file(store, tmp_path / "large", LARGE), added(store, b"verified")
    with store.open(large) as exact, store.open(small) as packed:
        for path in (*packs(root), *exact_files(root)):
            path.with_name("swapped").write_bytes(b"malicious")
            path.with_name("swapped").replace(path)
        assert exact.read() == LARGE
        assert packed.read() == b"verified"


@pytest.mark.usefixtures("exactly")
def test_a_large_file_that_is_known_is_not_kept_twice(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    with store.writer() as writer:
        assert writer.add_file(tmp_path / "large").new
        (scratch,) = (root / "tmp").iterdir()
        before = names(scratch)
        assert not writer.add_file(tmp_path / "large").new
        assert names(scratch) == before
        writer.commit()
        assert names(scratch) == []
        assert not writer.add_file(tmp_path / "large").new
        assert names(scratch) == []


def test_nothing_is_visible_before_commit(store: LocalStore, root: Path) -> None:
    with store.writer() as writer:
        digest = writer.add_bytes(b"hello").digest
        assert not store.has(digest)
        assert list(store.digests()) == []
    assert list(store.digests()) == []
    assert names(root / "tmp") == []


def test_what_a_crash_left_is_swept_when_the_store_is_opened(store: LocalStore, root: Path) -> None:
    left = root / "tmp/writer-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "1").write_bytes(b"half")
    with store.writer() as writer:
        writer.add_bytes(b"alive")
        LocalStore(root)
        assert not left.exists()
        writer.commit()
    assert store.has(hash_bytes(b"alive"))


def test_the_mark_of_a_damaged_blob_goes_when_it_is_replaced(store: LocalStore, root: Path) -> None:
    digest = added(store, b"hello")
    (pack,) = packs(root)
    flip(pack, pack.read_bytes().index(b"hello"))
    with pytest.raises(IntegrityError):
        store.read(digest, bytes_max=10)
    assert names(root / "damaged") == [digest.hex]
    assert not LocalStore(root).has(digest)  # another process knows as well
    added(store, b"hello")
    assert names(root / "damaged") == []
    # The pack has the bytes and the name that it had, and this store holds the spoilt one open.
    assert packs(root) == [pack]
    assert store.read(digest, bytes_max=10) == b"hello"


@pytest.mark.thorough
@pytest.mark.usefixtures("exactly")
def test_every_single_flipped_bit_is_found(root: Path, tmp_path: Path) -> None:
    """Wherever it is: what was stored comes back as it was, or not at all."""
    store, data = LocalStore(root), LARGE[:1200]
    wanted = {added(store, b"hello"): b"hello", added_file(store, tmp_path / "large", data): data}
    seen = Counter[str]()
    for path in (*packs(root), *exact_files(root), *index_files(root)):
        whole = path.read_bytes()
        path.chmod(0o644)
        for bit in range(len(whole) * 8) if len(whole) < 300 else range(0, len(whole) * 8, 7):
            spoilt = bytearray(whole)
            spoilt[bit // 8] ^= 1 << bit % 8
            path.write_bytes(spoilt)
            fresh = LocalStore(root)
            for digest, expected in wanted.items():
                try:
                    assert fresh.read(digest, bytes_max=2000) == expected
                    seen["whole"] += 1
                except (IntegrityError, NotFound) as error:
                    seen[error.code] += 1
        path.write_bytes(whole)
    assert all(seen[kind] > 100 for kind in ("whole", "integrity"))
    fresh = LocalStore(root)
    assert [fresh.verify(digest) for digest in wanted] == [5, 1200]


def test_a_store_that_may_not_be_written_is_read_and_says_so(open_folder: Path, no_rights: None) -> None:
    store = LocalStore(open_folder / "store")
    digest = added(store, b"hello")
    for folder in [store.root, *(path for path in store.root.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)
    again = LocalStore(store.root)
    assert again.read(digest, bytes_max=10) == b"hello"
    with pytest.raises(PermissionRefused) as caught, again.writer():
        pass
    assert "tmp" in caught.value.details["path"]


def test_a_store_on_which_nobody_ever_wrote_says_so(open_folder: Path, no_rights: None) -> None:
    store = LocalStore(open_folder / "store")
    store.root.chmod(0o555)
    assert list(LocalStore(store.root).digests()) == []
    with pytest.raises(PermissionRefused), store.writer():
        pass


def test_a_damaged_blob_is_found_where_nothing_can_be_noted(open_folder: Path, no_rights: None) -> None:
    store = LocalStore(open_folder / "store")
    digest = added(store, b"hello")
    (pack,) = packs(store.root)
    flip(pack, pack.read_bytes().index(b"hello"))
    store.root.chmod(0o555)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            store.read(digest, bytes_max=10)


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("of", [packs, exact_files, index_files], ids=["pack", "exact", "index"])
def test_a_file_that_may_not_be_read_is_refused_and_not_called_damaged(
    open_folder: Path, no_rights: None, of: Callable[[Path], list[Path]]
) -> None:
    store = LocalStore(open_folder / "store")
    digest = added_file(store, open_folder / "large", LARGE)
    for path in of(store.root):
        path.chmod(0)
    again = LocalStore(store.root)
    with pytest.raises(PermissionRefused):
        again.read(digest, bytes_max=len(LARGE))
    assert not (store.root / "damaged").exists()
    for path in of(store.root):
        path.chmod(0o444)
    assert again.has(digest)
    assert again.verify(digest) == len(LARGE)


def test_no_store_can_be_made_where_nothing_may_be_written(open_folder: Path, no_rights: None) -> None:
    open_folder.chmod(0o555)
    with pytest.raises(PermissionRefused):
        LocalStore(open_folder / "store")


def test_a_source_that_may_not_be_read_is_refused(open_folder: Path, no_rights: None) -> None:
    (open_folder / "secret").write_text("x")
    (open_folder / "secret").chmod(0)
    with LocalStore(open_folder / "store").writer() as writer, pytest.raises(PermissionRefused):
        writer.add_file(open_folder / "secret")


def _add_many(root: Path, start: object, count: int) -> None:
    start.wait()  # type: ignore[attr-defined]
    store = LocalStore(root)
    for number in range(count):
        with store.writer() as writer:
            for size in (1, 5000):
                writer.add_bytes(b"%d" % number * size)
            writer.commit()


@pytest.mark.slow
def test_processes_that_add_the_same_blobs_to_a_store_that_they_make_agree(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    children = [context.Process(target=_add_many, args=(root, start, 40)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE_SECONDS)
    assert [child.exitcode for child in children] == [0, 0, 0]
    store = LocalStore(root)
    digests = list(store.digests())
    assert len(digests) == 80
    assert all(store.verify(digest) for digest in digests)
    assert names(root / "tmp") == []
    assert [name for name in names(root) if re.search("part", name)] == []


@pytest.mark.usefixtures("exactly")
@pytest.mark.parametrize("of", [packs, exact_files], ids=["pack", "exact"])
def test_a_file_that_is_gone_makes_its_blobs_missing(
    store: LocalStore, root: Path, tmp_path: Path, of: Callable[[Path], list[Path]]
) -> None:
    digests = [added(store, b"hello"), added_file(store, tmp_path / "large", LARGE)]
    for path in of(root):
        path.unlink()
    again = LocalStore(root)
    lost = digests[0] if of is packs else digests[1]
    assert again.missing(digests) == {lost}
    assert not again.has(lost)
    with pytest.raises((NotFound, IntegrityError)):
        again.verify(lost)
    added(again, b"hello")
    added_file(again, tmp_path / "large", LARGE)
    assert again.missing(digests) == set()
    assert [again.verify(digest) for digest in digests] == [5, len(LARGE)]
