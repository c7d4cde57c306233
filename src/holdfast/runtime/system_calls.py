"""System calls that a worker is refused: a filter in the kernel (Linux, seccomp(2)), which no later code can lift.

What may open a connection is refused where the network is; what reaches into another process, or leaves the worker's
session, always is. `io_uring_setup` is among the first, since a ring opens sockets without any call that a filter sees.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["refuse_calls"]


@dataclass(frozen=True, slots=True)
class _Machine:
    """One architecture: its name for audits, and the numbers of calls (linux/audit.h, asm/unistd.h)."""

    audit: int
    seccomp: int
    network: tuple[int, ...]
    """socket, io_uring_setup"""
    reaching: tuple[int, ...]
    """ptrace, process_vm_readv, process_vm_writev, pidfd_getfd, setsid, setpgid"""
    foreign_from: int | None
    """The first number of a second table of calls that the same processor understands."""


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 317, (41, 425), (101, 310, 311, 438, 112, 109), 0x40000000),
    "aarch64": _Machine(0xC00000B7, 277, (198, 425), (117, 270, 271, 438, 157, 154), None),
}

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANSWER = 0x20, 0x15, 0x35, 0x06
"""Instructions of the filter's machine (linux/bpf_common.h): load a word, compare and skip, answer."""
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
"""Where the call's number and architecture stand in what a filter is given (linux/seccomp.h)."""


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_calls(*, network: bool) -> str | None:
    """From now on this process and all that it starts get an error for the calls; nothing brings them back.

    Args:
        network: whether connections stay allowed.

    Returns:
        why the system does not do it; None when it does.
    """
    machine = _MACHINES.get(platform.machine()) if platform.system() == "Linux" else None
    if machine is None:
        return f"there is no filter of system calls for {platform.system()} on {platform.machine()}"
    program = b"".join(_instructions(machine, network=network))
    libc = ctypes.CDLL(None, use_errno=True)
    given = _Program(len(program) // 8, program)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return _why("prctl")
    # A plain integer would be passed as 32 bits, and the kernel reads 64.
    numbers = [ctypes.c_long(one) for one in (machine.seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC)]
    if libc.syscall(*numbers, ctypes.byref(given)) != 0:
        return _why("seccomp")
    return None


def _instructions(machine: _Machine, *, network: bool) -> Iterable[bytes]:
    # A call in the manner of another architecture has other numbers: none of them is let through.
    yield _step(_LOAD, _ARCHITECTURE_AT)
    yield _step(_EQUAL, machine.audit, 1, 0)
    yield _step(_ANSWER, _ERRNO | errno.EPERM)
    yield _step(_LOAD, _NUMBER_AT)
    if machine.foreign_from is not None:
        yield _step(_AT_LEAST, machine.foreign_from, 0, 1)
        yield _step(_ANSWER, _ERRNO | errno.EPERM)
    refused = dict.fromkeys(machine.reaching, errno.EPERM)
    if not network:
        # socket(2) says EACCES where a socket may not be created.
        refused |= dict.fromkeys(machine.network, errno.EACCES)
    for number, error in refused.items():
        yield _step(_EQUAL, number, 0, 1)
        yield _step(_ANSWER, _ERRNO | error)
    yield _step(_ANSWER, _ALLOW)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One `struct sock_filter`."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _why(call: str) -> str:
    return f"{call} answered: {os.strerror(ctypes.get_errno())}"
