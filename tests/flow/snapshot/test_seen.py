"""Nothing unchanged is read twice, and nothing changed is taken for unchanged."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, SourceChanged, UsageError
from holdfast.flow.snapshot import Snapshot, blocks, load_tree, seen, snapshot
from holdfast.flow.snapshot.blocks import Block
from holdfast.flow.snapshot.compare import difference
from holdfast.store.interface import Stored
from holdfast.store.memory import MemoryStore
from tests.effort import examples

LATER_NS = 3_000_000_000
"""Past the time within which a file's times prove nothing."""


class Reading(MemoryStore):
    """Remembers the names of the files that were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_names: list[str] = []

    @contextmanager
    def writer(self) -> Iterator[Any]:
        with super().writer() as writer:
            add_files = writer.add_files

            def noted(paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
                self.read_names += [Path(path).name for path in paths]
                return add_files(paths, progress)

            writer.add_files = noted  # type: ignore[method-assign]
            yield writer


class Bench:
    """A folder that is frozen again and again, with a clock of its own that is always late enough to trust."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.store = Reading()
        self.project = project
        self.data = project / "data"
        self.folder = folder
        self.now_ns = time.time_ns() + LATER_NS

    def freeze(self, source: Path | None = None) -> tuple[Snapshot, list[str]]:
        """The snapshot, and the names of what was read for it."""
        self.store.read_names = []
        frozen = snapshot(
            self.store, source or self.data, root=self.project, seen=self.folder, now_ns=lambda: self.now_ns
        )
        return frozen, sorted(self.store.read_names)

    def memory(self) -> Path:
        (found,) = self.folder.iterdir()
        return found


ALL = ["1.png", "2.png", "train.csv"]


@pytest.fixture
def bench(project: Path, tmp_path: Path) -> Bench:
    return Bench(project, tmp_path / "home/cache/seen")


def test_what_did_not_change_is_not_read_again(bench: Bench) -> None:
    first, read = bench.freeze()
    assert read == ALL
    again, read = bench.freeze()
    assert read == []
    assert again.to_json() == {**first.to_json(), "bytes_new": 0}


def test_a_single_file_is_remembered_too(bench: Bench) -> None:
    first, _ = bench.freeze(bench.data / "train.csv")
    again, read = bench.freeze(bench.data / "train.csv")
    assert (again.digest, again.kind, read) == (first.digest, "file", [])


def test_an_unchanged_source_writes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.freeze()
    monkeypatch.setattr(Reading, "writer", None)
    bench.freeze()


def keep_times(path: Path, data: bytes) -> None:
    before = path.stat()
    time.sleep(0.03)  # past the tick of the file system's clock
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path, data: bytes) -> None:
    path.with_name("new").write_bytes(data)
    path.with_name("new").replace(path)


@pytest.mark.parametrize(
    ("act", "read"),
    [
        pytest.param(lambda data: (data / "train.csv").write_bytes(b"longer than before"), ["train.csv"], id="bytes"),
        pytest.param(
            lambda data: keep_times(data / "train.csv", b"a,b\n9,9\n"), ["train.csv"], id="same-size-and-time"
        ),
        pytest.param(lambda data: replace(data / "train.csv", b"a,b\n9,9\n"), ["train.csv"], id="replaced"),
        pytest.param(lambda data: (data / "new").write_bytes(b"new"), ["new"], id="added"),
        pytest.param(lambda data: (data / "a-first").write_bytes(b"new"), ["a-first"], id="added-before-all"),
        pytest.param(lambda data: (data / "images/1.png").unlink(), [], id="removed"),
        pytest.param(lambda data: (data / "train.csv").chmod(0o755), ["train.csv"], id="mode"),
        pytest.param(lambda data: (data / "train.csv").rename(data / "b"), ["b"], id="renamed"),
        pytest.param(lambda data: (data / ".holdfastignore").write_text("*.png\n"), [], id="left-out"),
    ],
)
def test_only_what_changed_is_read(bench: Bench, act: Callable[[Path], object], read: list[str]) -> None:
    before, _ = bench.freeze()
    act(bench.data)
    after, found = bench.freeze()
    fresh = snapshot(MemoryStore(), bench.data, root=bench.project)
    assert found == read
    assert after.digest == fresh.digest != before.digest
    assert (after.files, after.bytes) == (fresh.files, fresh.bytes)
    assert bench.freeze() == (snapshot(bench.store, bench.data, root=bench.project), [])


steps = st.lists(
    st.tuples(st.sampled_from(["a", "b/c", "b-", "b/d/e", "z"]), st.none() | st.binary(max_size=3)), max_size=6
)


@given(st.lists(steps, min_size=2, max_size=4), st.integers(1, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(40), deadline=None)
def test_a_snapshot_from_memory_is_the_one_from_bytes(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, bytes | None]]], width: int
) -> None:
    folder = tmp_path_factory.mktemp("law")
    (folder / "data").mkdir()
    bench = Bench(folder, folder / "seen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.flow.snapshot.scan.BLOCK_FILES", width)
        patch.setattr(seen, "_RUN_FILES", width)
        for changes in rounds:
            for path, data in changes:
                file = bench.data / path
                if data is None:
                    file.unlink(missing_ok=True)
                else:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(data)
            try:
                expected = snapshot(MemoryStore(), bench.data, root=folder).digest
            except UsageError:  # nothing to freeze
                continue
            assert bench.freeze()[0].digest == expected
            assert bench.freeze()[1] == []


# What cannot be believed


