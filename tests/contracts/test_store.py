"""The promises of `holdfast.store.interface`, one test each, for every adapter.

The local adapter stands here three times: as it is; with every blob cut into chunks; and with every file kept as an
exact file, which has its chunks inside.
"""

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, SourceChanged, TooLarge, UsageError
from holdfast.service import Line
from holdfast.store import layout, local_writer
from holdfast.store.cut import Cutting, Sizes
from holdfast.store.interface import Store
from holdfast.store.local import LocalStore
from holdfast.store.memory import MemoryStore
from holdfast.store.remote.address import Address
from holdfast.store.remote.bucket import open_bucket, open_folder_as_bucket
from holdfast.store.remote.direct import RemoteStore
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import Persistent
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.service import ServiceStore, ServiceTransport
from holdfast.store.remote.transport import Transport
from holdfast.store.turns import undisturbed
from holdfast.web.api.depot import Depot
from tests.flaky import Flaky
from tests.servers import S3Server
from tests.serving_api import api_server
from tests.store.remote.spoiling import spoil_remote
from tests.store.spoiling import spoil

FINE = Cutting(large_bytes_min=1, plain=Sizes(64, 256, 1024), text=Sizes(64, 256, 1024), tensor_stride=512)
"""The smallest chunks that can be cut, from the first byte on."""

LONG = 4_500_000
"""More than is ever kept in one piece but for exact files."""

ABSENT = hash_bytes(b"nobody added this")


@dataclass
class Case:
    """A store, and a way to spoil one of its blobs behind its back."""

    store: Store
    spoil: Callable[[Digest, bytes], None]


REMOTE = [
    "remote-folder",
    "remote-bucket",
    pytest.param("remote-flaky", marks=pytest.mark.thorough),
    pytest.param("remote-cut", marks=pytest.mark.thorough),
    pytest.param("remote-archive", marks=pytest.mark.thorough),
    pytest.param("remote-s3", marks=pytest.mark.slow),
    pytest.param("remote-service", marks=pytest.mark.slow),
]
"""A store directly on a remote: a folder, one through the library for buckets, over a bad line, cut into chunks, an
archive, on a real server of S3, and on one of ours."""


def remote_case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    transport: Transport = FolderTransport(tmp_path / "remote")
    if request.param == "remote-bucket":
        transport = open_folder_as_bucket(tmp_path / "remote")
    elif request.param == "remote-s3":
        server: S3Server = request.getfixturevalue("s3")
        server.use(monkeypatch)
        transport = open_bucket(Address.parse(f"s3://{server.bucket()}/store"))
    elif request.param == "remote-cut":
        monkeypatch.setattr(layout, "CUTTING", FINE)
    elif request.param == "remote-archive":
        Remote(transport, tmp_path / "archiver").prepare(archive=True)
    used: Transport = transport
    if request.param == "remote-flaky":
        used = Persistent(Flaky(transport, 3, share=0.3), lambda _seconds: None)
    if request.param == "remote-service":
        line: Line = request.getfixturevalue("line_to_store")
        remote = Remote(ServiceTransport(line), tmp_path / "cache")
        store: RemoteStore = ServiceStore(line, remote, cache_bytes_max=1 << 20)
    else:
        store = RemoteStore(Remote(used, tmp_path / "cache"), cache_bytes_max=1 << 20)
    return Case(store, partial(spoil_remote, store, transport, tmp_path / "mirror"))


@pytest.fixture
def line_to_store(tmp_path: Path) -> Iterator[Line]:
    local = LocalStore(tmp_path / "remote")
    layout_of = layout.Layout(local.root)
    depot = Depot(local, FolderTransport(local.root), partial(undisturbed, layout_of))
    with api_server(depot=depot) as url, closing(Line(url)) as line:
        yield line


LOCAL = ["local", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("local-cut", "local-exact"))]


