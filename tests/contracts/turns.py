"""One adapter made of several on the same database."""

import itertools
from typing import Any


class InTurns:
    """Gives each call to the next of several adapters, so that nothing can rest on what one process remembers."""

    def __init__(self, *adapters: object) -> None:
        self._turns = itertools.cycle(adapters)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._turns), name)
