"""Promote and roll back, again and again, under steady load: what fails, what mixes, how long it takes.

    python benchmarks/promote_under_load.py [--moves 20] [--connections 4] [--json FILE]

A real project, registry, gate and server; every move is `holdfast promote --wait` or `holdfast rollback --wait`. Every
answer is checked: its header and its body must name the same version, and its prediction and scores must be those of
that version. "Last old answer" is measured from the time of the move in the registry to the last answer of the epoch
before it.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

import _projects as projects
from _load import Sent, SteadyLoad, percentiles

PORT = 8391
STEADY_SECONDS = 5.0


@dataclass
class Move:
    """One promotion or rollback, in seconds since the epoch."""

    kind: str
    begun: float
    moved: float
    confirmed: float
    epoch: int


class Checker:
    """Knows what each version answers to the one request that is sent."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, Any]] = {}

    def look(self, sent: Sent) -> str | None:
        """What is wrong with an answer; None when nothing is."""
        said = json.loads(sent.body)
        claimed = (sent.header("x-model-version"), sent.header("x-model-digest"))
        if claimed != (said["model_version"], said["parameters"]["digest"]):
            return f"the header says {claimed}, the body {said['model_version']}"
        outputs = [tensor["data"] for tensor in said["outputs"]]
        first = self._known.setdefault(claimed[0], (claimed[1], outputs))
        return None if first == (claimed[1], outputs) else f"{claimed}: {outputs}, and before: {first}"

    @property
    def told_apart(self) -> bool:
        """Whether the versions answer differently, so that a mixed answer would have been seen."""
        answers = [json.dumps(outputs) for _, outputs in self._known.values()]
        return len(set(answers)) == len(answers) >= 2


async def move(folder: Path, *arguments: str) -> Move:
    """One move by the command line, confirmed by the server."""
    from datetime import datetime

    loop_time = asyncio.get_running_loop().time
    offset = datetime.now().astimezone().timestamp() - loop_time()
    begun = loop_time() + offset
    command = [sys.executable, "-m", "holdfast", *arguments, "--wait", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=projects.environment(), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: {said.decode()}")
    value = json.loads(said)
    moved = datetime.fromisoformat(value["time"]).timestamp()
    return Move(arguments[0], begun, moved, loop_time() + offset, value["epoch"])


async def work(folder: Path, url: str, moves: int, connections: int) -> dict[str, Any]:
    """The load, the moves, and the figures."""
    row = projects.one_row()
    tensors = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()]
    checker = Checker()
    load = SteadyLoad(
        f"{url}/v2/models/cancer/infer", json.dumps({"inputs": tensors}).encode(), connections, checker.look
    )
    sending = asyncio.create_task(load.run())
    await asyncio.sleep(STEADY_SECONDS)
    done = []
    for turn in range(moves):
        if turn % 2 == 0:
            done.append(await move(folder, "promote", "cancer@2", "--to", "production", "--reason", f"turn {turn}"))
        else:
            done.append(await move(folder, "rollback", "cancer", "--reason", f"turn {turn}"))
        await asyncio.sleep(0.5)
    load.stop()
    await sending
    return figures(load, checker, done)


def figures(load: SteadyLoad, checker: Checker, moves: list[Move]) -> dict[str, Any]:
    """What is printed and written."""
    last_old = {
        kind: [
            max(sent.ended for sent in load.sent if sent.header("x-route-epoch") == str(one.epoch - 1)) - one.moved
            for one in moves
            if one.kind == kind
        ]
        for kind in ("promote", "rollback")
    }
    confirmed = [one.confirmed - one.moved for one in moves]
    moving = [sent for sent in load.sent if any(m.begun <= sent.ended and sent.begun <= m.confirmed for m in moves)]
    apart = {id(sent) for sent in moving}
    return {
        "connections": load.connections,
        "moves": len(moves),
        "requests": len(load.sent),
        "failed": len(load.failed),
        "mixed": len(load.complaints),
        "versions_told_apart": checker.told_apart,
        "steady": percentiles(sent.seconds for sent in load.sent if id(sent) not in apart),
        "during_moves": percentiles(sent.seconds for sent in moving),
        "last_old_answer_after_promote_ms": milliseconds(last_old["promote"]),
        "last_old_answer_after_rollback_ms": milliseconds(last_old["rollback"]),
        "confirmed_after_move_ms": milliseconds(confirmed),
        "first_failures": load.failed[:5],
        "first_mixed": load.complaints[:5],
    }


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Median and maximum."""
    return {"median": round(statistics.median(seconds) * 1000, 1), "max": round(max(seconds) * 1000, 1)}


def main() -> None:
    """Make a project, serve it, move its stage under load; exit 1 when anything failed or mixed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        projects.make(folder)
        projects.holdfast(folder, "promote", "cancer@1", "--to", "production", "--reason", "the first")
        with (
            projects.served(folder, PORT) as url,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            found = runner.run(work(folder, url, given.moves, given.connections))
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if found["failed"] or found["mixed"] or not found["versions_told_apart"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