def test_a_file_that_was_touched_just_now_is_read_again(bench: Bench) -> None:
    bench.now_ns = time.time_ns()
    bench.freeze()
    assert bench.freeze()[1] == ALL
    bench.now_ns += LATER_NS
    assert bench.freeze()[1] == ALL  # the reading before it was too early to be believed
    assert bench.freeze()[1] == []


def test_a_file_from_the_future_is_always_read(bench: Bench) -> None:
    os.utime(bench.data / "train.csv", (4e9, 4e9))
    bench.freeze()
    assert bench.freeze()[1] == ["train.csv"]
    assert bench.freeze()[1] == ["train.csv"]


def test_a_clock_before_the_epoch_only_means_that_all_is_read(bench: Bench) -> None:
    os.utime(bench.data / "train.csv", ns=(-(10**9), -(10**9)))
    first, _ = bench.freeze()
    assert bench.freeze() == (snapshot(bench.store, bench.data, root=bench.project), [])
    bench.memory().unlink()
    bench.now_ns = -(10**18)
    bench.freeze()
    assert bench.freeze()[0].digest == first.digest
    assert bench.store.read_names != []


def test_what_the_store_lost_is_read_again(bench: Bench) -> None:
    first, _ = bench.freeze()
    del bench.store._blobs[hash_bytes(b"first")]
    assert bench.freeze() == (first.__class__(**{**fields(first), "bytes_new": 5}), ["1.png"])
    del bench.store._blobs[first.digest]
    assert bench.freeze()[1] == []
    assert load_tree(bench.store, first.digest).digest == first.digest


def fields(frozen: Snapshot) -> dict[str, Any]:
    return {name: getattr(frozen, name) for name in Snapshot.__slots__}


def test_another_store_is_asked_for_itself(bench: Bench) -> None:
    bench.freeze()
    bench.store = Reading()
    assert bench.freeze()[1] == ALL


def test_a_source_that_changes_meanwhile_is_refused_and_not_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.freeze()
    (bench.data / "more").write_bytes(b"more")
    before = bench.memory().read_bytes()
    with monkeypatch.context() as patch:

        def late(before: Iterable[Block], after: Iterable[Block]) -> str | None:
            (bench.data / "late").touch()
            return difference(before, after)

        patch.setattr("holdfast.flow.snapshot.freeze.difference", late)
        with pytest.raises(SourceChanged, match="late appeared"):
            bench.freeze()
    assert bench.memory().read_bytes() == before
    assert bench.freeze()[1] == ["late", "more"]


# What is only a cache


def test_any_damage_to_it_is_as_good_as_nothing(bench: Bench) -> None:
    first, _ = bench.freeze()
    sound = bench.memory().read_bytes()
    for place in range(0, len(sound), 7):
        bench.memory().write_bytes(sound[:place] + bytes([sound[place] ^ 0x41]) + sound[place + 1 :])
        assert bench.freeze()[0].digest == first.digest
        assert bench.memory().read_bytes() == sound
    for size in (0, 1, 80, 100, len(sound) - 1):
        bench.memory().write_bytes(sound[:size])
        assert bench.freeze()[0].digest == first.digest


def test_a_damaged_block_costs_only_what_follows_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.flow.snapshot.scan.BLOCK_FILES", 1)
    bench.freeze()
    sound = bench.memory().read_bytes()
    bench.memory().write_bytes(sound[:-1] + b"?")
    assert bench.freeze()[1] == ["train.csv"]


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/dev/zero"), os.mkfifo])
def test_something_else_in_its_place_is_no_error(bench: Bench, make: Callable[[Path], object]) -> None:
    first, _ = bench.freeze()
    place = bench.memory()
    place.unlink()
    make(place)
    assert bench.freeze() == (first.__class__(**{**fields(first), "bytes_new": 0}), ALL)


def test_a_folder_that_cannot_be_made_is_no_error(bench: Bench) -> None:
    bench.folder.parent.mkdir(parents=True)
    bench.folder.write_text("a file")
    assert bench.freeze()[0].files == 3
    assert bench.freeze()[1] == ALL


def test_what_a_killed_process_left_is_used_up(bench: Bench) -> None:
    bench.freeze()
    place = bench.memory()
    place.rename(f"{place}.part")
    bench.freeze()
    assert [found.name for found in bench.folder.iterdir()] == [place.name]
    assert bench.freeze()[1] == []


def test_sources_that_nobody_asks_for_any_more_are_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "SOURCES_MAX", 2)
    for name in ("a", "b", "c"):
        (bench.data / name).write_text(name)
        bench.freeze(bench.data / name)
        time.sleep(0.02)
    assert len(list(bench.folder.iterdir())) == 2
    assert bench.freeze(bench.data / "c")[1] == []
    assert bench.freeze(bench.data / "a")[1] == ["a"]


def test_progress_counts_what_was_known(bench: Bench) -> None:
    bench.freeze()
    told: list[tuple[int, int]] = []
    snapshot(bench.store, bench.data, root=bench.project, seen=bench.folder, progress=lambda *sizes: told.append(sizes))
    assert told == [(19, 19)]
    (bench.data / "new").write_bytes(b"12345")
    told.clear()
    snapshot(bench.store, bench.data, root=bench.project, seen=bench.folder, progress=lambda *sizes: told.append(sizes))
    assert told == [(19, 24), (24, 24)]


def test_a_temporary_file_that_breaks_is_not_believed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_check", lambda count, body: os.urandom(16))
    with pytest.raises(IntegrityError, match="written down"):
        bench.freeze()
