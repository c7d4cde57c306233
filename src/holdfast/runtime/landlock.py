"""Writing below a few folders only (Linux, landlock(7)); reading stays as it was, since libraries lie everywhere."""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["write_only_below"]

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The numbers of the three calls, the same on every architecture."""

_PR_SET_NO_NEW_PRIVS = 38
_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE = 1 << 1
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))
"""Removing files and folders; making folders, files, links, pipes and devices."""

_REFER, _TRUNCATE = 1 << 13, 1 << 14
_REFER_SINCE, _TRUNCATE_SINCE, _NETWORK_SINCE, _SCOPES_SINCE = 2, 3, 4, 6
"""The versions of the interface that brought moving between folders, cutting, ports, and scopes."""

_BIND_AND_CONNECT = 0b11
_ABSTRACT_SOCKETS, _SIGNALS = 0b01, 0b10
"""Scopes: a worker sends no signal to a process outside, and reaches no socket there that has no path."""

_DEVICES = ("null", "zero", "full", "tty", "shm", "dri", "kfd", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
"""What programs write to without keeping anything: sinks, shared memory, and graphics processors."""


def write_only_below(folders: Iterable[Path], *, network: bool) -> str | None:
    """From now on this process and all that it starts create, change and remove files below `folders` and nowhere else.

    Args:
        folders: where it may write.
        network: whether TCP stays allowed; where it is not, ports are refused too, as a second wall.

    Returns:
        why the system does not do it; None when it does.
    """
    if platform.system() != "Linux":
        return f"{platform.system()} has no Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    version = _call(libc, _CREATE, None, 0, _VERSION)
    if version < 1:
        return f"this kernel has no Landlock: {os.strerror(ctypes.get_errno())}"
    on_files = _WRITE_FILE | (_TRUNCATE if version >= _TRUNCATE_SINCE else 0)
    everything = on_files | _MAKE_AND_REMOVE | (_REFER if version >= _REFER_SINCE else 0)
    attributes = struct.pack("=Q", everything)
    if version >= _NETWORK_SINCE:
        attributes += struct.pack("=Q", 0 if network else _BIND_AND_CONNECT)
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SIGNALS | (0 if network else _ABSTRACT_SOCKETS))
    rules = _call(libc, _CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return _why("landlock_create_ruleset")
    try:
        for place in (*folders, *_devices()):
            if not _allow(libc, rules, place, everything if place.is_dir() else on_files):
                return _why("landlock_add_rule")
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or _call(libc, _RESTRICT, rules, 0) != 0:
            return _why("landlock_restrict_self")
    finally:
        os.close(rules)
    return None


def _devices() -> Iterable[Path]:
    return {*(Path("/dev") / name for name in _DEVICES), *Path("/dev").glob("nvidia[0-9]*")}


def _allow(libc: ctypes.CDLL, rules: int, place: Path, access: int) -> bool:
    """Whether what lies below `place` may be written from now on; a place that is not there needs no rule."""
    with suppress(FileNotFoundError):
        handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            beneath = struct.pack("=Qi", access, handle)
            return _call(libc, _ADD, rules, _PATH_BENEATH, beneath, 0) == 0
        finally:
            os.close(handle)
    return True


def _call(libc: ctypes.CDLL, number: int, *arguments: bytes | int | None) -> int:
    # A plain integer would be passed as 32 bits, and the kernel reads 64.
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))


def _why(call: str) -> str:
    return f"{call} answered: {os.strerror(ctypes.get_errno())}"
