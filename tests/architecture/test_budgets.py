"""What a module may cost its reader: length, names, late imports, catch-alls, docstrings."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

from tests.architecture.sources import Module, modules

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

DEFERRABLE = {
    "alembic": "needed once, when the database is made or migrated",
    "cloudpickle": "only for models that are kept so",
    "cryptography": "needed only by those who sign or check a signature",
    "fastapi": "an extra",
    "google": "an extra: protobuf",
    "grpc": "an extra",
    "httptools": "an extra",
    "httpx": "40 ms of import, for those who use a server",
    "joblib": "an extra",
    "mlflow": "another person's choice, and a second of import",
    "numpy": "100 ms of import, and absent from a light client",
    "opentelemetry": "an extra",
    "pandas": "half a second of import",
    "pathspec": "needed only where there is a .holdfastignore",
    "polars": "another person's choice of table",
    "prometheus_client": "an extra",
    "psycopg": "another person's choice of database",
    "pyarrow": "an extra",
    "ray": "an extra, and a second of import",
    "pyfastcdc": "native code, needed where something large is cut",
    "rfc8785": "needed only by those who write",
    "rich": "needed only by those who look",
    "scipy": "an extra",
    "sklearn": "an extra, and a second of import",
    "sitecustomize": "the user's own start-up module, run after ours",
    "sqlalchemy": "100 ms of import, and none of a client's business",
    "starlette": "an extra",
    "torch": "another person's choice of framework",
    "uvicorn": "an extra",
    "uvloop": "an extra",
    "yaml": "an extra, and needed only where a file of MLflow's is read",
}
"""Third-party modules that may be imported inside a function, and why: heavy, or optional."""

DEFERRED_IN: dict[str, str] = {
    "__init__.py": "gives out the public names lazily, so that a training script pays for what it uses",
    "flow/gate/calibration.py": "who asks for no comparison does not wait for the libraries of numbers",
    "flow/gate/drift.py": "likewise",
    "flow/gate/gain.py": "likewise",
    "flow/gate/groups.py": "likewise",
    "flow/gate/not_worse.py": "likewise",
    "flow/gate/shadowed.py": "likewise",
    "flow/gate/threshold.py": "likewise",
    "flow/gate/training.py": "likewise",
    "mlflow_plugin/entry.py": "every `import mlflow` loads it, and most meet no server of ours",
    "mlflow_plugin/session.py": "the code is looked at beside the script, and what keeps it is loaded when needed",
    "wire/backup.py": "opens what is asked for: nobody else needs what reads and writes backups",
    "wire/people.py": "opens what is asked for: who works through a server waits for no database",
    "wire/service.py": "opens what is asked for: who gives nobody signed URLs does not wait for the client of buckets",
    "wire/project.py": "opens what is asked for: who freezes data does not wait for a database",
    "wire/remotes.py": "opens what is asked for: whose remote is a folder does not wait for the client of buckets",
    "wire/upkeep.py": "opens what is asked for: who freezes data waits for none of it",
    "cli/__init__.py": "answers --version before it loads a single command",
    "cli/server.py": "shows its help without the libraries of a server, which are an extra",
}
"""Modules that may import Holdfast's own modules inside a function, and why. Hiding a cycle is no reason."""

CATCH_ALL: dict[str, str] = {
    "flow/capture/hook/sitecustomize.py:_Watcher.end": "the user's process ends as it would have ended",
    "flow/capture/hook/sitecustomize.py:_begin": "the user's process starts as it would have started",
    "web/inference/grpc_service.py:_stamped.stamped": "the edge of a replica's process, where gRPC would tell the rest",
    "web/processes.py:_forked": "the edge of a server's process: whatever gets here is told, and ends it",
    "cli/app.py:run": "the edge of the command's process: whatever gets here is a defect of ours, and is told as one",
    "flow/capture/gathering.py:quietly": "the user's training does not fail because we looked",
    "mlflow_plugin/quiet.py:quietly": "the user's script goes on as if the plugin were not there",
    "mlflow_plugin/answers.py:_tried": "another person's model may raise anything on rows that are not its own",
    "flow/capture/opened.py:OpenedFiles.see": "the user's open() does not fail because we looked",
    "flow/capture/seeds.py:SeedWatch.note": "the user's seeding does not fail because we looked",
    "flow/capture/seeds.py:_LaterImports._listen.exec_module": "the user's import does not fail because we looked",
    "runtime/worker.py:_Answering._guarded": "the edge of the worker's process: one bad answer must not end it",
    "runtime/project_worker.py:_said": "a project's own code may raise anything; all of it becomes one sentence",
    "runtime/pipeline.py:_guarded": "a bundle's own code may raise anything; all of it becomes BundleFailed",
}
"""`place:function` that may catch every exception, and why: one at the edge of each process. The code says it too."""

PRINTS = {
    "cli/__init__.py": "answers --version before it loads output.py",
    "cli/output.py": "the one place that prints",
    "upkeep/audit/offline.py": "a program for machines without Holdfast, which answers on standard output",
    "flow/capture/probe.py": "run as a script by another interpreter, it answers on standard output",
}
"""Modules that may print or touch standard output and standard error, and why."""

