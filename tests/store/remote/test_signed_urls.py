"""SignedUrls: bytes of a server's bucket come past the server, and are believed no more for it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast.errors import IntegrityError, NotFound, UsageError
from holdfast.service.line import Line
from holdfast.service.signed_urls import SIGNED_SECONDS, SignedUrls
from holdfast.store.memory import MemoryStore
from holdfast.store.remote.address import Address
from holdfast.store.remote.bucket import BucketTransport, open_bucket
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.remote import Remote
from holdfast.store.remote.service import ServiceStore, ServiceTransport
from holdfast.web.api.depot import Depot
from tests.servers import S3Server, s3_server
from tests.serving_api import api_server

pytestmark = pytest.mark.slow

DATA = bytes(range(256)) * 4096
KEY = f"blobs/{hashlib.sha256(DATA).hexdigest()[:2]}/{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as found:
        yield found


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> BucketTransport:
    s3.use(monkeypatch)
    return open_bucket(Address.parse(f"s3://{s3.bucket()}/store"))


class Counted:
    """What the server itself was asked to read."""

    def __init__(self, inner: BucketTransport) -> None:
        self._inner = inner
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def range(self, key: str, offset: int, length: int) -> bytes:
        self.reads += 1
        return self._inner.range(key, offset, length)


def served(bucket: Any, signed: Any) -> Any:
    return api_server(depot=Depot(MemoryStore(), bucket, signed=signed))


def test_large_pieces_come_past_the_server_and_small_ones_do_not(bucket: BucketTransport) -> None:
    counted = Counted(bucket)
    with served(counted, bucket.signed) as url:
        there = ServiceTransport(Line(url))
        there.create_long(KEY, lambda: iter([DATA]), len(DATA))
        assert there.range(KEY, 0, len(DATA)) == DATA
        assert there.range(KEY, 1000, 600_000) == DATA[1000:601_000]
        assert there.range(KEY, len(DATA) - 10, 600_000) == DATA[-10:]
        assert there.range(KEY, len(DATA), 600_000) == b""
        assert counted.reads == 0
        assert there.range(KEY, 5, 10) == DATA[5:15]
        assert counted.reads == 1


def test_a_server_that_gives_none_is_asked_itself_and_about_urls_once(bucket: BucketTransport) -> None:
    asked: list[str] = []
    with served(bucket, None) as url:
        line = Line(url)
        get = line.get

        def noted(path: str, /, **query: object) -> Any:
            asked.append(path)
            return get(path, **query)

        line.get = noted  # type: ignore[method-assign]
        there = ServiceTransport(line)
        there.create_long(KEY, lambda: iter([DATA]), len(DATA))
        for _ in range(3):
            assert there.range(KEY, 0, len(DATA)) == DATA
    assert asked == [f"/store/signed/{KEY}"]


@pytest.mark.parametrize(
    "signed",
    [
        lambda key, seconds: "http://127.0.0.1:9/nowhere",
        lambda key, seconds: "ftp://127.0.0.1/x",
        lambda key, seconds: "http://user:password@127.0.0.1:9/x",
        lambda key, seconds: "not a signed URL",
    ],
)
def test_a_url_that_leads_nowhere_is_given_up(bucket: BucketTransport, signed: Any) -> None:
    with served(bucket, signed) as url:
        there = ServiceTransport(Line(url))
        there.create_long(KEY, lambda: iter([DATA]), len(DATA))
        assert there.range(KEY, 0, len(DATA)) == DATA
        assert there.range(KEY, 0, len(DATA)) == DATA


def test_a_url_holds_for_minutes_and_says_so(bucket: BucketTransport) -> None:
    bucket.create_long(KEY, lambda: iter([DATA]), len(DATA))
    url = bucket.signed(KEY, SIGNED_SECONDS)
    assert url is not None
    assert f"X-Amz-Expires={SIGNED_SECONDS}" in url
    assert "X-Amz-Signature=" in url  # that it is for this file and for reading alone, is the bucket's to hold
    assert httpx.get(url).content == DATA


def test_a_url_is_used_until_shortly_before_its_end(bucket: BucketTransport) -> None:
    now, given = [0.0], []

    def signed(key: str, seconds: int) -> str | None:
        given.append(key)
        return bucket.signed(key, seconds)

    bucket.create_long(KEY, lambda: iter([DATA]), len(DATA))
    with served(bucket, signed) as url:
        urls = SignedUrls(Line(url), lambda: now[0])
        for moment, count in ((0.0, 1), (SIGNED_SECONDS - 61.0, 1), (SIGNED_SECONDS - 59.0, 2)):
            now[0] = moment
            assert urls.read(KEY, 0, len(DATA)) == DATA
            assert len(given) == count


@pytest.mark.parametrize("key", ["config.json", f"index/{64 * '0'}", "../secret", "packs/x"])
def test_only_packs_and_exact_files_have_signed_urls(bucket: BucketTransport, key: str) -> None:
    depot = Depot(MemoryStore(), bucket, signed=bucket.signed)
    with pytest.raises(UsageError):
        depot.signed(key)


def test_what_is_not_there_has_no_url_and_a_folder_gives_none(bucket: BucketTransport, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Depot(MemoryStore(), bucket, signed=bucket.signed).signed(KEY)
    assert Depot(MemoryStore(), FolderTransport(tmp_path)).signed(KEY) is None


def test_bytes_that_come_by_a_signed_url_are_hashed(bucket: BucketTransport, s3: S3Server, tmp_path: Path) -> None:
    """Whoever can write into the bucket, or stands between, changes nothing that a reader would take."""
    with served(bucket, bucket.signed) as url:
        Remote(bucket, tmp_path / "one").prepare()
        line = Line(url)
        store = ServiceStore(line, Remote(ServiceTransport(line), tmp_path / "cache"), 1 << 30)
        with store.writer() as writer:
            digest = writer.add_bytes(DATA).digest
            writer.commit()
        assert store.read(digest, bytes_max=len(DATA)) == DATA
        packs = [one for prefix in ("packs/", "blobs/") for one in bucket.list(prefix)]
        for one in packs:
            data = bytearray(bucket.read(one.key, bytes_max=1 << 30))
            data[len(data) // 2] ^= 1
            bucket.remove(one.key)
            bucket.create(one.key, bytes(data))
        fresh = ServiceStore(line, Remote(ServiceTransport(line), tmp_path / "other"), 1 << 30)
        with pytest.raises(IntegrityError):
            fresh.read(digest, bytes_max=len(DATA))
