"""What is watched from the moment that MLflow is imported: data files as they are opened, and seeds.

The two watchers are those of `flow.capture`. They are loaded by path, as `holdfast run` loads them into a process
that may not have Holdfast: importing the package around them takes longer than everything else here together.
"""

import os
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

__all__ = ["Watch"]

_PIECES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "flow", "capture")  # noqa: PTH100, PTH118, PTH120 - pathlib costs more than the rest

_IGNORED = ("~/.mlflow", "~/.databrickscfg", "~/.cache", "~/.keras", "~/.huggingface")
"""What MLflow and libraries of models keep for themselves: secrets and downloads, and nobody's training data."""


class Watch:
    """Watches this process.

    Attributes:
        events: what was opened, as `flow.capture.opened` tells it.
        opened: the watcher of files.
        seeds: the watcher of seeds.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.opened = _piece("opened").OpenedFiles(self.events.append, _ignored())
        self.seeds = _piece("seeds").SeedWatch()
        self._on = False

    def start(self) -> None:
        """Begin to look; safe to call twice."""
        if not self._on:
            self._on = True
            self.opened.start()
            self.seeds.start()

    def stop(self) -> None:
        """Look away, put every function back, and forget what was seen; safe to call twice."""
        if self._on:
            self._on = False
            self.opened.stop()
            self.seeds.stop()
            self.events.clear()


def _ignored() -> tuple[str, ...]:
    home = os.environ.get("HOLDFAST_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    folders = [*_IGNORED, *(folder for folder in (home, cache) if folder)]
    return tuple(os.path.abspath(os.path.expanduser(folder)) for folder in folders)  # noqa: PTH100, PTH111 - as above


def _piece(name: str) -> ModuleType:
    spec = spec_from_file_location(f"_holdfast_plugin_{name}", os.path.join(_PIECES, f"{name}.py"))  # noqa: PTH118 - as above
    if spec is None or spec.loader is None:
        message = f"Holdfast is not whole: {name}.py is not in {_PIECES}"
        raise ImportError(message)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
