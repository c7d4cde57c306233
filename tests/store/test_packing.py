"""Filling a pack on a disk that takes only some of it."""

import errno
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NoSpace
from holdfast.store import local_writer, packing
from holdfast.store.local import LocalStore
from holdfast.store.pack import BLOB
from holdfast.store.packing import Packing
from holdfast.store.scratch import scratch
from tests.store.faults import Full


@contextmanager
def packing_in(folder: Path) -> Iterator[tuple[Packing, Path]]:
    with scratch(folder, "w-") as mine, ThreadPoolExecutor(1) as pen:
        made = Packing(mine, "1", pen)
        try:
            yield made, mine.path / "1"
        finally:
            made.close()


def fill(made: Packing, count: int, size: int = 300) -> int:
    """How many of so many records were taken."""
    taken = 0
    for number in range(count):
        data = bytes([number]) * size
        try:
            made.append(bytes([number]) * 32, BLOB, size, (0, data))
            taken += 1
        except NoSpace:
            continue
    return taken


@pytest.fixture(autouse=True)
def small_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_FLUSH_BYTES", 1000)


def test_a_pack_is_named_by_the_bytes_that_are_on_the_disk(tmp_path: Path) -> None:
    with packing_in(tmp_path) as (made, path):
        fill(made, 20)
        segment = made.finish().result()
        assert segment.name == blake3(path.read_bytes()).hexdigest()
        assert segment.size == path.stat().st_size == made.size


def test_what_the_disk_took_half_of_is_written_again_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Full(monkeypatch)
    with packing_in(tmp_path) as (made, path):
        full.after(1500)
        taken = fill(made, 20)
        assert 0 < taken < 20
        full.after(None)
        segment = made.finish().result()
        assert segment.name == blake3(path.read_bytes()).hexdigest()


def test_it_is_written_to_its_place_though_nothing_can_be_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ftruncate(_descriptor: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    full = Full(monkeypatch)
    monkeypatch.setattr(os, "ftruncate", ftruncate)
    with packing_in(tmp_path) as (made, path):
        full.after(1500)
        fill(made, 20)
        full.after(None)
        segment = made.finish().result()
        assert segment.name == blake3(path.read_bytes()).hexdigest()


def test_a_disk_that_is_full_when_a_pack_is_full_does_not_keep_the_writer_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_writer, "PACK_BYTES", 1300)
    chance = random.Random(1)
    store, full = LocalStore(tmp_path / "store"), Full(monkeypatch)
    taken: list[bytes] = []
    with store.writer() as writer:
        full.after(100)  # the second piece is written while the pack comes to its end
        for size in [300] * 30 + [5000] * 3:
            data = chance.randbytes(size)
            try:
                writer.add_bytes(data)
                taken.append(data)
            except NoSpace:
                continue
        assert 0 < len(taken) < 33
        with pytest.raises(NoSpace):
            writer.commit()
    assert list(LocalStore(store.root).digests()) == []
    full.after(None)
    with store.writer() as writer:
        for data in taken:
            writer.add_bytes(data)
        writer.commit()
    assert [store.verify(hash_bytes(data)) for data in taken] == list(map(len, taken))


def test_a_writer_goes_on_when_there_is_space_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_writer, "PACK_BYTES", 1300)
    chance = random.Random(1)
    store, full = LocalStore(tmp_path / "store"), Full(monkeypatch)
    pieces = [chance.randbytes(size) for size in [300] * 30 + [5000] * 3]
    refused = []
    with store.writer() as writer:
        full.after(100)
        for data in pieces:
            try:
                writer.add_bytes(data)
            except NoSpace:
                refused.append(data)
        assert refused
        full.after(None)
        for data in refused:
            assert writer.add_bytes(data).new, "an add that raised has added nothing"
        writer.commit()
    again = LocalStore(store.root)
    assert [again.verify(hash_bytes(data)) for data in pieces] == list(map(len, pieces))


def test_a_sync_that_failed_is_told_by_the_commit_and_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path / "store")
    list(store.digests())
    real, left = os.fsync, [True]

    def fsync(descriptor: int) -> None:
        if left:
            left.pop()
            raise OSError(errno.EIO, "the first one only: the kernel forgets")
        real(descriptor)

    open_files = Path("/proc/self/fd")  # where there is none, nothing can be counted
    before = len(list(open_files.iterdir())) if open_files.is_dir() else 0
    with store.writer() as writer:
        writer.add_bytes(b"lost")
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(IntegrityError):
            writer.commit()
    if before:
        assert len(list(open_files.iterdir())) == before
