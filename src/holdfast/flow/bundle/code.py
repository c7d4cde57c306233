"""Which of the project's modules go into a bundle: those that the preprocessing and the model come from, and theirs."""

import ast
import inspect
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import CannotPackage, NotFound, TooLarge, UsageError
from holdfast.flow.bundle.carve import carve, check_importable

__all__ = ["CodeFiles", "code_of_function", "code_of_path", "code_of_value", "modules_in"]

_MODULES_MAX = 2_000
"""Preprocessing that drags in more modules than this is importing the whole application."""

_SOURCE_BYTES_MAX = 10 << 20
"""One Python file past ten megabytes is data in disguise."""


@dataclass(frozen=True, slots=True)
class CodeFiles:
    """Sources for a bundle.

    Attributes:
        sources: path below `code/` to the source's bytes.
        entry_point: `module:name`, for a function.
    """

    sources: dict[str, bytes]
    entry_point: str | None = None


def code_of_function(function: Callable[..., Any], project: Path) -> CodeFiles:
    """The module of a function, and what it imports from the project.

    Raises:
        CannotPackage: a lambda, a closure, or a function of a script that cannot be cut out.
    """
    name = getattr(function, "__qualname__", repr(function))
    check_importable(function, name)
    module = function.__module__
    if module != "__main__":
        return CodeFiles(_Project(project).closure([module]), f"{module}:{name}")
    try:
        script = inspect.getsourcefile(function)
        source = Path(script or "").read_bytes()
    except (OSError, TypeError) as error:
        raise CannotPackage(
            f"the source of {name} cannot be found; it was typed at a prompt or in a notebook",
            hint="Move it to a module, such as features.py, and import it.",
        ) from error
    return _carved(Path(script or ""), source, name, project)


def code_of_path(text: str, project: Path) -> CodeFiles:
    """The function that `features.py:featurise` or `package.module:featurise` names.

    Raises:
        NotFound: no such file or function.
    """
    place, separator, name = text.rpartition(":")
    if not separator or not name.isidentifier():
        raise UsageError(f"{text!r} names no function", hint="Write it as features.py:featurise")
    path = project / (place if place.endswith(".py") else place.replace(".", "/") + ".py")
    if not path.is_file():
        raise NotFound(f"{path} does not exist", hint="Give the path of the module relative to the project.")
    tree = ast.parse(path.read_bytes())
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        raise NotFound(f"{place} has no function {name!r}", hint=f"It has: {', '.join(known) or 'none'}")
    if _guards_main(tree) or not _trains(tree):
        module = ".".join(path.resolve().relative_to(project.resolve()).with_suffix("").parts)
        return CodeFiles(_Project(project).closure([module]), f"{module}:{name}")
    return _carved(path, path.read_bytes(), name, project)


def code_of_value(value: object, project: Path) -> CodeFiles:
    """The project's modules that unpickling `value` will import.

    Raises:
        CannotPackage: it holds a class or function of the script itself, which a pickle cannot find again.
    """
    modules = modules_in(value)
    if "__main__" in modules:
        raise CannotPackage(
            f"a {type(value).__name__} holds a class or function that is defined in the training script",
            hint="Move that class to a module, such as features.py, and import it; a pickle finds it by name only.",
        )
    return CodeFiles(_Project(project).closure(sorted(modules)))


def _carved(script: Path, source: bytes, name: str, project: Path) -> CodeFiles:
    module = f"{script.stem.replace('-', '_')}_preprocessing"
    text = carve(source.decode(), name, script=script.name)
    found = _Project(project, script.parent)
    sources = {f"{module}.py": text.encode(), **found.closure(found.imports(ast.parse(text), package=""))}
    return CodeFiles(sources, f"{module}:{name}")


def _guards_main(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in tree.body)


def _trains(tree: ast.Module) -> bool:
    """Whether importing the module would do work: a statement at the top level that calls something."""
    return any(isinstance(node, ast.For | ast.While | ast.With) or _is_call(node) for node in tree.body)


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr | ast.Assign) and any(isinstance(item, ast.Call) for item in ast.walk(node))


class _Watcher(pickle.Pickler):
    """A pickler that writes nothing down but the modules that it meets."""

    def __init__(self) -> None:
        # Buffers are handed out of band and dropped, so that a model's arrays are not copied.
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: None)
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        """Note where the value, or its class, is defined; then pickle it as usual."""
        for item in (value, type(value)):
            module = getattr(item, "__module__", None)
            if isinstance(module, str):
                self.modules.add(module)
        return NotImplemented


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def modules_in(value: object) -> set[str]:
    """The modules that unpickling `value` will import.

    Raises:
        CannotPackage: it cannot be pickled.
    """
    watcher = _Watcher()
    try:
        watcher.dump(value)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise CannotPackage(
            f"a {type(value).__name__} cannot be pickled: {error}",
            hint="Keep lambdas, open files and locks out of the model and the transformer.",
        ) from error
    return watcher.modules


class _Project:
    """Finds modules below the project's folders, and nowhere else: what is installed is pinned by the lock instead."""

    def __init__(self, *folders: Path) -> None:
        roots = [*folders, *(folder / "src" for folder in folders), Path(sys.path[0] or ".")]
        project = folders[0].resolve()
        self._roots = [root.resolve() for root in roots if root.resolve().is_relative_to(project)]

    def closure(self, modules: Iterable[str]) -> dict[str, bytes]:
        """The sources of the modules that belong to the project, and of all that they import from it."""
        wanted, found = list(modules), dict[str, bytes]()
        while wanted:
            module = wanted.pop()
            place = self._find(module)
            if place is None or place[0] in found:
                continue
            relative, path = place
            source = path.read_bytes()
            if len(found) >= _MODULES_MAX or len(source) > _SOURCE_BYTES_MAX:
                raise TooLarge(
                    f"the preprocessing code reaches more than {_MODULES_MAX} modules, or one of {len(source)} bytes",
                    hint="Import the function from a small module of its own.",
                )
            found[relative] = source
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            wanted.extend(self.imports(ast.parse(source), package=package))
            wanted.extend(_parents(module))
        return found

    def imports(self, tree: ast.Module, *, package: str) -> list[str]:
        """Every module that the tree imports, whether it belongs to the project or not."""
        found: list[str] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.extend(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                steps = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*steps, *([node.module] if node.module else [])])
                found.append(base)
                found.extend(f"{base}.{alias.name}" for alias in node.names)
        return found

    def _find(self, module: str) -> tuple[str, Path] | None:
        if not module or not all(part.isidentifier() for part in module.split(".")):
            return None
        relative = module.replace(".", "/")
        for root in self._roots:
            for name in (f"{relative}.py", f"{relative}/__init__.py"):
                path = root / name
                if path.is_file() and not _installed(path):
                    return name, path
        return None


def _installed(path: Path) -> bool:
    return "site-packages" in path.parts or path.is_relative_to(sys.prefix)


def _parents(module: str) -> Sequence[str]:
    steps = module.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]
