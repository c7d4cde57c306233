"""A large file through MLflow's own client, up and down, beside an MLflow server and beside a Holdfast server.

    python benchmarks/mlflow_files.py [--bytes 1000000000] [--rounds 2] [--only holdfast] [--quick] [--json FILE]

The file is of bytes that cannot be compressed; every round has another one, so that nothing is there already. The
client logs it to a run and fetches it again, through the server both ways, and what came back is compared with what
went in. Both servers run all the time and are asked by turns. Memory is what the resident sets of all processes of the
server add up to before, and how much more that became at most, looked at twenty times a second. What processes share
is counted in each of them.
"""

import argparse
import hashlib
import random
import statistics
import tempfile
from pathlib import Path

from _measuring import settle
from _mlflow_servers import Peak, Wire, by_turns, clients_python, ratio_text, servers, with_the_client
from _tables import bytes_text, keep, seconds_text

ROOT = Path(__file__).parents[1]
BYTES = 1_000_000_000
QUICK_BYTES = 20_000_000
PORT = 8408
WRITE_BYTES = 1 << 24

ROWS = (("upload_s", "upload"), ("download_s", "download"))
MEMORY = (
    ("before_bytes", "memory before"),
    ("upload_bytes", "more, uploading"),
    ("download_bytes", "more, downloading"),
)


def make(path: Path, size: int, seed: int) -> str:
    """Write a file of these bytes; its SHA-256."""
    words, whole, left = random.Random(seed), hashlib.sha256(), size
    with path.open("wb") as file:
        while left:
            piece = words.randbytes(min(WRITE_BYTES, left))
            whole.update(piece)
            file.write(piece)
            left -= len(piece)
    return whole.hexdigest()


def once(server: Wire, peers: Path, folder: Path, size: int, seed: int) -> dict[str, float]:
    """One file up and down."""
    given, back = folder / f"{seed}.bin", folder / "back"
    digest = make(given, size, seed)
    back.mkdir(exist_ok=True)
    settle()
    with Peak(server) as up:
        logged = with_the_client(server, peers, "upload", str(given))
    given.unlink()
    settle()
    with Peak(server) as down:
        fetched = with_the_client(server, peers, "download", str(logged["run"]), given.name, str(back))
    with Path(fetched["path"]).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise SystemExit(f"{server.name}: what came back is not what went in")
    Path(fetched["path"]).unlink()
    return {
        "upload_s": logged["seconds"],
        "download_s": fetched["seconds"],
        "before_bytes": up.before,
        "upload_bytes": up.bytes - up.before,
        "download_bytes": down.bytes - down.before,
    }


def show(figures: dict[str, list[dict[str, float]]]) -> None:
    """Times, rates and memory."""
    print(f"\n{'':<24}" + "".join(f"{name:>14}" for name in figures) + f"{'ratio':>9}")
    for key, words in ROWS:
        medians = [statistics.median(one[key] for one in every) for every in figures.values()]
        print(f"{words:<24}" + "".join(f"{seconds_text(one):>14}" for one in medians) + f"{ratio_text(medians):>9}")
    for key, words in MEMORY:
        most = [max(one[key] for one in every) for every in figures.values()]
        print(f"{words:<24}" + "".join(f"{bytes_text(one):>14}" for one in most))


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=BYTES, help="of the file")
    parser.add_argument("--rounds", type=int, default=2, help="files for each server")
    parser.add_argument("--only", default="holdfast,mlflow", help="servers, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a small file, once")
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers", help="what benchmarks/peers made")
    parser.add_argument("--work", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--port", type=int, default=PORT, help="of Holdfast; MLflow takes the next one")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    said = parser.parse_args()
    size, rounds = (QUICK_BYTES, 1) if said.quick else (said.bytes, said.rounds)
    peers = said.peers.absolute()
    if clients_python(peers) is None:
        print("MLflow's client is missing: run benchmarks/peers")
        return
    with tempfile.TemporaryDirectory(dir=said.work) as name:
        folder = Path(name)
        with servers(folder, said.port, peers, said.only) as found:
            figures: dict[str, list[dict[str, float]]] = {server.name: [] for server in found}
            for seed, server in enumerate(by_turns(found, rounds)):
                figures[server.name].append(once(server, peers, folder, size, seed))
                row = figures[server.name][-1]
                up, down = seconds_text(row["upload_s"]), seconds_text(row["download_s"])
                print(f"  {server.name}: up {up}, down {down}", flush=True)
    show(figures)
    keep(said.json, {"bytes": size, "servers": figures})


if __name__ == "__main__":
    main()
