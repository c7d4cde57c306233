"""Imposing limits on this process, before it has opened anything, and saying which of them the system holds.

walls = confine(Limits.of_gate(), scratch)
walls.held       ("memory", "file_size", "core_files", "processor_time", "files", "network", "other_processes")
walls.open       {}, or what this system does not hold, with the reason
"""

import platform
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.canonical import JsonObject, Reader
from holdfast.runtime.landlock import write_only_below
from holdfast.runtime.limits import Limits, machine_bytes
from holdfast.runtime.system_calls import refuse_calls

__all__ = ["CORE_FILES", "FILES", "FILE_SIZE", "MEMORY", "NETWORK", "PROCESSOR_TIME", "Walls", "confine"]

MEMORY = "memory"
FILE_SIZE = "file_size"
CORE_FILES = "core_files"
PROCESSOR_TIME = "processor_time"
FILES = "files"
NETWORK = "network"
_OTHER_PROCESSES = "other_processes"

_GRACE_SECONDS = 5
"""Between the signal that names the processor's time and the one that names nothing, and cannot be ignored."""

_FIRST_TO_GO = b"1000"
"""The largest adjustment that proc_pid_oom_score_adj(5) knows."""


@dataclass(frozen=True, slots=True)
class Walls:
    """Which limits a worker has around it.

    Attributes:
        held: those that the system holds.
        open: those that were asked for and it does not, each with the reason.
    """

    held: tuple[str, ...] = ()
    open: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The walls as they cross to the parent and stand in a verdict."""
        return {"enforced": list(self.held), "not_enforced": dict(self.open)}

    @classmethod
    def from_json(cls, reader: Reader) -> "Walls":
        """The walls that `to_json` wrote."""
        return cls(reader.texts("enforced"), reader.words("not_enforced"))


def confine(limits: Limits, scratch: Path) -> Walls:
    """Impose the limits on this process and all that it will start; nothing takes them back.

    Args:
        limits: what it may use; time and the number of processes are its parent's business.
        scratch: the one folder that it may write to.
    """
    found: dict[str, str | None] = {}
    if limits.untrusted:
        _go_first()
    found[FILE_SIZE] = _limit(resource.RLIMIT_FSIZE, limits.file_bytes_max)
    # What a crash would write is a copy of the weights, and of somebody's rows.
    found[CORE_FILES] = _limit(resource.RLIMIT_CORE, 0)
    if limits.cpu_seconds_max is not None:
        found[PROCESSOR_TIME] = _limit(resource.RLIMIT_CPU, limits.cpu_seconds_max, _GRACE_SECONDS)
    found[MEMORY] = _limit_memory(limits.memory_bytes_max or machine_bytes())
    found[FILES] = write_only_below([scratch], network=limits.network)
    if limits.untrusted or not limits.network:
        refused = refuse_calls(network=limits.network)
        found |= {_OTHER_PROCESSES: refused} if limits.network else {NETWORK: refused, _OTHER_PROCESSES: refused}
    held = tuple(name for name, why in found.items() if why is None)
    return Walls(held, {name: why for name, why in found.items() if why is not None})


def _limit_memory(bytes_max: int) -> str | None:
    """Private memory, not addresses: graphics drivers reserve more addresses than any machine has memory."""
    if platform.system() != "Linux":
        return f"{platform.system()} does not count the private memory of a process"
    return _limit(resource.RLIMIT_DATA, bytes_max)


def _limit(kind: int, value: int, grace: int = 0) -> str | None:
    _, hardest = resource.getrlimit(kind)
    wall = value + grace if hardest == resource.RLIM_INFINITY else min(value + grace, hardest)
    try:
        resource.setrlimit(kind, (min(value, wall), wall))
    except (OSError, ValueError) as error:
        return f"setrlimit answered: {error}"
    return None


def _go_first() -> None:
    """Let the system end this process before those that somebody relies on; where it cannot say so, nothing is lost."""
    try:
        with Path("/proc/self/oom_score_adj").open("wb", buffering=0) as stream:
            stream.write(_FIRST_TO_GO)
    except OSError:
        return
