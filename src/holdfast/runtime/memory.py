"""How much memory this process has needed at most, and a wall around what one piece of work may take."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["peak_memory_bytes", "room"]

_STATUS = Path("/proc/self/status")
_COUNTS = Path("/proc/self/statm")

_PRIVATE = 5
"""The field of /proc/self/statm with the pages of data and stack (proc_pid_statm(5))."""

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


@contextmanager
def room(bytes_max: int) -> Iterator[None]:
    """Inside, this process gets at most so much private memory more; what asks for more than that gets `MemoryError`.

    For reading what says of itself how large it is, and may lie. Where the system does not count private memory there
    is no wall, and what is read must be bounded otherwise as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        held = int(_COUNTS.read_text(encoding="ascii").split()[_PRIVATE]) * resource.getpagesize()
    except OSError:
        yield
        return
    wall = held + bytes_max
    bounded = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wall, *bounded]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
