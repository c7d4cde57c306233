"""The files that a process opens, seen through Python's audit hook.

Standard library only, and nothing of Holdfast: this file is also executed by path inside the user's own process, whose
interpreter may be older (Python 3.8) and may not have Holdfast at all.

    opened = OpenedFiles(events.append)
    opened.start()
    ...                      # the training
    opened.stop()            # the hook cannot be taken out; with nobody to tell, it looks away

What arrives is a tuple `(time_ns, kind, path, size, mtime_ns)`, once for each path and kind: `read` for a data file as
it was when opened; `write` for a file opened for writing, with zeros for size and time; `move` for a written file
that was renamed, the new path in the fourth place; `database` for an SQLite file, which SQLite then reads by itself.
"""

# Importing pathlib would cost every process more than everything else here together.
# ruff: noqa: PTH100, PTH116, PTH118, PTH120

from __future__ import annotations

import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is never imported: that alone would take as long as everything else here
    from collections.abc import Callable
    from typing import Any

__all__ = ["FILES_MAX", "OpenedFiles", "is_data_path"]

FILES_MAX = 20_000
"""Paths remembered in one process: about 5 MB of memory; more belong into a snapshot."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_EVENTS = {"open": "open", "os.rename": "move", "sqlite3.connect": "connect"}

_CODE = (".py", ".pyc", ".pyi", ".pyo", ".pyx", ".so", ".pyd", ".dll", ".dylib", ".pth", ".egg-link", ".ipynb")
_FONTS = (".ttf", ".otf", ".ttc", ".afm", ".pfb", ".pfm", ".woff", ".woff2")
_LOCKS = (".lock", ".pid")
_KEYS = (".pem", ".key", ".p12", ".pfx", ".keystore")
_NEVER_SUFFIX = (*_CODE, *_FONTS, *_LOCKS, *_KEYS)

_NEVER_FOLDER = (
    "/.git/",
    "/.holdfast/",
    "/.local/state/",
    "/holdfast/logs/",  # what was seen of each log, wherever XDG_STATE_HOME is
    "/holdfast-table-",  # where a table is written on its way into the store
    "/__pycache__/",
    "/site-packages/",
    "/dist-packages/",
    ".dist-info/",
    ".egg-info/",
    "/.config/",
    "/.ipython/",
    "/.jupyter/",
    "/.aws/",
    "/.ssh/",
    "/.gnupg/",
    "/.kube/",
    "/.docker/",
    "/.azure/",
    "/matplotlib/fontlist",
)
"""Tools' own folders, and folders where secrets live: a key that a script reads is not training data."""

_NEVER_NAME = {"holdfast.toml", ".holdfastignore", ".git"}  # the last is a file where a working tree is one of several
_NEVER_NAME |= {".env", ".netrc", "_netrc", ".pgpass", ".pypirc", "pip.conf", "credentials", "id_rsa", "id_ed25519"}

_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/run/", "/usr/lib/", "/usr/lib64/", "/usr/share/", "/usr/include/")

_SHARED_PREFIXES = {"/", "/usr", "/usr/local", "/opt", "/opt/homebrew"}
"""Prefixes that hold more than Python (`/usr/src/app` is where many containers keep their project)."""

_INSIDE_SHARED = ("lib", "lib64", "bin", "share", "include", "etc")


def _interpreter_folders() -> tuple[str, ...]:
    folders = {os.path.dirname(os.__file__)}
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix):
        if prefix in _SHARED_PREFIXES:
            folders.update(os.path.join(prefix, name) for name in _INSIDE_SHARED)
        else:
            folders.add(prefix)
    return tuple(sorted(folder.rstrip("/") + "/" for folder in folders if folder))


_INTERPRETER = _interpreter_folders()


def is_data_path(path: str) -> bool:
    """Whether an absolute path can be the user's data: not code, no file of the interpreter, the system or a tool."""
    if path.endswith(_NEVER_SUFFIX) or path.startswith(_SYSTEM) or path.startswith(_INTERPRETER):
        return False
    if any(folder in path for folder in _NEVER_FOLDER):
        return False
    name = path[path.rfind("/") + 1 :]
    return name not in _NEVER_NAME and not name.startswith(".env.")


