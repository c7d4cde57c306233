"""What runs a version: a process on this machine, or something like it elsewhere."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError
from holdfast.serving.opening import Opened
from holdfast.serving.queueing import Batching
from holdfast.serving.worker import Worker

__all__ = ["LOCAL", "Engine", "Runner"]


class Runner(Protocol):
    """One version, open somewhere, and started again when it dies.

    Everything is called on one event loop, and nothing may block it.
    """

    @property
    def up(self) -> bool:
        """Whether it could be asked now."""
        ...

    @property
    def waiting(self) -> int:
        """Requests that were handed over and not answered, as far as they wait in this process."""
        ...

    @property
    def error(self) -> HoldfastError | None:
        """Why it is not up; None while it is."""
        ...

    async def open(self) -> None:
        """Start it, and wait until it has the bundle open.

        Raises:
            BundleFailed: the bundle's code or weights raised, or the process could not be started or ended.
            IntegrityError: a file of the bundle is damaged.
            Unavailable: it took longer than `SECONDS_MAX`.
        """
        ...

    def ask(self, header: bytes, body: bytes, seconds: float) -> "asyncio.Future[bytes]":
        """Hand over one frame; the future gets the body of the answer, or the error that was answered.

        Raises:
            Unavailable: it is being restarted, or too much waits for it already; the future raises it when `seconds`
                have passed.
        """
        ...

    def gather(self, batching: Batching) -> None:
        """From now on answer together what gathers while it is busy."""
        ...

    async def until_up(self) -> None:
        """Wait for one that is being restarted.

        Raises:
            Unavailable: it did not come back within `SECONDS_MAX`.
        """
        ...

    async def close(self) -> None:
        """End it; safe to call twice."""
        ...


Engine: TypeAlias = Callable[[str, Opened, JsonObject, Callable[[], None]], Runner]
"""Makes the runner of a version from its name for messages, its bundle, what stamps its answers, and whom to tell when
it goes down or comes up again; nothing is started yet."""

LOCAL: Engine = Worker
"""A worker process on this machine for each version."""
