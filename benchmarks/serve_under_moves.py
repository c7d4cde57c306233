"""A stage that moves every second under steady load, and workers that are killed: what fails, what mixes, what waits.

    python benchmarks/serve_under_moves.py [--seconds 60] [--connections 8] [--kill] [--option …] [--json FILE]

A real project, registry and server; both versions are open, one in the stage and one as last-known-good. Moves go
through the registry, as the last step of `holdfast promote` and `holdfast rollback` does, once in `--every` seconds.
Every answer is checked: its head and its body must name the same version and digest, that digest must belong to that
number, and its prediction must be that version's own. A tenth of the time before and after goes without moves, for
comparison.

With `--kill` a worker of the replica, chosen at random, is killed every few seconds (SIGKILL). Then one request may
fail for each death: the one that the worker was at.

It ends with 1 when anything failed that may not, or mixed.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import _projects as projects
from _load import Sent, SteadyLoad, percentiles
from holdfast.config import Settings
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, MoveStage
from holdfast.wire import open_project

MODEL, STAGE = ModelName("cancer"), StageName("production")
KILL_SECONDS = (3.0, 8.0)
"""Between two deaths."""


class Kept(NamedTuple):
    """What is remembered of one request; minutes of load do not fit into memory with their answers."""

    begun: float
    ended: float
    status: int
    version: str


@dataclass
class Checker:
    """Knows what each version answers to the one request that is sent."""

    known: dict[str, tuple[str, Any]] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)

    def keep(self, sent: Sent) -> None:
        """Remember when, and who."""
        self.kept.append(Kept(sent.begun, sent.ended, sent.status, sent.header("x-model-version")))

    def look(self, sent: Sent) -> str | None:
        """What is wrong with an answer; None when nothing is."""
        said = json.loads(sent.body)
        claimed = (sent.header("x-model-version"), sent.header("x-model-digest"))
        if claimed != (said["model_version"], said["parameters"]["digest"]):
            return f"the head says {claimed}, the body {said['model_version']}"
        outputs = [tensor["data"] for tensor in said["outputs"]]
        first = self.known.setdefault(claimed[0], (claimed[1], outputs))
        if first[0] != claimed[1] or not _alike(first[1], outputs):
            return f"{claimed}: {outputs}, and before: {first}"
        return None

    @property
    def told_apart(self) -> bool:
        """Whether the versions answer differently, so that a mixed answer would have been seen."""
        answers = [json.dumps(outputs) for _, outputs in self.known.values()]
        return len(set(answers)) == len(answers) >= 2


def _alike(first: Any, second: Any) -> bool:
    """The same but for the last digits, which depend on how many rows a call has."""
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_alike, first, second))
    return bool(first == second or abs(first - second) < 1e-9)


class Moving:
    """Moves the stage to and fro until it is told to end, in a thread of its own."""

    def __init__(self, folder: Path, every: float) -> None:
        self.moves: list[float] = []
        self._folder, self._every = folder, every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)

    @contextmanager
    def going(self) -> Iterator[None]:
        """Inside, the stage moves."""
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join()

    def _work(self) -> None:
        with open_project(Settings.find(self._folder, {})) as project:
            at, other = 2, 1  # as `work` left it
            while not self._end.wait(self._every):
                action = Action.STAGE_PROMOTE if other == 2 else Action.STAGE_ROLLBACK
                project.registry.move_stage(
                    MoveStage(MODEL, STAGE, VersionNumber(other), VersionNumber(at), action, "under load"), "ana"
                )
                self.moves.append(time.time())
                at, other = other, at


def workers_of(server: int) -> list[int]:
    """The processes below the server that run a version."""
    found, open_ones = [], [server]
    while open_ones:
        process = open_ones.pop()
        with suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                open_ones += map(int, (task / "children").read_text().split())
            if b"holdfast.runtime.worker" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return found


def wait_for_both(server: int) -> None:
    """Wait until last-known-good is being opened too; the load that comes first gives it the rest of its time."""
    end = time.monotonic() + 60.0
    while len(workers_of(server)) < 2:
        if time.monotonic() > end:
            raise SystemExit("last-known-good was never opened")
        time.sleep(0.05)


async def kill_now_and_then(server: int, kills: list[float], chance: random.Random) -> None:
    """Kill a worker at random, again and again, until cancelled."""
    while True:
        await asyncio.sleep(chance.uniform(*KILL_SECONDS))
        if workers := workers_of(server):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
                kills.append(time.time())


async def work(folder: Path, url: str, given: argparse.Namespace) -> dict[str, Any]:
    """The load, the moves, the deaths, and the figures."""
    row = projects.one_row()
    tensors = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()]
    checker = Checker()
    kills: list[float] = []
    body = json.dumps({"inputs": tensors}).encode()
    load = SteadyLoad(f"{url}/v2/models/cancer/infer", body, given.connections, checker.look)
    load.pause_seconds, load.keep = given.pause_ms / 1000, checker.keep
    still = max(2.0, given.seconds / 10)
    await SteadyLoad(load.url, body, given.connections).for_seconds(1.0)
    sending = asyncio.create_task(load.run())
    await asyncio.sleep(still)
    moving, begun = Moving(folder, given.every), time.time()
    with moving.going():
        killing = asyncio.create_task(
            kill_now_and_then(given.server, kills, random.Random(given.seed)) if given.kill else asyncio.sleep(0)
        )
        await asyncio.sleep(given.seconds)
        killing.cancel()
    ended = time.time()
    await asyncio.sleep(still)
    load.stop()
    await sending
    return figures(load, checker, moving.moves, kills, (begun, ended))


def figures(
    load: SteadyLoad, checker: Checker, moves: list[float], kills: list[float], during: tuple[float, float]
) -> dict[str, Any]:
    """What is printed and written."""
    good = [one for one in checker.kept if one.status == 200]
    calm = [one.ended - one.begun for one in good if one.ended < during[0] or one.begun > during[1]]
    moved = [one.ended - one.begun for one in good if during[0] <= one.begun <= during[1]]
    steady, switching = percentiles(calm), percentiles(moved)
    back = [min((one.ended for one in good if one.begun >= at), default=float("inf")) - at for at in kills]
    return {
        "seconds": round(during[1] - during[0], 1),
        "connections": load.connections,
        "requests": len(checker.kept),
        "requests_per_second": round(len(moved) / (during[1] - during[0]), 1),
        "moves": len(moves),
        "kills": len(kills),
        "failed": len(load.failed),
        "mixed": len(load.complaints),
        "versions_told_apart": checker.told_apart,
        "steady": steady,
        "switching": switching,
        "p99_ratio": round(switching["p99_ms"] / max(steady["p99_ms"], 0.001), 2),
        "answered_again_after_a_kill": percentiles(back) if kills else None,
        "answers": {version: sum(one.version == version for one in good) for version in sorted(checker.known)},
        "first_failures": load.failed[:5],
        "first_mixed": load.complaints[:5],
    }


def main() -> None:
    """Make a project, serve it, move its stage under load; exit 1 when anything failed that may not, or mixed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two moves")
    parser.add_argument("--pause-ms", type=float, default=10.0, help="between an answer and the next request")
    parser.add_argument("--kill", action="store_true", help="kill workers at random")
    parser.add_argument("--seed", type=int, default=7, help="of that chance")
    parser.add_argument("--option", action="append", default=[], help="of `holdfast serve`, such as --batch-rows=64")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        projects.make(folder)
        for version in ("1", "2"):
            projects.holdfast(folder, "promote", f"cancer@{version}", "--to", "production", "--reason", "the first")
        port = projects.free_port()
        with projects.started(folder, port, *given.option) as given.server:
            wait_for_both(given.server)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(work(folder, f"http://127.0.0.1:{port}", given))
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if found["failed"] > found["kills"] or found["mixed"] or not found["versions_told_apart"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
