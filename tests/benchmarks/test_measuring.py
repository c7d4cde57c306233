"""What a measured command is charged, and what it is not."""

import os
import sys
from pathlib import Path

import pytest

from _measuring import Command, StepFailed, bytes_in, hollow, run


def python(folder: Path, script: str) -> Command:
    return Command((sys.executable, "-I", "-S", "-c", script), folder, dict(os.environ))


@pytest.mark.slow
def test_children_are_charged_and_the_measurer_is_not(tmp_path: Path) -> None:
    held = bytearray(os.urandom(1) * 200_000_000)  # what the measuring process holds itself
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(b\"x\" * 60_000_000)'])"
    plain, _ = run([python(tmp_path, "print('said')")], tmp_path / "plain", 60)
    heavy, _ = run([python(tmp_path, child)], tmp_path / "heavy", 60)
    assert len(held) > plain.peak_bytes
    assert heavy.peak_bytes > 60_000_000 > plain.peak_bytes


@pytest.mark.slow
def test_costs_of_several_commands_add_up_and_the_last_one_is_heard(tmp_path: Path) -> None:
    commands = [python(tmp_path, f"import time; time.sleep(0.1); print({number})") for number in (1, 2)]
    cost, said = run(commands, tmp_path / "logs", 60)
    assert said == "2\n"
    assert cost.wall_s > 0.2


@pytest.mark.slow
def test_a_command_that_fails_or_takes_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="ended with 3: because"):
        run([python(tmp_path, "import sys; print('because', file=sys.stderr); sys.exit(3)")], tmp_path / "logs", 60)
    with pytest.raises(StepFailed, match="stopped after"):
        run([python(tmp_path, "import time; time.sleep(60)")], tmp_path / "logs", 0.2)


def test_a_hollow_folder_keeps_its_files_and_what_others_share(tmp_path: Path) -> None:
    inside, other = tmp_path / "inside", tmp_path / "other"
    inside.mkdir()
    other.write_bytes(b"shared")
    (inside / "shared").hardlink_to(other)
    (inside / "own").write_bytes(b"own")
    (inside / "own").chmod(0o400)
    hollow(inside)
    assert other.read_bytes() == b"shared"
    assert [(path.name, path.stat().st_size) for path in inside.iterdir()] == [("own", 0)]


@pytest.mark.disk
def test_bytes_are_counted_as_they_appear(tmp_path: Path) -> None:
    before = bytes_in(tmp_path)
    (tmp_path / "file").write_bytes(b"x" * 12_345)
    assert bytes_in(tmp_path) - before == 12_345
    assert bytes_in(tmp_path / "nowhere") == 0
