"""Many clients promote one model at once, through several servers on one PostgreSQL; then all of it is checked.

    python benchmarks/promote_by_many.py [--clients 50] [--seconds 60] [--servers 2] [--workers 2] [--json FILE]

Each client reads the stage and asks to move it to another version, provided that it still holds what it read; all but
one of those who saw the same are refused. Names are asked for and moved by real clients over HTTP, without a gate;
PostgreSQL waits for the disk at each commit. Afterwards the answers of all clients are held against the log: the moves
are one line without a gap, each began where the one before it ended, none that was acknowledged is lost, none was made
twice, and the log goes on from what it was before. It ends with 1 when anything of that is not so.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from holdfast.database.engine import Database
from holdfast.registry.sql import SqlRegistry
from tests.fire.clients import promoted
from tests.fire.history import Attempt, History, faults, faults_of_the_log
from tests.fire.replicas import replicas
from tests.postgres import postgres_server


def milliseconds(attempts: list[Attempt]) -> dict[str, float]:
    """How long answers took."""
    ordered = sorted((one.ended - one.begun) * 1_000 for one in attempts) or [0.0]
    share = {f"p{p}": round(ordered[min(len(ordered) - 1, len(ordered) * p // 100)], 1) for p in (50, 95, 99)}
    return {**share, "max": round(ordered[-1], 1)}


def figures(history: History, seconds: float, found: list[str]) -> dict[str, Any]:
    """What is printed and written."""
    by_client = [
        sum(one.actor == actor for one in history.acknowledged) for actor in {one.actor for one in history.attempts}
    ]
    refused = [one for one in history.attempts if one.refusal is not None]
    return {
        "attempts": len(history.attempts),
        "acknowledged": len(history.acknowledged),
        "refused": len(refused),
        "unanswered": len(history.attempts) - len(history.acknowledged) - len(refused),
        "asked_again": sum(one.asked - 1 for one in history.attempts),
        "moves": len(history.moves),
        "moves_per_second": round(len(history.moves) / seconds, 1),
        "attempts_per_second": round(len(history.attempts) / seconds, 1),
        "moves_of_one_client": {
            "min": min(by_client, default=0),
            "median": statistics.median(by_client or [0]),
            "max": max(by_client, default=0),
        },
        "acknowledged_ms": milliseconds(history.acknowledged),
        "refused_ms": milliseconds(refused),
        "faults": found[:20],
    }


def main() -> None:
    """Set it up, let them promote, check, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, postgres_server(durable=True) as postgres:
        url = postgres.url(postgres.empty())
        with (
            replicas(Path(place), url, count=given.servers, workers=given.workers) as servers,
            closing(Database.open(url)) as database,
        ):
            registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
            urls = [server.url for server in servers]
            history, seen = promoted(registry, urls, clients=given.clients, seconds=given.seconds)
            found = [*faults(history), *faults_of_the_log(registry, seen)]
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.platform()}
    asked = {name: getattr(given, name) for name in ("clients", "seconds", "servers", "workers")}
    said = {**asked, **figures(history, given.seconds, found), "machine": machine}
    print(json.dumps(said, indent=2))
    if given.json:
        given.json.write_text(json.dumps(said, indent=2) + "\n")
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
