"""A benchmark of the store from its command line, with a few files and Holdfast alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "benchmarks" / "store_small_files.py")
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_small_files_are_measured_verified_and_written(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = run("--scale", "0.0005", "--only", "holdfast", "--work", str(tmp_path), "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["tools"].keys() == {"holdfast"}
    for step in ("first snapshot", "nothing changed", "1 % changed, 1 % added", "checkout"):
        row = found["steps"][step]["holdfast"]
        assert row["wall_s"] > 0
        assert row["cpu_s"] > 0
        assert row["peak_bytes"] > 1_000_000
        assert row["wall_ratio"] == 1.0
        assert step in done.stdout
    assert found["steps"]["first snapshot"]["holdfast"]["added_bytes"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json"]


@pytest.mark.slow
def test_a_tool_that_is_missing_is_said_to_be_missing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    nowhere = str(tmp_path / "nowhere")
    words = ("--scale", "0.0005", "--only", "hf-xet", "--peers", nowhere, "--work", str(tmp_path))
    done = run(*words, "--json", str(figures))
    assert done.returncode == 0, done.stderr
    assert json.loads(figures.read_text(encoding="utf-8"))["tools"]["hf-xet"].startswith("missing: ")


@pytest.mark.slow
def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    done = run("--scale", "1000000", "--only", "holdfast", "--work", str(tmp_path))
    assert done.returncode == 1
    assert "not enough room" in done.stderr
    assert list(tmp_path.iterdir()) == []