_watching: list[OpenedFiles] = []
_installed: list[bool] = []
"""One hook for the life of the process, because Python cannot take one out; any number of watchers come and go."""


def _hook(event: str, args: Any) -> None:
    if not _watching:
        return
    kind = _EVENTS.get(event)
    if kind is not None:
        for watcher in tuple(_watching):
            watcher.see(kind, args)


class OpenedFiles:
    """Watches this process open files, and tells `sink` about each data file once.

    Args:
        sink: called with each event; what it raises is counted in `failures`, never passed on to the user's code.
        ignore: beginnings of paths that are never events, such as the folder that the sink itself writes to.

    Attributes:
        failures: how often looking failed.
        dropped: how many files were not remembered because of `FILES_MAX`.
    """

    def __init__(self, sink: Callable[[Any], object], ignore: tuple[str, ...] = ()) -> None:
        self.failures = 0
        self.dropped = 0
        self._ignore = ignore
        self._sink = sink
        self._read: set[str] = set()
        self._written: set[str] = set()

    def start(self) -> None:
        """Begins to look."""
        if not _installed:
            _installed.append(True)
            sys.addaudithook(_hook)
        _watching.append(self)

    def stop(self) -> None:
        """Looks away."""
        if self in _watching:
            _watching.remove(self)

    def see(self, kind: str, args: Any) -> None:
        """One event of the interpreter; never raises."""
        try:
            if kind == "open":
                self._opened(args[0], args[2])
            elif kind == "move":
                self._moved(args[0], args[1])
            else:
                self._connected(args[0])
        except Exception:  # noqa: BLE001 - the edge of the user's process: their open() must not fail because we looked
            self.failures += 1

    def _opened(self, path: Any, flags: Any) -> None:
        name = _text(path)
        if name is None:
            return
        name = os.path.abspath(name)
        if not is_data_path(name) or name.startswith(self._ignore):
            return
        writing = bool(flags & _WRITES)
        # "r+" on a file that exists reads it as well; every other way of writing begins a new file or adds at the end.
        reading = not writing or (flags & _WRITES) == os.O_RDWR
        if reading and name not in self._read and name not in self._written:
            self._seen_reading(name)
        if writing and name not in self._written and self._room():
            self._written.add(name)
            self._sink((time.time_ns(), "write", name, 0, 0))

    def _seen_reading(self, name: str) -> None:
        try:
            found = os.stat(name)
        except OSError:
            return  # The open is about to fail in the same way; that is between the user and the file system.
        if stat.S_ISREG(found.st_mode) and self._room():
            self._read.add(name)
            self._sink((time.time_ns(), "read", name, found.st_size, found.st_mtime_ns))

    def _moved(self, source: Any, target: Any) -> None:
        before, after = _text(source), _text(target)
        if before is None or after is None or os.path.abspath(before) not in self._written:
            return
        before, after = os.path.abspath(before), os.path.abspath(after)
        self._written.discard(before)
        self._written.add(after)
        self._sink((time.time_ns(), "move", before, after, 0))

    def _connected(self, database: Any) -> None:
        name = _text(database)
        if not name or name == ":memory:":
            return
        name = os.path.abspath(name.partition("?")[0].replace("file:", "", 1) if name.startswith("file:") else name)
        if is_data_path(name) and not name.startswith(self._ignore) and name not in self._read and self._room():
            self._read.add(name)
            self._sink((time.time_ns(), "database", name, 0, 0))

    def _room(self) -> bool:
        if len(self._read) + len(self._written) < FILES_MAX:
            return True
        self.dropped += 1
        return False


def _text(path: Any) -> str | None:
    """The path as text; None for a descriptor, whose path was seen when it was opened."""
    if isinstance(path, str):
        return path
    if isinstance(path, int) or path is None:
        return None
    return os.fsdecode(path)
