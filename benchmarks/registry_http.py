"""A Holdfast server beside an MLflow server, over HTTP: reads, moves, logging, searches, start and memory.

    python benchmarks/registry_http.py [--seconds 3] [--only holdfast] [--scale 0.1] [--json FILE]

Both run as their own command starts them, on SQLite, on one disk, one after the other, and are asked by one process
with keep-alive connections on the same machine. Each client reads and moves the stage (at MLflow: the alias) of a model
of its own, and logs to a run of its own. A move of Holdfast is durable, has its event in the log and an idempotency
key; MLflow's is a row. 10,000 runs with five metrics and five params each are written into both databases before, past
the servers. `benchmarks/peers` installs MLflow; without it Holdfast is measured alone.

Memory is the proportional set size of all processes: what they share is counted once.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from _load import asked
from _registries import BATCH, Holdfast, Mlflow, Registry
from _steps import Step, searches
from _steps import show as show_steps
from _tables import bytes_text, keep, seconds_text

ROOT = Path(__file__).parents[1]
RUNS = 10_000
PORT = 8394


STEPS: tuple[Step[Registry], ...] = (
    Step("read by stage", 1, lambda server: server.read, 20),
    Step("read by stage", 16, lambda server: server.read, 20),
    Step("stage move", 1, lambda server: server.move),
    Step("stage move", 16, lambda server: server.move, 10),
    Step("log one metric", 1, lambda server: lambda client: server.log(client, 1), 20),
    Step("log one metric", 16, lambda server: lambda client: server.log(client, 1)),
    Step(f"log a batch of {BATCH}", 1, lambda server: lambda client: server.log(client, BATCH), 10),
    *searches(),
)


def measured(server: Registry, count: int, seconds: float, wanted: str) -> dict[str, Any]:
    """All figures of one server."""
    server.folder.mkdir()
    print(f"{server.name}: making its database with {count} runs …", flush=True)
    server.prepare()
    server.fill(count)
    found: dict[str, Any] = {"steps": []}
    with server.running() as ready:
        found |= {"ready_s": round(ready, 3), "at_start": server.memory()}
        server.begin()
        for step in STEPS:
            if wanted not in step.name:
                continue
            figures = asked(server.url, step.request(server), step.clients, seconds)
            found["steps"].append({"step": step.name, **figures})
            print(f"  {step.name}, {step.clients}: {figures['per_second']:.1f}/s", flush=True)
        found["at_end"] = server.memory()
    return found


def show(found: dict[str, dict[str, Any]]) -> None:
    """A table with a line for each step, and the ratios where both were measured."""
    steps = {(step.name, step.clients): step for step in STEPS}
    first = next(iter(found.values()))["steps"]
    rows = [
        (steps[one["step"], one["connections"]], [every["steps"][row] for every in found.values()])
        for row, one in enumerate(first)
    ]
    show_steps(list(found), rows)
    for name, one in found.items():
        start, end = one["at_start"], one["at_end"]
        print(
            f"{name}: ready after {seconds_text(one['ready_s'])}; {start['processes']} processes hold "
            f"{bytes_text(start['bytes'])} then, and {bytes_text(end['bytes'])} at the end"
        )
    print("target: ready within 2 s, under 300 MB with two processes")


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--scale", type=float, default=1.0, help="shrinks how many runs there are")
    parser.add_argument("--only", default="holdfast,mlflow", help="servers, separated by commas")
    parser.add_argument("--step", default="", help="only steps whose name has this in it")
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers", help="what benchmarks/peers made")
    parser.add_argument("--work", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--port", type=int, default=PORT, help="of Holdfast; MLflow takes the next one")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    said = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=said.work) as name:
        folder, peers = Path(name), said.peers.absolute()
        servers: dict[str, Registry] = {"holdfast": Holdfast(folder / "holdfast", said.port)}
        if Mlflow.there(peers):
            servers["mlflow"] = Mlflow(folder / "mlflow", said.port + 1, peers)
        for wanted in said.only.split(","):
            if wanted in servers:
                found[wanted] = measured(servers[wanted], int(RUNS * said.scale), said.seconds, said.step)
            else:
                print(f"{wanted} is missing: run benchmarks/peers")
    if found:
        show(found)
    keep(said.json, {"scale": said.scale, "seconds": said.seconds, "servers": found})


if __name__ == "__main__":
    main()
