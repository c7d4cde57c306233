"""What capturing costs: a whole run, one opened file, and finding the distributions that a process used.

Run it so: python benchmarks/capture.py [--json capture.json]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.flow.capture import capture_here, run_command
from holdfast.flow.capture.probe import process_facts

ROUNDS = 9


def milliseconds(work: Callable[[], object]) -> float:
    """The median of `ROUNDS` timings."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def main() -> None:
    """Measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["git", "init", "--quiet", name], check=True)
        argv = [sys.executable, "-c", "pass"]
        plain = milliseconds(lambda: subprocess.run(argv, cwd=folder, check=True))
        captured = milliseconds(lambda: run_command(argv, folder=folder))
        here = milliseconds(lambda: capture_here(folder).finish())
        files = [folder / f"{number}.bin" for number in range(2000)]
        for path in files:
            path.touch()
        opened = milliseconds(lambda: [path.read_bytes() for path in files])
        with capture_here(folder):
            watched = milliseconds(lambda: [path.read_bytes() for path in files])
    found = {
        "run_ms": round(captured - plain, 1),
        "in_process_ms": round(here, 1),
        "open_microseconds": round((watched - opened) / len(files) * 1000, 2),
        "facts_ms": round(milliseconds(process_facts), 1),
    }
    print(f"holdfast run adds      {found['run_ms']:8.1f} ms to a command that does nothing (target: under 300)")
    print(f"capture_here costs     {found['in_process_ms']:8.1f} ms")
    print(f"each opened file costs {found['open_microseconds']:8.2f} µs")
    print(f"packages and modules   {found['facts_ms']:8.1f} ms")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
