"""Several processes behind one listening socket: the kernel deals the connections out, and one that dies is replaced.

Each is forked before anything is opened, so that they share the memory of what was imported and start at once.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event
from types import FrameType

from holdfast.errors import Unavailable

__all__ = ["supervise"]

_LOG = logging.getLogger("holdfast.processes")

_SHORT_LIFE_SECONDS = 5.0
"""A process that ends sooner could not start; one that lives longer was killed."""

_SHORT_LIVES_MAX = 5
"""So many in a row: what keeps them from starting will keep the next one too."""

_PAUSE_SECONDS = 0.2
"""Before a process that died at once is replaced: its reason may be over by then, and the log stays readable."""


def supervise(count: int, work: Callable[[int], None]) -> None:
    """Keep `count` processes at `work` until SIGTERM or SIGINT; then have them finish, and wait for them.

    `work` is given the number of its place, from 0 on, which nobody else has at that time; it must end on SIGTERM.

    Raises:
        Unavailable: they end as soon as they start.
    """
    ours: dict[int, tuple[int, float]] = {}
    stopping = Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()
        _end(ours)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    short_lives = 0
    try:
        while not stopping.is_set() and len(ours) < count:
            place = len(ours)
            ours[_forked(work, place)] = (place, time.monotonic())
        while ours:
            process, status = os.wait()
            ended = ours.pop(process, None)
            if ended is None or stopping.is_set():
                continue
            place, begun = ended
            code = os.waitstatus_to_exitcode(status)
            said = {"event": "worker.ended", "worker": process, "code": code}
            _LOG.error("worker %d ended with %d; another takes its place", process, code, extra={"said": said})
            short_lives = short_lives + 1 if time.monotonic() - begun < _SHORT_LIFE_SECONDS else 0
            if short_lives > _SHORT_LIVES_MAX:
                raise Unavailable("the server's processes end as soon as they start", hint="The log above says why.")
            time.sleep(_PAUSE_SECONDS)
            if not stopping.is_set():
                ours[_forked(work, place)] = (place, time.monotonic())
            if stopping.is_set():
                _end(ours)  # the signal may have come between the fork and the note of it
    finally:
        stopping.set()
        _end(ours)
        for process in ours:
            with suppress(ChildProcessError):
                os.waitpid(process, 0)
        for number, old in before.items():
            signal.signal(number, old)


def _end(processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _forked(work: Callable[[int], None], place: int) -> int:
    """Begin a process at `work`; its id. In the process itself this never returns."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    process = os.fork()
    if process:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return process
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the first process decides
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        work(place)
        code = 0
    except Exception:  # noqa: BLE001 - the edge of this process: what nobody caught is told, and ends it
        _LOG.exception("the worker ended")
    finally:
        logging.shutdown()
        os._exit(code)
