"""What a Python process is: its interpreter, what is installed in it, and which of that it used.

Standard library only, and nothing of Holdfast: this file is also executed by path inside the user's own process, whose
interpreter may be older (Python 3.8) and may not have Holdfast at all.

    process_facts()                               everything below, as one JSON object
    installed()                                   every distribution on the path
    used_distributions(["sklearn", "train"])      scikit-learn and what it requires

Reads the records of installed distributions (`*.dist-info`, `*.egg-info`) itself: for a hundred of them that takes a
few milliseconds, where importing `importlib.metadata` and asking it takes more than a hundred.
"""

# Importing pathlib would cost every process more than everything else here together.
# ruff: noqa: PTH100, PTH112, PTH118, PTH119, PTH120, PTH123, PTH202, PTH208

from __future__ import annotations

import json
import os
import re
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is never imported: that alone would take as long as everything else here
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Installed", "installed", "interpreter_facts", "json_line", "process_facts", "used_distributions"]

_RECORD_BYTES_MAX = 16 * 1024 * 1024
"""A list of installed files longer than this (hundreds of thousands of files) is not searched for module names."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_FIRST_SEGMENT = re.compile(r"^([^/,\n]+)", re.MULTILINE)
_STARTUP_MODULES = {"_distutils_hack", "__main__", "__mp_main__", "sitecustomize", "usercustomize"}

_NATIVE_READERS = {"pyarrow", "polars", "h5py", "tables", "netCDF4", "cv2", "lmdb", "duckdb", "rasterio", "soundfile"}
_NATIVE_READERS |= {"tensorflow", "torchvision", "torchaudio", "xgboost", "lightgbm", "catboost"}
"""Libraries that can open files without Python, and so unseen."""


class Installed:
    """One installed distribution.

    Attributes:
        name: as its author writes it.
        version: its version; empty when its record is damaged.
        origin: where it was installed from when that is not an index: a folder or a URL, as recorded; else "".
        editable: whether its code is the folder in `origin` itself.
        folder: the folder on the path in which it was found.
        requires: its requirements, as written.
    """

    def __init__(self, folder: str, record: str) -> None:
        self.folder = folder
        self._record = os.path.join(folder, record)
        head = self._read("METADATA") or self._read("PKG-INFO") or _text(self._record)
        fields = [line.partition(": ") for line in head.partition("\n\n")[0].splitlines()]
        stem = record.rpartition(".")[0]
        self.name = next((value for key, _, value in fields if key == "Name"), "").strip() or stem.partition("-")[0]
        self.version = next((value for key, _, value in fields if key == "Version"), "").strip()
        self.requires = [value for key, _, value in fields if key == "Requires-Dist"]
        if record.endswith(".egg-info"):
            self.requires = self._read("requires.txt").partition("[")[0].split("\n")
        self.origin, self.editable = self._direct()

    @property
    def key(self) -> str:
        """The name in the form in which two spellings are equal."""
        return _key(self.name)

    def _read(self, name: str) -> str:
        return _text(os.path.join(self._record, name))

    def _direct(self) -> tuple[str, bool]:
        try:
            direct = json.loads(self._read("direct_url.json") or "{}")
        except ValueError:
            direct = {}
        if direct:
            vcs = direct.get("vcs_info") or {}
            commit = f"@{vcs['commit_id']}" if "commit_id" in vcs else ""
            prefix = f"{vcs['vcs']}+" if "vcs" in vcs else ""
            editable = bool((direct.get("dir_info") or {}).get("editable"))
            return f"{prefix}{direct.get('url', '')}{commit}", editable
        # A record beside the code itself, outside every installation folder: a development install of the old kind.
        if os.path.basename(self.folder) not in {"site-packages", "dist-packages"} and self._record.endswith(
            "egg-info"
        ):
            return f"file://{self.folder}", True
        return "", False

    def provides(self) -> set[str]:
        """The top-level modules that it brings."""
        listed = self._read("top_level.txt").split()
        if not listed:
            listed = _FIRST_SEGMENT.findall(self._read("RECORD"))
            listed = [name.partition(".")[0] for name in listed if "-info" not in name and name != "__pycache__"]
        return {name for name in listed if name} or {self.key.replace("-", "_")}


def _text(path: str) -> str:
    try:
        if os.path.getsize(path) > _RECORD_BYTES_MAX or os.path.isdir(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(path: list[str] | None = None) -> list[Installed]:
    """The distributions on `path` (`sys.path` by default), by name; of two with one name, the one that is imported."""
    found: dict[str, Installed] = {}
    for folder in sys.path if path is None else path:
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"):
                one = Installed(os.path.abspath(folder), name)
                found.setdefault(one.key, one)
    return sorted(found.values(), key=lambda one: one.key)


def used_distributions(
    module_names: Iterable[str], path: list[str] | None = None, leave_out: tuple[str, ...] = ("holdfast",)
) -> list[Installed]:
    """The distributions that bring these modules, and everything that they require and is installed.

    Markers are read conservatively: a requirement that is installed counts, whatever its marker says, except one that
    belongs to an extra that nobody asked for. What only `leave_out` needs is left out, unless the project names it too.
    """
    return _used({one.key: one for one in installed(path)}, module_names, leave_out)


def _used(known: dict[str, Installed], module_names: Iterable[str], leave_out: tuple[str, ...]) -> list[Installed]:
    tops = {name.partition(".")[0] for name in module_names}
    roots = _bringing(tops, known)
    ours = {_key(name) for name in leave_out}
    if ours & roots:
        direct = _bringing(_named_by_project(tops, known), known)
        roots -= ours | (_closure(ours & roots, known) - direct)
    return [known[key] for key in sorted(_closure(roots, known) - ours)]


def _bringing(tops: set[str], known: dict[str, Installed]) -> set[str]:
    standard = set(getattr(sys, "stdlib_module_names", ())) | set(sys.builtin_module_names) | _STARTUP_MODULES
    left = {name for name in tops - standard if not name.startswith("__editable__")}
    roots = set()
    for name in sorted(left):
        one = known.get(_key(name))
        if one is not None and (one.editable or name in one.provides()):
            roots.add(one.key)
            left.discard(name)
    editable = [one for one in known.values() if one.editable]
    places = tuple({one.folder + os.sep for one in known.values()})
    for name in sorted(left):
        file = _file(sys.modules.get(name))
        roots.update(one.key for one in editable if file.startswith(one.origin[7:] + os.sep))
        if file and not file.startswith(places):
            left.discard(name)
    if left:
        roots.update(one.key for one in known.values() if one.key not in roots and left & one.provides())
    return roots


def _closure(roots: set[str], known: dict[str, Installed]) -> set[str]:
    waiting = [(key, "") for key in roots]
    seen = set()
    while waiting:
        key, extras = waiting.pop()
        if (key, extras) in seen or key not in known:
            continue
        seen.add((key, extras))
        for requirement in known[key].requires:
            text, _, marker = requirement.partition(";")
            match = _REQUIREMENT.match(text)
            wanted = _EXTRA.findall(marker)
            if match and (not wanted or set(wanted) & set(extras.split(","))):
                waiting.append((_key(match.group(1)), (match.group(2) or "").replace(" ", "")))
    return {key for key, _ in seen}


def _file(module: Any) -> str:
    found = getattr(module, "__file__", None)
    if isinstance(found, str):
        return os.path.abspath(found)
    folders = list(getattr(module, "__path__", None) or ())
    return os.path.abspath(str(folders[0])) + os.sep if folders else ""


def _named_by_project(tops: set[str], known: dict[str, Installed]) -> set[str]:
    """The top-level modules that the project's own modules name: modules, and things defined in them."""
    places = tuple({one.folder + os.sep for one in known.values() if not one.editable})
    library = os.path.dirname(os.__file__) + os.sep
    named = set()
    for name, module in list(sys.modules.items()):
        file = _file(module)
        if name.partition(".")[0] == "holdfast" or (
            file.startswith((*places, library)) or (not file and name != "__main__")
        ):
            continue
        for value in list(vars(module).values()):
            owner = value.__name__ if isinstance(value, type(sys)) else getattr(value, "__module__", None)
            if isinstance(owner, str):
                named.add(owner.partition(".")[0])
    return named & tops


