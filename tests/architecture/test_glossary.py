"""docs/GLOSSARY.md, held against every name that Holdfast gives, and against its docstrings where no sense is right."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from typing import NamedTuple

import pytest

from tests.architecture.sources import ROOT, Function, Module, modules


class Entry(NamedTuple):
    """One row of the glossary's table."""

    say: str
    meaning: str
    never: tuple[str, ...]
    never_in_prose: tuple[str, ...]


class Allowed(NamedTuple):
    """A forbidden word where it is the right one.

    Attributes:
        word: as the glossary has it.
        name: the identifier that may hold it, or the sentence's word; a shell pattern.
        place: the file; a shell pattern.
        reason: what the word means there.
    """

    word: str
    name: str
    place: str
    reason: str


ALLOWED: list[Allowed] = [
    Allowed("package", "CannotPackage", "errors.py", "to package is a verb here, and a public code"),
    Allowed("object", "JsonObject", "*", "a JSON object"),
    Allowed("alias", "alias", "flow/bundle/c*.py", "the other name in `import x as y`, as Python's grammar calls it"),
    Allowed("package", "package", "flow/bundle/code.py", "a Python package"),
    Allowed("label", "*label*", "flow/bundle/metrics.py", "the label of a class"),
    Allowed("label", "*label*", "flow/bundle/threshold.py", "the label of a class"),
    Allowed("label", "*label*", "runtime/loaders/sklearn.py", "the label of a class"),
    Allowed("label", "*LABELS", "runtime/loaders/mlflow.py", "the label of a class"),
    Allowed("label", "*label*", "runtime/loaders/mlflow.py", "the label of a class"),
    Allowed("label", "*label*", "bridges/mlflow/*", "the label of a class"),
    Allowed("metadata", "metadata", "bridges/mlflow/*", "MLflow's own thing: what a script adds to an MLmodel file"),
    Allowed("label", "*label*", "flow/gate/groups.py", "the label of a class"),
    Allowed("label", "*label*", "flow/gate/calibration.py", "the label of a class"),
    Allowed("label", "*label*", "runtime/compatibility.py", "the label of a class"),
    Allowed("label", "*label*", "flow/gate/costs.py", "the label of a class"),
    Allowed("label", "*label*", "statistics/scores.py", "the label of a class"),
    Allowed("label", "label", "flow/shadow/*", "the label of a class"),
    Allowed("package", "packages", "flow/capture/captured.py", "Python packages, as their installer calls them"),
    Allowed("revision", "*revision", "database/migrations/steps/*", "Alembic reads this variable by its name"),
    Allowed("link", "*link*", "store/*", "a hard link, as the file system has it"),
    Allowed("link", "*link*", "cli/data.py", "a hard link, as the file system has it"),
    Allowed("label", "label", "web/inference/grpc_messages.py", "whether a field is repeated, as protobuf calls it"),
    Allowed("metadata", "*metadata", "web/inference/grpc_*.py", "the headers of a call, as gRPC calls them"),
    Allowed("label", "*labels", "serving/measures.py", "Prometheus calls so what tells lines of a metric apart"),
    Allowed("label", "*labels", "serving/meters.py", "Prometheus calls so what tells lines of a metric apart"),
    Allowed("label", "labels", "serving/showing.py", "Prometheus calls so what tells lines of a metric apart"),
    Allowed("label", "branch_labels", "database/migrations/steps/*", "Alembic reads this variable by its name"),
]

MLFLOWS_ROOMS = (
    *("bridges/from_mlflow/*", "bridges/mlflow/*", "experiments/*", "mlflow_plugin/*", "web/mlflow/*"),
    *(
        "bridges/mlflow_line.py",
        "bridges/to_mlflow.py",
        "runtime/loaders/mlflow.py",
        "wire/mlflow.py",
        "wire/moving.py",
    ),
)
"""Where another vocabulary is spoken: MLflow's own things bear MLflow's own names there, and nothing else does."""

MLFLOWS_WORDS = frozenset({"alias", "artifact", "deploy", "label", "link", "metadata", "package", "tag", "transition"})

MAY_SPELL_LATEST = {
    "names.py": "refuses it as a name",
}


