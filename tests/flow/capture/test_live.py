import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.canonical import encode
from holdfast.flow.capture import Capture, capture_here, gathering

pytestmark = pytest.mark.slow


def test_what_happens_inside_is_captured(repository: Path) -> None:
    (repository / "uv.lock").write_text("x")
    (repository / "train.csv").write_text("a\n1\n")
    with capture_here(repository, environment={"OMP_NUM_THREADS": "2", "SECRET": "x"}) as live:
        (repository / "train.csv").read_text()
        random.seed(5)
        (repository / "model.bin").write_text("weights")
    capture = live.finish()
    assert [file.path for file in capture.inputs] == [str(repository / "train.csv")]
    assert [file.path for file in capture.outputs] == [str(repository / "model.bin")]
    assert [(call.name, call.value) for call in capture.seeds.calls] == [("random.seed", 5)]
    assert capture.environment == {"OMP_NUM_THREADS": "2"}
    assert [lock.path for lock in capture.locks] == ["uv.lock"]
    assert capture.code.state == "git"
    assert capture.folder == str(repository)
    assert capture.interpreter["prefix"] == sys.prefix
    assert {"pytest", "numpy"} <= {one.name for one in capture.packages}
    assert "pytest" in {one.name for one in capture.used}
    assert capture.exit_code is None
    assert Capture.from_json(capture.to_json()) == capture
    encode(capture.to_json())


def test_so_far_is_a_value_while_the_capture_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").touch()
    with capture_here(tmp_path) as live:
        (tmp_path / "a.csv").read_text()
        before = live.so_far()
        (tmp_path / "b.csv").read_text()
    assert len(before.inputs) == 1
    assert len(live.finish().inputs) == 2
    assert live.finish() is live.finish() is live.so_far()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = (random.seed, list(sys.meta_path))
    live = capture_here(tmp_path, seed=3)
    assert random.random() == random.Random(3).random()
    live.finish()
    (tmp_path / "late.csv").write_text("x")
    assert (random.seed, list(sys.meta_path)) == before
    assert live.so_far().outputs == ()
    assert live.so_far().seeds.asked == 3


def test_ignored_folders_are_nobodys_data(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with capture_here(tmp_path, ignore=[tmp_path / "home"]) as live:
        (tmp_path / "home" / "blob").write_text("x")
        (tmp_path / "homework.csv").write_text("x")
    assert [Path(file.path).name for file in live.finish().outputs] == ["homework.csv"]


def test_an_exception_in_the_training_passes_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), capture_here(tmp_path):
        raise ZeroDivisionError


def test_a_capture_that_fails_is_a_note_and_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        message = "token=hunter2hunter2 in postgres://a:hunter2@db"
        raise RuntimeError(message)

    for name in ("code_state", "lock_files", "hardware_facts"):
        monkeypatch.setattr(gathering, name, broken)
    capture = capture_here(tmp_path).finish()
    assert capture.code.state == "unreadable"
    assert sum("could not be captured" in note for note in capture.notes) == 3
    assert "hunter2@" not in str(capture.to_json())


def test_names_that_are_not_utf8_are_noted_and_left_out(tmp_path: Path) -> None:
    with capture_here(tmp_path) as live:
        (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text("x")
    capture = live.finish()
    assert capture.outputs == ()
    assert any("caf\\xe9.csv" in note for note in capture.notes)
    encode(capture.to_json())


def test_times_come_from_the_clock_that_was_given(tmp_path: Path) -> None:
    ticks = iter([datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)])
    capture = capture_here(tmp_path, clock=lambda: next(ticks)).finish()
    assert (capture.started.hour, capture.finished.hour) == (9, 10)
    assert 0 <= capture.wall_seconds < 60