def interpreter_facts() -> dict[str, Any]:
    """This interpreter: which, where, and how it was started."""
    flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if name[0] != "_" and name[:2] != "n_"}
    return {
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "build": sys.version.replace("\n", " "),
        "executable": sys.executable or "",
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "flags": {name: int(value) for name, value in flags.items() if isinstance(value, int) and value},
        "file_system_encoding": sys.getfilesystemencoding(),
        "timezone": time.tzname[0],
        "utc_offset_seconds": -time.timezone,
    }


def _torch_facts() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    build = getattr(torch, "version", None)
    facts = {"torch": getattr(torch, "__version__", None), "cuda": getattr(build, "cuda", None)}
    return {name: str(value) for name, value in facts.items() if value is not None}


def process_facts(path: list[str] | None = None, modules: Iterable[str] | None = None) -> dict[str, Any]:
    """Everything this file knows, as one JSON object.

    Args:
        path: where distributions are looked for; `sys.path` by default.
        modules: the modules that the process used; all that are loaded by default.
    """
    known = {one.key: one for one in installed(path)}
    used = _used(known, sys.modules if modules is None else modules, ("holdfast",))
    return {
        "interpreter": interpreter_facts(),
        "packages": [
            {"name": one.name, "version": one.version, "origin": one.origin, "editable": one.editable}
            for one in known.values()
        ],
        "used": [one.name for one in used],
        "frameworks": _torch_facts(),
        "native_readers": sorted(_NATIVE_READERS & set(sys.modules)),
    }


def json_line(value: Any) -> str:
    """`value` on one line of JSON, in ASCII, whatever surrogates its texts hold."""
    return json.dumps(value, ensure_ascii=True, default=repr)


if __name__ == "__main__":
    # Asked from outside, nothing was used: only what is installed is known.
    sys.stdout.write(json_line(process_facts(modules=())) + "\n")
