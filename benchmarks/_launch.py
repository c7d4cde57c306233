"""Starts commands one after the other, and says what each cost: a process of its own, so that it stays small.

A process that is started begins its life inside the memory of the one that starts it, and the kernel counts that into
its peak. What a benchmark itself holds would so be charged to every tool; this process holds 10 MB, and nothing that it
starts can be seen to need less than that.

It reads a request as JSON from standard input and answers on standard output; `_measuring.run` does both.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""What the kernel counts a peak in, in bytes."""


def measured(command: dict[str, Any], seconds_max: float) -> dict[str, Any]:
    """Run one command to its end, or until its time is up; what it cost, children included."""
    with Path(command["out"]).open("wb") as out, Path(command["err"]).open("wb") as err:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command["argv"],
            cwd=command["cwd"],
            env=command["env"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            process_group=0,
        )
    stopped = []

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stopped.append(True)
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds_max)
    try:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
    except KeyboardInterrupt:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "code": process.returncode,
        "stopped": bool(stopped),
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * RSS_UNIT,
    }


def main() -> None:
    """Run the commands of the request until one fails."""
    request = json.load(sys.stdin)
    left = float(request["seconds_max"])
    answers = []
    for command in request["commands"]:
        answers.append(measured(command, max(left, 0.01)))
        left -= answers[-1]["wall_s"]
        if answers[-1]["code"] != 0:
            break
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
