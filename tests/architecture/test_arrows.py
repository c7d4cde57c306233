"""Imports point down: the drawing of docs/decisions/accepted/0001-the-house.md, held."""

import ast
import re
from collections.abc import Iterable, Mapping

from tests.architecture.sources import ROOT, Import, Module, modules

LAYERS = (
    {"__main__"},  # `python -m holdfast` is the command under another name
    {"cli", "api", "mlflow_plugin"},
    {"web"},
    {"wire"},
    {"serving"},
    {"bridges"},
    {"flow", "upkeep", "webhooks"},
    {"runtime"},
    {"access", "experiments"},
    {"registry", "tracking", "store"},
    {"database", "service"},
    {"signing"},
    {"manifest"},
    {"evidence"},
    {"parts"},
    {"formats"},
    {"canonical", "digest", "names", "config", "statistics"},
    {"errors"},
)
"""From the edge to the ground. The root package stands above all of it: it only gives out names, lazily."""

VERBS = (
    "capture", "inventory", "snapshot", "bundle", "register", "register_logged",
    "shadow", "gate", "promote", "rollback", "explain",
)  # fmt: skip

ADAPTERS = {
    "holdfast.store.local": "the store on a local disk",
    "holdfast.store.memory": "the store of tests",
    "holdfast.store.remote.folder": "the way to a remote in a folder",
    "holdfast.store.remote.bucket": "the way to a remote in a bucket",
    "holdfast.store.remote.direct": "the store that works on a remote",
    "holdfast.registry.sql": "the registry in a database",
    "holdfast.tracking.sql": "the runs in a database",
    "holdfast.access.sql": "the people in a database",
    "holdfast.access.http": "the people of a server",
    "holdfast.registry.webhooks.sql": "the webhooks in a database",
    "holdfast.registry.webhooks.http": "the webhooks behind a server",
    "holdfast.registry.http": "the registry behind a server",
    "holdfast.tracking.http": "the runs behind a server",
}
"""Each stands behind a port; `wire` builds it, and modules of the adapter's own folder may lean on it."""

SQL = {"sqlalchemy", "alembic", "psycopg"}
SQL_SPOKEN_IN = {"access", "database", "experiments", "registry", "tracking"}

WEB = {"fastapi", "starlette", "uvicorn", "pydantic"}
WEB_SPOKEN_IN = {"web": WEB, "cli": {"uvicorn"}}

PURE = {"signing", "formats", "statistics", "parts", "evidence", "manifest", "canonical", "digest", "names", "errors"}
IMPURE = {
    "asyncio", "ctypes", "fcntl", "ftplib", "glob", "http", "importlib", "io", "mmap", "multiprocessing", "os",
    "pathlib", "platform", "random", "runpy", "secrets", "select", "shutil", "signal", "site", "socket", "sqlite3",
    "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""Standard modules that reach outside the process, or let the clock or chance in."""
PURE_NAMES = {"pathlib": {"PurePath", "PurePosixPath"}}  # pure paths touch no disk


def layer_of(name: str) -> str:
    """`flow` for holdfast.flow.gate; empty for the root package."""
    return name.partition(".")[2].partition(".")[0]


RANKS = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}


def told(module: Module, found: Import, why: str) -> str:
    return f"src/holdfast/{module.place}:{found.line}: imports {found.target}, {why}"


def refuse(faults: Iterable[str]) -> None:
    faults = sorted(faults)
    assert not faults, "\n" + "\n".join(faults)


def test_every_module_has_a_layer() -> None:
    refuse(
        f"src/holdfast/{module.place}: {layer_of(module.name)!r} is not in the drawing"
        for module in modules()
        if module.name != "holdfast" and layer_of(module.name) not in RANKS
    )


def test_imports_point_down() -> None:
    faults = []
    for module in modules():
        if module.name == "holdfast":
            continue
        here = layer_of(module.name)
        for found in module.ours:
            there = layer_of(found.target)
            if there == here:
                continue
            if there == "":
                faults.append(told(module, found, "which is the public face above every layer"))
            elif RANKS.get(there, -1) <= RANKS[here]:
                faults.append(told(module, found, f"but {there} does not lie below {here}"))
    refuse(faults)


