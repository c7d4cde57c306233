"""The source tree as these tests read it: parsed, never imported."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, wherever in the file the statement stands.

    Attributes:
        target: the module's dotted name; for `from package import module` the module, not the package.
        names: what is taken from it; empty when the module is imported whole.
        line: where the statement stands.
        deferred: it stands inside a function or a class.
    """

    target: str
    names: tuple[str, ...]
    line: int
    deferred: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]

    @property
    def is_ours(self) -> bool:
        return self.top == "holdfast"

    @property
    def is_standard(self) -> bool:
        return self.top in sys.stdlib_module_names or self.top == "__future__"


@dataclass(frozen=True)
class Module:
    """One Python file of `src/`."""

    name: str
    path: Path
    text: str

    def __str__(self) -> str:
        return self.name

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def place(self) -> str:
        """The path as people write it: `flow/gate.py`."""
        return self.path.relative_to(SOURCE / "holdfast").as_posix()

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All that `ast.walk` finds: most rules ask for it."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(found for node, deferred in _walk(self.tree) for found in _imports(node, deferred=deferred))

    @property
    def ours(self) -> tuple[Import, ...]:
        return tuple(found for found in self.imports if found.is_ours)

    @cached_property
    def functions(self) -> tuple[tuple[str, Function], ...]:
        """Every function at any depth, with its dotted name inside the module."""
        return tuple(_functions(self.tree, ""))


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it stands inside a function or a class; in the order of the text."""
    waiting = [(child, False) for child in ast.iter_child_nodes(tree)][::-1]
    while waiting:
        node, deferred = waiting.pop()
        yield node, deferred
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)][::-1]


def _imports(node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield Import(alias.name, (), node.lineno, deferred)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            rest = []
            for alias in names:
                inner = f"{module}.{alias.name}"
                if _is_module(inner):
                    yield Import(inner, (), node.lineno, deferred)
                else:
                    rest.append(alias.name)
            if rest:
                yield Import(module, tuple(rest), node.lineno, deferred)
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"), args=[first, *_]
        ):
            # A name computed at run time cannot be followed; one that is written out can.
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Import(first.value, (), node.lineno, deferred)


@cache
def _is_module(dotted: str) -> bool:
    if not dotted.startswith("holdfast."):
        return False
    path = SOURCE.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(tree):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + child.name, child
                yield from _functions(child, f"{prefix}{child.name}.")
            case ast.ClassDef():
                yield from _functions(child, f"{prefix}{child.name}.")
            case _:
                yield from _functions(child, prefix)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of `src/holdfast`, sorted by name."""
    found = []
    for path in sorted((SOURCE / "holdfast").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path, path.read_text(encoding="utf-8")))
    return tuple(found)
