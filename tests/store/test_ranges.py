"""Many ranges of one file put it together once, and every chunk is hashed again; a file without chunks is, whole."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError
from holdfast.store import proved as module
from holdfast.store.chunked import within
from holdfast.store.exact_files import ExactFiles
from holdfast.store.local import LocalStore
from holdfast.store.proved import Proved
from tests.store.spoiling import alone

LONG = 5_000_000
STEP = 500_000


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[object]:
    """Something for each time that the method was called."""
    calls: list[object] = []
    before: Callable[..., object] = getattr(owner, name)

    def call(*given: object) -> object:
        calls.append(given)
        return before(*given)

    monkeypatch.setattr(owner, name, call)
    return calls


def all_at_once(store: LocalStore, digest: Digest) -> bytes:
    with ThreadPoolExecutor(4) as pool:
        return b"".join(
            pool.map(lambda begin: b"".join(store.between(digest, begin, begin + STEP)), range(0, LONG, STEP))
        )


@pytest.fixture
def data() -> bytes:
    return os.urandom(LONG)


@pytest.fixture
def digest(tmp_path: Path, data: bytes) -> Digest:
    with LocalStore(tmp_path / "store").writer() as writer:
        added = writer.add_bytes(data)
        writer.commit()
    return added.digest


def test_ranges_of_a_blob_of_chunks_put_it_together_once(
    tmp_path: Path, data: bytes, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, calls = LocalStore(tmp_path / "store"), counted(monkeypatch, LocalStore, "_put_together")
    assert all_at_once(store, digest) == data
    assert all_at_once(store, digest) == data
    assert len(calls) == 1


def test_a_chunk_that_is_spoilt_after_the_blob_was_read_whole_is_not_handed_out(
    tmp_path: Path, data: bytes, digest: Digest
) -> None:
    store = LocalStore(tmp_path / "store")
    assert b"".join(store.between(digest, 0, 9)) == data[:9]
    [pack] = [path for path in (tmp_path / "store/packs").glob("*/*") if path.stat().st_size > LONG]
    pack.chmod(0o644)
    with pack.open("r+b") as file:
        file.seek(LONG // 2)
        file.write(b"spoilt")
    assert b"".join(store.between(digest, 0, 9)) == data[:9]
    with pytest.raises(IntegrityError):
        b"".join(store.between(digest, LONG // 2 - STEP, LONG // 2 + STEP))


def test_each_range_of_a_file_without_a_recipe_hashes_all_of_it(
    tmp_path: Path, data: bytes, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(tmp_path / "store", digest)
    store, calls = LocalStore(tmp_path / "store"), counted(monkeypatch, ExactFiles, "_verified")
    assert all_at_once(store, digest) == data
    assert len(calls) == LONG // STEP


def test_a_file_that_rots_is_not_handed_out_until_it_is_whole_again(
    tmp_path: Path, data: bytes, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = alone(tmp_path / "store", digest)
    monkeypatch.setattr("holdfast.store.exact_files._known_by", lambda _: (1,))  # a disk that rots says nothing
    store = LocalStore(tmp_path / "store")
    assert b"".join(store.between(digest, 0, 1)) == data[:1]
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(LONG - 1)
        file.write(bytes([data[-1] ^ 1]))
    for _ in range(2):
        with pytest.raises(IntegrityError):
            b"".join(store.between(digest, 0, 1))
    with path.open("r+b") as file:
        file.seek(LONG - 1)
        file.write(data[-1:])
    assert b"".join(store.between(digest, 0, 1)) == data[:1]
    assert store.has(digest)


def test_what_is_written_after_the_file_was_read_whole_and_before_its_range_is_read_is_not_handed_out(
    tmp_path: Path, data: bytes, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = alone(tmp_path / "store", digest)
    path.chmod(0o644)
    before = ExactFiles._verified

    def verified(*given: Any) -> Iterator[bytes]:
        yield from before(*given)
        with path.open("r+b") as file:
            file.write(bytes([data[0] ^ 1]))

    monkeypatch.setattr(ExactFiles, "_verified", verified)
    with pytest.raises(IntegrityError):
        b"".join(LocalStore(tmp_path / "store").between(digest, 0, 1))


def test_a_file_that_a_checkout_links_to_while_it_is_read_is_not_taken_for_damaged(
    tmp_path: Path, data: bytes, digest: Digest
) -> None:
    path = alone(tmp_path / "store", digest)
    pieces = LocalStore(tmp_path / "store").between(digest, 0, LONG)
    read = next(pieces)
    (tmp_path / "checked out").hardlink_to(path)
    assert read + b"".join(pieces) == data


def test_what_could_not_be_proved_is_tried_again_and_what_was_forgotten_is_proved_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proved, one, other = Proved(), hash_bytes(b"1"), hash_bytes(b"2")
    asked: list[str] = []

    def fail() -> None:
        asked.append("fail")
        raise IntegrityError("it is damaged", hint="")

    with pytest.raises(IntegrityError):
        proved.once(one, b"a", fail)
    proved.once(one, b"a", lambda: asked.append("a"))
    proved.once(one, b"a", fail)
    proved.once(one, b"b", lambda: asked.append("b"))
    monkeypatch.setattr(module, "_REMEMBERED_MAX", 1)
    proved.once(other, b"a", lambda: asked.append("other"))
    proved.once(one, b"b", lambda: asked.append("again"))
    assert asked == ["fail", "a", "b", "other", "again"]


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=9), st.integers(0, 50), st.integers(0, 50))
def test_the_chunks_of_a_range_hold_it_and_none_is_there_for_nothing(chunks: list[bytes], one: int, two: int) -> None:
    begin, end = sorted((one, two))
    found, start = within([(chunk, len(chunk)) for chunk in chunks], begin, end)
    whole = b"".join(chunks)
    assert b"".join(chunk for chunk, _ in found)[begin - start :][: end - begin] == whole[begin:end]
    assert all(length for _, length in found)
    if found:
        assert start <= begin < start + found[0][1]
        assert start + sum(length for _, length in found[:-1]) < max(end, 1)
