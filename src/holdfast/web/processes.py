"""Several processes behind one listening socket: the kernel deals the connections out, and one that dies is replaced.

Each is forked before anything is opened, so that they share the memory of what was imported and start at once. None
outlives the first process, however that ends: orphans would answer on, and hold the port against who comes next.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from threading import Event, Thread
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

    `work` is given the number of its place, from 0 on, which nobody else has at that time; it must end on SIGTERM. That
    is also what each is sent when this process is gone without a word, as after `kill -9`.

    Raises:
        Unavailable: they end as soon as they start.
    """
    alive = os.pipe()
    try:
        _supervise(count, work, alive)
    finally:
        for end in alive:
            os.close(end)


def _supervise(count: int, work: Callable[[int], None], alive: tuple[int, int]) -> None:
    ours: dict[int, tuple[int, float]] = {}
    stopping = Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()
        _end(ours)

    def begin(place: int) -> None:
        if stopping.is_set():
            return
        ours[_forked(work, place, alive)] = (place, time.monotonic())
        if stopping.is_set():
            _end(ours)  # the signal may have come between the fork and the note of it

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    short_lives = 0
    try:
        for place in range(count):
            begin(place)
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
            begin(place)
    finally:
        stopping.set()
        _see_off(ours)
        for number, old in before.items():
            signal.signal(number, old)


def _see_off(processes: Collection[int]) -> None:
    _end(processes)
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process, 0)


def _end(processes: Iterable[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _forked(work: Callable[[int], None], place: int, alive: tuple[int, int]) -> int:
    """Begin a process at `work`; its id. In the process itself this never returns.

    Args:
        work: what it does.
        place: its number.
        alive: a pipe, read end first, that nobody writes to; only this process keeps the other end open.
    """
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
        parent, own = alive
        os.close(own)  # or each would keep the others from seeing the end
        Thread(target=_end_after, args=(parent,), name="parent", daemon=True).start()
        work(place)
        code = 0
    except Exception:  # noqa: BLE001 - the edge of this process: what nobody caught is told, and ends it
        _LOG.exception("the worker ended")
    finally:
        logging.shutdown()
        os._exit(code)


def _end_after(parent: int) -> None:
    """End this process when the other end of the pipe is closed: the system does it, however its process ended."""
    os.read(parent, 1)
    _LOG.error("the first process is gone; this one ends, too")
    os.kill(os.getpid(), signal.SIGTERM)
