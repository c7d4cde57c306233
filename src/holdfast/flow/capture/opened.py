"""The files that a process opens, seen through Python's audit hook.

Standard library only, and nothing of Holdfast: this file is also executed by path inside the user's own process, whose
interpreter may be older (Python 3.8) and may not have Holdfast at all.

    opened = OpenedFiles(events.append)
    opened.start()
    ...                      # the training
    opened.stop()            # an audit hook cannot be taken out; it can be told to look away

What arrives is a tuple `(time_ns, kind, path, size, mtime_ns)`, once for each path and kind: `read` for a data file as it
was when it was opened, `write` for a file opened for writing (size and mtime_ns are 0), `move` for a written file that was
renamed (the fifth place holds the new path).
"""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import Any, Callable  # noqa: UP035 - Python 3.8, where this file also runs, knows it from here only

__all__ = ["FILES_MAX", "OpenedFiles", "is_data_path"]

FILES_MAX = 20_000
"""Paths remembered in one process: about 5 MB of memory, and more than that belongs into a snapshot of their folder."""

Event = Any
"""`(time_ns, kind, path, size or new path, mtime_ns)`; Any because the tuple differs by kind and 3.8 reads this file."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_CODE = (".py", ".pyc", ".pyi", ".pyo", ".pyx", ".so", ".pyd", ".dll", ".dylib", ".pth", ".egg-link", ".ipynb")
_FONTS = (".ttf", ".otf", ".ttc", ".afm", ".pfb", ".pfm", ".woff", ".woff2")
_LOCKS = (".lock", ".pid")
_KEYS = (".pem", ".key", ".p12", ".pfx", ".keystore")
_NEVER_SUFFIX = (*_CODE, *_FONTS, *_LOCKS, *_KEYS)

_NEVER_FOLDER = (
    "/.git/",
    "/.holdfast/",
    "/__pycache__/",
    "/site-packages/",
    "/dist-packages/",
    "/.dist-info/",
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

_NEVER_NAME = {".env", ".netrc", "_netrc", ".pgpass", ".pypirc", "pip.conf", "credentials", "id_rsa", "id_ed25519"}

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
    """Whether an absolute path can be the user's data: not code, not the interpreter's, the system's or a tool's file."""
    if path.endswith(_NEVER_SUFFIX) or path.startswith(_SYSTEM) or path.startswith(_INTERPRETER):
        return False
    if any(folder in path for folder in _NEVER_FOLDER):
        return False
    name = path[path.rfind("/") + 1 :]
    return name not in _NEVER_NAME and not name.startswith(".env.")


class OpenedFiles:
    """Watches this process open files, and tells `sink` about each data file once.

    Args:
        sink: called with each event; what it raises is counted in `failures`, never passed on to the user's code.
        ignore: a path that is never an event: the journal that the sink itself writes.

    Attributes:
        failures: how often looking failed.
        dropped: how many files were not remembered because of `FILES_MAX`.
    """

    def __init__(self, sink: Callable[[Event], object], ignore: str = "") -> None:
        self.failures = 0
        self.dropped = 0
        self.ignore = ignore
        self._sink = sink
        self._on = False
        self._installed = False
        self._read: set[str] = set()
        self._written: set[str] = set()

    def start(self) -> None:
        """Begins to look. The hook itself is installed once and stays for the life of the process."""
        self._on = True
        if not self._installed:
            self._installed = True
            sys.addaudithook(self._hook)

    def stop(self) -> None:
        """Looks away: each event then costs one attribute."""
        self._on = False

    def _hook(self, event: str, args: Any) -> None:
        if not self._on:
            return
        try:
            if event == "open":
                self._opened(args[0], args[2])
            elif event == "os.rename":
                self._moved(args[0], args[1])
        except Exception:  # noqa: BLE001 - the edge of the user's process: their open() must not fail because we looked
            self.failures += 1

    def _opened(self, path: Any, flags: Any) -> None:
        name = _text(path)
        if name is None or name == self.ignore:
            return
        name = os.path.abspath(name)
        if not is_data_path(name):
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
