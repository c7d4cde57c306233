"""Deleting from a store whose clock is ours."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.digest import Digest
from holdfast.store.collect import Collected, Plan, collect, plan_collection
from holdfast.store.interface import Stored
from holdfast.store.local import LocalStore

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
"""When everything was written, after `age`. What a test writes after that is younger than all its moments."""

NOW = LONG_AGO + timedelta(days=60)
DAY = timedelta(days=1)


def age(root: Path, when: datetime = LONG_AGO) -> None:
    """Let everything in the store be written, used and claimed at that moment."""
    for folder in ("packs", "blobs", "used", "claims"):
        for path in (root / folder).rglob("*"):
            if path.is_file():
                os.utime(path, (when.timestamp(), when.timestamp()))


def put(store: LocalStore, *contents: bytes) -> list[Digest]:
    """Blobs of these bytes, committed together."""
    with store.writer() as writer:
        stored: list[Stored] = [writer.add_bytes(data) for data in contents]
        writer.commit()
    return [one.digest for one in stored]


def plan_for(root: Path, needed: Iterable[Digest], now: datetime = NOW) -> Plan:
    return plan_collection(root, [(digest, "a test") for digest in needed], now)


def run(root: Path, needed: Iterable[Digest], now: datetime = NOW) -> Collected:
    """One run: look, and do what is due."""
    return collect(root, plan_for(root, needed, now))


def run_twice(root: Path, needed: Iterable[Digest]) -> Collected:
    """A run that condemns, and one after the grace period."""
    needed = list(needed)
    run(root, needed)
    return run(root, needed, NOW + DAY)
