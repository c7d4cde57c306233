"""Running a program that installs: it has its time, and nothing that it started goes on after it."""

import os
from pathlib import Path

import pytest

from holdfast.errors import BundleFailed
from holdfast.runtime import building
from tests.patience import until

pytestmark = pytest.mark.slow


def test_what_a_program_has_started_ends_with_it_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_BUILD_SECONDS_MAX", 1.0)
    script = f"sleep 300 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(BundleFailed):
        building.run_tool(["sh", "-c", script], {"PATH": os.environ["PATH"]}, "")
    child = Path("/proc", (tmp_path / "child").read_text(encoding="ascii").strip())
    until(
        lambda: not child.exists() or "Z" in (child / "stat").read_text(encoding="ascii").split()[2],
        "it ends with the program that started it",
    )
