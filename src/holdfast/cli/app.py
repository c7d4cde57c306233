"""The list of commands, and the edge of the process."""

import traceback
from collections.abc import Sequence
from importlib import import_module

import typer

from holdfast.cli.exit_codes import INTERRUPTED, SUCCESS, UNEXPECTED, exit_code_of
from holdfast.cli.output import Output
from holdfast.errors import HoldfastError, UsageError

__all__ = ["COMMANDS", "build", "run"]

COMMANDS: dict[str, str] = {
    "init": "project",
    "inventory": "project",
    "run": "run",
    "snapshot": "data",
    "register": "register",
    "adopt": "register",
    "list": "look",
    "show": "look",
    "search": "look",
    "gate": "move",
    "approve": "move",
    "promote": "move",
    "rollback": "move",
    "live": "history",
    "log": "history",
    "serve": "serve",
    "checkout": "data",
    "check": "upkeep",
    "audit": "upkeep",
    "doctor": "upkeep",
    "demo": "demo",
}
"""Each command and the module that holds it, in the order in which a person meets them."""


def build(asked: str | None = None) -> typer.Typer:
    """The command line with the one command that was asked for, or with all of them for the help.

    Importing one module instead of all keeps every command quick to start.
    """
    app = typer.Typer(
        name="holdfast",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Model version control: five parts pinned together, gated, served, and rolled back in one command.",
        epilog="Each command takes --json and shows an example with -h. Exit codes: docs/ERRORS.md.",
    )
    app.callback()(_root)
    for name, place in COMMANDS.items():
        if asked not in COMMANDS or name == asked:
            module = import_module(f"holdfast.cli.{place}")
            app.registered_commands += [c for c in module.app.registered_commands if _name(c) == name]
            app.registered_groups += [group for group in module.app.registered_groups if group.name == name]
    return app


def _name(command: typer.models.CommandInfo) -> str:
    return str(command.name or getattr(command.callback, "__name__", ""))


def _root() -> None:
    """Model version control."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    ours = list(arguments[: arguments.index("--")]) if "--" in arguments else list(arguments)
    output = Output(as_json="--json" in ours)
    try:
        app = build(next((word for word in ours if not word.startswith("-")), None))
        result = app(args=list(arguments), prog_name="holdfast", standalone_mode=False)
    except HoldfastError as error:
        output.error(error)
        return exit_code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        output.talk("interrupted")
        return INTERRUPTED
    except typer.TyperException as error:
        said = str(getattr(error, "message", "")) or str(error)
        refused = UsageError(said or "a command is missing", hint=_usage_hint(error))
        output.error(refused)
        return exit_code_of(refused)
    except BrokenPipeError:
        # Whoever read our output has read enough, as `holdfast log | head` does.
        output.close()
        return SUCCESS
    except Exception as error:  # noqa: BLE001 - the one edge of this process: whatever gets here is a defect of ours
        output.unexpected(error, traceback.format_exc())
        return UNEXPECTED
    return result if isinstance(result, int) else SUCCESS


def _usage_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} -h" if context is not None else "See: holdfast -h"
