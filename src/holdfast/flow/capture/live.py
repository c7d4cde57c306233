"""Capturing the process that we are in.

    with capture_here() as live:
        model = fit(read("data/train.csv"))
        live.so_far()           # a Capture, while the training goes on
    capture = live.finish()     # the Capture of the whole

What was opened or seeded before `capture_here` is not seen; neither is what child processes open.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from holdfast.canonical import JsonObject
from holdfast.flow.capture.captured import Capture
from holdfast.flow.capture.gathering import Surroundings, Timing, quietly
from holdfast.flow.capture.journal import Process
from holdfast.flow.capture.opened import OpenedFiles
from holdfast.flow.capture.probe import process_facts
from holdfast.flow.capture.seeds import SeedWatch

__all__ = ["LiveCapture", "Watched", "capture_here"]


class Watched(Protocol):
    """What was watched in this process before anybody knew what for; whoever began that also ends it.

    Attributes:
        events: what `OpenedFiles` told.
        opened: the `OpenedFiles`, which may have been loaded by path.
        seeds: the `SeedWatch`, likewise.
    """

    events: list[Any]
    opened: Any
    seeds: Any


def _now() -> datetime:
    return datetime.now(UTC)


class LiveCapture:
    """A capture that is going on in this process; made by `capture_here`."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int | None,
        ignore: Sequence[Path],
        environment: Mapping[str, str],
        clock: Callable[[], datetime],
        watch: Watched | None = None,
    ) -> None:
        self._seed = seed
        self._clock = clock
        self._notes: list[str] = []
        self._done: Capture | None = None
        self._surroundings = Surroundings(folder, environment)
        self._started, self._before = clock(), time.monotonic()
        if watch is not None:
            self._events, self._opened, self._seeds = watch.events, watch.opened, watch.seeds
            return
        self._events = []
        self._opened = OpenedFiles(self._events.append, tuple(f"{path.absolute()}/" for path in ignore))
        self._seeds = SeedWatch(seed)
        quietly(self._opened.start, None, "opened files", self._notes)
        quietly(self._seeds.start, None, "seeds", self._notes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def so_far(self) -> Capture:
        """What is known now; the capture goes on. After `finish`, its value."""
        return self._done or self._capture()

    def finish(self) -> Capture:
        """Stops watching, puts every wrapped function back, and returns the value. A second call returns the same."""
        if self._done is None:
            quietly(self._opened.stop, None, "opened files", self._notes)
            quietly(self._seeds.stop, None, "seeds", self._notes)
            self._done = self._capture()
        return self._done

    def _capture(self) -> Capture:
        timing = Timing(self._started, self._clock(), round(time.monotonic() - self._before, 6))
        nothing: JsonObject = {}
        facts = quietly(process_facts, nothing, "the interpreter and its packages", self._notes)
        end = {
            "facts": facts,
            "seeds": self._seeds.calls(),
            "dropped": self._opened.dropped,
            "failures": self._opened.failures + self._seeds.failures,
        }
        told = Process(start={}, end=end, events=tuple(self._events), failures=tuple(self._notes))
        return self._surroundings.capture(sys.orig_argv, timing, [told], asked_seed=self._seed)


def capture_here(
    folder: Path | None = None,
    *,
    seed: int | None = None,
    ignore: Sequence[Path] = (),
    environment: Mapping[str, str] = os.environ,
    clock: Callable[[], datetime] = _now,
    watch: Watched | None = None,
) -> LiveCapture:
    """Begins to capture this process: its files and seeds from now on, everything else as it is.

    Args:
        folder: the project; the current folder by default.
        seed: set now in every library that is loaded, and in those that come later; None sets nothing.
        ignore: folders whose files are nobody's data, such as Holdfast's own home.
        environment: the variables of the process.
        clock: the time, in UTC.
        watch: files and seeds as somebody watches them already; with it `seed` and `ignore` are not looked at.
    """
    return LiveCapture(
        folder or Path.cwd(), seed=seed, ignore=ignore, environment=environment, clock=clock, watch=watch
    )
