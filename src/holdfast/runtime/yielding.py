"""Letting every other process of the machine go first."""

import os
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["let_others_first", "waited_seconds"]

_NICENESS = 19
"""The least that nice(1) knows."""

_ATTEMPTS = 20
"""The kernel takes one such change in a tenth of a second from everybody together, and answers the others EAGAIN."""

_PAUSE_SECONDS = 0.11

_NANOSECONDS = 1_000_000_000


def let_others_first(session: int) -> None:
    """Give a process that leads a session, and all in its group, what nobody else wants of the processors.

    Where Linux shares its processors among sessions first, being nice counts within one's own session only, and the
    session's own worth stands in `autogroup` (sched(7), "The autogroup feature"). So all three are set; nothing that
    the system refuses is an error.

    Args:
        session: its process id, which is its group's and its session's too.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PGRP, session, _NICENESS)
    place = Path("/proc", str(session))
    for thread in _threads(place):
        with suppress(OSError):  # it has ended meanwhile, or a sandbox forbids it
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    for _ in range(_ATTEMPTS):
        try:
            with (place / "autogroup").open("wb", buffering=0) as stream:
                stream.write(str(_NICENESS).encode())
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        except OSError:
            return
        else:
            return


def _threads(place: Path) -> list[int]:
    if not hasattr(os, "SCHED_IDLE"):
        return []
    try:
        return [int(entry.name) for entry in (place / "task").iterdir()]
    except OSError:
        return []


def waited_seconds(process: int) -> float:
    """How long the first thread of a process has waited for a processor in all its life; 0 where nobody counts it.

    The second number of /proc/PID/schedstat (Linux, Documentation/scheduler/sched-stats.rst), in nanoseconds.
    """
    try:
        return int(Path("/proc", str(process), "schedstat").read_text(encoding="ascii").split()[1]) / _NANOSECONDS
    except (OSError, ValueError, IndexError):
        return 0.0
