"""A disk that fails: `Failing` counts the calls of `os` that write, and spoils the n-th; `Full` takes so many bytes."""

import errno
import os
import signal
from collections.abc import Callable
from threading import Lock
from typing import Any

import pytest

CALLS = ("open", "write", "fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
"""Every call on the way of a blob."""


class Failing:
    """Stands in for the calls; `at` counts from 1, and `act` happens in the place of that call.

    `open` counts only when it creates, unless `all_opens` is set.
    """

    def __init__(self, at: int, act: Callable[[], None], *, all_opens: bool = False) -> None:
        self.count = 0
        self.armed = False
        self._at, self._act, self._all_opens = at, act, all_opens
        self._real = {name: getattr(os, name) for name in CALLS}
        self._lock = Lock()

    def install(self, replace: Callable[[object, str, object], None]) -> None:
        for name in CALLS:
            replace(os, name, self._standing_in(name))

    def _standing_in(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*args: Any, **named: Any) -> Any:
            if self.armed and (name != "open" or self._all_opens or args[1] & os.O_CREAT):
                with self._lock:
                    self.count += 1
                    now = self.count == self._at
                if now:
                    self._act()
            return real(*args, **named)

        return call


class Full:
    """A disk that takes so many bytes more, the last of them in a write that it takes half of."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left: int | None = None
        self._real = os.write
        patch.setattr(os, "write", self._write)

    def after(self, size: int | None) -> None:
        """Be full after so many bytes; None takes them all."""
        self._left = size

    def _write(self, descriptor: int, data: bytes) -> int:
        if self._left is None:
            return self._real(descriptor, data)
        if not self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._real(descriptor, data[: self._left])
        self._left -= taken
        return taken


def fail(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
