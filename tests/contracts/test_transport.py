"""The promises of `holdfast.store.remote.transport`, one test each, for every way to a remote."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import IntegrityError, NotFound, PermissionRefused, TooLarge, Unavailable, UsageError
from holdfast.store.remote.address import Address
from holdfast.store.remote.bucket import PART_BYTES, open_bucket, open_folder_as_bucket
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.persistent import Persistent
from holdfast.store.remote.probe import probe
from holdfast.store.remote.transport import Listed, Transport
from tests.flaky import Flaky
from tests.servers import S3Server

KEY = "packs/ab/ab12"


@pytest.fixture(params=["folder", "folder as bucket", "flaky", pytest.param("s3", marks=pytest.mark.slow)])
def transport(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Transport:
    if request.param == "folder":
        return FolderTransport(tmp_path / "remote")
    if request.param == "folder as bucket":
        return open_folder_as_bucket(tmp_path / "remote")
    if request.param == "flaky":
        return Persistent(Flaky(FolderTransport(tmp_path / "remote"), 7, share=0.3), lambda _seconds: None)
    server: S3Server = request.getfixturevalue("s3")
    server.use(monkeypatch)
    return open_bucket(Address.parse(f"s3://{server.bucket()}/some/prefix"))


def test_what_was_created_is_read_measured_and_listed(transport: Transport) -> None:
    assert transport.size(KEY) is None
    transport.create(KEY, b"0123456789")
    assert transport.read(KEY, bytes_max=10) == b"0123456789"
    assert transport.range(KEY, 3, 4) == b"3456"
    assert transport.range(KEY, 8, 100) == b"89"
    assert transport.size(KEY) == 10
    assert list(transport.list("packs/")) == [Listed(KEY, 10)]
    assert list(transport.list("index/")) == []


def test_what_is_there_is_not_written_over(transport: Transport) -> None:
    transport.create(KEY, b"first")
    assert not transport.create(KEY, b"second")
    assert not transport.create_long(KEY, lambda: iter([b"third"]), 5)
    assert transport.read(KEY, bytes_max=10) == b"first"


def test_a_long_file_is_made_whole_or_not_at_all(transport: Transport) -> None:
    piece = os.urandom(1 << 20)
    count = (PART_BYTES >> 20) + 3

    def breaks() -> Iterator[bytes]:
        yield from [piece] * (count - 1)
        raise IntegrityError("the source is damaged", hint="")

    with pytest.raises(IntegrityError):
        transport.create_long(KEY, breaks, count << 20)
    assert transport.size(KEY) is None
    transport.create_long(KEY, lambda: iter([piece] * count), count << 20)
    assert transport.size(KEY) == count << 20
    assert transport.range(KEY, (count - 1) << 20, 1 << 20) == piece
    assert not transport.create_long(KEY, lambda: iter([piece] * count), count << 20)


def test_what_is_not_there_is_not_found(transport: Transport) -> None:
    with pytest.raises(NotFound):
        transport.read(KEY, bytes_max=10)
    with pytest.raises(NotFound):
        transport.range(KEY, 0, 10)
    transport.remove(KEY)


def test_a_file_that_is_too_large_is_not_read(transport: Transport) -> None:
    transport.create(KEY, b"0123456789")
    with pytest.raises(TooLarge):
        transport.read(KEY, bytes_max=9)


def test_what_was_removed_is_gone(transport: Transport) -> None:
    transport.create(KEY, b"first")
    transport.remove(KEY)
    assert transport.size(KEY) is None
    transport.create(KEY, b"second")
    assert transport.read(KEY, bytes_max=10) == b"second"


@pytest.mark.thorough
def test_more_files_than_one_answer_lists_are_listed(transport: Transport) -> None:
    names = [f"index/{number:04}" for number in range(1_100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: transport.create(name, b"x"), names))
    assert sorted(one.key for one in transport.list("index/")) == names


def test_of_many_who_create_one_name_one_wins(transport: Transport) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> bool:
        start.wait()
        return transport.create(KEY, str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(work, range(8)))
    assert sum(won) <= 1
    assert transport.read(KEY, bytes_max=1).decode() in {str(number) for number in range(8)}
    if not isinstance(transport, Persistent):  # a lost reply may hide who it was
        assert transport.read(KEY, bytes_max=1).decode() == str(won.index(True))


def test_it_passes_its_probe_which_leaves_nothing(transport: Transport) -> None:
    probe(transport)
    assert list(transport.list("probe/")) == []


@pytest.mark.slow
def test_a_server_that_is_gone_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    S3Server("http://127.0.0.1:9", "test", "test").use(monkeypatch)
    gone = open_bucket(Address.parse("s3://models"))
    with pytest.raises(Unavailable):
        gone.create(KEY, b"x")
    with pytest.raises(Unavailable):
        list(gone.list("packs/"))


@pytest.mark.slow
def test_what_is_created_has_the_storage_class_that_was_asked_for(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.use(monkeypatch)
    address = Address.parse(f"s3://{s3.bucket()}/store")
    cold, usual = open_bucket(address, storage_class="STANDARD_IA"), open_bucket(address)
    cold.create("packs/ab/short", b"x")
    cold.create_long("packs/ab/long", lambda: iter([bytes(PART_BYTES), b"x"]), PART_BYTES + 1)
    usual.create("index/ab", b"x")
    found = {key: s3.storage_class(address.place, f"store/{key}") for key in ("packs/ab/short", "packs/ab/long")}
    assert found == {"packs/ab/short": "STANDARD_IA", "packs/ab/long": "STANDARD_IA"}
    assert s3.storage_class(address.place, "store/index/ab") == "STANDARD"
    assert usual.range("packs/ab/long", PART_BYTES, 1) == b"x"
    with pytest.raises(UsageError):
        open_bucket(address, storage_class="NO_SUCH").create("packs/ab/other", b"x")


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_not_found(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.use(monkeypatch)
    with pytest.raises((NotFound, PermissionRefused)):
        open_bucket(Address.parse("s3://nobody-made-this")).create(KEY, b"x")
