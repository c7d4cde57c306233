"""What the processes of one port tell each other: each writes its counts into a file, and reads those of the others.

A scrape reaches any one of them, and has to show what all of them counted. Who takes the place of a process that has
died goes on with its counters, so that sums never fall. Alone, a process has no folder, and nothing is written.
"""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.canonical import JsonObject

__all__ = ["FRESH_SECONDS", "Exchange"]

_LOG = logging.getLogger("holdfast.serving")

FRESH_SECONDS = 10.0
"""How old a word may be before its writer counts as gone: it speaks every second."""

_FILES_MAX = 256
"""Processes of one port; more than the processors of any machine that serves."""


class Exchange:
    """The folder in which the processes of one port meet.

    Args:
        folder: of this port alone, and empty when its first process starts.
        place: of this process among them, from 0.
    """

    def __init__(self, folder: Path, place: int) -> None:
        self._folder = folder
        self._own = folder / f"{place}.json"

    def before(self) -> JsonObject | None:
        """What whoever had this place said last; None where nobody had it."""
        return _read(self._own)

    def publish(self, said: JsonObject) -> None:
        """Say something; whoever reads sees all of it or what was said before."""
        scratch = self._own.with_suffix(f".{os.getpid()}")
        try:
            scratch.write_text(json.dumps(said), encoding="utf-8")
            scratch.replace(self._own)
        except OSError as error:
            # Answers go on without it: nobody waits for a number.
            _LOG.warning("what this process counts was not shown to the others: %s", error.strerror)

    def others(self, now: float) -> Iterator[tuple[JsonObject, bool]]:
        """What each other process said last, and whether it still lives; `now` in seconds since 1970."""
        for path in sorted(self._folder.glob("*.json"))[:_FILES_MAX]:
            if path != self._own and (said := _read(path)) is not None:
                yield said, now - float(said.get("at", 0.0)) <= FRESH_SECONDS


def _read(path: Path) -> JsonObject | None:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
