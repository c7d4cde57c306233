"""What a worker met when it met a limit: a sentence that names it, and what to do.

A limit shows itself as an error in somebody's code, or as the signal that ended the process; neither says what it was.
"""

import errno
import signal
import socket
from collections.abc import Iterator

from holdfast.errors import BundleFailed
from holdfast.runtime.confine import FILE_SIZE, FILES, MEMORY, NETWORK, Walls
from holdfast.runtime.limits import Limits

__all__ = ["how_it_ended", "said_with_limit"]

_CAUSES_MAX = 20
"""Errors that are followed back from the one that arrived; libraries of HTTP wrap one into four or five."""

_GIB = 1 << 30

_MORE_MEMORY = "Ask for less memory at once, or let the stage give more: worker_memory_bytes_max in holdfast.toml."
_MORE_TIME = "See what its code waits for, or let the stage give more time: worker_seconds_max in holdfast.toml."


def said_with_limit(error: BundleFailed, limits: Limits, walls: Walls) -> BundleFailed:
    """The same error, with the limit that caused it where one did."""
    found = next((told for cause in _causes(error) if (told := _met(cause, limits, walls)) is not None), None)
    if found is None:
        return error
    name, sentence, hint = found
    return BundleFailed(f"{sentence}: {error.message}", hint=hint, **{**error.details, "limit": name})


def _met(cause: BaseException, limits: Limits, walls: Walls) -> tuple[str, str, str] | None:
    if isinstance(cause, MemoryError) and MEMORY in walls.held:
        return MEMORY, f"the memory limit{_much(limits)} was reached", _MORE_MEMORY
    if not isinstance(cause, OSError):
        return None
    refused = cause.errno == errno.EACCES
    # Only creating a socket is refused without a file's name; a name that cannot be looked up is the same refusal.
    if NETWORK in walls.held and ((refused and cause.filename is None) or isinstance(cause, socket.gaierror)):
        return (
            NETWORK,
            "it tried to use the network, which is refused here",
            "Put what it fetches into the bundle; or let the stage allow it: worker_network = true in holdfast.toml.",
        )
    if FILES in walls.held and refused and cause.filename is not None:
        return (
            FILES,
            "a file was refused: a worker changes files in its temporary folder and nowhere else",
            "Write to tempfile.gettempdir() only; the bundle and everything else can be read.",
        )
    if FILE_SIZE in walls.held and cause.errno == errno.EFBIG:
        return (
            FILE_SIZE,
            f"a file that it wrote reached the limit of {limits.file_bytes_max / _GIB:.3g} GiB",
            "Keep what answers need in the bundle, and write less.",
        )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(_CAUSES_MAX):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


def _much(limits: Limits) -> str:
    if limits.memory_bytes_max is None:
        return ", which is all that this machine has,"
    return f" of {limits.memory_bytes_max / _GIB:.3g} GiB"


def how_it_ended(code: int | None, limits: Limits) -> BundleFailed:
    """The error for a worker whose process has ended, or has left the conversation.

    Args:
        code: as `subprocess.Popen.returncode` has it; None when the process is still there.
        limits: that it ran under.
    """
    if code is None:
        ended, hint = "ended the conversation", "Its code closed, or wrote to, a file that it did not open."
    elif code >= 0:
        ended, hint = f"ended with exit code {code}", "Its standard error says why."
    elif code == -signal.SIGXCPU:
        ended = f"ended by signal {-code}: it had used {limits.cpu_seconds_max} s of processor time"
        hint = _MORE_TIME
    elif code == -signal.SIGKILL:
        ended = f"ended by signal {-code}, which is usually the system's answer to a lack of memory"
        hint = _MORE_MEMORY
    elif code == -signal.SIGABRT:
        ended = f"ended by signal {-code}: native code gave up, as it does where memory is refused"
        hint = f"Its standard error says why. {_MORE_MEMORY}"
    else:
        ended, hint = f"ended by signal {-code}", "Its standard error says why; native code has crashed."
    return BundleFailed(f"the process that ran the bundle {ended}", hint=hint, exit_code=code)
