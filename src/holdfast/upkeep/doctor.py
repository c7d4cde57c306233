"""`doctor`: is this machine, and this project, in a state to work?"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from uuid import uuid4

from holdfast.canonical import JsonObject
from holdfast.config import Settings
from holdfast.errors import HoldfastError, IntegrityError, NotFound
from holdfast.registry.interface import Registry
from holdfast.store.interface import Store
from holdfast.upkeep.remotes import Remotes

__all__ = ["Sign", "examine_machine", "examine_project"]

_FREE_BYTES_MIN = 1 << 30
"""Below a gigabyte the next snapshot or environment may not fit."""

_EXTRAS = {
    "gate": ("sklearn", "joblib"),
    "serve": ("fastapi", "uvicorn", "uvloop", "httptools"),
    "tables": ("pandas", "pyarrow"),
}
"""What each extra brings, by the module that is looked for."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked at.

    Attributes:
        name: what.
        ok: whether it is as it should be.
        sentence: what was seen.
        hint: what to do, when it is not.
        needed: whether Holdfast cannot work without it; a missing extra is worth saying and no illness.
    """

    name: str
    ok: bool
    sentence: str
    hint: str = ""
    needed: bool = True

    def to_json(self) -> JsonObject:
        """One entry of `signs`."""
        return {
            "name": self.name,
            "ok": self.ok,
            "sentence": self.sentence,
            "hint": "" if self.ok else self.hint,
            "needed": self.needed,
        }


def examine_machine(folder: Path) -> Iterator[Sign]:
    """The interpreter, the tools and the extras; `folder` is where the project is or would be."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Sign("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}", "Holdfast needs 3.11 or newer.")
    git = shutil.which("git")
    yield Sign("git", git is not None, git or "not found", "Install Git: commits pin the training code.", needed=False)
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    yield Sign("uv", uv is not None, uv or "not found", "Install it: pip install uv. It rebuilds environments.")
    free = shutil.disk_usage(folder).free
    sentence = f"{free / 1e9:.1f} GB free at {folder}"
    yield Sign("disk", free >= _FREE_BYTES_MIN, sentence, "Make room: a full disk stops every snapshot.")
    for extra, modules in _EXTRAS.items():
        absent = [name for name in modules if find_spec(name) is None]
        sentence = "installed" if not absent else f"{', '.join(absent)} not installed"
        yield Sign(f"extra {extra}", not absent, sentence, f"pip install 'holdfast[{extra}]'", needed=False)


def examine_project(settings: Settings, store: Store, registry: Registry) -> Iterator[Sign]:
    """The home, the registry and the store of one project."""
    yield Sign("home", os.access(settings.home, os.W_OK), str(settings.home), "Make the folder writable for you.")
    yield _tried("registry", lambda: f"{len(registry.models())} model(s), {len(registry.versions())} version(s)")
    yield _tried("store", lambda: _store_works(store))
    yield _tried("audit log", lambda: _log_is_whole(registry))
    yield from _index(registry)
    yield from _archives(settings, registry)
    leftovers = [path.name for path in settings.scratch.glob("*")] if settings.scratch.is_dir() else []
    sentence = f"{len(leftovers)} unfinished folder(s) in {settings.scratch}" if leftovers else "nothing left over"
    hint = f"Nothing refers to them; when no registration is running, remove {settings.scratch}."
    yield Sign("scratch", not leftovers, sentence, hint, needed=False)


def _index(registry: Registry) -> Iterator[Sign]:
    """Whether every version can be searched by what it is."""
    try:
        left = registry.search(limit=1).not_indexed
    except HoldfastError as error:
        yield Sign("index", ok=False, sentence=error.message, hint=error.hint)
        return
    sentence = f"{left} version(s) cannot be searched by what they are" if left else "every version can be searched"
    yield Sign("index", not left, sentence, "Write down what they are with: holdfast check --structure", needed=False)


def _archives(settings: Settings, registry: Registry) -> Iterator[Sign]:
    """Whether what is archived could be asked for: nothing is, over the network."""
    try:
        archives, remotes = registry.archives(), Remotes(settings.home)
        for url, some in groupby(sorted(archives, key=lambda one: one.url), key=lambda one: one.url):
            found = list(some)
            sentence = f"{len({one.digest for one in found})} archived in {found[0].remote}, {url}"
            try:
                remotes.of_archive(found[0])
                yield Sign("archive", ok=True, sentence=sentence)
            except NotFound as error:
                yield Sign("archive", ok=False, sentence=error.message, hint=error.hint)
    except HoldfastError as error:
        yield Sign("archive", ok=False, sentence=error.message, hint=error.hint)


def _tried(name: str, look: Callable[[], str]) -> Sign:
    try:
        return Sign(name, ok=True, sentence=look())
    except HoldfastError as error:
        return Sign(name, ok=False, sentence=error.message, hint=error.hint)


def _store_works(store: Store) -> str:
    # Never committed, so nothing of it stays.
    with store.writer() as writer:
        writer.add_bytes(uuid4().bytes)
    return "takes bytes"


def _log_is_whole(registry: Registry) -> str:
    found = registry.audit_verify()
    if not found.ok:
        raise IntegrityError(found.sentence, hint="See: holdfast audit verify")
    return f"{found.size} event(s), whole"
