"""Putting one `Capture` together from what stood around the process and what the process told.

`Surroundings` is read before the training begins: the code and the lock files are those that the run starts with. The
machine is looked at in a thread of its own meanwhile, because `nvidia-smi` may take a second or two to answer.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from holdfast.canonical import JsonObject, plain
from holdfast.flow.capture.captured import Capture, Distribution, SeedCall, Seeds
from holdfast.flow.capture.git import CodeState, code_state
from holdfast.flow.capture.journal import Process, files_of
from holdfast.flow.capture.locks import LockFile, lock_files
from holdfast.flow.capture.machine import hardware_facts, system_facts
from holdfast.flow.capture.opened import FILES_MAX, is_data_path
from holdfast.flow.capture.redact import allowed_environment, redact_argv, redact_json, redact_text

__all__ = ["Surroundings", "Timing", "quietly"]

_MACHINE_SECONDS_MAX = 3.0
"""Longer than the two seconds that `nvidia-smi` gets, so that its answer is not lost by a moment."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timing:
    """When a process ran; `wall_seconds` comes from a clock that nobody sets."""

    started: datetime
    finished: datetime
    wall_seconds: float


def quietly(read: Callable[[], T], otherwise: T, what: str, notes: list[str]) -> T:
    """What `read` returns; if it raises, `otherwise` and a note. Capturing never fails the training it captures."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - the edge between capturing and the user's training
        notes.append(redact_text(f"{what} could not be captured: {type(error).__name__}: {error}"))
        return otherwise


class Surroundings:
    """What stands around a process: code, lock files, environment, machine.

    Args:
        folder: where the process runs.
        environment: its environment variables, of which only an allow-list is kept.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder.absolute()
        self._notes: list[str] = []
        self._machine: tuple[JsonObject, JsonObject] = ({}, {})
        self._looking = threading.Thread(target=self._look, name="holdfast-machine", daemon=True)
        self._looking.start()
        self._environment = allowed_environment(environment)
        self._hash_seed = environment.get("PYTHONHASHSEED")
        self._code = quietly(lambda: code_state(folder), CodeState("unreadable"), "the state of the code", self._notes)
        self._locks: tuple[LockFile, ...] = quietly(lambda: lock_files(folder), (), "the lock files", self._notes)

    def _look(self) -> None:
        nothing: JsonObject = {}
        system = quietly(system_facts, nothing, "the operating system", self._notes)
        self._machine = (system, quietly(hardware_facts, nothing, "the hardware", self._notes))

    def capture(
        self, argv: Sequence[str], timing: Timing, processes: Sequence[Process], *, asked_seed: int | None = None
    ) -> Capture:
        """The whole value, from these surroundings and what the processes told."""
        self._looking.join(_MACHINE_SECONDS_MAX)
        system, hardware = self._machine
        told = _first(processes)
        files = files_of([event for process in processes for event in process.events])
        calls = tuple(_seed_calls(told))
        capture = Capture(
            argv=redact_argv(argv),
            folder=str(self._folder),
            started=timing.started,
            finished=timing.finished,
            wall_seconds=timing.wall_seconds,
            code=self._code,
            processes=len(processes),
            interpreter=redact_json(plain(told.facts.get("interpreter", {}))),
            frameworks=redact_json(plain(told.facts.get("frameworks", {}))),
            system=system,
            hardware=hardware,
            packages=tuple(_distributions(told)),
            used=_used(told, processes),
            seeds=Seeds(asked=asked_seed, hash_seed=self._hash_seed, calls=calls),
            environment=self._environment,
            locks=self._locks,
            inputs=files.inputs,
            outputs=files.outputs,
        )
        notes = [*self._notes, *files.notes, *_process_notes(processes), *self._unseen(capture)]
        return replace(capture, notes=tuple(dict.fromkeys(redact_text(_utf8(note)) for note in notes)))

    def _unseen(self, capture: Capture) -> list[str]:
        """Files that the command names and Python was not seen to open."""
        seen = {file.path for file in (*capture.inputs, *capture.outputs)}
        notes = []
        for word in capture.argv[1:]:
            text = word.partition("=")[2] or word
            path = self._folder / text
            if quietly(path.is_file, False, f"whether {text} is a file", []) and is_data_path(str(path)):
                absolute = str(Path(*path.parts)) if ".." not in path.parts else str(path.resolve())
                if absolute not in seen:
                    notes.append(f"{text} is named in the command and was not seen to be opened by Python")
        return notes


def _first(processes: Sequence[Process]) -> Process:
    """The process that speaks for the run: the first that came to its end, else the first."""
    ended = [process for process in processes if process.facts]
    return ended[0] if ended else processes[0] if processes else Process()


def _distributions(process: Process) -> list[Distribution]:
    found = []
    for item in process.facts.get("packages", []):
        origin = redact_text(_utf8(item["origin"])) or None
        found.append(Distribution(_utf8(item["name"]), _utf8(item["version"]), origin, bool(item["editable"])))
    return sorted(found, key=lambda one: (one.name.lower(), one.version))


def _used(told: Process, processes: Sequence[Process]) -> tuple[Distribution, ...]:
    """What any process of the same interpreter used: workers import what the first process may not."""
    prefix = told.facts.get("interpreter", {}).get("prefix")
    names = {
        _utf8(name)
        for process in processes
        if process.facts.get("interpreter", {}).get("prefix") == prefix
        for name in process.facts.get("used", [])
    }
    return tuple(one for one in _distributions(told) if one.name in names)


def _seed_calls(told: Process) -> list[SeedCall]:
    calls = (told.end or {}).get("seeds", [])
    return [SeedCall.from_json(plain(call)) for call in calls]


def _process_notes(processes: Sequence[Process]) -> list[str]:
    if not processes:
        return ["no Python process told anything: no Python ran, or it ran isolated (-I, -E, -S) or without PYTHONPATH"]
    notes = [failure for process in processes for failure in process.failures]
    lost = sum(process.start is not None and process.end is None for process in processes)
    if lost:
        notes.append(f"Python processes that ended without a last word (killed, or by os._exit): {lost}")
    dropped = sum(_count(process, "dropped") for process in processes)
    if dropped:
        notes.append(f"{dropped} more files were opened than the {FILES_MAX} that are remembered")
    failures = sum(_count(process, "failures") for process in processes)
    if failures:
        notes.append(f"looking at files or seeds failed {failures} times")
    prefixes = {
        str(process.facts["interpreter"].get("prefix")) for process in processes if process.facts.get("interpreter")
    }
    if len(prefixes) > 1:
        notes.append(
            f"more than one Python environment ran; packages are those of the first: {', '.join(sorted(prefixes))}"
        )
    native = sorted({str(name) for process in processes for name in process.facts.get("native_readers", [])})
    if native:
        notes.append(f"files that these open without Python are not seen: {', '.join(native)}")
    return notes


def _count(process: Process, name: str) -> int:
    value: Any = (process.end or {}).get(name)
    return value if isinstance(value, int) else 0


def _utf8(text: Any) -> str:
    """Text without lone surrogates, which canonical JSON refuses."""
    return str(text).encode("utf-8", "backslashreplace").decode()
