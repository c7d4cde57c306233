"""What a shadow costs those who ask: latencies with one and without, by turns, on one server.

    python benchmarks/shadow_cost.py [--turns 6] [--seconds 5] [--connections 1 4] [--json FILE]

A real project and server. Each turn measures the primary alone, then begins a shadow with `holdfast shadow`, waits
until pairs are counted, measures again, and ends it. Every other turn begins with the shadow, so that a machine that
grows slower favours neither. Connections send one request after the other, which is as much as they can: the shadow,
which runs when nobody else wants a processor, then gets what is left and drops the rest.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

import _projects as projects
from _load import SteadyLoad, percentiles

PORT = 8393
WARM_SECONDS = 2.0
PATIENCE_SECONDS = 120.0


def request() -> bytes:
    """One row as the Open Inference Protocol has it."""
    row = projects.one_row()
    tensors = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()]
    return json.dumps({"inputs": tensors}).encode()


def load(url: str, connections: int, seconds: float) -> SteadyLoad:
    """Everything that was sent in some seconds."""
    found = SteadyLoad(f"{url}/v2/models/cancer/infer", request(), connections)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(found.for_seconds(seconds))
    return found


def compared(folder: Path) -> int:
    """How many pairs the newest shadow has counted."""
    return int(projects.holdfast(folder, "shadow", "cancer")["figures"]["requests"])


def with_shadow(folder: Path, url: str, connections: int, seconds: float) -> tuple[SteadyLoad, dict[str, Any]]:
    """The load while a shadow goes on, and what it had counted at its end."""
    projects.holdfast(folder, "shadow", "cancer@2", "--reason", "how much does it cost")
    end = time.monotonic() + PATIENCE_SECONDS
    while not compared(folder):
        if time.monotonic() > end:
            raise SystemExit("the shadow never began")
        load(url, 1, 0.5)
    found = load(url, connections, seconds)
    time.sleep(WARM_SECONDS)
    return found, projects.holdfast(folder, "shadow", "cancer", "--stop", "--reason", "measured")["figures"]


def turns(folder: Path, url: str, connections: int, count: int, seconds: float) -> dict[str, Any]:
    """Both, by turns; pooled latencies, and the ratio of the percentiles of each turn."""
    off, on, ratios, mirrored, dropped = [], [], [], 0, 0
    failed: list[str] = []
    for turn in range(count):
        alone, shadowed = SteadyLoad(url, b""), SteadyLoad(url, b"")
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            if which == 0:
                time.sleep(WARM_SECONDS)
                alone = load(url, connections, seconds)
            else:
                shadowed, figures = with_shadow(folder, url, connections, seconds)
                mirrored += figures["requests"]
                dropped += sum(figures["dropped"].values())
        before, after = ([sent.seconds for sent in one.sent] for one in (alone, shadowed))
        off += before
        on += after
        failed += alone.failed + shadowed.failed
        ratios.append({name: value / percentiles(before)[name] for name, value in percentiles(after).items()})
    return {
        "connections": connections,
        "turns": count,
        "requests": {"off": len(off), "on": len(on)},
        "failed": len(failed),
        "mirrored": mirrored,
        "dropped": dropped,
        "off": percentiles(off),
        "on": percentiles(on),
        "median_ratio": {
            name: round(statistics.median(one[name] for one in ratios), 3) for name in ("p50_ms", "p95_ms", "p99_ms")
        },
        "ratios_p99": [round(one["p99_ms"], 3) for one in ratios],
        "first_failures": failed[:5],
    }


def main() -> None:
    """Make a project, serve it, measure; exit 1 when a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        projects.make(folder)
        projects.holdfast(folder, "promote", "cancer@1", "--to", "production", "--reason", "the first")
        with projects.served(folder, PORT) as url:
            load(url, 1, WARM_SECONDS)
            found = [turns(folder, url, many, given.turns, given.seconds) for many in given.connections]
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if any(one["failed"] for one in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
