"""A training script with MLflow's own client, beside an MLflow server and beside a Holdfast server.

    python benchmarks/mlflow_script.py [--rounds 5] [--only holdfast,mlflow] [--quick] [--json FILE]

The script imports scikit-learn and MLflow, fits a model, logs ten params and five metrics, and logs and registers the
model with an input example: about thirty requests. It is a process of its own each time, by turns against either
server, both of which run all the time on SQLite as their own command starts them. What the first script finds cold in
a server is not counted. Medians are printed.

To log a model, the client starts a second interpreter that imports MLflow and scikit-learn once more and loads the
model, so as to learn what it needs. That time is the client's own, and is shown apart.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from _mlflow_servers import Wire, by_turns, clients_python, ratio_text, servers, with_the_client
from _tables import keep, seconds_text

ROOT = Path(__file__).parents[1]
PORT = 8404

ROWS = (
    ("whole_s", "the whole script", "under 3 s"),
    ("import_s", "its `import mlflow`", ""),
    ("mlflow_s", "what it does with MLflow", ""),
    ("log_model_s", "of that, log_model with registration", ""),
    ("second_interpreter_s", "of that, the client's second interpreter", ""),
    ("mlflow_without_it_s", "what it does with MLflow, without that", "2x"),
    ("http_s", "all requests, as the client waits for them", ""),
)
"""What is timed: its key, its words, and its target."""


def measured(found: list[Wire], peers: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """What each script took, by server."""
    figures: dict[str, list[dict[str, float]]] = {server.name: [] for server in found}
    for server in found:
        with_the_client(server, peers, "script", "first")
    for number, server in enumerate(by_turns(found, rounds)):
        said = with_the_client(server, peers, "script", f"m{number}")
        figures[server.name].append(said)
        print(f"  {server.name}: {seconds_text(said['whole_s'])}", flush=True)
    return figures


def show(figures: dict[str, list[dict[str, float]]]) -> None:
    """A line for each part of the script."""
    print(f"\n{'':<44}" + "".join(f"{name:>12}" for name in figures) + f"{'ratio':>9}{'target':>12}")
    for key, words, target in ROWS:
        medians = [statistics.median(one[key] for one in every) for every in figures.values()]
        cells = "".join(f"{seconds_text(one):>12}" for one in medians)
        print(f"{words:<44}{cells}{ratio_text(medians):>9}{target:>12}")
    requests = ", ".join(f"{name} {every[0]['requests']:.0f}" for name, every in figures.items())
    print(f"requests of a script: {requests}")


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="scripts against each server")
    parser.add_argument("--only", default="holdfast,mlflow", help="servers, separated by commas")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers", help="what benchmarks/peers made")
    parser.add_argument("--work", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--port", type=int, default=PORT, help="of Holdfast; MLflow takes the next one")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    said = parser.parse_args()
    peers = said.peers.absolute()
    if clients_python(peers) is None:
        print("MLflow's client is missing: run benchmarks/peers")
        return
    with (
        tempfile.TemporaryDirectory(dir=said.work) as name,
        servers(Path(name), said.port, peers, said.only) as found,
    ):
        figures = measured(found, peers, 1 if said.quick else said.rounds)
    show(figures)
    keep(said.json, {"servers": figures})


if __name__ == "__main__":
    main()
