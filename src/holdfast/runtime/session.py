"""What a worker has started: its processes, counted and ended together, and what all of them print.

A worker leads a session of its own, and everything that it starts is in it, since it may not leave.
"""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["PRINTED_BYTES_MAX", "Printed", "end_session", "processes_in"]

PRINTED_BYTES_MAX = 1 << 20
"""A traceback has kilobytes and a training log a few hundred; more buries what somebody has to read."""

_PIECE_BYTES = 1 << 16
_STOP_SECONDS_MAX = 5.0
"""When every process of the session has been ended, the pipe has no writer left; past this it has one that got away."""

_SESSION = 3
"""The field behind the name in /proc/PID/stat: state, parent, group, session (proc_pid_stat(5))."""


def processes_in(session: int) -> int | None:
    """How many processes are in the session; None where the system does not list them."""
    try:
        names = [entry.name for entry in Path("/proc").iterdir()]
    except OSError:
        return None
    found = 0
    for name in names:
        if name.isdecimal():
            with suppress(OSError):
                said = Path("/proc", name, "stat").read_bytes()
                found += int(said[said.rindex(b")") + 2 :].split()[_SESSION]) == session
    return found or None


def end_session(process: subprocess.Popen[bytes] | subprocess.Popen[str], seconds: float) -> int | None:
    """Wait until the leader has ended by itself, and end what is left then; the leader's exit code."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    # A group gets its signal as a whole: a fork that happens meanwhile is begun again, and finds itself ended.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


class Printed:
    """What a worker prints, passed on to our standard error as far as somebody will read it."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def start(self) -> None:
        """Begin to pass on; the worker has the writing end now, and only it."""
        os.close(self.write)
        self._thread.start()

    def drop(self) -> None:
        """Give both ends back: the worker could not be started."""
        os.close(self.write)
        os.close(self._read)

    def stop(self) -> None:
        """Wait for the last of it, after the session has been ended."""
        self._thread.join(_STOP_SECONDS_MAX)

    def _pass_on(self) -> None:
        left = PRINTED_BYTES_MAX
        with os.fdopen(self._read, "rb", buffering=0) as stream:
            # Read to the end whatever becomes of it: a pipe that nobody empties would keep the worker waiting.
            while piece := stream.read(_PIECE_BYTES):
                if left > 0:
                    _say(piece[:left])
                    if len(piece) >= left:
                        _say(f"\n(what the bundle prints past {PRINTED_BYTES_MAX} bytes is left out)\n".encode())
                left -= len(piece)


def _say(data: bytes) -> None:
    with suppress(OSError):
        os.write(2, data)
