"""What it costs to keep a log that can be proven, and what it costs to prove and to verify it.

    python benchmarks/audit_log.py [--events 10000 100000] [--json FILE]

Append: the same events, one transaction each, with the tree and without it; in turns, and the cost of the disk's own
`fsync` is in both. Then for each size: a proof of inclusion, a proof of consistency, a checkpoint's head, the audit of
the whole log, an export, and the check of that export by the program that needs no Holdfast. A million take about a
quarter of an hour, most of it to write them. Beside the clock stands the time of the processor, which means something
on a busy machine too.
"""

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest.mock import patch

from _tables import keep
from holdfast.config import Settings
from holdfast.database.engine import Database
from holdfast.names import ModelName
from holdfast.registry import Action
from holdfast.registry import events as log
from holdfast.registry.nodes import closed, grow
from holdfast.registry.sql import SqlRegistry
from holdfast.upkeep.audit.logbook import OFFLINE, Logbook

APPEND_MS_MAX = 1.0
PROOF_HASHES_MAX = 20
VERIFY_SECONDS_MAX_AT_A_MILLION = 30.0

_PROOFS = 200
_APPENDS = 400
_EVENTS_A_TRANSACTION = 10_000


def entry(number: int) -> log.Entry:
    """A refusal, as gates write them: the most usual event with details."""
    return log.Entry(
        Action.GATE_REFUSE,
        model="churn",
        stage="production",
        reason="not better than what serves",
        details={"rule": "not_worse", "value": 0.9 + number % 97 / 1000, "limit": 0.93, "rows": number % 5000},
    )


def registry_at(folder: Path) -> SqlRegistry:
    """An empty registry with one model."""
    database = Database.open(f"sqlite:///{folder / 'registry.db'}")
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: "unused")
    registry.ensure_model(ModelName("churn"), "ana")
    return registry


def database_of(registry: SqlRegistry) -> Database:
    """The database below a registry; a benchmark may look inside."""
    return registry._database  # noqa: SLF001


def append(registry: SqlRegistry, numbers: Iterator[int], count: int) -> None:
    """So many events in one transaction."""
    with database_of(registry).write() as connection:
        for _ in range(count):
            log.append(connection, entry(next(numbers)), datetime.now(UTC), "ana <ana@example.org>")


def milliseconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """One run."""
    started = clock()
    work()
    return (clock() - started) * 1000


def appending(folder: Path) -> dict[str, float]:
    """The median of one event in a transaction of its own, and of one among many, with the tree and without."""
    places = {"with": folder / "with", "without": folder / "without"}
    for place in places.values():
        place.mkdir()
    registries = {name: registry_at(place) for name, place in places.items()}
    numbers = iter(range(10_000_000))
    with database_of(registries["without"]).write() as connection:
        for trigger in ("events_refuse_insert", "event_nodes_refuse_insert"):
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
    times: dict[str, list[float]] = {}

    def measure(name: str, said: str, count: int, clock: Callable[[], float]) -> None:
        hashes, writing = (closed, grow) if name == "with" else (lambda *_: b"", lambda *_: None)
        with patch.object(log, "closed", hashes), patch.object(log, "grow", writing):
            took = milliseconds(lambda: append(registries[name], numbers, count), clock)
        times.setdefault(f"{name}, {said}", []).append(took / count)

    for _ in range(_APPENDS):
        for name in registries:
            measure(name, "alone", 1, time.perf_counter)
    for _ in range(10):
        for name in registries:
            measure(name, "in bulk", 500, time.perf_counter)
            measure(name, "processor", 500, time.process_time)
    for registry in registries.values():
        database_of(registry).close()
    return {name: statistics.median(found) for name, found in times.items()}


def at_size(folder: Path, count: int) -> dict[str, float]:
    """Write so many events, and measure what is done with them."""
    home = folder / "churn/.holdfast"
    home.mkdir(parents=True)
    registry, numbers = registry_at(home), iter(range(count))
    started = time.perf_counter()
    left = count - 1
    while left:
        append(registry, numbers, min(left, _EVENTS_A_TRANSACTION))
        left -= min(left, _EVENTS_A_TRANSACTION)
    found: dict[str, float] = {"write_s": time.perf_counter() - started}
    chance = random.Random(7)
    places = [chance.randrange(count) for _ in range(_PROOFS)]
    found["proof_ms"] = statistics.median(milliseconds(partial(registry.prove, at)) for at in places)
    found["proof_hashes_max"] = max(len(registry.prove(at).path) for at in places)
    found["growth_ms"] = statistics.median(milliseconds(partial(registry.prove_growth, at)) for at in places)
    found["head_ms"] = statistics.median(milliseconds(registry.heads) for _ in places)
    book = Logbook.of(Settings.at(home, {"XDG_STATE_HOME": str(folder / "state")}), registry)
    found["sign_ms"] = milliseconds(book.checkpoint)
    started, busy = time.perf_counter(), time.process_time()
    assert book.verify().audit.ok
    found |= {"verify_s": time.perf_counter() - started, "verify_cpu_s": time.process_time() - busy}
    exported = folder / "log.jsonl"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with exported.open("wb") as file:
        file.writelines(book.export())
    found["export_s"] = time.perf_counter() - started
    found["export_grew_mb"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    command = [sys.executable, "-I", str(OFFLINE), str(exported), str(book.key.verifiers()[0])]
    found["offline_s"] = milliseconds(lambda: subprocess.run(command, check=True, capture_output=True)) / 1000
    found["database_mb"] = (home / "registry.db").stat().st_size / 1e6
    with database_of(registry).read() as connection:
        said = "SELECT sum(length(nodes)) + 12 * count(*) FROM event_nodes"
        found["tree_mb"] = connection.exec_driver_sql(said).scalar_one() / 1e6
    database_of(registry).close()
    return found


def main() -> None:
    """Measure, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description="What a log that can be proven costs.")
    parser.add_argument("--events", type=int, nargs="*", default=[10_000, 100_000], help="sizes of the log")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        appends = appending(Path(name))
    for said, took in appends.items():
        print(f"append {said:<20} {took:8.3f} ms")
    more, work = (appends[f"with, {said}"] - appends[f"without, {said}"] for said in ("in bulk", "processor"))
    print(f"the tree adds {more:.3f} ms to an event, {work:.3f} ms of it work, of {APPEND_MS_MAX:g} ms\n")
    sizes = {}
    for count in arguments.events:
        with tempfile.TemporaryDirectory() as name:
            sizes[count] = at_size(Path(name), count)
        print(f"{count} events")
        for said, figure in sizes[count].items():
            print(f"  {said:<18} {figure:10.3f}")
    print(f"\nallowed: {PROOF_HASHES_MAX} hashes, {VERIFY_SECONDS_MAX_AT_A_MILLION:g} s to verify a million events")
    keep(arguments.json, {"append_ms": appends, "sizes": sizes})


if __name__ == "__main__":
    main()
