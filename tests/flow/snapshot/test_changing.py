"""A source that does not hold still is refused, and nothing is recorded."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import SourceChanged
from holdfast.flow.snapshot import snapshot
from holdfast.store.interface import Stored
from holdfast.store.memory import MemoryStore

NEVER_RACY_NS = 10**19
"""A clock so late that every file looks old: only times, sizes and inodes can give a change away."""


class Between(MemoryStore):
    """Lets `act` happen after all files were read, and before anybody looks again."""

    def __init__(self) -> None:
        super().__init__()
        self.act: Callable[[], object] = lambda: None

    @contextmanager
    def writer(self) -> Iterator[Any]:
        with super().writer() as writer:
            add_files = writer.add_files

            def then_act(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
                answers = add_files(paths, progress)
                self.act()
                return answers

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(writer, "add_files", then_act)
                yield writer


def keep_times(path: Path, data: bytes) -> None:
    before = path.stat()
    time.sleep(0.03)  # past the tick of the file system's clock
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("act", "named"),
    [
        pytest.param(lambda data: (data / "late.csv").touch(), "late.csv appeared", id="appears"),
        pytest.param(lambda data: (data / "train.csv").unlink(), "train.csv was removed", id="removed"),
        pytest.param(
            lambda data: (data / "train.csv").rename(data / "images/0"), "train.csv was removed", id="renamed"
        ),
        pytest.param(lambda data: (data / "train.csv").write_bytes(b"longer than before"), "train.csv", id="grows"),
        pytest.param(lambda data: keep_times(data / "train.csv", b"a,b\n9,9\n"), "train.csv", id="same-size-and-time"),
        pytest.param(lambda data: (data / "train.csv").chmod(0o755), "train.csv", id="mode"),
        pytest.param(lambda data: data.rename(data.with_name("moved")), "was removed", id="folder-moved"),
    ],
)
def test_a_folder_that_changes_behind_the_reader_is_refused(
    project: Path, act: Callable[[Path], object], named: str
) -> None:
    store, data = Between(), project / "data"
    store.act = partial(act, data)
    with pytest.raises(SourceChanged, match=named) as caught:
        snapshot(store, data, root=project, now_ns=lambda: NEVER_RACY_NS)
    assert caught.value.details["source"] == "data"
    assert list(store.digests()) == []


def test_a_file_that_changes_behind_the_reader_is_refused(project: Path) -> None:
    store, path = Between(), project / "data/train.csv"
    store.act = lambda: keep_times(path, b"a,b\n9,9\n")
    with pytest.raises(SourceChanged):
        snapshot(store, path, root=project, now_ns=lambda: NEVER_RACY_NS)
    store.act = path.unlink
    with pytest.raises(SourceChanged):
        snapshot(store, path, root=project, now_ns=lambda: NEVER_RACY_NS)


def test_what_is_left_out_may_change(project: Path) -> None:
    store, data = Between(), project / "data"
    (data / ".holdfastignore").write_text("*.log\n")
    store.act = (data / "x.log").touch
    assert snapshot(store, data, root=project).files == 3


def test_a_fresh_file_rewritten_within_one_tick_is_read_twice_and_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times of the file system are frozen, as if its clock had not ticked: only its bytes can give it away."""
    store, path, now = Between(), project / "data/train.csv", time.time_ns()
    monkeypatch.setattr("holdfast.store.steady.identity", lambda status: (status.st_ino, status.st_size))
    monkeypatch.setattr("holdfast.flow.snapshot.scan.identity", lambda status: (0, 0, status.st_size, now, now))
    store.act = lambda: path.write_bytes(b"a,b\n9,9\n")
    with pytest.raises(SourceChanged, match="rewritten"):
        snapshot(store, path, root=project)
    assert list(store.digests()) == []


def test_a_file_that_was_touched_just_now_and_held_still_is_frozen(store: MemoryStore, project: Path) -> None:
    (project / "data/fresh").write_bytes(b"just now")
    assert snapshot(store, project / "data", root=project).files == 4


def test_a_file_from_the_future_is_frozen(store: MemoryStore, project: Path) -> None:
    os.utime(project / "data/train.csv", (4e9, 4e9))
    assert snapshot(store, project / "data", root=project).files == 3


def test_a_file_that_goes_before_it_is_read_is_refused(project: Path) -> None:
    class Early(MemoryStore):
        @contextmanager
        def writer(self) -> Iterator[Any]:
            (project / "data/train.csv").unlink()
            with super().writer() as writer:
                yield writer

    store = Early()
    with pytest.raises(SourceChanged, match="removed"):
        snapshot(store, project / "data", root=project)
    assert list(store.digests()) == []
