"""The list of commands, and the edge of the process."""

import errno
import os
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import typer

from holdfast.cli.exit_codes import EXIT_CODES, INTERRUPTED, SUCCESS, UNEXPECTED, exit_code_of
from holdfast.cli.output import Output
from holdfast.errors import HoldfastError, UsageError
from holdfast.store.disk import refusal

__all__ = ["COMMANDS", "build", "run"]

COMMANDS: dict[str, str] = {
    "init": "project",
    "inventory": "project",
    "run": "run",
    "snapshot": "data",
    "register": "register",
    "adopt": "register",
    "key": "signing",
    "sign": "signing",
    "verify": "signing",
    "list": "look",
    "show": "look",
    "search": "search",
    "gate": "gate",
    "ci": "ci",
    "approve": "move",
    "promote": "move",
    "rollback": "move",
    "clear": "move",
    "rehearse": "rehearse",
    "live": "history",
    "history": "history",
    "log": "history",
    "lineage": "lineage",
    "serve": "serve",
    "serve-bundle": "serve_bundle",
    "decision": "decision",
    "shadow": "shadow",
    "canary": "canary",
    "truth": "truth",
    "watch": "watch",
    "checkout": "data",
    "export": "export",
    "import": "import_",
    "server": "server",
    "login": "people",
    "logout": "people",
    "whoami": "people",
    "user": "people",
    "token": "people",
    "webhook": "webhook",
    "remote": "remote",
    "push": "remote",
    "pull": "remote",
    "clone": "remote",
    "check": "upkeep",
    "archive": "archive",
    "restore": "archive",
    "gc": "space",
    "hold": "space",
    "backup": "backup",
    "policy": "policy",
    "audit": "audit",
    "doctor": "upkeep",
    "demo": "demo",
}
"""Each command and the module that holds it, in the order in which a person meets them."""

_COMPLETING = "_HOLDFAST_COMPLETE"
"""The shell's completion sets it, and then wants Typer's own answer."""

_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
"""What the machine may say to any read or write, and which is no defect of ours."""


def build(asked: str | None = None) -> typer.Typer:
    """The command line with the one command that was asked for, or with all of them for the help.

    Importing one module instead of all keeps every command quick to start.
    """
    app = typer.Typer(
        name="holdfast",
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
        if not arguments:
            _invoke(["-h"], None)
            return EXIT_CODES[UsageError.code]
        return _invoke(arguments, next((word for word in ours if not word.startswith("-")), None))
    except HoldfastError as error:
        return _refused(output, error)
    except (KeyboardInterrupt, typer.Abort):
        output.interrupted()
        return INTERRUPTED
    except typer.TyperException as error:
        return _refused(output, _usage(error))
    except Exception as error:  # noqa: BLE001 - the one edge of this process: whatever gets here is a defect of ours
        told = _of_the_machine(error)
        if told is not None:
            return _refused(output, told)
        output.unexpected(error, traceback.format_exc())
        return UNEXPECTED
    finally:
        output.settle()


def _invoke(arguments: Sequence[str], asked: str | None) -> int:
    """Parse and call, as Typer would on its own, but without its answers to Ctrl-C and to a closed pipe."""
    app = build(asked)
    if _COMPLETING in os.environ:
        app(prog_name="holdfast")
    try:
        with typer.main.get_command(app).make_context("holdfast", list(arguments)) as context:
            result = context.command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return result if isinstance(result, int) else SUCCESS


def _refused(output: Output, error: HoldfastError) -> int:
    output.error(error)
    return exit_code_of(error)


def _usage(error: typer.TyperException) -> UsageError:
    said = error.format_message()
    context = getattr(error, "ctx", None)
    path = "holdfast" if context is None else str(context.command_path)
    if path == "holdfast" and "--json" in said:
        return UsageError(said, hint="It stands behind the command: holdfast list --json")
    return UsageError(said, hint=f"See: {path} -h")


def _of_the_machine(error: Exception) -> HoldfastError | None:
    """A full disk or a refused permission, met where nobody expected it: told as what it is."""
    if not isinstance(error, OSError) or error.errno not in _MACHINE:
        return None
    return refusal(error, Path(error.filename or "what was being written"))
