"""Reading what the captured processes wrote down, and putting it together.

Each process leaves one file of JSON lines (see `hook/sitecustomize.py`). A line that cannot be read is the last line of
a process that was killed while writing it; what stands before it counts.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.flow.capture.captured import FileSeen
from holdfast.flow.capture.opened import FILES_MAX

__all__ = ["Files", "Process", "files_of", "read_processes"]

_JOURNAL_BYTES_MAX = 64 * 1024 * 1024
"""More than 20,000 events with long paths and 10,000 installed distributions; beyond it, something else wrote there."""

_PROCESSES_MAX = 10_000
"""Journals read: a run that starts more Python processes than this is a cluster's work, not one capture's."""


@dataclass(frozen=True, slots=True)
class Process:
    """What one Python process left.

    Attributes:
        start: its first line; None for a forked child, which shares its parent's.
        end: its last line; None when it did not come to its end in an orderly way.
        events: what `OpenedFiles` told.
        failures: sentences about our own failures in it.
    """

    start: JsonObject | None = None
    end: JsonObject | None = None
    events: tuple[Sequence[Any], ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def facts(self) -> Mapping[str, Any]:
        """Interpreter, packages, frameworks; empty when it did not say."""
        facts = (self.end or {}).get("facts")
        return facts if isinstance(facts, dict) else {}


@dataclass(frozen=True, slots=True)
class Files:
    """The data files of all processes together.

    Attributes:
        inputs: read, and not written by any of the processes before.
        outputs: written, and there at the end.
        notes: what is not certain about them.
    """

    inputs: tuple[FileSeen, ...] = ()
    outputs: tuple[FileSeen, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read_processes(folder: Path) -> list[Process]:
    """The processes that left a journal in `folder`, in the order in which they started, forked children last."""
    found = [_read(path) for path in sorted(folder.glob("*.jsonl"))[:_PROCESSES_MAX]]
    return sorted(found, key=lambda process: (process.start is None, (process.start or {}).get("time_ns", 0)))


def _read(path: Path) -> Process:
    start, end = None, None
    events: list[Sequence[Any]] = []
    failures: list[str] = []
    try:
        data = path.read_bytes()[:_JOURNAL_BYTES_MAX]
    except OSError as error:
        return Process(failures=(f"a journal cannot be read: {error.strerror}",))
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        match line:
            case {"kind": "event", "event": [int(), str(), str(), _, int()] as event}:
                events.append(event)
            case {"kind": "start"}:
                start = line
            case {"kind": "end"}:
                end = line
            case {"kind": "failed", "why": str() as why}:
                failures.append(f"capturing failed {why}")
    return Process(start, end, tuple(events), tuple(failures))


def files_of(events: Iterable[Sequence[Any]]) -> Files:
    """Inputs and outputs from the events of any number of processes."""
    inputs: dict[str, FileSeen] = {}
    written: set[str] = set()
    notes: list[str] = []
    for _, kind, path, third, mtime_ns in sorted(events, key=lambda event: int(event[0])):
        if kind == "read" and path not in written:
            inputs.setdefault(path, FileSeen(path, third, mtime_ns))
        elif kind == "write":
            written.add(path)
        elif kind == "move":
            written.discard(path)
            written.add(third)
        elif kind == "database":
            notes.append(
                f"{_shown(path)} is a database: SQLite reads it by itself, and which rows were read is not known"
            )
    again = sorted(written & inputs.keys())
    notes.extend(f"{_shown(path)} was read and then written: what was read is no longer there" for path in again)
    outputs = [seen for path in sorted(written) if (seen := _seen(path)) is not None]
    nameless = [path for path in (*inputs, *(file.path for file in outputs)) if not _is_text(path)]
    notes.extend(f"{_shown(path)} is left out: its name is not UTF-8" for path in nameless)
    return Files(
        tuple(file for file in inputs.values() if _is_text(file.path))[:FILES_MAX],
        tuple(file for file in outputs if _is_text(file.path))[:FILES_MAX],
        tuple(notes),
    )


def _seen(path: str) -> FileSeen | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return FileSeen(path, found.st_size, found.st_mtime_ns) if Path(path).is_file() else None


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: str) -> str:
    """A path for reading: bytes that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
