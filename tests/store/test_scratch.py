"""Folders for work in progress, and who may sweep them."""

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import NotFound, Unavailable
from holdfast.store.scratch import scratch, sweep
from tests.store.looking import names


def test_a_scratch_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch(tmp_path, "w-") as mine:
        assert stat.S_IMODE(mine.path.stat().st_mode) == 0o700
        (mine.path / "deep").mkdir()
        (mine.path / "deep/file").write_text("x")
    assert names(tmp_path) == []


def test_a_folder_whose_owner_lives_is_not_swept(tmp_path: Path) -> None:
    with scratch(tmp_path, "w-") as mine:
        os.utime(mine.path, (0, 0))  # however old
        assert sweep(tmp_path, "w-") == 0
        assert mine.path.is_dir()


def test_a_folder_whose_owner_is_gone_is_swept_however_young(tmp_path: Path) -> None:
    (tmp_path / "w-0123").mkdir()
    (tmp_path / "w-0123/half").write_text("half")
    assert sweep(tmp_path, "w-") == 1
    assert names(tmp_path) == []


def test_only_folders_of_the_prefix_are_swept_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "w-file").write_text("not a folder")
    (tmp_path / "w-link").symlink_to(tmp_path / "other")
    assert sweep(tmp_path, "w-") == 0
    assert names(tmp_path) == ["other", "w-file", "w-link"]


def test_sweeping_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert sweep(tmp_path / "absent", "w-") == 0


def test_a_claim_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swept = fcntl.flock, list[Path]()

    def flock(descriptor: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].rmdir()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with scratch(tmp_path, "w-") as mine:
        assert mine.path not in swept
        assert mine.path.is_dir()


def test_a_folder_that_never_can_be_claimed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Unavailable), scratch(tmp_path, "w-"):
        pass


def test_without_locks_work_goes_on_and_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with scratch(tmp_path, "w-") as mine:
        assert sweep(tmp_path, "w-") == 0
        assert mine.path.is_dir()


def test_no_scratch_without_a_parent(tmp_path: Path) -> None:
    with pytest.raises(NotFound), scratch(tmp_path / "absent", "w-"):
        pass


@pytest.mark.slow
def test_the_folder_of_a_killed_process_is_swept_and_not_before(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from holdfast.store.scratch import scratch\n"
        "with scratch(Path(sys.argv[1]), 'w-') as mine: print(mine.path, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        assert sweep(tmp_path, "w-") == 0
        assert left.is_dir()
        child.kill()
    assert left.is_dir()
    assert sweep(tmp_path, "w-") == 1
    assert not left.exists()
