"""Nothing that the plugin does fails the user's script: what goes wrong is one warning."""

import logging
import os
from collections.abc import Callable
from typing import TypeVar

__all__ = ["MODE", "quietly", "turned_off"]

MODE = "HOLDFAST_MLFLOW"
"""The variable that turns the plugin off (`off`), or has it tell where something went wrong (`debug`)."""

_MESSAGE_CHARACTERS_MAX = 300
"""Of an error's text in a warning: enough to recognise it, too little to bury the script's own output."""

T = TypeVar("T")

_LOG = logging.getLogger("holdfast")
_told: set[str] = set()
"""What was warned of in this process: a sweep of a hundred runs need not hear the same thing a hundred times."""


def turned_off() -> bool:
    """Whether the user wants none of it."""
    return os.environ.get(MODE, "").lower() in {"off", "0", "false"}


def quietly(what: str, call: Callable[[], T], otherwise: T) -> T:
    """What `call` gives; if it raises, `otherwise`, and a warning the first time that this happens to `what`."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the edge of the user's script: it goes on as if we were not here
        if what not in _told:
            _told.add(what)
            said = f"{type(error).__name__}: {error}"[:_MESSAGE_CHARACTERS_MAX]
            _LOG.warning(
                "%s could not be kept: %s. MLflow's own run is whole. %s=debug shows more, %s=off turns this off.",
                *(what, said, MODE, MODE),
                exc_info=os.environ.get(MODE, "").lower() == "debug",
            )
        return otherwise
