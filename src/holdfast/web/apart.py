"""Work done in a process of its own, of which nothing is left in this one: for what does not outlive a fork.

The library that speaks to buckets keeps threads from its first request on. A process forked after that has the library
and not its threads, and waits for them for ever.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

from holdfast.errors import HoldfastError, Unavailable

__all__ = ["apart"]


def apart(work: Callable[[], object]) -> None:
    """Do `work` in another process, and wait for it.

    Raises:
        HoldfastError: what it raised there.
        Unavailable: the process ended in another way, which it told on standard error.
    """
    forking = multiprocessing.get_context("fork")
    ours, theirs = forking.Pipe(duplex=False)
    process = forking.Process(target=_done, args=(work, theirs))
    process.start()
    theirs.close()
    try:
        error: HoldfastError | None = ours.recv()
    except EOFError:
        error = None
    finally:
        ours.close()
        process.join()
    if error is not None:
        raise error
    if process.exitcode != 0:
        raise Unavailable(f"the process that looked ended with {process.exitcode}", hint="What it said is above.")


def _done(work: Callable[[], object], answer: Connection) -> None:
    try:
        work()
    except HoldfastError as error:
        answer.send(error)
    finally:
        answer.close()
