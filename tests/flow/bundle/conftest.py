"""Small projects on disk whose modules can be imported, and forgotten again."""

import importlib
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.wire import Project, open_project
from tests.blank import blank_project

SOURCE = Path(__file__).parents[3] / "src"


@dataclass(frozen=True)
class SmallProject:
    """A folder with sources."""

    root: Path

    def write(self, **files: str) -> "SmallProject":
        """Write `package__module="source"`; two underscores are a slash, and `package__init` is its `__init__.py`."""
        places = {name: name.replace("__", "/").replace("/init", "/__init__") for name in files}
        return self.put({f"{places[name]}.py": source for name, source in files.items()})

    def put(self, files: dict[str, str]) -> "SmallProject":
        for name, source in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source), encoding="utf-8")
        return self

    def load(self, module: str, *, root: str = ".") -> ModuleType:
        """Import one of its modules, as a training script in `root` would."""
        sys.path.insert(0, str((self.root / root).resolve()))
        importlib.invalidate_caches()
        return importlib.import_module(module)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    path, modules = list(sys.path), set(sys.modules)
    root = tmp_path / "project"
    root.mkdir()
    yield SmallProject(root)
    sys.path[:] = path
    for name in sorted(set(sys.modules) - modules, reverse=True):  # what is inside a package before the package
        file = getattr(sys.modules[name], "__file__", None) or ""
        place = getattr(sys.modules[name], "__path__", ())
        if file.startswith(str(tmp_path)) or any(str(one).startswith(str(tmp_path)) for one in place):
            del sys.modules[name]


@pytest.fixture
def registry_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A real project with an empty registry, whatever the environment says."""
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)  # workers run this checkout, installed or not
    with open_project(blank_project(tmp_path / "project")) as project:
        yield project
