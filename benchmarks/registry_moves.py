"""Moves of a stage and reads of it, in a second: SQLite beside PostgreSQL, with one thread and with sixteen.

    python benchmarks/registry_moves.py [--seconds 3] [--threads 1 16] [--json FILE]

In one process, through the registry itself, without gate and HTTP. Each thread moves the stage of a model of its
own to and fro, under a fresh idempotency key each time, or resolves `model@production`. Both databases are durable
and lie on one disk, that of the temporary folder; the server is started by this script, answers on the loopback
address, and waits for the disk at each commit. `fsync_ms_p50` says what this disk needs for that alone, as a scale
for the moves: they are written one after the other.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion
from holdfast.registry.sql import SqlRegistry
from tests.postgres import postgres_server

PRODUCTION = StageName("production")
WARM_UP = 20
"""Calls of each thread before the clock starts: connections are made, and statements are prepared."""


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, Database]]:
    """One of each kind, empty."""
    with postgres_server(durable=True) as server:
        opened = {
            "sqlite": Database.open(f"sqlite:///{folder}/registry.db"),
            "postgresql": Database.open(server.url(server.empty())),
        }
        try:
            yield opened
        finally:
            for database in opened.values():
                database.close()


def prepared(registry: SqlRegistry, model: ModelName) -> None:
    """Two versions of the model, and the first of them in production."""
    registry.create_model(model, "ana")
    for n in (1, 2):
        registry.register(NewVersion(model, hash_bytes(f"{n}".encode()), complete=True), "ana")
    registry.move_stage(MoveStage(model, PRODUCTION, VersionNumber(1), None, Action.STAGE_PROMOTE), "ana")


def mover(registry: SqlRegistry, model: ModelName) -> Callable[[], object]:
    """Each call moves the model's stage to the version that does not hold it."""
    held = registry.stage(model, PRODUCTION).number or VersionNumber(1)

    def move() -> None:
        nonlocal held
        to = VersionNumber(3 - held)
        key = uuid.uuid4().hex
        registry.move_stage(MoveStage(model, PRODUCTION, to, held, Action.STAGE_PROMOTE, idempotency_key=key), "ana")
        held = to

    return move


def reader(registry: SqlRegistry, model: ModelName) -> Callable[[], object]:
    """Each call asks what holds the model's stage."""
    reference = Reference.parse(f"{model}@{PRODUCTION}")
    return lambda: registry.resolve(reference)


def measured(calls: list[Callable[[], object]], seconds: float) -> dict[str, Any]:
    """All of them, again and again, each in a thread of its own."""
    ready = threading.Barrier(len(calls))
    times: list[list[float]] = [[] for _ in calls]

    def work(call: Callable[[], object], spent: list[float]) -> None:
        for _ in range(WARM_UP):
            call()
        ready.wait()
        end = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            call()
            spent.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(calls, times, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = sorted(one for each in times for one in each)
    return {
        "threads": len(calls),
        "per_second": round(len(spent) / seconds, 1),
        "ms_p50": round(1_000 * statistics.median(spent), 3),
        "ms_p99": round(1_000 * spent[int(len(spent) * 0.99)], 3),
    }


def fsync_ms(folder: Path) -> float:
    """The median of writing a page and having it on the disk."""
    spent = []
    with (folder / "page").open("wb", buffering=0) as file:
        for _ in range(200):
            begun = time.perf_counter()
            file.write(b"x" * 4_096)
            os.fsync(file.fileno())
            spent.append(time.perf_counter() - begun)
    return round(1_000 * statistics.median(spent), 3)


def main() -> None:
    """Measures, checks the log, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--json", type=Path, help="write the figures here too")
    asked = parser.parse_args()
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, databases(Path(name)) as opened:
        disk_ms = fsync_ms(Path(name))
        for kind, database in opened.items():
            registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
            models = [ModelName(f"m{n}") for n in range(max(asked.threads))]
            for model in models:
                prepared(registry, model)
            for what, making in (("moves", mover), ("reads", reader)):
                for threads in asked.threads:
                    calls = [making(registry, model) for model in models[:threads]]
                    figures.append({"database": kind, "what": what, **measured(calls, asked.seconds)})
            assert registry.audit_verify().ok
    found = {"machine": platform.platform(), "cpus": os.cpu_count(), "fsync_ms_p50": disk_ms, "figures": figures}
    written = json.dumps(found, indent=1)
    print(written)
    if asked.json:
        asked.json.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
