"""What a worker may use: values with their reasons. `confine.py` imposes them.

Limits()                             a version that is served, or loaded
Limits.of_gate(seconds_max=60.0)     a version that wants a stage: without network, and trusted with nothing
Limits.from_json(limits.to_json()) == limits
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.canonical import JsonObject, Reader

__all__ = ["FILE_BYTES_MAX", "PROCESSES_MAX", "SECONDS_MAX", "Limits", "machine_bytes"]

SECONDS_MAX = 300.0
"""Opening tens of gigabytes of weights from a slow disk, or a million rows through a slow model; a worker that needs
longer for either is taken to hang."""

FILE_BYTES_MAX = 1 << 30
"""Compiled kernels and caches that frameworks put into a temporary folder have tens of megabytes; no answer needs a
gigabyte on disk. Only a loader that has to write out what its bundle holds needs as much as that: `with_room_for`."""

PROCESSES_MAX = 256
"""A pool with one process for each of 128 processors, twice; a fork bomb passes it in the blink of an eye."""

_PHASES = 3
"""Opening, the table of rows and the single rows: each may keep every processor busy for its whole time."""

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container says how much memory it has, in the second and the first version of control groups."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use.

    Attributes:
        memory_bytes_max: private memory of each of its processes; None: as much as the machine, or its container, has.
        seconds_max: how long opening may take, and each answer.
        cpu_seconds_max: processor time of each of its processes, over all of its life; None: no limit.
        file_bytes_max: the length of each file that it writes.
        processes_max: its processes together; None: not counted.
        network: whether it may open sockets.
        untrusted: whether nobody relies on it yet: it may not reach into other processes, and is the first that the
            system ends when memory runs out.
    """

    memory_bytes_max: int | None = None
    seconds_max: float = SECONDS_MAX
    cpu_seconds_max: int | None = None
    file_bytes_max: int = FILE_BYTES_MAX
    processes_max: int | None = None
    network: bool = True
    untrusted: bool = False

    @classmethod
    def of_gate(
        cls, *, memory_bytes_max: int | None = None, seconds_max: float | None = None, network: bool = False
    ) -> "Limits":
        """The limits of a worker that is asked before anybody relies on it."""
        seconds = SECONDS_MAX if seconds_max is None else seconds_max
        return cls(
            memory_bytes_max=memory_bytes_max,
            seconds_max=seconds,
            # Wall time is what ends a worker that is waited for; this ends one whose parent has gone.
            cpu_seconds_max=int(_PHASES * seconds * (os.cpu_count() or 1)) + 1,
            processes_max=PROCESSES_MAX,
            network=network,
            untrusted=True,
        )

    def with_room_for(self, file_bytes: int) -> "Limits":
        """The same, for a worker that has to write a file of this length, which its bundle has too."""
        return replace(self, file_bytes_max=max(self.file_bytes_max, file_bytes))

    def to_json(self) -> JsonObject:
        """The limits as they cross to a worker and stand in a verdict."""
        return {
            "memory_bytes_max": self.memory_bytes_max,
            "seconds_max": self.seconds_max,
            "cpu_seconds_max": self.cpu_seconds_max,
            "file_bytes_max": self.file_bytes_max,
            "processes_max": self.processes_max,
            "network": self.network,
            "untrusted": self.untrusted,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Limits":
        """The limits that `to_json` wrote."""
        return cls(
            memory_bytes_max=reader.maybe_integer("memory_bytes_max"),
            seconds_max=reader.number("seconds_max"),
            cpu_seconds_max=reader.maybe_integer("cpu_seconds_max"),
            file_bytes_max=reader.integer("file_bytes_max"),
            processes_max=reader.maybe_integer("processes_max"),
            network=reader.flag("network"),
            untrusted=reader.flag("untrusted"),
        )


def machine_bytes() -> int:
    """The memory of this machine, or of the container that this process is in where that is less."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for place in _CGROUP_LIMITS:
        try:
            said = place.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if said.isdecimal():
            found = min(found, int(said))
    return found