@pytest.fixture(params=["memory", *LOCAL, *REMOTE])
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    if request.param == "memory":
        memory = MemoryStore()
        return Case(memory, memory._blobs.__setitem__)
    if request.param.startswith("remote"):
        return remote_case(request, tmp_path, monkeypatch)
    if request.param != "local":
        monkeypatch.setattr(layout, "CUTTING", FINE)
    if request.param == "local-exact":
        monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)
    local = LocalStore(tmp_path / "store")
    return Case(local, partial(spoil, local))


@pytest.fixture
def store(case: Case) -> Store:
    return case.store


def added(store: Store, data: bytes) -> Digest:
    with store.writer() as writer:
        digest = writer.add_bytes(data).digest
        writer.commit()
    return digest


def source(tmp_path: Path, data: bytes, name: str = "source") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


# Adding


@pytest.mark.parametrize("data", [b"", b"a", b"x" * 3_000_000])
def test_what_was_added_is_read_back(store: Store, data: bytes) -> None:
    digest = added(store, data)
    assert digest == hash_bytes(data)
    assert store.read(digest, bytes_max=len(data)) == data
    assert store.size(digest) == len(data)
    assert store.verify(digest) == len(data)


@pytest.mark.parametrize("data", [b"", b"a", b"x" * 3_000_000])
def test_a_file_that_was_added_is_read_back(store: Store, tmp_path: Path, data: bytes) -> None:
    with store.writer() as writer:
        stored = writer.add_file(source(tmp_path, data))
        writer.commit()
    assert (stored.digest, stored.size, stored.new) == (hash_bytes(data), len(data), True)
    assert 0 < stored.added <= len(data) or not data
    assert store.read(stored.digest, bytes_max=len(data)) == data


def test_a_link_to_a_file_is_added_as_the_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source(tmp_path, b"behind"))
    with store.writer() as writer:
        assert writer.add_file(tmp_path / "link").digest == hash_bytes(b"behind")


def test_the_answers_for_many_files_stand_in_their_order(store: Store, tmp_path: Path) -> None:
    contents = [f"{number % 150}".encode() for number in range(300)]
    paths = [source(tmp_path, data, str(number)) for number, data in enumerate(contents)]
    with store.writer() as writer:
        stored = writer.add_files(paths)
        writer.commit()
    assert [answer.digest for answer in stored] == list(map(hash_bytes, contents))
    assert store.missing(map(hash_bytes, contents)) == set()


def test_of_the_same_bytes_in_many_files_one_is_new(store: Store, tmp_path: Path) -> None:
    paths = [source(tmp_path, b"the same", str(number)) for number in range(200)]
    with store.writer() as writer:
        assert sum(stored.new for stored in writer.add_files(paths)) == 1


def test_progress_tells_every_byte_once(store: Store, tmp_path: Path) -> None:
    paths = [source(tmp_path, b"x" * (number * 10_000), str(number)) for number in range(150)]
    told: list[int] = []
    with store.writer() as writer:
        writer.add_files(paths, told.append)
    assert sum(told) == sum(path.stat().st_size for path in paths)


def test_no_files_are_no_answers(store: Store) -> None:
    with store.writer() as writer:
        assert writer.add_files([]) == []
        writer.commit()


def test_new_is_said_once(store: Store) -> None:
    with store.writer() as writer:
        first = writer.add_bytes(b"twice")
        assert (first.new, first.added) == (True, 5)
        assert not writer.add_bytes(b"twice").new
        writer.commit()
    with store.writer() as writer:
        again = writer.add_bytes(b"twice")
        assert (again.new, again.added) == (False, 0)


def test_nothing_is_promised_before_commit_and_nothing_half_is_seen(store: Store) -> None:
    with store.writer() as writer:
        writer.add_bytes(b"dropped")
    for digest in store.digests():
        store.verify(digest)
    with store.writer() as writer:
        writer.add_bytes(b"dropped")
        writer.commit()
    assert store.read(hash_bytes(b"dropped"), bytes_max=100) == b"dropped"


