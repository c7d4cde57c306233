"""Running a command as its user would have, and capturing it.

    capture = run_command(["python", "train.py", "--lr", "0.1"], folder=Path.cwd(), run="r-17")
    capture.exit_code, capture.inputs, capture.used

The command gets the same terminal, the same signals and the same environment; added are `PYTHONPATH` (the folder of the
hook comes first), `HOLDFAST_CAPTURE`, `HOLDFAST_RUN`, and with a seed `HOLDFAST_SEED` and `PYTHONHASHSEED`.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from holdfast.errors import UsageError
from holdfast.flow.capture.captured import Capture
from holdfast.flow.capture.gathering import Surroundings, Timing
from holdfast.flow.capture.journal import Process, read_processes

__all__ = ["HOOK_FOLDER", "run_command"]

HOOK_FOLDER = Path(__file__).parent / "hook"
"""The folder that comes first on the child's `PYTHONPATH`."""

_PROBE = Path(__file__).parent / "probe.py"

_PROBE_SECONDS_MAX = 10.0
"""An interpreter that was killed is asked once more, from a cold disk perhaps; then its packages stay unknown."""

_HASH_SEED_MAX = 2**32
"""Python takes hash seeds below this."""

_SIGNAL_EXIT = 128
"""Shells report a process that signal n ended as 128 + n."""

_STANDARD_ERROR = 2
"""The file descriptor, whatever has become of the stream of that name."""

_BY_TERMINAL = {signal.SIGINT, signal.SIGQUIT}
_PASSED_ON = (*_BY_TERMINAL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def _now() -> datetime:
    return datetime.now(UTC)


def run_command(
    argv: Sequence[str],
    *,
    folder: Path,
    run: str | None = None,
    seed: int | None = None,
    extra_environment: Mapping[str, str] | None = None,
    output_aside: bool = False,
    clock: Callable[[], datetime] = _now,
) -> Capture:
    """Runs `argv` in `folder` to its end and returns what was captured; whatever the command returns is not an error.

    Args:
        argv: the command and its arguments.
        folder: where it runs.
        run: the id of the run, exported as `HOLDFAST_RUN`.
        seed: set in random, NumPy and PyTorch as they are imported, and as `PYTHONHASHSEED`; None sets nothing.
        extra_environment: variables on top of this process's own.
        output_aside: whether its standard output goes to standard error, so that ours stays free for an answer.
        clock: the time, in UTC.

    Raises:
        UsageError: the command is empty, does not exist or cannot be started.
    """
    if not argv:
        raise UsageError(
            "there is no command to run", hint="Write it after two dashes: holdfast run -- python train.py"
        )
    with tempfile.TemporaryDirectory(prefix="holdfast-capture-", ignore_cleanup_errors=True) as name:
        environment = _environment({**os.environ, **(extra_environment or {})}, Path(name), run, seed)
        surroundings = Surroundings(folder, environment)
        started, before = clock(), time.monotonic()
        returned = _run(argv, folder, environment, _STANDARD_ERROR if output_aside else None)
        timing = Timing(started, clock(), round(time.monotonic() - before, 6))
        processes = read_processes(Path(name))
    capture = surroundings.capture(argv, timing, processes, asked_seed=seed)
    if not capture.interpreter:
        capture = _asked_afterwards(capture, processes, environment, surroundings, seed)
    killed = signal.Signals(-returned).name if returned < 0 else None
    return replace(capture, exit_code=_SIGNAL_EXIT - returned if returned < 0 else returned, killed_by=killed)


def _environment(inherited: Mapping[str, str], journals: Path, run: str | None, seed: int | None) -> dict[str, str]:
    """The child's environment."""
    environment = dict(inherited)
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{HOOK_FOLDER}{os.pathsep}{path}" if path else str(HOOK_FOLDER)
    environment["HOLDFAST_CAPTURE"] = str(journals)
    if run is not None:
        environment["HOLDFAST_RUN"] = run
    environment.pop("HOLDFAST_SEED", None)
    if seed is not None:
        environment["HOLDFAST_SEED"] = str(seed)
        environment.setdefault("PYTHONHASHSEED", str(seed % _HASH_SEED_MAX))
    return environment


def _run(argv: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: int | None) -> int:
    """The command's return code; negative when a signal ended it."""
    with _signals_passed_on() as child:
        try:
            process = subprocess.Popen(list(argv), cwd=folder, env=environment, stdout=stdout)
        except OSError as error:
            raise UsageError(
                f"{argv[0]} cannot be started: {error.strerror}",
                hint="Check the command that follows the two dashes; a shell's own words need: sh -c '…'",
            ) from error
        child.started(process)
        return process.wait()


class _Child:
    """Where signals go: to the process once it is there, and to it as soon as it is for those that came before."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def started(self, process: "subprocess.Popen[bytes]") -> None:
        """The process is there."""
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """A signal handler."""
        if number in _BY_TERMINAL and _in_foreground():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


@contextmanager
def _signals_passed_on() -> Iterator[_Child]:
    """While this lasts, signals to this process reach the child instead.

    Handlers, not "ignore": a handler becomes the default again in the child, while an ignored signal stays ignored.
    """
    child = _Child()
    if threading.current_thread() is not threading.main_thread():
        yield child  # only the main thread may set handlers; a caller elsewhere has its own way to stop a run
        return
    before = {number: signal.getsignal(number) for number in _PASSED_ON}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup: whoever ignored it meant the child as well
            signal.signal(number, child.pass_on)
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl-C has gone to this whole group of processes, and so to the child already."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _asked_afterwards(
    capture: Capture,
    processes: Sequence[Process],
    environment: Mapping[str, str],
    surroundings: Surroundings,
    seed: int | None,
) -> Capture:
    """The capture with what the interpreter says when it is started once more, because the process itself did not."""
    executable = next((process.start["executable"] for process in processes if process.start), None)
    if executable is None and Path(capture.argv[0]).name.startswith("python"):
        executable = shutil.which(capture.argv[0], path=environment.get("PATH"))
    if not executable:
        return capture
    quiet = {name: value for name, value in environment.items() if name != "HOLDFAST_CAPTURE"}
    try:
        done = subprocess.run(
            [executable, str(_PROBE)],
            env=quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS_MAX,
            check=True,
        )
        facts = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return capture
    timing = Timing(capture.started, capture.finished, capture.wall_seconds)
    again = surroundings.capture(capture.argv, timing, [Process(end={"facts": facts}), *processes], asked_seed=seed)
    note = "the interpreter was asked for its packages afterwards; which of them the run used is not known"
    return replace(again, processes=capture.processes, notes=(*capture.notes, note))
