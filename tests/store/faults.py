"""A disk that fails at one chosen call: `Failing` counts the calls of `os` that write, and spoils the n-th."""

import os
import signal
from collections.abc import Callable
from typing import Any

CALLS = ("open", "write", "fsync", "rename", "replace", "link", "unlink", "mkdir")
"""Every call on the way of a blob; `open` only when it creates."""


class Failing:
    """Stands in for the calls; `at` counts from 1, and `act` happens in the place of that call."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.count = 0
        self.armed = False
        self._at, self._act = at, act
        self._real = {name: getattr(os, name) for name in CALLS}

    def install(self, replace: Callable[[object, str, object], None]) -> None:
        for name in CALLS:
            replace(os, name, self._standing_in(name))

    def _standing_in(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(*args: Any, **named: Any) -> Any:
            if self.armed and (name != "open" or args[1] & os.O_CREAT):
                self.count += 1
                if self.count == self._at:
                    self._act()
            return real(*args, **named)

        return call


def fail(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
