"""One error tree, one exit code and one status for each code, one row of documentation: all of them the same list."""

import ast
import re
from collections import Counter
from typing import NamedTuple

import pytest

from holdfast import errors
from holdfast.cli.exit_codes import EXIT_CODES, INTERRUPTED, UNEXPECTED, exit_code_of
from holdfast.errors import HoldfastError
from holdfast.web import problems
from holdfast.web.problems import HTTP_STATUS
from tests.architecture.sources import ROOT, modules

WITHOUT_A_CLASS = {"unexpected", "interrupted", "gate_inconclusive", "replay_differs"}

OUTSIDE_THE_TREE: dict[str, str] = {
    "upkeep/audit/offline.py:Bad": "that program runs where there is no Holdfast, and so no tree",
    "formats/limits.py:Broken": "never leaves its folder: what a scan cannot read is a finding, and no error",
    "store/writing_out.py:LeftoverDiffers": "tells the checkout to begin afresh; nobody else ever meets it",
}
"""`place:Class` of exceptions outside the tree, and why. A private class is not counted: it never leaves its module."""


def tree() -> dict[str, type[HoldfastError]]:
    """Every class of the tree below its base, by name."""
    found: dict[str, type[HoldfastError]] = {}
    left: list[type[HoldfastError]] = [HoldfastError]
    while left:
        for child in left.pop().__subclasses__():
            # Tests elsewhere may make errors of their own.
            if child.__module__ == errors.__name__:
                found[child.__name__] = child
                left.append(child)
    return found


class Row(NamedTuple):
    code: str
    name: str | None
    exit: int | None
    status: int | None


def documented() -> list[Row]:
    """The rows of both tables in docs/ERRORS.md."""

    def number(cell: str) -> int | None:
        return int(cell) if cell.isdigit() else None

    rows = []
    for line in (ROOT / "docs/ERRORS.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| `"):
            continue
        if re.fullmatch(r"[A-Z]\w+", cells[1]):
            rows.append(Row(cells[0], cells[1], number(cells[2]), number(cells[3])))
        else:
            rows.append(Row(cells[0], None, number(cells[1]), number(cells[2])))
    return rows


def test_every_code_is_used_once() -> None:
    codes = Counter([HoldfastError.code, *(kind.code for kind in tree().values())])
    assert [code for code, times in codes.items() if times > 1] == []
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_class_states_its_own_code_and_is_exported() -> None:
    assert [name for name, kind in tree().items() if "code" not in vars(kind)] == []
    assert {name for name in errors.__all__ if name[0].isupper()} == {"HoldfastError", *tree()}


def test_the_drawing_shows_the_tree_as_it_is() -> None:
    parents = ["HoldfastError"]
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:│   |    )*)[├└]── (\w+) +(\w+) {2,}\S", line)
        if match:
            depth = len(match[1]) // 4
            drawn[match[2]] = (match[3], parents[depth])
            parents[depth + 1 :] = [match[2]]
    assert drawn == {name: (kind.code, kind.__mro__[1].__name__) for name, kind in tree().items()}


@pytest.mark.parametrize("table", [EXIT_CODES, HTTP_STATUS])
def test_every_code_has_a_row_in_the_table(table: dict[str, int]) -> None:
    assert set(table) - WITHOUT_A_CLASS == {kind.code for kind in tree().values()}


def test_no_two_codes_share_an_exit_code() -> None:
    assert [number for number, times in Counter(EXIT_CODES.values()).items() if times > 1] == []
    assert all(1 <= number <= 130 for number in EXIT_CODES.values())


def test_every_status_is_a_failure() -> None:
    assert [code for code, status in HTTP_STATUS.items() if not 400 <= status <= 599] == []


def test_the_documentation_says_what_the_tables_say() -> None:
    classes = {kind.code: name for name, kind in tree().items()}
    said = {row.code: (row.name, row.exit, row.status) for row in documented()}
    assert said == {code: (classes.get(code), number, HTTP_STATUS.get(code)) for code, number in EXIT_CODES.items()}
    assert len(said) == len(documented())


@pytest.mark.parametrize("name", sorted(tree()))
def test_an_error_ends_a_command_and_a_request_with_its_own_numbers(name: str) -> None:
    error = tree()[name]("what happened", hint="what to do", model="churn")
    assert exit_code_of(error) == EXIT_CODES[error.code]
    assert problems.status_of(error) == HTTP_STATUS[error.code]
    assert problems.problem(error) == {
        "error": {"code": error.code, "message": "what happened", "hint": "what to do", "model": "churn"}
    }


def test_what_nobody_raised_on_purpose_is_unexpected() -> None:
    assert exit_code_of(RuntimeError("?")) == UNEXPECTED
    assert exit_code_of(KeyboardInterrupt()) == INTERRUPTED


def test_errors_are_made_in_one_module_only() -> None:
    known = {"HoldfastError", *tree()}
    found = {
        f"{module.place}:{node.name}"
        for module in modules()
        if module.place != "errors.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for base in node.bases
        if (name := ast.unparse(base).rpartition(".")[2]) in known or name.endswith(("Error", "Exception"))
    }
    assert found == set(OUTSIDE_THE_TREE)
