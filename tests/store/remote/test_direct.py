"""A store directly on a remote, beyond what every store promises."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, Unavailable, UsageError
from holdfast.store import local_writer
from holdfast.store.interface import Store
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import Persistent
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.transport import Listed, Transport
from tests.flaky import Flaky
from tests.patience import PATIENCE_SECONDS
from tests.store.spoiling import flip

WHILE_SECONDS = 2.0
"""Ten times what it takes to send a few bytes into a folder."""


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., RemoteStore]:
    """Opens the store as another machine would, with a cache of its own."""
    count = iter(range(100))

    def opened(transport: Transport | None = None, cache_bytes_max: int = 1 << 30) -> RemoteStore:
        way = transport or FolderTransport(tmp_path / "remote")
        return RemoteStore(Remote(way, tmp_path / f"cache-{next(count)}"), cache_bytes_max)

    return opened


def added(store: Store, *contents: bytes) -> list[Digest]:
    with store.writer() as writer:
        digests = [writer.add_bytes(data).digest for data in contents]
        writer.commit()
    return digests


def test_what_one_machine_commits_every_other_sees(machine: Callable[..., RemoteStore]) -> None:
    one, other = machine(), machine()
    assert list(other.digests()) == []
    [digest] = added(one, b"for everybody")
    assert other.has(digest)
    assert other.read(digest, bytes_max=100) == b"for everybody"
    with other.writer() as writer:
        assert not writer.add_bytes(b"for everybody").new


class Dawdling:
    """A transport whose next list is followed by work of another thread, before anybody sees the list."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.meanwhile: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def list(self, prefix: str) -> Iterator[Listed]:
        listed = list(self._inner.list(prefix))
        if prefix == "index/" and self.meanwhile is not None:
            work, self.meanwhile = self.meanwhile, None
            other = Thread(target=work, daemon=True)
            other.start()
            other.join(WHILE_SECONDS)  # or until it waits for whoever looks
        yield from listed


def test_what_one_thread_adds_while_another_looks_is_there_afterwards(
    machine: Callable[..., RemoteStore], tmp_path: Path
) -> None:
    way = Dawdling(FolderTransport(tmp_path / "remote"))
    store = machine(cast("Transport", way))
    added(store, b"first")
    data, done = b"meanwhile", Event()

    def work() -> None:
        added(store, data)
        done.set()

    way.meanwhile = work
    assert not store.has(hash_bytes(b"never"))
    assert done.wait(PATIENCE_SECONDS)
    assert store._catalog.holds(bytes.fromhex(hash_bytes(data).hex))


def test_a_large_file_travels_once_and_is_read_in_parts(
    machine: Callable[..., RemoteStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(5_000_000)
    (tmp_path / "file").write_bytes(data)
    store = machine()
    with monkeypatch.context() as patch, store.writer() as writer:
        patch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
        digest = writer.add_file(tmp_path / "file").digest
        writer.commit()
    assert [path.name for path in (tmp_path / "remote/blobs").glob("*/*")] == [digest.hex]
    other = machine()
    assert other.exact(digest) is None
    with other.open(digest) as handle:
        handle.seek(4_000_000)
        assert handle.read(100) == data[4_000_000:4_000_100]
    with other.writer() as writer:
        assert not writer.add_file(tmp_path / "file").new


def test_nothing_of_a_writer_stays_on_this_machine(machine: Callable[..., RemoteStore], tmp_path: Path) -> None:
    store = machine()
    added(store, os.urandom(100_000))
    with store.writer() as writer:
        writer.add_bytes(b"never committed")
    left = [path for path in (tmp_path / "cache-0").rglob("*") if path.is_file()]
    assert {path.parent.name for path in left} <= {"index", "cache-0"}
    assert not machine().has(hash_bytes(b"never committed"))


def test_a_commit_that_breaks_off_leaves_nothing_half_and_is_repeated(
    machine: Callable[..., RemoteStore], tmp_path: Path
) -> None:
    contents = [os.urandom(1_000) for _ in range(20)]
    flaky = Flaky(FolderTransport(tmp_path / "remote"), 0, share=1e-9)
    store = machine(Persistent(flaky, lambda _seconds: None))
    with store.writer() as writer:
        for data in contents:
            writer.add_bytes(data)
        flaky.down = True
        with pytest.raises(Unavailable):
            writer.commit()
        with pytest.raises(UsageError):
            writer.add_bytes(b"more")
    with pytest.raises(Unavailable):
        store.has(hash_bytes(contents[0]))
    flaky.down = False
    for digest in machine().digests():
        machine().verify(digest)
    digests = added(store, *contents)
    assert machine().missing(digests) == set()


def test_a_line_that_is_dead_is_no_damage(machine: Callable[..., RemoteStore], tmp_path: Path) -> None:
    flaky = Flaky(FolderTransport(tmp_path / "remote"), 0, share=1e-9)
    [digest] = added(machine(), b"here")
    store = machine(Persistent(flaky, lambda _seconds: None))
    assert store.has(digest)
    flaky.down = True
    with pytest.raises(Unavailable):
        store.read(digest, bytes_max=10)
    flaky.down = False
    assert store.has(digest)
    assert store.read(digest, bytes_max=10) == b"here"
    flaky.down = True
    assert store.read(digest, bytes_max=10) == b"here"  # from the cache


def test_damage_in_the_remote_is_found_and_healed_by_adding_again(
    machine: Callable[..., RemoteStore], tmp_path: Path
) -> None:
    [digest] = added(machine(), b"0123456789" * 10)
    [pack] = (tmp_path / "remote/packs").glob("*/*")
    flip(pack, 70)
    store = machine()
    with pytest.raises(IntegrityError):
        store.verify(digest)
    assert not store.has(digest)
    assert added(store, b"0123456789" * 10) == [digest]
    assert store.read(digest, bytes_max=1000) == machine().read(digest, bytes_max=1000)


def test_a_check_reads_the_remote_and_names_what_is_damaged(
    machine: Callable[..., RemoteStore], tmp_path: Path
) -> None:
    [digest] = added(machine(), b"0123456789" * 10)
    assert machine().check().ok
    [pack] = (tmp_path / "remote/packs").glob("*/*")
    flip(pack, 70)
    store = machine()
    assert [one.digest for one in store.check().damaged] == [digest]
    assert store.repair() == ()
