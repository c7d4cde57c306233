"""MLflow's requests, answered by an MLflow server and by a Holdfast server: runs, metrics, searches, aliases, files.

    python benchmarks/mlflow_http.py [--seconds 3] [--rounds 2] [--only holdfast] [--client] [--quick] [--json FILE]

Both servers run all the time, each as its own command starts it, on SQLite, on one disk. One process asks them by turns
over keep-alive connections, with the bytes that MLflow's client would send, so that servers are measured and not the
client; `--client` asks a second time through the client itself. The first request of each kind does not count. Each
holds 10,000 runs with five metrics and five params: MLflow's are written into its database past the server, for it
would take minutes; Holdfast's come through its server.

The mixture is what 16 clients ask at once, one after the other each: log a batch of ten metrics or a single one, create
a run, get one, search, read an alias.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from _load import asked
from _mlflow_servers import CLIENTS_MAX, Wire, by_turns, clients_python, ratio_text, servers, with_the_client
from _registries import BATCH
from _steps import Step, searches
from _steps import show as show_steps
from _tables import bytes_text, keep, seconds_text

ROOT = Path(__file__).parents[1]
RUNS = 10_000
QUICK_RUNS = 100
WARM_SECONDS = 0.5
PORT = 8406
CLIENT_CALLS = 9


STEPS: tuple[Step[Wire], ...] = (
    Step("read an alias", 1, lambda server: server.read),
    Step("create a run", 1, lambda server: server.create),
    Step("get a run", 1, lambda server: server.get),
    Step("log one metric", 1, lambda server: lambda client: server.log(client, 1), 20),
    Step(f"log a batch of {BATCH}", 1, lambda server: lambda client: server.log(client, BATCH), 10),
    Step("upload a file of 2 kB", 1, lambda server: server.upload),
    *searches(),
    Step("mixture", CLIENTS_MAX, lambda server: server.mixed),
)


def measured(found: list[Wire], seconds: float, rounds: int, wanted: str) -> list[dict[str, Any]]:
    """Each step's figures: medians over the rounds, by server."""
    steps = []
    for step in STEPS:
        if wanted not in step.name:
            continue
        rows: dict[str, list[dict[str, float]]] = {server.name: [] for server in found}
        for server in by_turns(found, rounds):
            warm = min(seconds, WARM_SECONDS)
            request = step.request(server)
            rows[server.name].append(asked(server.url, request, step.clients, seconds, warm_seconds=warm))
        figures = {name: _medians(every) for name, every in rows.items()}
        steps.append({"step": step.name, "clients": step.clients, "target": step.target, "servers": figures})
        said = ", ".join(f"{name} {one['per_second']:.1f}/s" for name, one in figures.items())
        print(f"  {step.name}, {step.clients}: {said}", flush=True)
    return steps


def _medians(every: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in every) for key in every[0]}


def by_the_client(found: list[Wire], peers: Path, rounds: int, often: int) -> dict[str, list[dict[str, float]]]:
    """Seconds of single calls of MLflow's client, by server."""
    figures: dict[str, list[dict[str, float]]] = {server.name: [] for server in found}
    for server in by_turns(found, rounds):
        figures[server.name].append(with_the_client(server, peers, "calls", str(often)))
    return figures


def show(steps: list[dict[str, Any]], client: dict[str, list[dict[str, float]]]) -> None:
    """A line for each step, and the ratios where both were measured."""
    if steps:
        steps_by_name = {step.name: step for step in STEPS}
        found = [step["servers"] for step in steps]
        rows = [(steps_by_name[step["step"]], list(every.values())) for step, every in zip(steps, found, strict=True)]
        show_steps(list(found[0]), rows)
    if client:
        print(f"\n{'through the client':<28}" + "".join(f"{name:>12}" for name in client) + f"{'ratio':>9}")
        for key in next(iter(client.values()))[0]:
            medians = [statistics.median(one[key] for one in every) for every in client.values()]
            print(f"{key:<28}" + "".join(f"{seconds_text(one):>12}" for one in medians) + f"{ratio_text(medians):>9}")


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2, help="every second one in the reverse order")
    parser.add_argument("--scale", type=float, default=1.0, help="shrinks how many runs there are")
    parser.add_argument("--quick", action="store_true", help="a hundred runs, one short round")
    parser.add_argument("--only", default="holdfast,mlflow", help="servers, separated by commas")
    parser.add_argument("--step", default="", help="only steps whose name has this in it")
    parser.add_argument("--client", action="store_true", help="ask through MLflow's own client, too")
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers", help="what benchmarks/peers made")
    parser.add_argument("--work", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--port", type=int, default=PORT, help="of Holdfast; MLflow takes the next one")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    said = parser.parse_args()
    count = QUICK_RUNS if said.quick else int(RUNS * said.scale)
    seconds, rounds = (min(said.seconds, 0.5), 1) if said.quick else (said.seconds, said.rounds)
    peers, client = said.peers.absolute(), {}
    with (
        tempfile.TemporaryDirectory(dir=said.work) as name,
        servers(Path(name), said.port, peers, said.only, count) as found,
    ):
        steps = measured(found, seconds, rounds, said.step)
        if said.client and clients_python(peers):
            client = by_the_client(found, peers, rounds, 3 if said.quick else CLIENT_CALLS)
        held = {server.name: server.memory() for server in found}
    show(steps, client)
    for server, memory in held.items():
        print(f"{server}: {memory['processes']} processes hold {bytes_text(memory['bytes'])} at the end")
    keep(said.json, {"runs": count, "seconds": seconds, "steps": steps, "client": client, "held": held})


if __name__ == "__main__":
    main()
