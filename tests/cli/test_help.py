"""What `-h` says, and what is true of every command."""

import ast
import inspect
from collections.abc import Iterator

import pytest
import typer

from holdfast.cli.app import COMMANDS, build
from holdfast.cli.exit_codes import ENDINGS, EXIT_CODES
from tests.architecture.sources import Module, modules
from tests.commands import Cli

GROUPS = {
    "policy": ["show", "set", "history", "check"],
    "key": ["make", "show"],
    "gate": ["judge", "show", "replay"],
    "audit": ["verify", "key", "checkpoint", "proof", "export", "verifier", "accept"],
    "remote": ["add", "list", "remove"],
    "backup": ["make", "list", "restore"],
    "export": ["image", "oci", "mlflow", "kserve"],
    "import": ["mlflow"],
    "hold": ["add", "lift", "list"],
    "user": ["add", "list", "grant", "revoke", "disable"],
    "token": ["create", "list", "revoke"],
    "webhook": ["add", "list", "test", "rotate", "resume", "remove"],
}

EVERY = [name for name in COMMANDS if name not in GROUPS] + [
    f"{group} {name}" for group, names in GROUPS.items() for name in names
]

BODY_LINES_MAX = 15
"""A command parses, calls and presents; what takes more lines than this does something else as well."""


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_shows_an_example_and_every_exit_code(cli: Cli, command: str, flag: str) -> None:
    words = " ".join(cli.ok(*command.split(), flag).out.split())
    assert f"Example: holdfast {command}" in words
    codes = words.partition("Exit codes: ")[2]
    for code in (*ENDINGS[command], "unexpected", "interrupted"):
        assert f"{EXIT_CODES[code]} {code}" in codes
    assert codes.startswith("0 done")
    assert "docs/ERRORS.md" in codes


ONLY_ANSWERED = {"busy", "too_late", "unsupported_media"}
"""Codes with which a replica answers a request, and no command ends."""


def test_every_command_has_its_endings_and_no_others_do() -> None:
    assert set(ENDINGS) == set(EVERY)
    ended = {code for codes in ENDINGS.values() for code in codes}
    assert ended | {"unexpected", "interrupted"} == set(EXIT_CODES) - ONLY_ANSWERED
    assert [name for name, codes in ENDINGS.items() if len(set(codes)) < len(codes)] == []


def test_the_help_lists_the_commands_in_the_order_in_which_a_person_meets_them(cli: Cli) -> None:
    out = cli.ok("-h").out
    shown = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.startswith("  ")]
    assert [name for name in shown if name in COMMANDS][:3] == ["init", "inventory", "run"]
    assert set(COMMANDS) <= set(shown)


@pytest.mark.parametrize("command", EVERY)
def test_every_command_takes_json(cli: Cli, command: str) -> None:
    assert "--json" in cli.ok(*command.split(), "-h").out


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_without_loading_the_others(name: str) -> None:
    app = build(name)
    assert len(app.registered_commands) + len(app.registered_groups) == 1


@pytest.mark.parametrize("command", EVERY)
def test_every_option_says_what_it_means(command: str) -> None:
    words = command.split()
    found = typer.main.get_command(build(words[0]))
    for word in words if hasattr(found, "commands") else words[1:]:
        found = getattr(found, "commands", {}).get(word, found)
    silent = [option.name for option in found.params if not getattr(option, "help", None)]
    assert silent == []


def test_no_arguments_show_the_help_and_are_no_success(cli: Cli) -> None:
    answer = cli()
    assert answer.code == EXIT_CODES["usage"]
    assert "Commands:" in answer.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["promot", "churn@1"], "Did you mean 'promote'"),
        (["audit", "verfy"], "'verify'"),
        (["audit"], "Missing command"),
        (["show"], "Missing argument"),
        (["run"], "Missing argument"),
        (["run", "--"], "Missing argument"),
        (["show", "churn@1", "extra"], "extra"),
        (["promote", "churn@1", "--expect", "x"], "--expect"),
        (["promote", "churn@1", "--wait-seconds", "-1"], "--wait-seconds"),
        (["list", "--nonsense"], "--nonsense"),
        (["serve", "churn", "--port", "99999"], "--port"),
        (["serve", "churn", "--port", "-1"], "--port"),
        (["log", "--limit", "many"], "--limit"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_shape(cli: Cli, arguments: list[str], says: str) -> None:
    plain = cli(*arguments)
    assert (plain.code, plain.out) == (EXIT_CODES["usage"], "")
    assert says in plain.err
    assert "hint: See: holdfast" in plain.err
    assert "-h" in plain.err


def test_a_program_gets_the_same_refusal_as_json(cli: Cli) -> None:
    error = cli("list", "--nonsense", "--json").error
    assert error["code"] == "usage"
    assert error["hint"] == "See: holdfast list -h"


def test_json_in_front_of_the_command_says_where_it_belongs(cli: Cli) -> None:
    answer = cli("--json", "list")
    assert answer.code == EXIT_CODES["usage"]
    assert answer.error["hint"] == "It stands behind the command: holdfast list --json"


@pytest.mark.parametrize("name", ["bad name", "UPPER", "latest", "7", "", "a" * 200])
def test_a_name_that_cannot_be_is_refused_wherever_it_is_typed(cli: Cli, project: object, name: str) -> None:
    for arguments in (
        ["list", name],
        ["log", name],
        ["live", name],
        ["register", name],
        ["rollback", name],
        ["rehearse", name],
        ["show", f"{name}@1"],
        ["run", "--model", name, "--", "true"],
    ):
        cli.fails("usage", *arguments)


def commands() -> Iterator[tuple[Module, ast.FunctionDef]]:
    """Every function that is a command, with its module."""
    for module in modules():
        if module.place.startswith("cli/"):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.FunctionDef) and any(
                    ast.unparse(decorator).partition("(")[0].endswith(".command") for decorator in node.decorator_list
                ):
                    yield module, node


def body_lines(node: ast.FunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.thorough
def test_a_command_is_a_few_lines_over_one_call() -> None:
    found = {f"{module.place}:{node.name}": body_lines(node) for module, node in commands()}
    assert len(found) == len(EVERY)
    assert {where: lines for where, lines in found.items() if lines > BODY_LINES_MAX} == {}


def test_body_lines_are_counted_without_the_docstring() -> None:
    source = '''
    def command():
        """One line.

        Two more.
        """
        first = (
            1
        )
        # a remark
        return first
    '''
    tree = ast.parse(inspect.cleandoc(source))
    assert isinstance(tree.body[0], ast.FunctionDef)
    assert body_lines(tree.body[0]) == 5
