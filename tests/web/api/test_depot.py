"""What a client can do to the server's store: add what is named by its bytes, and nothing else."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from blake3 import blake3

from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound, PermissionRefused, TooLarge, UsageError, WrongBytes
from holdfast.names import ModelName
from holdfast.registry import NewVersion
from holdfast.registry.http import HttpRegistry
from holdfast.service import Line
from holdfast.store.local import LocalStore
from holdfast.store.remote.service import ServiceTransport
from holdfast.web.api import depot
from tests.store.looking import packs

pytestmark = pytest.mark.slow


@pytest.fixture
def files(line: Line) -> ServiceTransport:
    return ServiceTransport(line)


def exact(data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    return f"blobs/{name[:2]}/{name}"


def standing(kept: LocalStore) -> set[Path]:
    """All that stands in the store and around it, but for what SQLite puts beside its file."""
    return {path for path in kept.root.parent.rglob("*") if not path.name.startswith("registry.db")}


def test_a_file_is_kept_only_under_the_name_of_its_bytes(files: ServiceTransport, kept: LocalStore) -> None:
    key = exact(b"right")
    for name in (key, f"packs/ab/ab{62 * '0'}", f"index/{64 * '0'}"):
        with pytest.raises(IntegrityError):
            files.create(name, b"wrong")
    with pytest.raises(IntegrityError):
        files.create_long(key, lambda: iter([b"wro", b"ng"]), 5)
    assert [path for path in kept.root.rglob("*") if path.is_file()] == [kept.root / "config.json"]
    assert files.create(key, b"right")
    assert files.read(key, bytes_max=5) == b"right"


def test_bytes_under_another_name_are_the_senders_fault_and_damaged_ones_are_not(
    files: ServiceTransport, registry: HttpRegistry, kept: LocalStore, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (exact(b"right"), f"packs/ab/ab{62 * '0'}", f"index/{64 * '0'}"):
        answer = httpx.put(f"{url}/api/v1/store/files/{name}", content=b"wrong")
        said = answer.json()["error"]
        assert (answer.status_code, said["code"], said["key"]) == (422, "wrong_bytes", name)
        assert said["hint"]
    with pytest.raises(WrongBytes):
        files.create(exact(b"right"), b"wrong")
    assert not caplog.records
    digest = hash_bytes(b"a manifest")
    files.create(exact(b"a manifest"), b"a manifest")
    path = kept.root / exact(b"a manifest")
    path.chmod(0o644)
    path.write_bytes(b"b manifest")
    registry.ensure_model(ModelName("churn"), "ana")
    asked = {"digest": str(digest), "complete": True}
    answer = httpx.post(f"{url}/api/v1/models/churn/versions", json=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "integrity")
    assert [record.name for record in caplog.records] == ["holdfast.server"]


@pytest.mark.parametrize(
    "key",
    [
        "../registry.db",
        "packs/../../registry.db",
        "packs/ab/%2e%2e/x",
        f"packs/ab/cd{62 * '0'}",
        "blobs//etc/passwd",
        "refs/versions/churn/000000000001",
        "tmp/x",
        f"index/{63 * '0'}",
        f"index/{64 * '0'}/x",
        "\x00",
    ],
)
def test_no_name_leads_anywhere_but_into_the_store(url: str, kept: LocalStore, key: str) -> None:
    before = standing(kept)
    where = f"{url}/api/v1/store/files/{key}".replace("\x00", "%00")
    for method in ("GET", "PUT", "DELETE"):
        answer = httpx.request(method, where, content=b"x" if method == "PUT" else None)
        assert answer.status_code in {400, 404, 405}, (method, answer.text)
    assert standing(kept) == before


def test_an_index_may_list_only_what_is_here(files: ServiceTransport, kept: LocalStore) -> None:
    with kept.writer() as writer:
        writer.add_bytes(b"some")
        writer.commit()
    (index,) = (kept.root / "index").iterdir()
    data = index.read_bytes()
    index.unlink()
    (pack,) = packs(kept.root)
    there = pack.read_bytes()
    pack.unlink()
    with pytest.raises(NotFound):
        files.create(f"index/{blake3(data).hexdigest()}", data)
    assert files.create(f"packs/{pack.name[:2]}/{pack.name}", there)
    assert files.create(f"index/{blake3(data).hexdigest()}", data)
    assert LocalStore(kept.root).read(hash_bytes(b"some"), bytes_max=4) == b"some"


def test_only_what_is_damaged_is_removed(files: ServiceTransport, kept: LocalStore) -> None:
    key = exact(b"whole")
    files.create(key, b"whole")
    with pytest.raises(PermissionRefused):
        files.remove(key)
    with pytest.raises(PermissionRefused):
        files.remove("config.json")
    path = kept.root / key
    path.chmod(0o644)
    path.write_bytes(b"spoil")
    files.remove(key)
    assert files.size(key) is None
    assert files.create(key, b"whole")


def test_what_is_too_long_is_refused_while_it_arrives(
    files: ServiceTransport, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depot, "_INDEX_BYTES_MAX", 100)
    with pytest.raises(TooLarge):
        files.create(f"index/{64 * '0'}", bytes(101))
    with pytest.raises(TooLarge):
        files.create(f"probe/{32 * '0'}", bytes(2_000))

    def without_end() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(1 << 20)

    assert httpx.post(f"{url}/api/v1/models", content=without_end()).status_code == 413
    assert httpx.post(f"{url}/api/v1/models", content=bytes(33 << 20)).status_code == 413


def test_a_folder_is_listed_page_by_page(files: ServiceTransport, monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    monkeypatch.setattr("holdfast.web.api.files._PAGE_MAX", 2)
    keys = sorted(exact(b"%d" % number) for number in range(5))
    for number in range(5):
        files.create(exact(b"%d" % number), b"%d" % number)
    assert [one.key for one in files.list("blobs/")] == keys
    with pytest.raises(UsageError):
        list(ServiceTransport(line).list("refs/"))


def test_a_range_is_as_long_as_there_is_something(files: ServiceTransport, url: str) -> None:
    key = exact(b"0123456789")
    files.create(key, b"0123456789")
    assert files.range(key, 3, 4) == b"3456"
    assert files.range(key, 8, 100) == b"89"
    assert files.range(key, 10, 1) == b""
    where = f"{url}/api/v1/store/files/{key}"
    assert httpx.get(where).content == b"0123456789"
    part = httpx.get(where, headers={"range": "bytes=2-"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"23456789", "bytes 2-9/10")
    assert httpx.get(where, headers={"range": "bytes=1-2,4-5"}).status_code == 400
    assert httpx.head(where).headers["content-length"] == "10"


def test_a_version_gets_its_number_when_its_bytes_are_there(registry: HttpRegistry) -> None:
    model = ModelName("churn")
    registry.ensure_model(model, "ana")
    with pytest.raises(NotFound):
        registry.register(NewVersion(model, hash_bytes(b"nowhere"), complete=True), "ana")
    assert registry.versions(model) == ()
