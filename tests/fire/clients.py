"""Clients that promote one model at the same time, each on its own line to one of several servers.

Each reads the stage, asks to move it from there to another version, and asks again under the same key, and at the next
server, for as long as nobody answers.
"""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from holdfast.digest import hash_bytes
from holdfast.errors import StageMoved, Unavailable
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Move, MoveStage, NewVersion, Stage
from holdfast.registry.http import HttpRegistry
from holdfast.registry.merkle import Head
from holdfast.registry.sql import SqlRegistry
from holdfast.service import Line
from tests.fire.history import Attempt, History, read
from tests.patience import PATIENCE_SECONDS, until

__all__ = ["VERSIONS", "Load", "promoted"]

VERSIONS = 4
"""Of the model; a client moves the stage to one of those that do not hold it."""

_GRACE_SECONDS = PATIENCE_SECONDS
"""How long a client goes on asking for one move."""

_BEHIND_SECONDS = 2.0
"""How long clients go on behind what was done to the servers."""


@dataclass(frozen=True)
class Load:
    """What the clients do.

    Attributes:
        urls: of the servers; each client begins at another one.
        model: whose stage they move.
        stage: which one.
        folder: where clients and who started them tell each other how far they are.
    """

    urls: Sequence[str]
    model: ModelName
    stage: StageName
    folder: Path

    @property
    def begin(self) -> Path:
        """Once it is there they begin, all together."""
        return self.folder / "begin"

    @property
    def stop(self) -> Path:
        """Once it is there they begin no more moves."""
        return self.folder / "stop"

    def moved(self, number: int) -> Path:
        """Is there once the client is ready; its lines say when the moves began that were acknowledged."""
        return self.folder / f"moved-{number}"

    def ready(self, clients: int) -> bool:
        """Whether all are, and wait for the beginning."""
        return all(self.moved(nth).exists() for nth in range(clients))

    def begun(self, clients: int) -> list[list[float]]:
        """When the moves began that were acknowledged so far, for each of the clients."""
        # A line that is still being written says less than what will stand there: too early, and never too late.
        return [[float(line) for line in self.moved(nth).read_text().split()] for nth in range(clients)]


def promoted(
    registry: SqlRegistry,
    urls: Sequence[str],
    *,
    clients: int,
    seconds: float,
    processes: int = 2,
    moves: int = 0,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[History, Head]:
    """What happened while so many clients moved one stage for so long; and what the log was before.

    Args:
        registry: on the database behind the servers; it may be asked before and after, and not meanwhile.
        urls: of the servers.
        clients: threads, shared out among the processes.
        seconds: for which they begin moves, at least.
        processes: of the clients.
        moves: if there are to be any, clients go on until so many were acknowledged, to more than half of the clients,
            and one of them began behind `meanwhile`: how many seconds that takes is the machine's affair.
        meanwhile: is done while they are at work; they go on for a while behind it.
    """
    model, stage = ModelName("churn"), StageName("production")
    registry.ensure_model(model, "ana")
    for nth in range(1, VERSIONS + 1):
        registry.register(NewVersion(model, hash_bytes(b"%d" % nth), complete=True), "ana")
    registry.move_stage(MoveStage(model, stage, VersionNumber(1), None, Action.STAGE_PROMOTE), "ana")
    before, (seen, _) = registry.stage(model, stage), registry.heads()
    shares = [list(range(clients))[nth::processes] for nth in range(processes)]
    with TemporaryDirectory() as folder, ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        load = Load(urls, model, stage, Path(folder))
        working = [pool.submit(_some, load, share) for share in shares]
        try:
            until(lambda: _at_work(working) and load.ready(clients), "all clients are ready")
            load.begin.touch()
            begin = time.monotonic()
            meanwhile()
            behind = time.monotonic()
            time.sleep(max(begin + seconds - behind, _BEHIND_SECONDS))
            until(
                lambda: _at_work(working) and _enough(load.begun(clients), moves, behind),
                lambda: f"{moves} moves by half of the clients, and one behind {behind}: {load.begun(clients)}",
            )
        finally:
            load.stop.touch()
        attempts = [attempt for done in working for attempt in done.result()]
    return History(before, attempts, read(registry), registry.stage(model, stage)), seen


def _at_work(working: Sequence["Future[list[Attempt]]"]) -> bool:
    """Whether all processes of clients are; what ended one of them is raised here."""
    return not [one.result() for one in working if one.done()]


def _enough(begun: Sequence[Sequence[float]], moves: int, behind: float) -> bool:
    if moves == 0:
        return True
    found = [moment for moments in begun for moment in moments]
    return len(found) >= moves and sum(map(bool, begun)) > len(begun) / 2 and max(found) > behind


def _some(load: Load, numbers: Sequence[int]) -> list[Attempt]:
    with ThreadPoolExecutor(len(numbers)) as pool:
        return [attempt for found in pool.map(lambda number: _one(load, number), numbers) for attempt in found]


def _one(load: Load, number: int) -> list[Attempt]:
    with ExitStack() as lines:
        registries = [
            HttpRegistry(lines.enter_context(closing(Line(url))), lambda: uuid.uuid4().hex) for url in load.urls
        ]
        first = number % len(registries)
        load.moved(number).touch()
        until(lambda: load.begin.exists() or load.stop.exists(), "all begin", pause_seconds=0.005)
        return _Client(load, registries[first:] + registries[:first], number).run()


class _Client:
    def __init__(self, load: Load, registries: list[HttpRegistry], number: int) -> None:
        self._load = load
        self._registries = registries
        self._actor = f"client-{number}"
        self._moved = load.moved(number)
        self._draw = random.Random(number)

    def run(self) -> list[Attempt]:
        """Every move that it asked for."""
        attempts = []
        while not self._load.stop.exists():
            held = self._look()
            if held is not None:
                attempts.append(self._ask(held))
        return attempts

    def _look(self) -> Stage | None:
        try:
            return self._registries[0].stage(self._load.model, self._load.stage)
        except Unavailable:
            self._turn()
            return None

    def _turn(self) -> None:
        """To the next server."""
        self._registries.append(self._registries.pop(0))

    def _ask(self, held: Stage) -> Attempt:
        to = self._draw.choice([n for n in range(1, VERSIONS + 1) if n != held.number])
        key, begun = uuid.uuid4().hex, time.monotonic()
        asked = MoveStage(
            self._load.model,
            self._load.stage,
            VersionNumber(to),
            held.number,
            Action.STAGE_PROMOTE,
            f"seen in epoch {held.epoch}",
            idempotency_key=key,
        )
        move: Move | None = None
        refusal = None
        count = 0
        while move is None and refusal is None and time.monotonic() < begun + _GRACE_SECONDS:
            count += 1
            try:
                move = self._registries[0].move_stage(asked, self._actor)
            except StageMoved as error:
                refusal = dict(error.details)
            except Unavailable:
                self._turn()
        ended = time.monotonic()
        if move is not None:
            with self._moved.open("a") as told:
                told.write(f"{begun}\n")
        return Attempt(self._actor, key, held.number, VersionNumber(to), begun, ended, count, move, refusal)
