"""The machine and the system that a run happens on.

system_facts()      {"system": "Linux", "kernel": "6.1.0", "libc": "glibc 2.36", ...}
hardware_facts()    {"cpu": "...", "cpu_count": 8, "memory_bytes": ..., "gpus": [...]}
"""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from holdfast.canonical import JsonObject

__all__ = ["hardware_facts", "system_facts"]

_GPU_SECONDS_MAX = 2.0
"""`nvidia-smi` answers in well under a second; with a driver that hangs it would never answer."""

_GPU_QUERY = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
_GPU_COLUMNS = 3


def system_facts() -> JsonObject:
    """The operating system: name, kernel, C library, distribution. What cannot be known is left out."""
    known = os.uname()
    facts: JsonObject = {"system": known.sysname, "kernel": known.release, "architecture": known.machine}
    try:
        facts["libc"] = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError, AttributeError):
        facts["libc"] = ""  # not the GNU library, which alone answers to this name
    try:
        facts["distribution"] = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        facts["distribution"] = ""
    return {name: value for name, value in facts.items() if value}


def hardware_facts() -> JsonObject:
    """CPU, memory and GPUs. Runs `nvidia-smi` when there is one, for at most two seconds."""
    facts: JsonObject = {"cpu": _cpu(), "cpu_count": os.cpu_count() or 1}
    memory = _memory_bytes()
    if memory:
        facts["memory_bytes"] = memory
    if hasattr(os, "sched_getaffinity"):
        facts["cpu_usable"] = len(os.sched_getaffinity(0))
    gpus = _gpus()
    if gpus is not None:
        facts["gpus"] = gpus
    return facts


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"}:
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _gpus() -> list[JsonObject] | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, *_GPU_QUERY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GPU_SECONDS_MAX,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return [{"unreadable": f"nvidia-smi gave no answer: {type(error).__name__}"}]
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    return [{"name": row[0], "driver": row[1], "memory": row[2]} for row in rows if len(row) == _GPU_COLUMNS]
