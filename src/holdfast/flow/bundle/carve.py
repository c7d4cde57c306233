"""Cutting one function out of a script, with everything it needs and nothing that trains.

A function that is written in the training script itself cannot be imported without running the training. Its module in
the bundle is therefore a cut of the script: the function, and, followed name by name, the imports, functions, classes
and constant assignments at the top level that it reaches. A name that the script computes (a fitted scaler, a frame)
cannot be cut out, and is refused with a way forward.
"""

import ast
import symtable
import sys
from collections.abc import Iterator

from holdfast.errors import CannotPackage

__all__ = ["carve", "check_importable", "guards_main"]

_CONSTANT_CALLS = {
    "abs", "bool", "bytes", "dict", "enumerate", "float", "frozenset", "int", "len", "list", "max", "min", "range",
    "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
    "Counter", "Decimal", "Fraction", "NewType", "OrderedDict", "TypeVar", "collections.Counter",
    "collections.OrderedDict", "collections.defaultdict", "collections.namedtuple", "datetime.date",
    "datetime.datetime", "datetime.timedelta", "date", "defaultdict", "getLogger", "logging.getLogger", "math.exp",
    "math.log", "math.sqrt", "namedtuple", "np.array", "np.dtype", "np.exp", "np.float32", "np.float64", "np.int64",
    "np.log", "np.sqrt", "numpy.array", "re.compile", "timedelta", "typing.NewType", "typing.TypeVar",
}  # fmt: skip
"""Calls that make a constant out of constants; any other call in an assignment is taken to be work of the script."""

_LITERALS = (ast.Constant, ast.Dict, ast.JoinedStr, ast.List, ast.Set, ast.Tuple)


def check_importable(function: object, name: str) -> None:
    """Refuse what no module can hold under a name: lambdas, partials, functions inside functions, bound methods.

    Raises:
        CannotPackage: it is one of these.
    """
    qualified = getattr(function, "__qualname__", None)
    if not isinstance(qualified, str) or "<" in qualified or not _found_again(function, qualified):
        raise CannotPackage(
            f"{name} is a lambda, a closure, a partial or a method, which cannot be found again by its name",
            hint="Write it as a plain function at the top level of a module: def featurise(rows): …",
        )


def _found_again(function: object, qualified: str) -> bool:
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None:
        return not getattr(function, "__closure__", None)
    found: object = module
    for step in qualified.split("."):
        found = getattr(found, step, None)
    return found == function


def guards_main(tree: ast.Module) -> bool:
    """Whether a script keeps its work behind `if __name__ == "__main__"`, so that importing it does none of it."""
    return any(_is_guard(node) for node in tree.body)


def _is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


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
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        raise CannotPackage(
            f"{name} is not a function at the top level of {script}",
            hint="Move it to a module of its own, such as features.py, and import it.",
        )
    bound = _bound(tree)
    # Nobody can tell which names come out of a star, so each is kept.
    stars = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"]
    wanted, kept = [name], {id(node) for node in stars}
    while wanted:
        for node in bound.get(wanted.pop(), ()):
            if id(node) in kept:
                continue
            if not _harmless(node, bound):
                raise CannotPackage(
                    f"{name} needs `{_first_line(source, node)}`, which {script} computes while it runs",
                    hint="Pass a fitted transformer, or move the function and its constants to a module.",
                )
            kept.add(id(node))
            wanted.extend(_names(source, node))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    body = [node for node in tree.body if id(node) in kept]
    pieces = (_segment(source, node) for node in [*futures, *(node for node in body if node not in futures)])
    return "\n\n".join(pieces) + "\n"


def _bound(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """Each name of the top level, with all the statements of the top level that bind it, in order."""
    found: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in _binds(node):
            found.setdefault(name, []).append(node)
    return found


def _binds(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.Lambda():
            return
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.ExceptHandler(name=str(name)):
            yield name
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for child in ast.iter_child_nodes(node):
            yield from _binds(child)


def _harmless(node: ast.AST, bound: dict[str, list[ast.stmt]]) -> bool:
    """Whether running the statement does nothing but bind names to things that it makes out of constants."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
            return True
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            return all(_constant_call(call, bound) for call in _calls(node))
        case ast.If(test=test, body=body, orelse=rest):
            pure = not _is_guard(node) and all(_constant_call(call, bound) for call in _calls(test))
            return pure and all(_harmless(child, bound) for child in (*body, *rest))
        case ast.Try(body=body, handlers=handlers, orelse=rest, finalbody=last):
            inner = (*body, *rest, *last, *(child for handler in handlers for child in handler.body))
            return all(_harmless(child, bound) for child in inner)
    return type(node).__name__ == "TypeAlias"  # `type X = int`, which Python 3.11 has no class for


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that running the statement makes; what a lambda would do is done by whoever calls it."""
    if isinstance(node, ast.Call):
        yield node
    if isinstance(node, ast.Lambda):
        return
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)


def _constant_call(call: ast.Call, bound: dict[str, list[ast.stmt]]) -> bool:
    if ast.unparse(call.func) in _CONSTANT_CALLS:
        return True
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = call.func.value
    if isinstance(owner, ast.Name):
        # A method of a constant; whether it is one is asked when the name itself is followed.
        makers = bound.get(owner.id, [])
        return bool(makers) and all(isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) for node in makers)
    return isinstance(owner, _LITERALS)


def _names(source: str, node: ast.stmt) -> list[str]:
    """The top-level names that a statement needs: what it reads itself, and what its functions read as globals."""
    found: list[str] = []
    tables = [symtable.symtable(_segment(source, node), "<carved>", "exec")]
    while tables:
        table = tables.pop()
        top = table.get_type() == "module"
        found.extend(s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global()))
        tables.extend(table.get_children())
    return found


def _first_line(source: str, node: ast.stmt) -> str:
    return (ast.get_source_segment(source, node) or "").partition("\n")[0].strip()


def _segment(source: str, node: ast.stmt) -> str:
    """The text of a statement of the top level, its decorators included, which `ast` leaves out of it."""
    decorators = getattr(node, "decorator_list", [])
    if not decorators:
        return ast.get_source_segment(source, node) or ""
    lines = source.splitlines(keepends=True)
    return "".join(lines[decorators[0].lineno - 1 : node.end_lineno]).rstrip()
