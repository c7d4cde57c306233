"""Options and arguments that several commands share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from holdfast.config import Settings
from holdfast.errors import UsageError
from holdfast.wire import Project, open_project

__all__ = [
    "AllRules",
    "AnyColumn",
    "AsJson",
    "ModelArgument",
    "Reason",
    "ReferenceArgument",
    "StageOption",
    "To",
    "WaitSeconds",
    "here",
    "moment_of",
]

AllRules = Annotated[
    bool, typer.Option("--all-rules", help="Open the bundle even where a rule that needs no worker has decided it.")
]
AnyColumn = Annotated[bool, typer.Option("--any-column", help="Take a column that is no feature of the version.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
ReferenceArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="churn@4, churn@production or churn@sha256:…")
]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
StageOption = Annotated[str, typer.Option("--stage", help="The stage.")]
To = Annotated[str, typer.Option("--to", help="The stage that shall hold it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the log.")]
WaitSeconds = Annotated[float, typer.Option("--wait-seconds", min=0.0, help="How long --wait waits for replicas.")]


def here() -> Project:
    """The project around the current folder."""
    return open_project(Settings.find(Path.cwd()))


def moment_of(text: str) -> datetime:
    """The moment that a person wrote, in UTC; in their own time zone where it names none.

    Raises:
        UsageError: it is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a moment", hint="Write it as 2026-03-01T09:00 or with +02:00.") from error
