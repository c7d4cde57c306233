"""How long the command line takes to start: the median of twenty runs of each.

    python benchmarks/startup.py [--runs 20] [--json FILE]

`holdfast --version` answers prompts and scripts, and must take less than 150 ms. Beside it stand the bare interpreter,
which nothing can be quicker than, and what a person waits for most often. Every command runs in an empty project in a
temporary folder, in a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _tables import keep

VERSION_MS_MAX = 150.0

PROGRAM = str(Path(sys.executable).with_name("holdfast"))

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import holdfast": [sys.executable, "-c", "import holdfast"],
    "holdfast --version": [PROGRAM, "--version"],
    "holdfast -h": [PROGRAM, "-h"],
    "holdfast list": [PROGRAM, "list"],
}


def milliseconds(command: list[str], folder: Path) -> float:
    """One run, from its start to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000


def measure(runs: int) -> dict[str, dict[str, float]]:
    """The median, the quickest and the slowest run of each command.

    The commands take turns, so that all meet the same noise; the first round, which warms the disk's cache, is not
    counted.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        milliseconds([PROGRAM, "init"], folder)
        rounds = [{said: milliseconds(command, folder) for said, command in COMMANDS.items()} for _ in range(runs + 1)]
    found = {}
    for said in COMMANDS:
        times = [one[said] for one in rounds[1:]]
        found[said] = {"median_ms": statistics.median(times), "min_ms": min(times), "max_ms": max(times)}
    return found


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description="How long the command line takes to start.")
    parser.add_argument("--runs", type=int, default=20, help="runs of each command that are counted")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    arguments = parser.parse_args()
    found = measure(arguments.runs)
    bare = found["python -c pass"]["median_ms"]
    print(f"{'':<20} {'median':>10} {'quickest':>10} {'slowest':>10} {'of bare Python':>15}")
    for said, times in found.items():
        shown = " ".join(f"{times[key]:>7.0f} ms" for key in ("median_ms", "min_ms", "max_ms"))
        print(f"{said:<20} {shown} {times['median_ms'] / bare:>14.1f}x")
    took = found["holdfast --version"]["median_ms"]
    print(f"\nholdfast --version: {took:.0f} ms of {VERSION_MS_MAX:.0f} ms")
    keep(arguments.json, {"runs": arguments.runs, "version_ms_max": VERSION_MS_MAX, "commands": found})


if __name__ == "__main__":
    main()
