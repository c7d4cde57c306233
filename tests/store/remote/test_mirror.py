"""A store copied file by file while others write to it."""

from pathlib import Path

from holdfast.digest import Digest
from holdfast.store.local import LocalStore
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.mirror import mirror
from holdfast.store.remote.remote import Remote


def commit(store: LocalStore, data: bytes) -> Digest:
    with store.writer() as writer:
        digest = writer.add_bytes(data).digest
        writer.commit()
    return digest


class Merging(FolderTransport):
    """A store whose index files are put together just before the first of them is read."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store.root)
        self.later: list[Digest] = []
        self._store = store

    def range(self, key: str, offset: int, length: int) -> bytes:
        if key.startswith("index/") and not self.later:
            self.later = [commit(self._store, b"later %d" % number) for number in range(8)]
            assert self.size(key) is None, "nothing was merged, so this shows nothing"
        return super().range(key, offset, length)


def test_index_files_that_are_merged_meanwhile_are_found_by_another_look(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    before = [commit(store, b"before %d" % number) for number in range(3)]
    source, place = Merging(store), FolderTransport(tmp_path / "place")
    done = mirror(source, place)
    assert source.later
    assert not done.damaged
    copy = RemoteStore(Remote(place, tmp_path / "cache"), 1 << 20)
    assert copy.missing(before) == set()
    assert copy.check().ok
    again = mirror(FolderTransport(store.root), place)
    assert again.files_new == 0
    assert again.files == len([one for one in (tmp_path / "place").rglob("*") if one.is_file()]) - 1  # the config
