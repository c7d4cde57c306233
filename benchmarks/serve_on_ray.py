"""Versions on a Ray cluster: requests a second with one and with two Ray replicas, beside a process of this machine.

    python benchmarks/serve_on_ray.py [--rounds 2] [--seconds 5] [--json FILE]

Each way is measured at 1 and at 16 connections; medians are printed. What a cluster costs for each request shows in
the version that computes: router, Ray's own hop, worker. Whether replicas add up shows in the one that waits 10 ms for
every request, as a version does that asks a feature store: there the processors are not what is short. On two cores
that the router, Ray and the clients share, a version that computes cannot scale, and the table says so.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import _projects as projects
from _load import measure

CONNECTIONS = (1, 16)

WAYS: dict[str, tuple[str, ...]] = {
    "this machine": (),
    "ray, 1 replica": ("--engine", "ray", "--ray-replicas", "1", "--ray-cpus", "0.5"),
    "ray, 2 replicas": ("--engine", "ray", "--ray-replicas", "2", "--ray-cpus", "0.5"),
}

WAITING = """\
def better(rows):
    import time

    time.sleep(0.01)
    return computed(rows)


def computed("""


def main() -> None:
    """Serve in each way, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        projects.make(folder)
        found = []
        for number, version in enumerate(("computes", "waits 10 ms"), 1):
            if number == 2:
                features = folder / "features.py"
                features.write_text(features.read_text().replace("def better(", WAITING))
                projects.train(folder, "2")
            newest = f"cancer@{number + 1}"
            projects.holdfast(folder, "promote", newest, "--to", "production", "--reason", "to be measured")
            for way, options in WAYS.items():
                found += measured(folder, options, given.rounds, given.seconds, {"version": version, "way": way})
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def measured(
    folder: Path, options: tuple[str, ...], rounds: int, seconds: float, said: dict[str, str]
) -> list[dict[str, Any]]:
    """The medians at each number of connections."""
    body = json.dumps({"dataframe_records": [projects.one_row()]}).encode()
    found = []
    with projects.served(folder, projects.free_port(), *options) as url:
        for connections in CONNECTIONS:
            runs = [measure(f"{url}/invocations", body, connections, seconds) for _ in range(rounds)]
            medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            found.append({**said, "connections": connections, **medians})
    return found


if __name__ == "__main__":
    main()
