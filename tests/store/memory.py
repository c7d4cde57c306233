"""How much memory this process ever held."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_kilobytes() -> int:
    """The most that was resident at once.

    On Linux `ru_maxrss` of a process that was just started is at least what its parent held: that says nothing about
    the process itself.
    """
    if _STATUS.is_file():
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak
