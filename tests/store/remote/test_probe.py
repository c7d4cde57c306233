"""A remote that does not keep what it is given is refused before anything is trusted to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import NotFound, PermissionRefused, UnsupportedFormat
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.probe import probe, require_store
from holdfast.store.remote.transport import Listed


class WritesOver(FolderTransport):
    """As a versioned bucket on an old server: every creation succeeds."""

    def create(self, key: str, data: bytes) -> bool:
        self.remove(key)
        return super().create(key, data)


class WritesOverInSilence(WritesOver):
    """The same, and it does not even say so."""

    def create(self, key: str, data: bytes) -> bool:
        super().create(key, data)
        return False


class IgnoresRanges(FolderTransport):
    """Gives all of a file whatever was asked for."""

    def range(self, key: str, offset: int, length: int) -> bytes:
        return self.read(key, bytes_max=1 << 20) if offset else super().range(key, offset, length)


class ListsNothing(FolderTransport):
    """Does not show what was written."""

    def list(self, prefix: str) -> Iterator[Listed]:
        yield from ()


class KeepsEverything(FolderTransport):
    """Removes nothing."""

    def remove(self, key: str) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "failed"),
    [
        (WritesOver, "create"),
        (WritesOverInSilence, "create"),
        (IgnoresRanges, "range"),
        (ListsNothing, "list"),
        (KeepsEverything, "remove"),
    ],
)
def test_an_unfit_remote_is_refused_with_the_reason(tmp_path: Path, kind: type[FolderTransport], failed: str) -> None:
    with pytest.raises(PermissionRefused) as caught:
        probe(kind(tmp_path / "remote"))
    assert caught.value.details["failed"] == failed
    left = [path for path in (tmp_path / "remote").rglob("*") if path.is_file()]
    assert len(left) == (1 if kind is KeepsEverything else 0)


def test_a_folder_of_other_things_is_no_remote(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UnsupportedFormat):
        FolderTransport(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_place_without_a_store_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        require_store(FolderTransport(tmp_path / "remote"))
    assert not (tmp_path / "remote").exists()
