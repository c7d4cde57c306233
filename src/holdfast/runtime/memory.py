"""How much memory this process has needed at most, as its operating system counted it."""

import resource
import sys
from pathlib import Path

__all__ = ["peak_memory_bytes"]

_STATUS = Path("/proc/self/status")

_KIBIBYTE = 1024


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far, in bytes; that of its children is not counted.

    Linux writes it as `VmHWM` (proc_pid_status(5)). What getrusage(2) says there may be the parent's, which was this
    process until it ran another program; other systems say it rightly, macOS in bytes and the rest in kibibytes.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIBIBYTE
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * _KIBIBYTE
