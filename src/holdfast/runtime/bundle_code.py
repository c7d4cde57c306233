"""Importing the bundle's own modules from bytes that have been verified, never from the folder they lie in."""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import ModuleType

from holdfast.runtime.bundle_files import BundleFiles

__all__ = ["CODE_FOLDER", "install_modules", "module_name"]

CODE_FOLDER = "code"
"""The folder of a bundle whose Python files are importable, as if it stood first on `sys.path`."""


def module_name(path: str) -> str:
    """The module that a file below `code/` is: `code/text/clean.py` is `text.clean`."""
    parts = path.removeprefix(f"{CODE_FOLDER}/").removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def install_modules(files: BundleFiles) -> None:
    """From now on the bundle's modules can be imported, and come before any other of the same name.

    For a process that runs this one bundle: the finder stays, since a bundle may import its own modules late.

    Raises:
        IntegrityError: a source is not what the manifest names.
    """
    paths = [entry.path for entry in files.manifest.files if str(entry.path).startswith(f"{CODE_FOLDER}/")]
    sources = {str(path): files.read(path) for path in paths if str(path).endswith(".py")}
    found = {module_name(path): (path, source) for path, source in sources.items()}
    sys.meta_path.insert(0, _Finder(found, str(files.root)))


class _Finder(MetaPathFinder, Loader):
    """Finds modules among verified sources."""

    def __init__(self, sources: Mapping[str, tuple[str, bytes]], root: str) -> None:
        self._sources = sources
        self._root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of the bundle, or None."""
        del target
        if fullname in self._sources:
            place = self._sources[fullname][0]
            return spec_from_loader(
                fullname, self, origin=f"{self._root}/{place}", is_package=place.endswith("__init__.py")
            )
        if any(name.startswith(f"{fullname}.") for name in self._sources):
            spec = ModuleSpec(fullname, self, origin="bundle", is_package=True)
            # A folder without __init__.py may have other portions, in distributions that the lock brings.
            others = PathFinder.find_spec(fullname, path)
            spec.submodule_search_locations = list((others and others.submodule_search_locations) or ())
            return spec
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""
        del spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's verified source; a folder without `__init__.py` is an empty package."""
        if module.__name__ not in self._sources:
            return
        place, source = self._sources[module.__name__]
        module.__file__ = f"{self._root}/{place}"
        exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - an import

    def get_source(self, fullname: str) -> str | None:
        """The source, so that tracebacks show the bundle's own lines."""
        found = self._sources.get(fullname)
        return None if found is None else found[1].decode("utf-8", "replace")
