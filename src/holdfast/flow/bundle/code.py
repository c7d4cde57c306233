"""Which of the project's modules go into a bundle: those that the preprocessing and the model come from, and theirs."""

import ast
import inspect
import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path
from typing import Any

from holdfast.errors import CannotPackage, NotFound, UsageError
from holdfast.flow.bundle.carve import carve, check_importable, guards_main
from holdfast.flow.bundle.modules import Modules, parents, parsed

__all__ = ["CodeFiles", "code_of_function", "code_of_path", "code_of_value", "modules_in"]

_SCRIPTS = {"__main__", "__mp_main__"}
"""What the training script is called while it runs, in the first process and in those that it starts."""

_SETTINGS = (
    "warnings.",
    "logging.",
    "np.set",
    "numpy.set",
    "np.random.seed",
    "pd.set_option",
    "sys.path.",
    "random.seed",
)
"""Calls at the top level of a module that set something and do no work."""


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
        CannotPackage: a lambda, a closure, a function of a script that cannot be cut out, or one whose module is
            neither installed nor in the project.
    """
    name = getattr(function, "__qualname__", repr(function))
    check_importable(function, name)
    module = function.__module__
    if module in _SCRIPTS:
        return _of_script(function, name, project)
    modules = Modules(project)
    if modules.find(module) is None and not modules.is_installed(module):
        raise CannotPackage(
            f"{name} comes from {module}, which is neither installed nor in the project {project}",
            hint="Move the module into the project, or install it where it is trained and served.",
        )
    return CodeFiles(modules.closure([module]), f"{module}:{name}")


def _of_script(function: Callable[..., Any], name: str, project: Path) -> CodeFiles:
    try:
        script = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
        tree = _parsed(script)
    except (OSError, TypeError) as error:
        raise CannotPackage(
            f"the source of {name} cannot be found; it was typed at a prompt or in a notebook",
            hint="Move it to a module, such as features.py, and import it.",
        ) from error
    package = getattr(sys.modules.get(function.__module__), "__package__", None) or ""
    try:
        return _carved(script, name, project, package)
    except CannotPackage:
        # A script that can be imported without running needs no cutting.
        if not guards_main(tree) or _trains(tree):
            raise
        return _whole(script, name, project)


def code_of_path(text: str, project: Path) -> CodeFiles:
    """The function that `features.py:featurise` or `package.module:featurise` names.

    Raises:
        NotFound: no such file or function.
        CannotPackage: the file is not Python, or is a script from which the function cannot be cut.
        UsageError: the text names no function, or a file outside the project.
    """
    place, separator, name = text.rpartition(":")
    if not separator or not name.isidentifier():
        raise UsageError(f"{text!r} names no function", hint="Write it as features.py:featurise")
    path = _path_of(place, project)
    tree = _parsed(path)
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        raise NotFound(f"{place} has no function {name!r}", hint=f"It has: {', '.join(known) or 'none'}")
    if guards_main(tree) or not _trains(tree):
        return _whole(path, name, project)
    return _carved(path, name, project, "")


def _path_of(place: str, project: Path) -> Path:
    if place.endswith(".py"):
        found = [project / place]
    else:
        steps = place.replace(".", "/")
        roots = (project, project / "src")
        found = [root / f"{steps}{ending}" for root in roots for ending in (".py", "/__init__.py")]
    for path in found:
        if path.is_file():
            if path.resolve().is_relative_to(project.resolve()):
                return path
            raise UsageError(f"{path} is outside the project {project}", hint="Move it into the project.")
    raise NotFound(f"{found[0]} does not exist", hint="Give the path of the module relative to the project.")


def code_of_value(value: object, project: Path) -> CodeFiles:
    """The project's modules that unpickling `value` will import.

    Raises:
        CannotPackage: it holds a class or function of the script itself, which a pickle cannot find again.
    """
    modules = modules_in(value)
    if modules & _SCRIPTS:
        raise CannotPackage(
            f"a {type(value).__name__} holds a class or function that is defined in the training script",
            hint="Move that class to a module, such as features.py, and import it; a pickle finds it by name only.",
        )
    return CodeFiles(Modules(project).closure(sorted(modules)))


def _whole(path: Path, name: str, project: Path) -> CodeFiles:
    modules = Modules(project, path.parent)
    module = modules.name_of(path)
    return CodeFiles(modules.closure([module]), f"{module}:{name}")


def _carved(script: Path, name: str, project: Path, package: str) -> CodeFiles:
    """The function cut out of a script, as a module beside it; `package` is the one that the script ran in."""
    text = carve(_source(script), name, script=script.name)
    modules = Modules(project, script.parent)
    prefix = f"{package}." if package else ""
    found = modules.closure([*modules.imports(ast.parse(text), within=package), *_with_parents(package)])
    module = re.sub(r"\W", "_", f"{script.stem}_preprocessing", flags=re.ASCII)
    while f"{prefix}{module}".replace(".", "/") + ".py" in found:
        module += "_"
    place = f"{prefix}{module}"
    return CodeFiles({**found, place.replace(".", "/") + ".py": text.encode()}, f"{place}:{name}")


def _with_parents(package: str) -> list[str]:
    return [*parents(package), package] if package else []


def _source(path: Path) -> str:
    try:
        return decode_source(path.read_bytes())
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CannotPackage(f"{path.name} is not Python: {error}", hint="Save it as UTF-8.") from error


def _parsed(path: Path) -> ast.Module:
    return parsed(_source(path), path.name)


def _trains(tree: ast.Module) -> bool:
    """Whether importing the module would do work: a loop or a call at the top level that is there for its effect."""
    return any(_works(node) for node in tree.body)


def _works(node: ast.stmt) -> bool:
    match node:
        case ast.For() | ast.While() | ast.With():
            return True
        case ast.Expr(value=ast.Call(func=called)):
            return not ast.unparse(called).startswith(_SETTINGS)
        case ast.If(body=body, orelse=rest):
            return "__name__" not in ast.unparse(node.test) and any(_works(child) for child in (*body, *rest))
        case ast.Try(body=body):
            return any(_works(child) for child in body)
    return False


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
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RuntimeError, OSError) as error:
        raise CannotPackage(
            f"a {type(value).__name__} cannot be pickled: {error}",
            hint="Keep lambdas, open files and locks out of the model and the transformer.",
        ) from error
    return watcher.modules
