"""The shelf of environments: each is built once, and goes only when nobody runs in it."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from holdfast.runtime.shelf import Shelf, held_in_use
from tests.patience import PATIENCE_SECONDS

A_DAY = 86400


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def unused_for(folder: Path, name: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / f"{name}.bytes", (then, then))


def take(shelf: Shelf, name: str, size: int = 10) -> tuple[Path, Path]:
    def build(folder: Path) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_bytes(b"x" * size)

    return shelf.take(name, build)


def test_an_environment_is_built_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", 1000)
    place, _ = take(shelf, "a")
    before = place.stat().st_mtime_ns

    def never(folder: Path) -> None:
        raise AssertionError(folder)

    assert shelf.take("a", never)[0] == place
    assert place.stat().st_mtime_ns == before


def test_what_a_builder_left_when_it_was_ended_is_swept_by_the_next(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1000)
    (tmp_path / ".a.0123" / "bin").mkdir(parents=True)
    (tmp_path / "a" / "lib").mkdir(parents=True)
    take(shelf, "a")
    assert names(tmp_path) == ["a"]
    assert not (tmp_path / "a" / "lib").exists()


def test_a_build_that_fails_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1000)

    def half(folder: Path) -> None:
        folder.mkdir()
        raise ValueError("the line was cut")

    with pytest.raises(ValueError, match="the line was cut"):
        shelf.take("a", half)
    assert names(tmp_path) == []
    take(shelf, "a")
    assert names(tmp_path) == ["a"]


def test_the_ones_unused_for_longest_go_and_the_new_one_stays(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 250)
    for name, days in (("a", 1), ("b", 3), ("c", 2)):
        take(shelf, name, 80)
        unused_for(tmp_path, name, days * A_DAY)
    take(shelf, "d", 100)
    assert names(tmp_path) == ["a", "d"]
    # Whatever the limit is, what was just built for somebody is there.
    take(Shelf(tmp_path, 1), "e", 50)
    assert "e" in names(tmp_path)


def test_what_was_asked_for_lately_or_runs_does_not_go(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 150)
    _, lock = take(shelf, "runs", 100)
    unused_for(tmp_path, "runs", 2 * A_DAY)
    handle = held_in_use(lock)
    try:
        take(shelf, "lately", 100)
        take(shelf, "new", 100)
        assert names(tmp_path) == ["lately", "new", "runs"]
    finally:
        os.close(handle)
    take(shelf, "newer", 100)
    assert names(tmp_path) == ["lately", "new", "newer"]


def _build_slowly(folder: Path, order: int) -> None:
    def build(scratch: Path) -> None:
        with (folder / "builders").open("a") as stream:
            stream.write(f"{order}\n")
        time.sleep(0.3)
        (scratch / "bin").mkdir(parents=True)
        (scratch / "bin" / "python").write_bytes(b"x")

    Shelf(folder / "shelf", 1000).take("a", build)


@pytest.mark.slow
def test_of_several_processes_at_once_one_builds_and_all_have_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    builders = [context.Process(target=_build_slowly, args=(tmp_path, order)) for order in range(3)]
    for one in builders:
        one.start()
    for one in builders:
        one.join(PATIENCE_SECONDS)
    assert [one.exitcode for one in builders] == [0, 0, 0]
    assert len((tmp_path / "builders").read_text().splitlines()) == 1
    assert names(tmp_path / "shelf") == ["a"]


def test_room_that_somebody_else_made_meanwhile_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "gone.bytes").symlink_to(tmp_path / "nothing")  # listed, and not there when it is read
    place, _ = take(Shelf(tmp_path, 1000), "a")
    assert place.exists()


def test_what_is_counted_and_no_longer_there_drives_nothing_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 100)
    take(shelf, "a")
    (tmp_path / "ghost.bytes").write_text("1000\n", encoding="ascii")
    unused_for(tmp_path, "a", A_DAY)
    unused_for(tmp_path, "ghost", 2 * A_DAY)
    take(shelf, "b")
    assert names(tmp_path) == ["a", "b"]
    assert not (tmp_path / "ghost.bytes").exists()
