"""The cache of a remote's blocks: bounded, and never believed."""

import os
from pathlib import Path

import pytest

from holdfast.errors import IntegrityError, NotFound
from holdfast.store.index import EXACT, Segment
from holdfast.store.remote import ranges
from holdfast.store.remote.folder import FolderTransport
from holdfast.store.remote.ranges import RangeCache
from tests.flaky import Flaky
from tests.store.spoiling import flip

SEGMENT = Segment(EXACT, "ab" * 32, 100_000)
DATA = os.urandom(SEGMENT.size)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flaky:
    """A remote with one segment; every call is counted, and none fails."""
    monkeypatch.setattr(ranges, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(ranges, "_BLOCKS_HELD", 1)
    transport = FolderTransport(tmp_path / "remote")
    transport.create(f"blobs/ab/{SEGMENT.name}", DATA)
    return Flaky(transport, 0, share=1e-9)


def cache(counted: Flaky, tmp_path: Path, bytes_max: int = 1 << 20) -> RangeCache:
    return RangeCache(counted, tmp_path / "blocks", bytes_max)


def kept(tmp_path: Path) -> int:
    return sum(path.stat().st_size for path in (tmp_path / "blocks").glob("*/*"))


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (9_999, 2), (5, 35_000), (99_999, 1), (0, 100_000), (50_000, 0), (100_000, 0)]
)
def test_a_range_is_what_the_segment_holds(counted: Flaky, tmp_path: Path, offset: int, length: int) -> None:
    assert cache(counted, tmp_path).read(SEGMENT, offset, length) == DATA[offset : offset + length]


def test_what_was_read_is_not_asked_for_again(counted: Flaky, tmp_path: Path) -> None:
    cache(counted, tmp_path).read(SEGMENT, 0, 50_000)
    asked = counted.calls
    cache(counted, tmp_path).read(SEGMENT, 10_000, 30_000)
    assert counted.calls == asked == 5


def test_the_cache_never_grows_past_its_limit_and_keeps_what_was_used(counted: Flaky, tmp_path: Path) -> None:
    small = cache(counted, tmp_path, 35_000)
    for at in range(0, 100_000, 10_000):
        small.read(SEGMENT, at, 10)
        assert kept(tmp_path) <= 35_000
        small.read(SEGMENT, 0, 10)
    asked = counted.calls
    small.read(SEGMENT, 0, 10)
    assert counted.calls == asked


def test_a_block_that_was_damaged_on_this_machine_is_asked_for_again(counted: Flaky, tmp_path: Path) -> None:
    cache(counted, tmp_path).read(SEGMENT, 0, 10_000)
    [block] = (tmp_path / "blocks").glob("*/*")
    flip(block, 5_000)
    assert cache(counted, tmp_path).read(SEGMENT, 0, 10_000) == DATA[:10_000]
    block.chmod(0o644)
    block.write_bytes(b"short")
    assert cache(counted, tmp_path).read(SEGMENT, 0, 10_000) == DATA[:10_000]


def test_what_ends_early_or_is_gone_is_told_as_such(counted: Flaky, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        cache(counted, tmp_path).read(SEGMENT._replace(size=100_010), 99_995, 10)
    with pytest.raises(NotFound):
        cache(counted, tmp_path).read(SEGMENT._replace(name="cd" * 32), 0, 10)
