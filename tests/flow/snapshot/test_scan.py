"""The walk through a folder: in the order of the tree, and in memory that does not grow."""

import io
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.flow.snapshot import blocks, compare, scan
from holdfast.flow.snapshot.blocks import Block, Blocks
from holdfast.flow.snapshot.ignores import Ignores
from holdfast.flow.snapshot.scan import scan_folder
from tests.effort import examples

names = st.text(st.sampled_from("ab-.0 \u00e9\U0001f600\ue000"), min_size=1, max_size=3).filter(
    lambda name: name not in {".", ".."}
)
paths = st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=10)


def scanned(folder: Path) -> list[Block]:
    return list(scan_folder(folder, Ignores(folder, folder)))


@given(paths)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
def test_files_come_in_the_order_of_the_bytes_of_their_paths(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[str]
) -> None:
    folder, made = tmp_path_factory.mktemp("law"), set()
    for path in wanted:
        file = folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        except OSError:  # a file stands where a folder should be, or the other way round
            continue
        if file.is_file():
            made.add(path)
    found = [path for block in scanned(folder) for path in block.paths]
    assert found == sorted(made, key=str.encode)


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "BLOCK_FILES", 256)
    for number in range(8000):
        if number % 200 == 0:
            (tmp_path / f"{number:06}").mkdir()
        (tmp_path / f"{number // 200 * 200:06}/{number:06}").touch()

    def peak(folder: Path) -> int:
        tracemalloc.start()
        try:
            count = sum(len(block) for block in scan_folder(folder, Ignores(folder, folder)))
            assert count in {200, 8000}
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(tmp_path / "000000")
    assert peak(tmp_path) < few + 300_000


numbers = st.integers(0, 2**64 - 1)
times = st.integers(-(2**63), 2**63 - 1)
found_files = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
        st.sampled_from([0o644, 0o755]),
        st.tuples(numbers, numbers, numbers, times, times),
        st.just(b"") | st.binary(min_size=32, max_size=32).filter(any),
    ),
    min_size=1,
    max_size=5,
)


def block_of(files: Sequence[tuple[str, int, tuple[int, int, int, int, int], bytes]]) -> Block:
    block = Block()
    for path, mode, stats, digest in files:
        block.paths.append(path)
        block.modes.append(mode)
        block.stats.extend(stats)
        block.digests.append(digest)
    return block


@given(st.lists(found_files.map(block_of), max_size=3))
def test_blocks_are_read_as_they_were_written(written: list[Block]) -> None:
    kept = Blocks(io.BytesIO())
    for block in written:
        kept.append(block)
    assert list(kept) == written
    assert list(kept) == written
    assert kept.files == sum(map(len, written))
    assert kept.bytes == sum(size for block in written for size in block.sizes)


files = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2))


def cut(found: dict[str, int], width: int) -> list[Block]:
    rows = [(path, 0o644, (1, 1, number, 1, 1), b"") for path, number in sorted(found.items())]
    return [block_of(rows[start : start + width]) for start in range(0, len(rows), width)]


@given(files, files, st.integers(1, 3), st.integers(1, 3))
def test_what_moved_between_two_scans_is_named(
    before: dict[str, int], after: dict[str, int], width: int, other: int
) -> None:
    told = compare.difference(cut(before, width), cut(after, other if before != after else width))
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    changed = sorted(path for path in before.keys() & after.keys() if before[path] != after[path])
    if gone:
        assert told == f"{gone[0]} was removed"
    elif come:
        assert told == f"{come[0]} appeared"
    else:
        assert told == (f"{changed[0]} was changed" if changed else None)


def test_a_block_is_small_enough_to_be_read_whole() -> None:
    assert blocks._BODY_BYTES_MAX < 10_000_000