def test_an_error_in_the_block_drops_what_was_added(store: Store) -> None:
    def fail() -> None:
        with store.writer() as writer:
            writer.add_bytes(b"dropped")
            message = "in the caller's code"
            raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not store.has(hash_bytes(b"dropped"))


def test_commit_may_be_called_again(store: Store) -> None:
    with store.writer() as writer:
        first = writer.add_bytes(b"first").digest
        writer.commit()
        second = writer.add_bytes(b"second").digest
        writer.commit()
        writer.commit()
    assert store.missing([first, second]) == set()


def test_a_writer_that_was_left_refuses_everything(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        writer.commit()
    path = source(tmp_path, b"late")
    late: list[Callable[[], object]] = [
        lambda: writer.add_bytes(b"late"),
        lambda: writer.add_file(path),
        lambda: writer.add_files([path]),
        writer.commit,
    ]
    for call in late:
        with pytest.raises(UsageError):
            call()


def test_a_missing_file_is_not_found_and_the_writer_stays_usable(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        with pytest.raises(NotFound):
            writer.add_file(tmp_path / "absent")
        with pytest.raises(NotFound):
            writer.add_files([source(tmp_path, b"here"), tmp_path / "absent"])
        digest = writer.add_bytes(b"still usable").digest
        writer.commit()
    assert store.has(digest)


def test_what_is_not_a_regular_file_is_refused_at_once(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with store.writer() as writer:
        for path in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(UsageError):
                writer.add_file(path)


def changing(path: Path, change: Callable[[], object]) -> Callable[[int, int], bytes]:
    """An `os.read` that lets `change` happen once, just after the first bytes of `path` were read."""
    real, left = os.read, [change]

    def read(descriptor: int, count: int) -> bytes:
        data = real(descriptor, count)
        if left and data and os.path.samestat(os.fstat(descriptor), inode):
            left.pop()()
        return data

    inode = path.stat()
    return read


def rewrite(path: Path, data: bytes) -> None:
    before = path.stat()
    time.sleep(0.03)  # past the tick of the file system's clock
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # putting the time back must not hide it


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: rewrite(path, b"short"), id="shrinks"),
        pytest.param(lambda path: rewrite(path, b"y" * 4_000_000), id="grows"),
        pytest.param(lambda path: rewrite(path, b"y" * 3_000_000), id="same-size"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: path.with_name("other").rename(path), id="replaced"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    path = source(tmp_path, b"x" * 3_000_000)
    source(tmp_path, b"y" * 3_000_000, "other")
    monkeypatch.setattr(os, "read", changing(path, lambda: change(path)))
    with store.writer() as writer:
        with pytest.raises(SourceChanged):
            writer.add_file(path)
        writer.commit()
    assert list(store.digests()) == []


def test_a_link_that_is_turned_to_another_file_while_it_is_read_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, link = source(tmp_path, b"one", "one"), source(tmp_path, b"two", "two"), tmp_path / "link"
    link.symlink_to(one)

    def turn() -> None:
        (tmp_path / "turned").symlink_to(other)
        (tmp_path / "turned").rename(link)

    monkeypatch.setattr(os, "read", changing(one, turn))
    with store.writer() as writer, pytest.raises(SourceChanged):
        writer.add_file(link)


# Reading


def test_what_nobody_added_is_not_there(store: Store, tmp_path: Path) -> None:
    assert not store.has(ABSENT)
    assert store.missing([ABSENT]) == {ABSENT}
    reads: list[Callable[[], object]] = [
        lambda: store.size(ABSENT),
        lambda: store.read(ABSENT, bytes_max=10),
        lambda: store.open(ABSENT),
        lambda: store.write_to(ABSENT, io.BytesIO()),
        lambda: store.copy_to(ABSENT, tmp_path / "target", mode=0o644),
        lambda: store.verify(ABSENT),
    ]
    for read in reads:
        with pytest.raises(NotFound) as caught:
            read()
        assert caught.value.details["digest"] == str(ABSENT)
    assert list(tmp_path.glob("*target*")) == []


def test_more_bytes_than_were_asked_for_are_too_large(store: Store) -> None:
    digest = added(store, b"12345")
    assert store.read(digest, bytes_max=5) == b"12345"
    with pytest.raises(TooLarge) as caught:
        store.read(digest, bytes_max=4)
    assert caught.value.details["limit"] == 4


@pytest.mark.parametrize("found", [b"12345", b"1234", b"", b"1234567890"], ids=["flipped", "cut", "empty", "longer"])
def test_a_damaged_blob_is_never_handed_out(case: Case, tmp_path: Path, found: bytes) -> None:
    store, target = case.store, tmp_path / "target"
    digest = added(store, b"12346")
    case.spoil(digest, found)
    reads: list[Callable[[], object]] = [
        lambda: store.read(digest, bytes_max=10),
        lambda: store.open(digest),
        lambda: store.write_to(digest, io.BytesIO()),
        lambda: store.copy_to(digest, target, mode=0o644),
        lambda: store.verify(digest),
    ]
    for read in reads:
        with pytest.raises(IntegrityError) as caught:
            read()
        assert caught.value.details["expected"] == str(digest)
        assert caught.value.details["found"] == str(hash_bytes(found))
    assert not target.exists()
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("found", [b"12345", b"1234"], ids=["flipped", "cut"])
def test_a_blob_that_was_found_damaged_is_missing_until_it_is_added_again(case: Case, found: bytes) -> None:
    store = case.store
    digest = added(store, b"12346")
    case.spoil(digest, found)
    with pytest.raises(IntegrityError):
        store.verify(digest)
    assert not store.has(digest)
    assert store.missing([digest]) == {digest}
    with store.writer() as writer:
        assert writer.add_bytes(b"12346").new
        writer.commit()
    assert store.has(digest)
    assert store.read(digest, bytes_max=10) == b"12346"


def test_a_blob_of_the_wrong_size_is_replaced_though_nobody_read_it(case: Case, tmp_path: Path) -> None:
    digest = added(case.store, b"12346")
    case.spoil(digest, b"123")
    with case.store.writer() as writer:
        assert writer.add_file(source(tmp_path, b"12346")).new
        writer.commit()
    assert case.store.verify(digest) == 5


def test_a_blob_that_is_whole_again_is_no_longer_missing(case: Case) -> None:
    digest = added(case.store, b"12346")
    case.spoil(digest, b"12345")
    with pytest.raises(IntegrityError):
        case.store.verify(digest)
    case.spoil(digest, b"12346")
    assert case.store.verify(digest) == 5
    assert case.store.has(digest)


def test_a_handle_can_be_read_and_sought(store: Store) -> None:
    with store.open(added(store, b"0123456789")) as handle:
        assert handle.read(3) == b"012"
        handle.seek(7)
        assert handle.read() == b"789"


def test_a_handle_is_of_the_bytes_that_were_verified(case: Case) -> None:
    data = os.urandom(100_000)
    digest = added(case.store, data)
    with case.store.open(digest) as handle:
        assert hash_bytes(handle.read()) == digest


def test_any_range_is_read(store: Store) -> None:
    data = os.urandom(LONG)
    digest, short = added(store, data), added(store, b"0123456789")
    for begin, end in [
        (0, 1),
        (0, LONG),
        (LONG - 1, LONG + 9),
        (1_000_000, 3_500_001),
        (2**20, 2**21),
        (LONG, LONG + 1),
    ]:
        assert b"".join(store.between(digest, begin, end)) == data[begin:end]
    assert b"".join(store.between(short, 3, 7)) == b"3456"
    with pytest.raises(NotFound):
        b"".join(store.between(ABSENT, 0, 1))


@pytest.mark.parametrize("earlier", [False, True], ids=["never read", "read before"])
def test_no_range_of_a_damaged_blob_is_handed_out(case: Case, *, earlier: bool) -> None:
    data = os.urandom(LONG)
    digest = added(case.store, data)
    if earlier:
        assert b"".join(case.store.between(digest, 5, 9)) == data[5:9]
    case.spoil(digest, data[: LONG // 2])
    for begin, end in ((0, 9), (2_000_000, 3_000_000)):
        with pytest.raises(IntegrityError):
            b"".join(case.store.between(digest, begin, end))


def test_bytes_go_into_a_sink(store: Store) -> None:
    data = os.urandom(2_500_000)
    sink = io.BytesIO()
    assert store.write_to(added(store, data), sink) == len(data)
    assert sink.getvalue() == data


# Copying


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o400])
def test_a_copy_has_the_bytes_and_exactly_the_mode(store: Store, tmp_path: Path, mode: int) -> None:
    store.copy_to(added(store, b"copied"), tmp_path / "target", mode=mode)
    assert (tmp_path / "target").read_bytes() == b"copied"
    assert (tmp_path / "target").stat().st_mode & 0o7777 == mode
    assert list(tmp_path.glob(".*")) == []


def test_a_copy_replaces_a_file_whole(store: Store, tmp_path: Path) -> None:
    target = source(tmp_path, b"what stood there", "target")
    store.copy_to(added(store, b"copied"), target, mode=0o644)
    assert target.read_bytes() == b"copied"


def test_a_copy_replaces_a_link_and_does_not_follow_it(store: Store, tmp_path: Path) -> None:
    outside = source(tmp_path, b"not to be touched", "outside")
    (tmp_path / "target").symlink_to(outside)
    store.copy_to(added(store, b"copied"), tmp_path / "target", mode=0o644)
    assert outside.read_bytes() == b"not to be touched"
    assert not (tmp_path / "target").is_symlink()


def test_a_copy_does_not_replace_a_folder(store: Store, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(UsageError):
        store.copy_to(added(store, b"copied"), tmp_path / "target", mode=0o644)
    assert list((tmp_path / "target").iterdir()) == []


def test_a_copy_into_a_missing_folder_is_not_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.copy_to(added(store, b"copied"), tmp_path / "absent" / "target", mode=0o644)


# Listing, and several at once


def test_digests_are_listed_in_ascending_order_once_each(store: Store) -> None:
    expected = sorted(added(store, bytes([number])) for number in range(64))
    assert list(store.digests()) == expected


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert list(store.digests()) == []


def test_two_writers_may_add_the_same_bytes(store: Store) -> None:
    with store.writer() as one, store.writer() as other:
        one.add_bytes(b"shared")
        digest = other.add_bytes(b"shared").digest
        other.commit()
        one.commit()
    assert store.read(digest, bytes_max=10) == b"shared"


def test_leaving_one_writer_does_not_take_from_another(store: Store) -> None:
    with store.writer() as one:
        with store.writer() as other:
            other.add_bytes(b"shared")
        digest = one.add_bytes(b"shared").digest
        one.commit()
    assert store.has(digest)


def test_many_threads_add_and_read_at_once(store: Store) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> list[Digest]:
        start.wait()
        digests = [added(store, f"{(number + step) % 20}".encode()) for step in range(20)]
        return [digest for digest in digests if store.verify(digest)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))
    assert all(len(answer) == 20 for answer in answers)
    assert len(list(store.digests())) == 20


def test_a_reader_keeps_its_handle_while_a_writer_adds_the_same(case: Case) -> None:
    digest = added(case.store, b"12346")
    with case.store.open(digest) as handle, case.store.writer() as writer:
        writer.add_bytes(b"12346")
        writer.commit()
        assert handle.read() == b"12346"