DRAWERS = {"common", "handler", "handlers", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
"""Names that say nothing, and so gather everything."""


def refuse(faults: Iterable[str]) -> None:
    faults = sorted(faults)
    assert not faults, "\n" + "\n".join(faults)


def at(module: Module, node: ast.AST | int, what: str) -> str:
    line = node if isinstance(node, int) else getattr(node, "lineno", 1)
    return f"src/holdfast/{module.place}:{line}: {what}"


def words(name: str) -> list[str]:
    """`ServerHandler` and `server_handler` alike: server, handler."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def test_a_module_is_no_longer_than_its_budget() -> None:
    refuse(
        at(module, lines, f"{lines} lines, of {MODULE_LINES_MAX}: split it by meaning")
        for module in modules()
        if (lines := len(module.text.splitlines())) > MODULE_LINES_MAX
    )


def test_a_function_is_no_longer_than_its_budget() -> None:
    refuse(
        at(module, node, f"{name} has {lines} lines, of {FUNCTION_LINES_MAX}")
        for module in modules()
        for name, node in module.functions
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    )


def test_an_import_inside_a_function_is_for_a_heavy_or_optional_library() -> None:
    faults = []
    for module in modules():
        for found in module.imports:
            if not found.deferred:
                continue
            if found.is_ours and module.place not in DEFERRED_IN:
                faults.append(at(module, found.line, f"imports {found.target} inside a function"))
            if found.is_standard:
                faults.append(at(module, found.line, f"imports {found.target} inside a function; it is always there"))
            if not found.is_ours and not found.is_standard and found.top not in DEFERRABLE:
                faults.append(at(module, found.line, f"imports {found.target} inside a function; not on the list"))
    refuse(faults)


def printing(module: Module) -> Iterator[str]:
    for node in module.nodes:
        match node:
            case ast.Call(func=ast.Name(id="print" | "pprint")):
                yield at(module, node, "prints")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="typer" | "click"), attr="echo" | "secho")):
                yield at(module, node, "prints")
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"):
                yield at(module, node, f"touches sys.{node.attr}")
            case ast.ImportFrom(module="sys", names=names) if {"stdout", "stderr"} & {name.name for name in names}:
                yield at(module, node, "takes a standard stream from sys")
            case ast.Name(id="Console") | ast.Attribute(attr="Console"):
                yield at(module, node, "makes a console")


def test_one_module_prints() -> None:
    refuse(fault for module in modules() if module.place not in PRINTS for fault in printing(module))


def test_no_name_is_a_drawer() -> None:
    faults = []
    for module in modules():
        if DRAWERS & set(words(module.name)):
            faults.append(at(module, 1, "the module's name says nothing"))
        faults += [
            at(module, node, f"{node.name} says nothing")
            for node in module.nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and DRAWERS & set(words(node.name))
        ]
    refuse(faults)


def catches_all(node: ast.AST) -> bool:
    """`except:`, `except Exception`, `except BaseException`, in a tuple too, and contextlib.suppress of the same.

    One that ends in a plain `raise` only tidies up on the way: it catches nothing for good.
    """
    match node:
        case ast.ExceptHandler(body=[*_, ast.Raise(exc=None)]):
            return False
        case ast.ExceptHandler(type=None):
            return True
        case ast.ExceptHandler(type=ast.expr() as kind):
            return names_all(kind)
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            return any(names_all(kind) for kind in args)
    return False


def names_all(kind: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"} for node in ast.walk(kind))


@cache
def all_catch_alls() -> dict[str, str]:
    """`place:function` of each catch-all, with the sentence that refuses it."""
    found = {}
    for module in modules():
        catching = [node for node in module.nodes if catches_all(node)]
        inside = {id(node): name for name, function in module.functions if catching for node in ast.walk(function)}
        for node in catching:
            where = f"{module.place}:{inside.get(id(node), '')}"
            found[where] = at(module, node, f"catches every exception; {where!r} is not on the list")
    return found


def test_every_exception_is_caught_at_the_edge_of_a_process_only() -> None:
    refuse(fault for where, fault in all_catch_alls().items() if where not in CATCH_ALL)


def test_every_exception_to_these_rules_is_still_needed() -> None:
    places = {module.place for module in modules()}
    stale = (set(CATCH_ALL) - set(all_catch_alls())) | (set(DEFERRED_IN) - places)
    assert not stale, f"nothing needs these any more: {sorted(stale)}"


@pytest.mark.parametrize(
    "text",
    [
        "try: pass\nexcept: pass",
        "try: pass\nexcept Exception as error: pass",
        "try: pass\nexcept (OSError, BaseException): pass",
        "with contextlib.suppress(Exception): pass",
    ],
)
def test_a_catch_all_is_recognised_however_it_is_written(text: str) -> None:
    assert any(catches_all(node) for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["try: pass\nexcept OSError: pass", "try: pass\nexcept BaseException:\n  x = 1\n  raise"]
)
def test_what_is_caught_by_name_or_only_on_the_way_is_no_catch_all(text: str) -> None:
    assert not any(catches_all(node) for node in ast.walk(ast.parse(text)))


def public(module: Module) -> Iterator[tuple[str, ast.AST, str | None]]:
    """Each public class, function and method with its docstring; what only repeats another's promise is left out."""

    def decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
        found = {ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list}
        return {name.rpartition(".")[2] for name in found}

    def visit(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST, str | None]]:
        for node in body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if decorators(node) & {"overload", "override", "setter"}:
                continue
            yield prefix + node.name, node, ast.get_docstring(node)
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, f"{prefix}{node.name}.")

    yield from visit(module.tree.body, "")


def test_every_module_says_what_it_is() -> None:
    refuse(at(module, 1, "no docstring") for module in modules() if not ast.get_docstring(module.tree))


def test_every_public_name_says_what_it_means() -> None:
    refuse(
        at(module, node, f"{name} has no docstring")
        for module in modules()
        for name, node, docstring in public(module)
        if not docstring
    )
