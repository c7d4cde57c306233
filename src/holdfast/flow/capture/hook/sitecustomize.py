"""Runs first in every Python process below `holdfast run`, and writes down what the process did.

Python imports a module of this name at start-up from the first folder on its path that has one; `run_command` puts
this folder first. The user's process must behave as if this file were not here: nothing is printed, nothing is raised,
another `sitecustomize` that would have been imported still is, and every failure of ours becomes a line in the journal.

The journal is one file of JSON lines for each process, in the folder that `HOLDFAST_CAPTURE` names: a `start` line, a
line for each data file at the moment it is opened (so that a killed process leaves what it saw), and an `end` line with
what is known only then. The file is opened for each line and closed again: a descriptor that we kept could be closed by
a daemon and come back as the user's own file.

Standard library only; runs on Python 3.8 and later, and does nothing on older ones, which have no audit hooks.
"""  # noqa: INP001 - a folder on the path, not a package: Python must find this module by its bare name

# Importing pathlib would cost every process more than everything else here together.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import atexit
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is never imported: that alone would take as long as everything else here
    from typing import Any

_PIECES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _load(name: str) -> Any:
    """A module beside this folder, loaded by path: no package of ours need be importable here."""
    loader = type(__loader__)(f"_holdfast_{name}", os.path.join(_PIECES, f"{name}.py"))  # type: ignore[name-defined]
    module = type(sys)(loader.name)
    module.__file__ = loader.path
    module.__loader__ = loader
    loader.exec_module(module)
    return module


try:
    # The C function alone costs nothing; the whole of json costs several milliseconds at each start.
    from _json import encode_basestring_ascii as _quoted
except ImportError:
    from json.encoder import py_encode_basestring_ascii as _quoted


def _plain(value: Any) -> str:
    """The JSON of a value."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_plain(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(str(name))}:{_plain(item)}" for name, item in value.items()) + "}"
    return str(_quoted(str(value)))


class _Journal:
    """Appends lines to this process's file."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.path = ""
        self.begin()

    def begin(self) -> None:
        """A file of this process's own; after a fork the child begins again. Nothing is written until there is need."""
        self.pid = os.getpid()
        self.path = os.path.join(self._folder, f"{self.pid}-{time.time_ns()}.jsonl")

    def start(self) -> None:
        """The first line: which process this is."""
        argv = getattr(sys, "orig_argv", None) or list(sys.argv)
        self.line(
            "start",
            time_ns=time.time_ns(),
            pid=self.pid,
            parent=os.getppid(),
            executable=sys.executable or "",
            prefix=sys.prefix,
            argv=argv,
        )

    def event(self, event: Any) -> None:
        """A line for one event of `OpenedFiles`."""
        self.line("event", event=event)

    def line(self, kind: str, **fields: Any) -> None:
        """One line; written whole or, when the folder is gone because the run is over, not at all."""
        text = _plain({"kind": kind, **fields})
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            return
        try:
            os.write(descriptor, text.encode() + b"\n")
        finally:
            os.close(descriptor)


class _Watcher:
    """Everything that is switched on at the start and read at the end."""

    def __init__(self, folder: str) -> None:
        self.journal = _Journal(folder)
        homes = (folder, os.environ.get("HOLDFAST_HOME"))
        ignore = tuple(os.path.join(os.path.abspath(home), "") for home in homes if home)
        self.opened = _load("opened").OpenedFiles(self._seen, ignore)
        seed = os.environ.get("HOLDFAST_SEED")
        self.seeds = _load("seeds").SeedWatch(int(seed) if seed else None)
        self._modules_before = frozenset(sys.modules)
        self._pid = os.getpid()

    def _seen(self, event: Any) -> None:
        if self.journal.pid != os.getpid():  # a fork that os.register_at_fork did not hear of
            self.journal.begin()
        self.journal.event(event)

    def start(self) -> None:
        """Switches everything on."""
        self.journal.start()
        self.opened.start()
        self.seeds.start()
        os.register_at_fork(after_in_child=self.journal.begin)
        # Registered first, so that it runs last: what the user's own exit functions open is seen too.
        atexit.register(self.end)

    def _facts(self) -> Any:
        """What `probe.py` knows; nothing in a forked child, which shares its parent's."""
        if self._pid != os.getpid() or (_interrupted() and not {"json", "re"} <= set(sys.modules)):
            return {}
        path = list(sys.path)
        library = os.path.dirname(os.__file__)
        # A file of the user's that is called json.py or csv.py must not run now because a piece of ours imports.
        sys.path[:] = [library, os.path.join(library, "lib-dynload")]
        try:
            probe = _load("probe")
        finally:
            sys.path[:] = path
        return probe.process_facts(path, set(sys.modules) - self._modules_before)

    def end(self) -> None:
        """The last line."""
        try:
            self.opened.stop()
            self.journal.line(
                "end",
                time_ns=time.time_ns(),
                seeds=self.seeds.calls(),
                facts=self._facts(),
                dropped=self.opened.dropped,
                failures=self.opened.failures + self.seeds.failures,
            )
        except Exception as error:  # noqa: BLE001 - the edge of the user's process: it ends as it would have ended
            self.journal.line("failed", why=f"at the end: {type(error).__name__}: {error}"[:500])


def _interrupted() -> bool:
    """Whether Ctrl-C is ending this process.

    Python then ends itself by the signal, so that a shell's loop ends too, but forgets to if any code is compiled from
    text on the way out, as importing `json` does. Such an import must not happen then because of us.
    """
    last = getattr(sys, "last_type", None)
    return isinstance(last, type) and issubclass(last, KeyboardInterrupt)


def _begin() -> None:
    folder = os.environ.get("HOLDFAST_CAPTURE")
    if not folder or not hasattr(sys, "addaudithook"):
        return
    try:
        _Watcher(folder).start()
    except Exception as error:  # noqa: BLE001 - the edge of the user's process: it starts as it would have started
        _Journal(folder).line("failed", why=f"at the start: {type(error).__name__}: {error}"[:500])


def _chain() -> None:
    """Imports the `sitecustomize` that would have been imported without us; what it raises is its own affair."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        # The import system wants to find an entry when it comes back from us.
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


_begin()
_chain()
