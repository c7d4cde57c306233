"""Modules of the project: where they lie, what they import, and what all of that is together."""

import ast
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import CannotPackage, TooLarge

__all__ = ["Modules", "parents", "parsed"]

_MODULES_MAX = 2_000
"""Preprocessing that drags in more modules than this is importing the whole application."""

_SOURCE_BYTES_MAX = 10 << 20
"""One Python file past ten megabytes is data in disguise."""

_IMPORTERS = {"__import__", "import_module", "importlib.import_module"}


class Modules:
    """Finds modules below the project's folders, and nowhere else: what is installed is pinned by the lock instead."""

    def __init__(self, project: Path, *first: Path) -> None:
        """Args: project: the project's folder. first: folders that come before all others, such as the script's own."""
        self._project = project.resolve()
        # Python's own order, so that of two modules with one name the bundle gets the one that was imported.
        given = [*first, *(Path(entry or ".") for entry in sys.path), project, project / "src"]
        folders = dict.fromkeys(folder.resolve() for folder in given)
        self._roots = [folder for folder in folders if self._ours(folder)]

    def _ours(self, path: Path) -> bool:
        return path.is_relative_to(self._project) and not _installed(path)

    def is_installed(self, module: str) -> bool:
        """Whether the module is built in, or was loaded from where distributions are installed."""
        loaded = sys.modules.get(module)
        file = getattr(loaded, "__file__", None)
        return loaded is not None and (file is None or _installed(Path(file).resolve()))

    def name_of(self, path: Path) -> str:
        """The name under which the file is imported from the deepest of the project's folders that holds it.

        Raises:
            CannotPackage: the file's name cannot be a module's.
        """
        path = path.resolve()
        around = [root for root in self._roots if path.is_relative_to(root) and root != path.parent]
        # Its own folder comes last: inside a package, that would cut its relative imports off.
        for root in [*sorted(around, key=lambda root: -len(root.parts)), path.parent]:
            steps = path.relative_to(root).with_suffix("").parts
            steps = steps[:-1] if steps[-1] == "__init__" else steps
            if steps and all(step.isidentifier() for step in steps) and self.find(".".join(steps), root) is not None:
                return ".".join(steps)
        raise CannotPackage(
            f"{path.name} cannot be imported: its name is no Python name", hint="Use letters, digits and underscores."
        )

    def closure(self, modules: Iterable[str]) -> dict[str, bytes]:
        """The sources of the modules that belong to the project, and of all that they import from it.

        Returns:
            The path of each below `code/`, and its bytes.

        Raises:
            CannotPackage: one of them is not Python.
            TooLarge: more of them than any preprocessing needs.
        """
        wanted, found = list(modules), dict[str, bytes]()
        while wanted:
            module = wanted.pop()
            place = self.find(module)
            if place is None or place[0] in found:
                continue
            relative, path = place
            source = path.read_bytes()
            if len(found) >= _MODULES_MAX or len(source) > _SOURCE_BYTES_MAX:
                raise TooLarge(
                    f"the code reaches more than {_MODULES_MAX} modules, or one past {_SOURCE_BYTES_MAX} bytes",
                    hint="Import the function from a small module of its own.",
                    path=str(path),
                )
            found[relative] = source
            within = module if path.name == "__init__.py" else module.rpartition(".")[0]
            wanted.extend(self.imports(parsed(source, relative), within=within))
            wanted.extend(parents(module))
        return found

    def imports(self, tree: ast.Module, *, within: str) -> list[str]:
        """Every module that the tree, a module inside `within`, imports, whether it is of the project or not."""
        found: list[str] = []
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    found.extend(one.name for one in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    steps = within.split(".") if within and level else []
                    steps = steps[: max(len(steps) - level + 1, 0)]
                    base = ".".join([*steps, *([module] if module else [])])
                    found.append(base)
                    found.extend(f"{base}.{one.name}" for one in names)
                case ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]):
                    if ast.unparse(called) in _IMPORTERS:
                        found.append(name)
        return found

    def find(self, module: str, root: Path | None = None) -> tuple[str, Path] | None:
        """The module's place below `code/` and its file, if it belongs to the project."""
        if not module or module == "__main__" or not all(step.isidentifier() for step in module.split(".")):
            return None
        relative = module.replace(".", "/")
        # What this process imported under the name is what its results came from.
        loaded = getattr(sys.modules.get(module), "__file__", None)
        if loaded is not None and root is None:
            path = Path(loaded).resolve()
            if path.suffix == ".py" and path.is_file() and self._ours(path):
                return (f"{relative}/__init__.py" if path.name == "__init__.py" else f"{relative}.py"), path
        for folder in self._roots if root is None else [root]:
            # A folder with __init__.py comes before a file of the same name, as it does in Python.
            for name in (f"{relative}/__init__.py", f"{relative}.py"):
                path = folder / name
                if path.is_file() and not _installed(path):
                    return name, path
        return None


def _installed(path: Path) -> bool:
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    inside = any(path.is_relative_to(place) for place in places if place)
    return inside or bool({"site-packages", "dist-packages"} & set(path.parts))


def parents(module: str) -> list[str]:
    """The packages around a module, outermost first."""
    steps = module.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]


def parsed(source: str | bytes, name: str) -> ast.Module:
    """The syntax tree of a source.

    Raises:
        CannotPackage: it is not Python.
    """
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise CannotPackage(
            f"{name} is not Python {sys.version_info.major}.{sys.version_info.minor}: {error}",
            hint="Correct it, or leave out what imports it.",
        ) from error
