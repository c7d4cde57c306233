"""Running a program that installs: it has its time, and nothing that it started goes on after it."""

import os
import time
from pathlib import Path

import pytest

from holdfast.errors import BundleFailed
from holdfast.runtime import building

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60


def test_what_a_program_has_started_ends_with_it_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_BUILD_SECONDS_MAX", 1.0)
    script = f"sleep 300 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(BundleFailed):
        building.run_tool(["sh", "-c", script], {"PATH": os.environ["PATH"]}, "")
    child = Path("/proc", (tmp_path / "child").read_text(encoding="ascii").strip())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while child.exists() and "Z" not in (child / "stat").read_text(encoding="ascii").split()[2]:
        assert time.monotonic() < deadline, "it outlived the program that started it"
        time.sleep(0.05)