def glossary() -> list[Entry]:
    """The rows of the table."""
    rows = []
    for line in (ROOT / "docs/GLOSSARY.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3 or not line.startswith("|") or cells[0] in {"say", "---"}:
            continue
        never = tuple(re.findall(r"`([^`]+)`", cells[2]))
        rows.append(Entry(cells[0], cells[1], never, tuple(re.findall(r"`([^`]+)`†", cells[2]))))
    return rows


FORBIDDEN = frozenset(word for entry in glossary() for word in entry.never)
FORBIDDEN_IN_PROSE = frozenset(word for entry in glossary() for word in entry.never_in_prose)


@cache
def stem(word: str) -> str:
    """The word without its endings: artifacts, deployed, deploying, deployment, released, aliases."""
    if word in FORBIDDEN:
        return word
    for ending in ("ments", "ment", "ing", "es", "ed", "s", "d"):
        shorter = word.removesuffix(ending)
        for candidate in (shorter, f"{shorter}e"):
            if shorter != word and candidate in FORBIDDEN:
                return candidate
    return word


def words(name: str) -> list[str]:
    """The words of a snake_case, kebab-case or CamelCase name."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def names(module: Module) -> Iterator[tuple[int, str]]:
    """Every name that the module gives: itself, classes, functions, arguments, variables, fields, commands, options."""
    yield 1, module.name.rpartition(".")[2]
    for node in module.nodes:
        match node:
            case ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
                yield from arguments(node)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Constant(value=str(text)) if module.place.startswith("cli/") and re.fullmatch(r"--[a-z/-]+", text):
                yield node.lineno, text
            case ast.Call(func=ast.Attribute(attr="command" | "add_typer"), args=args, keywords=keywords):
                given = [*args, *(keyword.value for keyword in keywords if keyword.arg == "name")]
                for word in given:
                    if isinstance(word, ast.Constant) and isinstance(word.value, str):
                        yield node.lineno, word.value


def arguments(function: Function) -> Iterator[tuple[int, str]]:
    given = function.args
    for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if argument is not None:
            yield argument.lineno, argument.arg


def prose(module: Module) -> Iterator[tuple[int, str]]:
    """The words of every docstring, without what stands in backticks or is indented as an example."""
    for node in module.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = re.sub(r"``?[^`]*``?", " ", ast.get_docstring(node) or "")
            line = getattr(node, "lineno", 1)
            yield from ((line, word.lower()) for word in re.findall(r"[A-Za-z]+", text))


def is_allowed(word: str, name: str, place: str) -> bool:
    if word in MLFLOWS_WORDS and any(fnmatch(place, room) for room in MLFLOWS_ROOMS):
        return True
    return any(
        allowed.word == word and fnmatch(name, allowed.name) and fnmatch(place, allowed.place) for allowed in ALLOWED
    )


@cache
def used_in_names() -> list[tuple[Module, int, str, str]]:
    return [
        (module, line, name, word)
        for module in modules()
        for line, name in names(module)
        for word in {stem(word) for word in words(name)} & FORBIDDEN
    ]


@cache
def used_in_prose() -> list[tuple[Module, int, str, str]]:
    return [
        (module, line, spelled, word)
        for module in modules()
        for line, spelled in prose(module)
        if (word := stem(spelled)) in FORBIDDEN_IN_PROSE
    ]


def instead_of(word: str) -> str:
    return " or ".join(entry.say for entry in glossary() if word in entry.never)


def test_the_glossary_can_be_read() -> None:
    entries = {entry.say: entry for entry in glossary()}
    assert {"version", "part", "evidence", "bundle", "stage", "gate", "verdict", "promote", "rollback", "event"} <= set(
        entries
    )
    assert all(entry.meaning for entry in entries.values())
    assert "revision" in entries["version"].never
    assert "artifact" in FORBIDDEN_IN_PROSE


def test_no_word_is_both_said_and_forbidden() -> None:
    assert {entry.say for entry in glossary()} & FORBIDDEN == set()


@pytest.mark.parametrize(
    ("name", "word"),
    [("ArtifactStore", "artifact"), ("deployed_at", "deploy"), ("list_releases", "release"), ("HTTPAlias", "alias")],
)
def test_a_forbidden_word_is_found_inside_a_name(name: str, word: str) -> None:
    assert word in {stem(found) for found in words(name)}


def test_names_use_the_words_of_the_glossary() -> None:
    faults = sorted(
        f"src/holdfast/{module.place}:{line}: {name!r} holds {word!r}; say {instead_of(word)}"
        for module, line, name, word in used_in_names()
        if not is_allowed(word, name, module.place)
    )
    assert not faults, "\n" + "\n".join(faults)


def test_docstrings_use_the_words_of_the_glossary() -> None:
    faults = sorted(
        f"src/holdfast/{module.place}:{line}: a docstring says {spelled!r}; say {instead_of(word)}"
        for module, line, spelled, word in used_in_prose()
        if not is_allowed(word, spelled, module.place)
    )
    assert not faults, "\n" + "\n".join(faults)


def test_nothing_is_called_by_being_the_newest() -> None:
    found = {
        f"src/holdfast/{module.place}:{number}"
        for module in modules()
        if module.place not in MAY_SPELL_LATEST
        if not any(fnmatch(module.place, room) for room in MLFLOWS_ROOMS)
        for number, line in enumerate(module.text.splitlines(), 1)
        if re.search(r"(?<![A-Za-z])latest(?![A-Za-z])", line, flags=re.IGNORECASE)
    }
    assert not found, f"'latest' is not a word in Holdfast: {sorted(found)}"


def test_every_exception_is_still_needed() -> None:
    used = [(word, name, module.place) for module, _, name, word in [*used_in_names(), *used_in_prose()]]
    stale = [
        allowed
        for allowed in ALLOWED
        if not any(
            allowed.word == word and fnmatch(name, allowed.name) and fnmatch(place, allowed.place)
            for word, name, place in used
        )
    ]
    assert not stale, f"nothing needs these any more: {stale}"
    assert set(MAY_SPELL_LATEST) <= {module.place for module in modules()}