def test_a_verb_imports_only_verbs_before_it() -> None:
    faults = []
    for module in modules():
        if not module.name.startswith("holdfast.flow."):
            continue
        verb = module.name.split(".")[2]
        if verb not in VERBS:
            faults.append(f"src/holdfast/{module.place}: {verb!r} is not one of the verbs")
            continue
        for found in module.ours:
            if found.target == "holdfast.flow":
                faults.append(told(module, found, "which is the whole flow"))
            elif found.target.startswith("holdfast.flow."):
                other = found.target.split(".")[2]
                if other != verb and other in VERBS and VERBS.index(other) > VERBS.index(verb):
                    faults.append(told(module, found, f"but {other} comes after {verb}"))
    refuse(faults)


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other (Tarjan, 1972), largest first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1 or name in graph[name]:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return sorted(found, key=len, reverse=True)


def test_a_cycle_is_found_when_there_is_one() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}) == [["a", "b", "c"], ["e"]]


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = {module.name for module in modules()}
    graph = {module.name: {found.target for found in module.ours} & known for module in modules()}
    refuse(" -> ".join(group) for group in cycles(graph))


def test_what_is_imported_from_holdfast_exists() -> None:
    known = {module.name for module in modules()}
    refuse(
        told(module, found, "which is not a module")
        for module in modules()
        for found in module.ours
        if found.target not in known
    )


def test_sql_is_spoken_below_registry_and_tracking_only() -> None:
    refuse(
        told(module, found, f"but SQL is spoken in {', '.join(sorted(SQL_SPOKEN_IN))} only")
        for module in modules()
        for found in module.imports
        if found.top in SQL and layer_of(module.name) not in SQL_SPOKEN_IN
    )


def test_web_frameworks_stay_at_the_web_edge() -> None:
    refuse(
        told(module, found, "which belongs at the HTTP edge")
        for module in modules()
        for found in module.imports
        if found.top in WEB and found.top not in WEB_SPOKEN_IN.get(layer_of(module.name), set())
    )


def test_only_the_composition_root_names_adapters() -> None:
    faults = []
    for module in modules():
        for found in module.ours:
            adapter = next(
                (name for name in ADAPTERS if found.target == name or found.target.startswith(f"{name}.")), None
            )
            if adapter is None or layer_of(module.name) == "wire" or module.name.startswith(adapter.rpartition(".")[0]):
                continue
            faults.append(told(module, found, f"{ADAPTERS[adapter]}; only wire chooses"))
    refuse(faults)


def test_values_do_no_input_or_output() -> None:
    faults = []
    for module in modules():
        if layer_of(module.name) not in PURE:
            continue
        for found in module.imports:
            pure = found.names and set(found.names) <= PURE_NAMES.get(found.target, set())
            if found.top in IMPURE and not pure:
                faults.append(told(module, found, "which reaches outside the process"))
        faults += [
            f"src/holdfast/{module.place}:{node.lineno}: opens a file"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
        ]
    refuse(faults)


def test_errors_import_nothing_but_types() -> None:
    (errors,) = (module for module in modules() if module.name == "holdfast.errors")
    assert {found.target for found in errors.imports} <= {"collections.abc", "typing"}


def test_imports_are_absolute() -> None:
    refuse(
        f"src/holdfast/{module.place}:{node.lineno}: a relative import"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    )


def test_the_decision_draws_the_same_layers() -> None:
    text = (ROOT / "docs/decisions/accepted/0001-the-house.md").read_text(encoding="utf-8")
    drawn = [
        set(re.split(r"\s*\|\s*", match))
        for match in re.findall(r"^    ([a-z_]+(?: \| [a-z_]+)*)  +\S", text, flags=re.MULTILINE)
    ]
    edges = {"cli", "api", "mlflow_plugin"}
    assert [layers for layers in LAYERS if layers not in ({"__main__"}, edges)] == drawn[3:]
    assert drawn[:3] == [{"cli"}, {"api"}, {"mlflow_plugin"}]
