"""Cutting one function out of a script, with everything it needs and nothing that trains.

A function that is written in the training script itself cannot be imported without running the training. Its module in
the bundle is therefore a cut of the script: the function, and, followed name by name, the imports, functions, classes
and constant assignments at the top level that it reaches. A name that the script computes (a fitted scaler, a frame)
cannot be cut out, and is refused with a way forward.
"""

import ast
import symtable

from holdfast.errors import CannotPackage

__all__ = ["carve", "check_importable"]

_CONSTANT_CALLS = {"dict", "frozenset", "list", "range", "re.compile", "set", "tuple"}
"""Calls that make a constant out of constants; any other call in an assignment is taken to be work of the script."""


def check_importable(function: object, name: str) -> None:
    """Refuse what no module can hold under a name: lambdas, closures, functions inside functions.

    Raises:
        CannotPackage: it is one of these.
    """
    qualified = getattr(function, "__qualname__", None)
    if qualified is None or "<" in qualified or getattr(function, "__closure__", None):
        raise CannotPackage(
            f"{name} is a lambda, a closure or a partial, which cannot be found again by its name",
            hint="Write it as a plain function at the top level of a module: def featurise(rows): …",
        )


def carve(source: str, name: str, *, script: str) -> str:
    """The part of a script that the top-level function `name` needs, as a module of its own.

    Args:
        source: the script's text.
        name: the function's name.
        script: the script's file name, for errors.

    Raises:
        CannotPackage: the function is not at the top level, or it needs a name that the script computes.
    """
    tree = ast.parse(source)
    providers = _providers(tree)
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        raise CannotPackage(
            f"{name} is not a function at the top level of {script}",
            hint="Move it to a module of its own, such as features.py, and import it.",
        )
    wanted, kept = [name], set[int]()
    while wanted:
        node = providers.get(wanted.pop())
        if node is None or id(node) in kept:
            continue
        if not _harmless(node):
            raise CannotPackage(
                f"{name} needs `{_first_line(source, node)}`, which {script} computes while it runs",
                hint="Pass a fitted transformer, or move the function and its constants to a module.",
            )
        kept.add(id(node))
        wanted.extend(_names(source, node))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    body = [node for node in tree.body if id(node) in kept]
    pieces = (ast.get_source_segment(source, _from_decorators(node)) or "" for node in [*futures, *body])
    return "\n\n".join(pieces) + "\n"


def _providers(tree: ast.Module) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = node
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    found[alias.asname or alias.name.partition(".")[0]] = node
            case ast.Assign(targets=targets):
                for target in targets:
                    found.update({item.id: node for item in ast.walk(target) if isinstance(item, ast.Name)})
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
                found[name] = node
            case _:
                inner = (item for item in ast.walk(node) if isinstance(item, ast.Name))
                found.update({item.id: node for item in inner if isinstance(item.ctx, ast.Store)})
    return found


def _harmless(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            calls = (item.func for item in ast.walk(value) if isinstance(item, ast.Call))
            return all(ast.unparse(called) in _CONSTANT_CALLS for called in calls)
        case _:
            return False


def _names(source: str, node: ast.stmt) -> list[str]:
    """The top-level names that a statement needs: what it reads itself, and what its functions read as globals."""
    segment = ast.get_source_segment(source, _from_decorators(node)) or ""
    found: list[str] = []
    tables = [symtable.symtable(segment, "<carved>", "exec")]
    while tables:
        table = tables.pop()
        top = table.get_type() == "module"
        found.extend(s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global()))
        tables.extend(table.get_children())
    return found


def _first_line(source: str, node: ast.stmt) -> str:
    return (ast.get_source_segment(source, node) or "").partition("\n")[0].strip()


def _from_decorators(node: ast.stmt) -> ast.stmt:
    """The statement with its position moved up to its first decorator, which `ast` leaves out of it."""
    decorators = getattr(node, "decorator_list", [])
    if decorators:
        node.lineno = decorators[0].lineno
        node.col_offset = max(decorators[0].col_offset - 1, 0)
    return node
