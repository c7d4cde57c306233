"""What is particular to the store in a local folder: its layout, its format, its neighbours."""

import json
import multiprocessing
import re
import stat
from pathlib import Path

import pytest

from holdfast.canonical import encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, PermissionRefused, UnsupportedFormat, UsageError
from holdfast.store import local_writer
from holdfast.store.local import LocalStore
from tests.store.looking import names

CONFIG = {"format": "holdfast.store", "layout": "files", "version": "1.0"}


def added(store: LocalStore, data: bytes) -> Digest:
    with store.writer() as writer:
        digest = writer.add_bytes(data).digest
        writer.commit()
    return digest


def test_a_blob_is_a_read_only_file_named_by_its_digest(store: LocalStore, root: Path) -> None:
    digest = added(store, b"hello")
    path = root / "blobs" / digest.hex[:2] / digest.hex
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_new_store_says_what_it_is(store: LocalStore, root: Path) -> None:
    assert (root / "config.json").read_bytes() == encode(CONFIG) + b"\n"
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o700
    assert names(root) == ["blobs", "config.json", "tmp"]


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
        {**CONFIG, "version": "2.0"},
        {**CONFIG, "version": "1"},
        {**CONFIG, "format": "somebody.else"},
        {**CONFIG, "layout": "packs"},
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


def test_fields_of_a_newer_minor_format_do_no_harm(root: Path) -> None:
    root.mkdir()
    (root / "config.json").write_bytes(encode({**CONFIG, "version": "1.9", "later": True}))
    assert added(LocalStore(root), b"hello")


def test_a_config_that_is_not_json_is_refused(root: Path) -> None:
    root.mkdir()
    (root / "config.json").write_bytes(b"{")
    with pytest.raises(UnsupportedFormat):
        LocalStore(root)


def test_a_config_that_is_a_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    (tmp_path / "elsewhere").write_bytes(encode(CONFIG))
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


def test_strange_files_among_the_blobs_are_passed_over(store: LocalStore, root: Path) -> None:
    digest = added(store, b"hello")
    (root / "blobs/.DS_Store").write_text("x")
    (root / "blobs/zz").mkdir()
    (root / "blobs" / digest.hex[:2] / "notes.txt").write_text("x")
    (root / "blobs/00").mkdir(exist_ok=True)
    (root / "blobs/00" / ("f" * 64)).write_text("x")
    assert list(store.digests()) == [digest]


def test_a_link_in_the_place_of_a_blob_is_not_followed(store: LocalStore, tmp_path: Path) -> None:
    digest = added(store, b"hello")
    path = store._layout.blob(digest)
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(b"hello")
    path.symlink_to(tmp_path / "elsewhere")
    assert not store.has(digest)
    with pytest.raises(IntegrityError):
        store.read(digest, bytes_max=10)
    assert added(store, b"hello") == digest
    assert store.read(digest, bytes_max=10) == b"hello"
    assert (tmp_path / "elsewhere").read_bytes() == b"hello"


def test_a_handle_outlives_a_swap_of_the_file(store: LocalStore) -> None:
    digest = added(store, b"verified")
    path = store._layout.blob(digest)
    with store.open(digest) as handle:
        path.with_name("swapped").write_bytes(b"malicious")
        path.with_name("swapped").replace(path)
        assert handle.read() == b"verified"


def test_a_large_file_that_is_known_is_not_kept_twice(
    store: LocalStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_writer, "SMALL_BYTES_MAX", 1000)
    (tmp_path / "large").write_bytes(b"x" * 5000)
    with store.writer() as writer:
        assert writer.add_file(tmp_path / "large").new
        assert not writer.add_file(tmp_path / "large").new
        (scratch,) = (root / "tmp").iterdir()
        assert len(names(scratch)) == 1
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
    left.mkdir()
    (left / "1").write_bytes(b"half")
    with store.writer() as writer:
        writer.add_bytes(b"alive")
        LocalStore(root)
        assert not left.exists()
        writer.commit()
    assert store.has(hash_bytes(b"alive"))


def test_the_mark_of_a_damaged_blob_goes_when_it_is_replaced(store: LocalStore, root: Path) -> None:
    digest = added(store, b"hello")
    path = store._layout.blob(digest)
    path.chmod(0o644)
    path.write_bytes(b"jello")
    with pytest.raises(IntegrityError):
        store.read(digest, bytes_max=10)
    assert names(root / "damaged") == [digest.hex]
    assert not LocalStore(root).has(digest)  # another process knows as well
    added(store, b"hello")
    assert names(root / "damaged") == []


def test_every_single_flipped_bit_is_found(store: LocalStore) -> None:
    digest = added(store, b"hello")
    path = store._layout.blob(digest)
    path.chmod(0o644)
    for bit in range(5 * 8):
        data = bytearray(b"hello")
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(IntegrityError):
            store.read(digest, bytes_max=10)


def test_a_store_that_may_not_be_written_is_read_and_says_so(open_folder: Path, no_rights: None) -> None:
    store = LocalStore(open_folder / "store")
    digest = added(store, b"hello")
    for folder in (store.root, store.root / "blobs", store.root / "blobs" / digest.hex[:2], store.root / "tmp"):
        folder.chmod(0o555)
    again = LocalStore(store.root)
    assert again.read(digest, bytes_max=10) == b"hello"
    with pytest.raises(PermissionRefused) as caught, again.writer():
        pass
    assert "tmp" in caught.value.details["path"]


def test_a_damaged_blob_is_found_where_nothing_can_be_noted(open_folder: Path, no_rights: None) -> None:
    store = LocalStore(open_folder / "store")
    digest = added(store, b"hello")
    path = store._layout.blob(digest)
    path.chmod(0o644)
    path.write_bytes(b"jello")
    store.root.chmod(0o555)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            store.read(digest, bytes_max=10)


def test_a_blob_that_may_not_be_read_is_refused_and_not_called_damaged(open_folder: Path, no_rights: None) -> None:
    store = LocalStore(open_folder / "store")
    digest = added(store, b"hello")
    store._layout.blob(digest).chmod(0)
    with pytest.raises(PermissionRefused):
        store.read(digest, bytes_max=10)
    assert store.has(digest)


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
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    store = LocalStore(root)
    digests = list(store.digests())
    assert len(digests) == 80
    assert all(store.verify(digest) for digest in digests)
    assert names(root / "tmp") == []
    assert [name for name in names(root) if re.search("part", name)] == []


def test_a_blob_that_is_gone_is_not_found(store: LocalStore) -> None:
    digest = added(store, b"hello")
    store._layout.blob(digest).unlink()
    with pytest.raises(NotFound):
        store.verify(digest)
    assert store.missing([digest]) == {digest}
